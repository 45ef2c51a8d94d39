//! The rules that the core goes by.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Curve;
use super::time::Monotonic;
use crate::node::Mppe;

/// The rules that the core goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Dials under way at once on this host.
    pub dial_concurrency: u32,
    /// Of those, to one server that has answered.
    pub dial_concurrency_per_server: u32,
    /// From the start of a dial to addresses on the link.
    pub dial_timeout: Duration,
    /// From a hang-up to its end by force.
    pub stop_grace: Duration,
    /// Waits between failed dials.
    pub backoff: Curve,
    /// Up for this long, a tunnel's failures are forgotten.
    pub stable_after: Duration,
    /// Authentication refusals in a row that end the tries.
    pub quarantine_after: u32,
    /// A login that has worked is quarantined only when it was refused for so long.
    pub quarantine_grace: Duration,
    /// How often a quarantined node is dialled all the same; zero is never.
    pub quarantine_rest: Duration,
    /// So long a node goes on as it is though its row is away.
    pub absence_grace: Duration,
    /// Leave tunnels up when the daemon stops.
    pub keep_on_exit: bool,
    /// When an outage is declared.
    pub outage: OutagePolicy,
    /// Encryption of rows that say nothing.
    pub mppe: Mppe,
}

impl Policy {
    /// When a node that is quarantined at this moment is dialled all the same.
    pub(super) fn rest_until(&self, at: Monotonic) -> Option<Monotonic> {
        (!self.quarantine_rest.is_zero()).then(|| at + self.quarantine_rest)
    }
}

/// When an outage is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutagePolicy {
    /// How long a window is.
    pub interval: Duration,
    /// Empty windows in a row that make an outage.
    pub windows: u32,
    /// From the daemon's start to the first window.
    pub startup_delay: Duration,
    /// Whether an empty desired set counts.
    pub restart_with_no_nodes: bool,
    /// The longest that a restart can take, from the command to the open port.
    pub restart_limit: Duration,
}
