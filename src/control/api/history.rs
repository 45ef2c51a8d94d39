//! What became of a node, and the stream of what becomes of all.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Database, LastError, Node, Outage, Status};

/// `GET /v1/nodes/{id}`: a node with what became of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NodeInFull {
    /// The node.
    #[serde(flatten)]
    pub node: Node,
    /// Its last 32 changes of state, the oldest first; empty for one that never had a call.
    pub history: Vec<Transition>,
}

/// A change of a node's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// When.
    pub at: String,
    /// The state from then on; `gone`: the daemon let it go.
    pub state: String,
    /// The link's name then.
    pub interface: Option<String>,
    /// Why.
    pub reason: Option<LastError>,
}

/// A line of `GET /v1/events`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Rises by one with each event of this daemon, whoever follows.
    pub seq: u64,
    /// When it was told.
    pub at: String,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What an event tells.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The whole state; the first event of each reader, with the `seq` of the last one before.
    Snapshot {
        /// As `GET /v1/status` answers it.
        status: Box<Status>,
    },
    /// A node is in another state, or has another row, link or address.
    Node {
        /// The node as it is now.
        node: Box<Node>,
    },
    /// The daemon let a node go.
    Gone {
        /// Its id.
        id: u32,
    },
    /// The outage rule counts, restarts, or is at rest again.
    Outage {
        /// As it is now.
        outage: Box<Outage>,
    },
    /// The database can be read again, or can't any more.
    Database {
        /// As it is now.
        database: Database,
    },
    /// No tunnel can be dialled on this host, or they can again.
    HostFault {
        /// Why not; null where all is well again.
        host_fault: Option<LastError>,
    },
    /// This reader was too slow: so many events are lost to it. Ask for the status anew.
    Lagged {
        /// How many.
        lost: u64,
    },
}
