//! What tunnels carry.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/traffic`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Traffic {
    /// The version of this shape.
    pub schema_version: u32,
    /// When the counters were read: milliseconds by this host's monotonic clock, which nobody sets.
    /// Rates come of two answers, also where the daemon was restarted between them.
    pub monotonic_ms: u64,
    /// Every node that is up, by id.
    pub nodes: Vec<NodeTraffic>,
}

/// What the link of a node that is up has carried since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeTraffic {
    /// The row's id.
    pub id: u32,
    /// The link's index; another one is another link, which began at 0.
    pub ifindex: u32,
    /// Received through the tunnel, bytes.
    pub in_bytes: u64,
    /// Sent through it, bytes.
    pub out_bytes: u64,
    /// Received through it.
    pub in_packets: u64,
    /// Sent through it.
    pub out_packets: u64,
}
