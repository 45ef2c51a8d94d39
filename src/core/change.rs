//! What became of a tunnel, told at once: routes, probes, hooks and the database follow it; and what
//! routes alone follow.
//! Sentences for people are [`super::notice::Notice`]s; they may wait for a cause, and drive nothing.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{CallId, IfIndex};
use crate::node::NodeId;

/// A tunnel that is up, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpTunnel {
    /// Whose tunnel.
    pub node: NodeId,
    /// Which call it is.
    pub call: CallId,
    /// The link's index.
    pub index: IfIndex,
    /// The link's present name.
    pub interface: String,
    /// Our address.
    pub local: Ipv4Addr,
    /// The server's, where the kernel knows it.
    pub remote: Option<Ipv4Addr>,
    /// Taken over, not dialled.
    pub adopted: bool,
}

/// What became of a node's tunnel. Of one node they come in order: it rises, may change while it
/// is up, falls, and its fall is explained before it rises again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is up.
    Rose(Arc<UpTunnel>),
    /// It is up still, by other addresses.
    Readdressed(Arc<UpTunnel>),
    /// It is up still, and its link has another name.
    Renamed(Arc<UpTunnel>),
    /// It is up no more.
    Fell {
        /// Whose tunnel.
        node: NodeId,
    },
    /// Why it fell: with the fall, or up to a second later.
    Explained {
        /// Whose tunnel.
        node: NodeId,
        /// Why, in words.
        reason: String,
    },
}

/// What the ways of packets depend on, beside the tunnels that are up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A tunnel of this node is wanted, whether it is up or not, or the operator has stopped it.
    Wanted {
        /// Which node.
        node: NodeId,
    },
    /// None is wanted any more.
    Unwanted {
        /// Which node.
        node: NodeId,
    },
    /// Every node that is wanted was told by now: what an earlier daemon left of others may go.
    AllTold,
    /// A call has a link.
    Linked {
        /// Whose call.
        node: NodeId,
        /// Which call.
        call: CallId,
        /// Its link.
        index: IfIndex,
    },
    /// A call that had a link is over.
    Unlinked {
        /// Whose call.
        node: NodeId,
        /// Which call.
        call: CallId,
    },
    /// The server gives our end an address that the host has to reach elsewhere; the call is being
    /// hung up.
    Refused {
        /// Whose call.
        node: NodeId,
        /// Its link.
        index: IfIndex,
        /// The address.
        local: Ipv4Addr,
    },
}
