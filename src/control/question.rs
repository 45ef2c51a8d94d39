//! What the server asks the supervisor, and what comes back.

use std::sync::Arc;

use tokio::sync::{broadcast, oneshot};

use super::api::{Event, Node, NodeInFull, Reloaded, Status, Transition};
use super::events::Line;
use crate::config::Config;
use crate::core::Core;
use crate::core::event::{Ask, IfIndex};
use crate::core::time::Now;
use crate::node::NodeId;
use crate::stopped::Kept;
use crate::supervisor::Options;
use crate::telemetry::metrics::Metrics;
use crate::unknown::UnknownNode;

/// A question to the supervisor; the answer goes back by its channel.
#[derive(Debug)]
pub(crate) enum Question {
    /// The whole state.
    Status(oneshot::Sender<Status>),
    /// The configuration in force, and what the command line says: the file that it was read from is
    /// there, where there is one.
    Config(oneshot::Sender<(Config, Options)>),
    /// One node.
    Node(NodeId, oneshot::Sender<Result<NodeInFull, Unheld>>),
    /// Every event from now on.
    Follow(oneshot::Sender<Following>),
    /// All figures, as they are now, and the backend's port.
    Figures(oneshot::Sender<(Arc<Metrics>, u16)>),
    /// The links of all nodes that are up, by node.
    UpLinks(oneshot::Sender<Vec<(NodeId, IfIndex)>>),
    /// A copy of the core, to try something with, and the time.
    Core(oneshot::Sender<(Box<Core>, Now)>),
    /// To read the configuration again.
    Reload {
        /// Who asks, for people.
        by: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Reloaded, Refusal>>,
    },
    /// To change a node.
    Change {
        /// Which node.
        node: NodeId,
        /// How.
        ask: Ask,
        /// Who asks, for people.
        by: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Changed, Refusal>>,
    },
}

/// Where a reader of events begins, and what comes after.
#[derive(Debug)]
pub(crate) struct Following {
    /// The whole state.
    pub snapshot: Event,
    /// What is told from then on; readers that are too slow lose the oldest.
    pub events: broadcast::Receiver<Line>,
}

/// What is known of a node that the daemon does not hold.
#[derive(Debug)]
pub(crate) struct Unheld {
    /// To be told where it has no row.
    pub unknown: UnknownNode,
    /// What became of it before.
    pub history: Vec<Transition>,
    /// When it was let go, or now.
    pub since: String,
}

/// What became of a node.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The node right after; it may be none of those that the daemon holds any more.
    pub node: Result<Node, UnknownNode>,
    /// Whether anything was to be done.
    pub differs: bool,
    /// To be waited for before the answer: until then a restart would forget the change.
    pub kept: Option<Kept>,
}

/// Why a request is not answered as wished; each message says what and what to do.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// Whoever asks may not.
    NotAllowed(String),
    /// What should be a node's id is none.
    BadId(String),
    /// There is no such node.
    Unknown(String),
    /// The node is stopped, and another request is needed to change that.
    Stopped(String),
    /// The configuration is wrong: all its faults.
    NotReloaded(Vec<String>),
    /// What stands behind the `?` of a path is not known there.
    BadQuery(String),
    /// What was sent can't be taken in.
    BadBody(String),
    /// Too many follow events already.
    TooMany,
    /// The daemon can't tell yet, or no longer.
    NotNow(String),
    /// It is done, and a restart of the daemon will forget it.
    NotKept(String),
}

impl Refusal {
    /// What is said to those who ask too late.
    pub(crate) fn stopping() -> Self {
        Refusal::NotNow("connexad is stopping; ask again when it runs".to_owned())
    }
}
