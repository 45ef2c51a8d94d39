//! The links of calls, for who sees to each of them once: what stands in its address, in its routes, in
//! its settings. A tunnel that falls and rises by the same call changes nothing here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::core::change::UpTunnel;
use crate::core::event::{CallId, IfIndex};
use crate::node::NodeId;

/// What is to be seen to.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// `routing.peer_route`.
    pub(super) peer_route: bool,
    /// The daemon ends.
    pub(super) ending: bool,
    /// Of each node the link of its last call, from when it is known.
    pub(super) last: BTreeMap<NodeId, Link>,
    /// The address of our end that was refused last, of a call that is being hung up.
    pub(super) refused: BTreeMap<NodeId, (IfIndex, Ipv4Addr)>,
}

/// The link of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) index: IfIndex,
    pub(super) call: CallId,
    /// The tunnel was up by it.
    pub(super) risen: bool,
}

impl Links {
    /// None yet.
    pub(super) fn none(peer_route: bool) -> Self {
        Links { peer_route, ending: false, last: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// A call has its link.
    pub(super) fn linked(&mut self, node: NodeId, index: IfIndex, call: CallId) {
        self.last.insert(node, Link { index, call, risen: false });
    }

    /// A tunnel is up. Whether that is news here.
    pub(super) fn rose(&mut self, up: &UpTunnel) -> bool {
        let link = Link { index: up.index, call: up.call, risen: true };
        self.last.insert(up.node, link) != Some(link)
    }

    /// A call is over, and its link with it. Whether anything was kept of it.
    pub(super) fn ended(&mut self, node: NodeId, call: CallId) -> bool {
        let is_its = self.last.get(&node).is_some_and(|last| last.call == call);
        if is_its {
            self.last.remove(&node);
            self.refused.remove(&node);
        }
        is_its
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(2);
    const INDEX: IfIndex = IfIndex(7);

    #[test]
    fn of_calls_that_are_over_nothing_is_kept() {
        let mut links = Links::none(false);
        let [old, new] = [1, 2].map(CallId::Dialled);
        links.linked(NODE, INDEX, old);
        links.refused.insert(NODE, (INDEX, [10, 9, 0, 2].into()));
        assert!(links.ended(NODE, old));
        assert!(links.last.is_empty() && links.refused.is_empty());
        // The next call has taken the link before the last one was over.
        links.linked(NODE, INDEX, new);
        assert!(!links.ended(NODE, old));
        assert_eq!(links.last.get(&NODE).map(|link| link.call), Some(new));
    }

    #[test]
    fn a_tunnel_that_rises_again_by_its_call_is_no_news() {
        let mut links = Links::none(false);
        let up = UpTunnel {
            node: NODE,
            call: CallId::Dialled(1),
            index: INDEX,
            interface: "ppp0".to_owned(),
            local: [10, 50, 0, 100].into(),
            remote: None,
            adopted: false,
        };
        links.linked(NODE, INDEX, up.call);
        assert!(links.rose(&up));
        assert!(!links.rose(&up));
    }
}
