//! What the core wants done.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::{Change, Way};
use super::event::CallId;
use super::notice::Notice;
use crate::node::{Engine, Node, NodeId};

/// A change to the world, carried out elsewhere and reported back as an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Work for the engines, which make calls.
    Order(Order),
    /// Find out, within [`JUDGE_WITHIN`](super::outage::JUDGE_WITHIN), whether a backend restart
    /// can help.
    JudgeBackend {
        /// The number that the answer bears.
        question: u64,
    },
    /// Restart the backend and wait for its port.
    RestartBackend {
        /// The number that the report bears.
        restart: u64,
    },
    /// Remember, beyond this daemon's life, which nodes the operator has stopped.
    KeepStopped(BTreeSet<NodeId>),
    /// Follow what became of a tunnel.
    Change(Change),
    /// Follow what else the ways of packets depend on.
    Way(Way),
    /// Tell people.
    Tell(Notice),
}

/// Work for the engines, to be begun in the order of asking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Keep what a dial of this node needs, as this row says.
    Keep(Arc<Node>),
    /// Keep nothing of this node any more.
    Forget(NodeId),
    /// Keep nothing of any node but these.
    KeepOnly(Vec<NodeId>),
    /// Dial a node that was ordered to be kept. Answered by [`Event::Started`] once it is under
    /// way, and in the end by [`Event::Ended`].
    ///
    /// [`Event::Started`]: super::event::Event::Started
    /// [`Event::Ended`]: super::event::Event::Ended
    Dial {
        /// What this call is called.
        call: CallId,
        /// The node.
        node: NodeId,
        /// By what.
        engine: Engine,
    },
    /// Hang up a call: it is given time to end by itself.
    HangUp {
        /// Which call.
        call: CallId,
    },
    /// End a call that was hung up and goes on: at once, whatever it leaves behind.
    End {
        /// Which call.
        call: CallId,
    },
}
