//! Which files there should be, and making it so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::options::Options;
use super::peer_file;
use super::secrets::{self, Strangers};
use super::stamp::Stamp;
use crate::atomic_file::{self, Edited, FileError};
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
    /// Of `chap-secrets` as it is to be, once that was seen.
    right: Option<Stamp>,
    todo: Todo,
}

/// Where files are.
#[derive(Clone, Debug)]
struct Places {
    ppp_dir: PathBuf,
    /// Where work on `chap-secrets` is kept while its own folder can't be written.
    spare: PathBuf,
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

/// One round of file work, to be done where blocking is fine.
#[derive(Debug)]
pub(super) struct Round {
    places: Places,
    write: Vec<(NodeId, String)>,
    remove: Vec<NodeId>,
    secrets: Option<Secrets>,
}

/// Work on `chap-secrets`.
#[derive(Debug)]
struct Secrets {
    /// The last change that is in it.
    change: u64,
    /// Where it has this stamp, it is as it is to be.
    right: Option<Stamp>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    strangers: Strangers,
    /// Whether peer files that no node needs are removed, too.
    sweep: bool,
    removing: bool,
}

/// What went wrong.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// With `chap-secrets`, that every node needs.
    secrets: Option<FileError>,
    /// With peer files.
    peers: BTreeMap<NodeId, FileError>,
    /// With files of nodes that are gone.
    leftovers: Vec<FileError>,
    /// Whether `chap-secrets` was to lose entries.
    removing: bool,
    /// `chap-secrets`, where it could only be written in place.
    in_place: Option<PathBuf>,
    /// Of `chap-secrets` as it is to be.
    right: Option<Stamp>,
}

impl Problems {
    /// The work on these files has failed by a fault of the program.
    pub(super) fn of_a_panic(
        ppp_dir: &Path,
        nodes: &BTreeSet<NodeId>,
        secrets: bool,
        how: &dyn std::fmt::Display,
    ) -> Self {
        let peer = |id: &NodeId| {
            let file = ppp_dir.join("peers").join(id.peer_name());
            (*id, FileError::of_a_panic(&file, how))
        };
        let of_secrets = || FileError::of_a_panic(&ppp_dir.join(secrets::FILE), how);
        Problems {
            secrets: secrets.then(of_secrets),
            peers: nodes.iter().map(peer).collect(),
            ..Problems::default()
        }
    }

    /// `chap-secrets`, where it could only be written in place.
    pub(super) fn in_place(&self) -> Option<&Path> {
        self.in_place.as_deref()
    }

    /// By what `chap-secrets` is known to be as it is to be.
    pub(super) fn right(&self) -> Option<Stamp> {
        self.right
    }

    /// These nodes' files, and maybe `chap-secrets`, were worked on again.
    pub(super) fn replace(&mut self, nodes: &BTreeSet<NodeId>, secrets: bool, new: Problems) {
        self.peers.retain(|id, _| !nodes.contains(id));
        self.peers.extend(new.peers);
        if secrets {
            self.secrets = new.secrets;
        }
    }

    /// Why the node can't be dialled.
    pub(super) fn of(&self, id: NodeId) -> Option<&FileError> {
        self.peers.get(&id).or(self.secrets.as_ref())
    }

    /// What no dial will tell: something of a node that is gone is still there.
    pub(super) fn untold(&self) -> impl Iterator<Item = String> {
        let peers = self.leftovers.iter().map(|problem| {
            format!(
                "{problem}; no node has this file any more and no call is made by it; the next start of connexad tries again to remove it"
            )
        });
        let secrets = self.secrets.iter().filter(|_| self.removing).map(|problem| {
            format!(
                "{problem}; until then the login and password of a node whose row is gone stay in it; it is tried \
                 again with the next change of a node, the next dial, and at the next start of connexad"
            )
        });
        peers.chain(secrets)
    }
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

impl Round {
    /// The nodes whose peer files it is about.
    pub(super) fn nodes(&self) -> BTreeSet<NodeId> {
        self.write.iter().map(|(id, _)| *id).chain(self.remove.iter().copied()).collect()
    }

    /// The last change of `chap-secrets` that it makes, where it makes any.
    pub(super) fn change(&self) -> Option<u64> {
        self.secrets.as_ref().map(|secrets| secrets.change)
    }

    /// Does it, each file whatever became of the others.
    pub(super) fn work(self) -> Problems {
        let mut problems = Problems::default();
        let Places { ppp_dir, spare } = &self.places;
        let peers = ppp_dir.join("peers");
        let mut gone: Vec<String> = self.remove.iter().map(|id| id.peer_name()).collect();
        if let Some(secrets) = self.secrets.as_ref().filter(|secrets| secrets.sweep) {
            match atomic_file::names(&peers) {
                Ok(names) => {
                    gone.extend(names.into_iter().filter(|name| secrets.is_left_over(name)));
                }
                Err(error) => problems.leftovers.push(error),
            }
        }
        for name in gone {
            problems.leftovers.extend(atomic_file::remove(&peers.join(name)).err());
        }
        for (id, text) in &self.write {
            let file = peers.join(id.peer_name());
            if let Err(error) = atomic_file::write_for_now(&file, text.as_bytes()) {
                problems.peers.insert(*id, error);
            }
        }
        if let Some(secrets) = &self.secrets {
            secrets.work(&ppp_dir.join(secrets::FILE), spare, &mut problems);
        }
        problems
    }
}

impl Secrets {
    fn work(&self, path: &Path, spare: &Path, problems: &mut Problems) {
        problems.removing = self.removing;
        // From before it is read: what others write meanwhile gives it another.
        let stamp = Stamp::of(path);
        if stamp.is_none() || stamp != self.right {
            let rewrite = |old: &[u8]| secrets::rewrite(old, &self.nodes, &self.strangers);
            match atomic_file::edit(path, spare, rewrite) {
                Ok(Edited::Whole) => {}
                Ok(Edited::InPlace) => problems.in_place = Some(path.to_owned()),
                Err(error) => problems.secrets = Some(error),
            }
        }
        if problems.secrets.is_none() {
            problems.right = stamp.filter(|stamp| stamp.is_settled(SystemTime::now()));
        }
    }

    /// Whether a file in `peers` is ours and of no use any more, drafts of a crashed write included.
    fn is_left_over(&self, name: &str) -> bool {
        match atomic_file::of_draft(name) {
            Some(name) => NodeId::from_peer_name(name).is_some(),
            None => NodeId::from_peer_name(name).is_some_and(|id| !self.strangers.keep(Some(id))),
        }
    }
}

#[cfg(test)]
mod tests;
