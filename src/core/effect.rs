//! What the core wants done.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::CallId;
use super::notice::Notice;
use super::policy::PeerOptions;
use crate::node::{Node, NodeId};

/// A change to the world, carried out elsewhere and reported back as an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
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
    /// Signal the pppd of a call.
    Signal {
        /// Which call.
        call: CallId,
        /// How.
        signal: Signal,
    },
    /// Restart the backend and wait for its port.
    RestartBackend,
    /// Tell people.
    Tell(Notice),
}

/// The two signals that the daemon sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::WriteFiles { node, .. } => write!(f, "write the files of node {}", node.id),
            Effect::RemoveFiles(id) => write!(f, "remove the files of node {id}"),
            Effect::SweepFiles(keep) => {
                write!(f, "remove the files of every node but these {}", keep.len())
            }
            Effect::Dial { node, .. } => write!(f, "run pppd for node {node}"),
            Effect::Signal { call, signal } => write!(f, "{signal} the pppd of call {call}"),
            Effect::RestartBackend => f.write_str("restart the backend"),
            Effect::Tell(notice) => write!(f, "tell: {notice}"),
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
