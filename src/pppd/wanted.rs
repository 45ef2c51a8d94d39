//! Which files there should be, and making it so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use super::options::Options;
use super::peer_file;
use super::round::{Places, Round, Secrets};
use super::secrets::Strangers;
use super::stamp::Stamp;
use crate::config::Paths;
use crate::node::{Node, NodeId};

/// The files that should be there, and what is yet to be done for it.
#[derive(Debug)]
pub(super) struct Wanted {
    places: Places,
    options: Options,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    strangers: Strangers,
    /// How often `chap-secrets` was to be changed or looked at.
    changes: u64,
    /// The last of these times that it was to be changed.
    changed: u64,
    /// The stamp under which it holds all that is wanted; `None`: it has to be read.
    right: Option<Stamp>,
    todo: Todo,
}

#[derive(Debug, Default)]
struct Todo {
    /// Nodes whose peer file is to be looked after.
    nodes: BTreeSet<NodeId>,
    /// Whether every other file with our names is to go.
    sweep: bool,
    /// Whether `chap-secrets` is to be looked after.
    secrets: bool,
    /// Whether it is to lose entries.
    removing: bool,
}

impl Wanted {
    pub(super) fn new(paths: &Paths, options: Options) -> Self {
        let places = Places { ppp_dir: paths.ppp_dir.clone(), spare: paths.state_dir.clone() };
        Wanted {
            places,
            options,
            nodes: BTreeMap::new(),
            strangers: Strangers::AllBut(BTreeSet::new()),
            changes: 0,
            changed: 0,
            right: None,
            todo: Todo::default(),
        }
    }

    /// These options stand in every peer file from now on.
    pub(super) fn configure(&mut self, options: Options) {
        if options != self.options {
            self.options = options;
            self.todo.nodes.extend(self.nodes.keys());
        }
    }

    /// The node has files, and they are as this row says. Whether its server was another before.
    pub(super) fn keep(&mut self, node: Arc<Node>) -> bool {
        let server = node.server;
        self.todo.nodes.insert(node.id);
        let before = self.nodes.insert(node.id, node);
        self.change_secrets();
        before.is_some_and(|before| before.server != server)
    }

    /// The node has no files.
    pub(super) fn forget(&mut self, id: NodeId) {
        self.nodes.remove(&id);
        self.strangers.remove(id);
        self.todo.nodes.insert(id);
        self.todo.removing = true;
        self.change_secrets();
    }

    /// No node but these has files, whoever wrote them.
    pub(super) fn keep_only(&mut self, keep: Vec<NodeId>) {
        let keep: BTreeSet<NodeId> = keep.into_iter().collect();
        self.nodes.retain(|id, _| keep.contains(id));
        self.strangers = Strangers::Only(keep);
        self.todo.sweep = true;
        self.todo.removing = true;
        self.change_secrets();
    }

    fn change_secrets(&mut self) {
        self.look_at_secrets();
        self.changed = self.changes;
        self.right = None;
    }

    fn look_at_secrets(&mut self) {
        self.todo.secrets = true;
        self.changes += 1;
    }

    /// With this change in it, `chap-secrets` has this stamp: until that is another, or it is to be
    /// changed, it need not be read again.
    pub(super) fn seen(&mut self, change: u64, right: Option<Stamp>) {
        if change >= self.changed {
            self.right = right;
        }
    }

    /// Has a node's files looked at before it is dialled: others may have been at them since.
    /// Returns the change of `chap-secrets` that its call needs.
    pub(super) fn look_again(&mut self, node: NodeId) -> u64 {
        if !self.nodes.contains_key(&node) {
            return 0;
        }
        self.todo.nodes.insert(node);
        self.look_at_secrets();
        self.changes
    }

    /// Whether the node's peer file is yet to be worked on.
    pub(super) fn is_due(&self, node: NodeId) -> bool {
        self.todo.nodes.contains(&node)
    }

    /// The folder of pppd's files.
    pub(super) fn ppp_dir(&self) -> &Path {
        &self.places.ppp_dir
    }

    /// The servers of all nodes.
    pub(super) fn servers(&self) -> BTreeSet<Ipv4Addr> {
        self.nodes.values().map(|node| node.server.ip()).collect()
    }

    /// The node's server.
    pub(super) fn server(&self, node: NodeId) -> Option<Ipv4Addr> {
        self.nodes.get(&node).map(|node| node.server.ip())
    }

    /// Whether a node has this server.
    pub(super) fn has_server(&self, server: Ipv4Addr) -> bool {
        self.nodes.values().any(|node| node.server.ip() == server)
    }

    /// Whether the node's password has characters beyond ASCII.
    pub(super) fn has_odd_password(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|node| !node.password.is_ascii())
    }

    /// The pptp program that peer files name.
    pub(super) fn pptp(&self) -> &Path {
        &self.options.pptp
    }

    /// The name that the node's link is to have, where pppd is told one.
    pub(super) fn link_name(&self, id: NodeId) -> Option<String> {
        self.options.names_links().then(|| id.link_name())
    }

    /// What is to be done now, if anything: the files of all these nodes, or else of one.
    pub(super) fn next_round(&mut self, first: &BTreeSet<NodeId>) -> Option<Round> {
        if self.is_done() {
            return None;
        }
        let mut nodes: Vec<NodeId> = self.todo.nodes.intersection(first).copied().collect();
        if nodes.is_empty() {
            nodes.extend(self.todo.nodes.first());
        }
        let secrets = std::mem::take(&mut self.todo.secrets).then(|| Secrets {
            change: self.changes,
            right: self.right,
            nodes: self.nodes.clone(),
            strangers: self.strangers.clone(),
            sweep: std::mem::take(&mut self.todo.sweep),
            removing: std::mem::take(&mut self.todo.removing),
        });
        let places = self.places.clone();
        let mut round = Round { places, write: Vec::new(), remove: Vec::new(), secrets };
        for id in nodes {
            self.todo.nodes.remove(&id);
            match self.nodes.get(&id) {
                Some(node) => round.write.push((id, peer_file::text(node, &self.options))),
                None => round.remove.push(id),
            }
        }
        Some(round)
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_done(&self) -> bool {
        self.todo.nodes.is_empty() && !self.todo.secrets
    }
}

#[cfg(test)]
mod tests;
