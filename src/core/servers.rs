//! The servers of the rows: whose server an address is. Kept in step row by row, for to collect them
//! anew for one changed row of ten thousand takes longer than all else that the core does about it.

use std::collections::BTreeSet;

use super::{Core, Turn};
use crate::node::{Node, NodeId, ServerAddr};

/// Each server with the nodes that have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Servers(BTreeSet<(ServerAddr, NodeId)>);

impl Servers {
    /// The first node that has this server.
    pub(super) fn first_of(&self, server: ServerAddr) -> Option<NodeId> {
        let of_this = (server, NodeId(u32::MIN))..=(server, NodeId(u32::MAX));
        self.0.range(of_this).next().map(|(_, node)| *node)
    }

    fn move_node(&mut self, id: NodeId, from: Option<ServerAddr>, to: Option<ServerAddr>) {
        if let Some(from) = from {
            self.0.remove(&(from, id));
        }
        if let Some(to) = to {
            self.0.insert((to, id));
        }
    }
}

impl<'a> FromIterator<&'a Node> for Servers {
    fn from_iter<T: IntoIterator<Item = &'a Node>>(nodes: T) -> Self {
        Servers(nodes.into_iter().map(|node| (node.server, node.id)).collect())
    }
}

/// The server of a node as it was.
pub(super) type Before = (NodeId, Option<ServerAddr>);

impl Core {
    /// The server that this node's row names.
    pub(super) fn server_of(&self, id: NodeId) -> Option<ServerAddr> {
        let wanted = self.tunnels.get(&id).and_then(|tunnel| tunnel.want.node());
        wanted.or_else(|| self.pool.row(id).map(AsRef::as_ref)).map(|node| node.server)
    }

    /// These nodes may have other servers than before.
    pub(super) fn follow_servers_of(&mut self, nodes: Vec<Before>, turn: &mut Turn) {
        let mut differ = false;
        for (id, before) in nodes {
            let now = self.server_of(id);
            if before != now {
                self.servers.move_node(id, before, now);
                differ = true;
            }
        }
        if differ {
            self.servers_differ(turn);
        }
    }

    /// Any node may have another server than before.
    pub(super) fn follow_all_servers(&mut self, turn: &mut Turn) {
        let wanted = self.tunnels.values().filter_map(|tunnel| tunnel.want.node());
        let servers = wanted.chain(self.pool.rows()).collect();
        if servers != self.servers {
            self.servers = servers;
            self.servers_differ(turn);
        }
    }

    fn servers_differ(&mut self, turn: &mut Turn) {
        let servers = &self.servers;
        self.dialing.keep_servers(|server| servers.first_of(server).is_some());
        self.judge_tunnels(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(last: u8) -> ServerAddr {
        ServerAddr::new([10, 9, 0, last].into()).unwrap()
    }

    #[test]
    fn a_server_is_known_as_long_as_one_node_has_it() {
        let mut servers = Servers::default();
        servers.move_node(NodeId(2), None, Some(server(1)));
        servers.move_node(NodeId(1), None, Some(server(1)));
        assert_eq!(servers.first_of(server(1)), Some(NodeId(1)));
        servers.move_node(NodeId(1), Some(server(1)), Some(server(2)));
        assert_eq!(servers.first_of(server(1)), Some(NodeId(2)));
        servers.move_node(NodeId(2), Some(server(1)), None);
        assert_eq!(servers.first_of(server(1)), None);
        assert_eq!(servers.first_of(server(2)), Some(NodeId(1)));
    }
}
