//! Who may dial next.
//!
//! Dials to one server go one at a time, so that a server that is slow or strict is not met by a
//! crowd, and the host as a whole has a cap.

use std::collections::{BTreeMap, BTreeSet};

use super::event::CallId;
use crate::node::{NodeId, ServerAddr};

/// Nodes that wait for a slot, and dials that hold one.
#[derive(Debug, Default)]
pub(super) struct Dialing {
    waiting: BTreeMap<(u32, NodeId), ServerAddr>,
    place: BTreeMap<NodeId, u32>,
    under_way: BTreeMap<CallId, ServerAddr>,
    busy: BTreeSet<ServerAddr>,
}

impl Dialing {
    /// Queues a node by its rank, or moves it there.
    pub(super) fn wait(&mut self, id: NodeId, rank: u32, server: ServerAddr) {
        self.leave(id);
        self.place.insert(id, rank);
        self.waiting.insert((rank, id), server);
    }

    /// Takes a node out of the queue.
    pub(super) fn leave(&mut self, id: NodeId) {
        if let Some(rank) = self.place.remove(&id) {
            self.waiting.remove(&(rank, id));
        }
    }

    /// The first node in the queue that may dial with `cap` slots on the host.
    pub(super) fn next(&self, cap: u32) -> Option<(NodeId, ServerAddr)> {
        let free = u32::try_from(self.under_way.len()).is_ok_and(|n| n < cap);
        let (&(_, id), &server) =
            self.waiting.iter().find(|(_, server)| free && !self.busy.contains(server))?;
        Some((id, server))
    }

    /// A dial takes its slot.
    pub(super) fn start(&mut self, call: CallId, id: NodeId, server: ServerAddr) {
        self.leave(id);
        self.under_way.insert(call, server);
        self.busy.insert(server);
    }

    /// A dial that came up or ended gives its slot back; others are ignored.
    pub(super) fn finish(&mut self, call: CallId) {
        if let Some(server) = self.under_way.remove(&call) {
            self.busy.remove(&server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(nodes: &[(u32, u32, &str)]) -> Dialing {
        let mut dialing = Dialing::default();
        for (id, rank, server) in nodes {
            dialing.wait(NodeId(*id), *rank, ServerAddr::parse(server).unwrap());
        }
        dialing
    }

    fn start_all(dialing: &mut Dialing, cap: u32) -> Vec<u32> {
        let mut started = Vec::new();
        while let Some((id, server)) = dialing.next(cap) {
            dialing.start(CallId::Dialled(u64::from(id.0)), id, server);
            started.push(id.0);
        }
        started
    }

    #[test]
    fn one_server_is_dialled_by_one_node_at_a_time() {
        let mut dialing = queue(&[(1, 0, "10.0.0.1"), (2, 1, "10.0.0.1"), (3, 2, "10.0.0.2")]);
        assert_eq!(start_all(&mut dialing, 8), [1, 3]);
        dialing.finish(CallId::Dialled(1));
        assert_eq!(start_all(&mut dialing, 8), [2]);
    }

    #[test]
    fn the_host_has_a_cap() {
        let mut dialing = queue(&[(1, 0, "10.0.0.1"), (2, 1, "10.0.0.2"), (3, 2, "10.0.0.3")]);
        assert_eq!(start_all(&mut dialing, 2), [1, 2]);
    }

    #[test]
    fn the_queue_goes_by_rank() {
        let mut dialing = queue(&[(1, 5, "10.0.0.1"), (2, 3, "10.0.0.2")]);
        assert_eq!(start_all(&mut dialing, 8), [2, 1]);
    }
}
