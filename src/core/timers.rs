//! When each node is next looked at without an event.

use std::collections::{BTreeMap, BTreeSet};

use super::time::Monotonic;
use crate::node::NodeId;

/// One deadline a node at most, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Monotonic, NodeId)>,
    of: BTreeMap<NodeId, Monotonic>,
}

impl Timers {
    /// Sets, moves or clears the deadline of a node.
    pub(super) fn set(&mut self, id: NodeId, deadline: Option<Monotonic>) {
        let old = match deadline {
            Some(at) => self.of.insert(id, at),
            None => self.of.remove(&id),
        };
        if let Some(old) = old {
            self.order.remove(&(old, id));
        }
        if let Some(at) = deadline {
            self.order.insert((at, id));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Monotonic> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the nodes whose deadline has come, the earliest first; each once, so that serving them
    /// ends whatever deadlines they are given meanwhile.
    pub(super) fn take_due(&mut self, now: Monotonic) -> Vec<NodeId> {
        let mut due = Vec::new();
        while let Some((at, id)) = self.order.first().copied()
            && at <= now
        {
            self.set(id, None);
            due.push(id);
        }
        due
    }
}
