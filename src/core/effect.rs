//! What the core wants done.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::event::CallId;
use super::notice::Notice;
use super::policy::PeerOptions;
use crate::node::{Node, NodeId};

/// A change to the world, carried out elsewhere and reported back as an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Work for pppd's keeper.
    Pppd(Order),
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
    /// Tell people.
    Tell(Notice),
}

/// Work on pppd's files and processes, done in the order of asking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Keep the node's peer file and its `chap-secrets` entry like this.
    WriteFiles {
        /// The node.
        node: Box<Node>,
        /// Options of every peer file.
        options: Box<PeerOptions>,
    },
    /// Remove the node's files.
    RemoveFiles(NodeId),
    /// Remove the files of every node but these.
    SweepFiles(Vec<NodeId>),
    /// Start pppd for the node, once its files are written.
    Dial {
        /// What this run of pppd is called.
        call: CallId,
        /// The node.
        node: NodeId,
    },
    /// Signal the pppd of a call, if it still runs.
    Signal {
        /// Which call.
        call: CallId,
        /// How.
        signal: Signal,
    },
}

/// The two signals that the daemon sends, the stronger last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::WriteFiles { node, .. } => write!(f, "write the files of node {}", node.id),
            Order::RemoveFiles(id) => write!(f, "remove the files of node {id}"),
            Order::SweepFiles(keep) => {
                write!(f, "remove the files of every node but these {}", keep.len())
            }
            Order::Dial { node, .. } => write!(f, "run pppd for node {node}"),
            Order::Signal { call, signal } => write!(f, "{signal} the pppd of call {call}"),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Terminate => "terminate",
            Signal::Kill => "kill",
        })
    }
}
