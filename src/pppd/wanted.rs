//! Which files there should be, and making it so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::peer_file;
use super::secrets::{self, Entry, Strangers};
use crate::atomic_file::{self, FileError};
use crate::config::InterfaceName;
use crate::core::effect::Order;
use crate::node::NodeId;

/// The files that should be there, and what is yet to be done for it.
#[derive(Debug)]
pub(super) struct Wanted {
    ppp_dir: PathBuf,
    peers: BTreeMap<NodeId, Peer>,
    entries: BTreeMap<NodeId, Entry>,
    strangers: Strangers,
    todo: Todo,
}

#[derive(Debug)]
struct Peer {
    text: String,
    pptp: PathBuf,
    /// Whether its link is named after the node.
    is_named: bool,
}

#[derive(Debug, Default)]
struct Todo {
    /// Nodes whose peer file is to be looked after.
    nodes: BTreeSet<NodeId>,
    /// Whether every other file with our names is to go.
    sweep: bool,
    /// Whether `chap-secrets` is to be looked after.
    secrets: bool,
}

/// One round of file work, to be done where blocking is fine.
#[derive(Debug)]
pub(super) struct Round {
    ppp_dir: PathBuf,
    write: Vec<(NodeId, String)>,
    remove: Vec<NodeId>,
    sweep: bool,
    entries: BTreeMap<NodeId, Entry>,
    strangers: Strangers,
}

/// What went wrong in a round.
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
}

impl Problems {
    /// Why the node can't be dialled.
    pub(super) fn of(&self, id: NodeId) -> Option<&FileError> {
        self.peers.get(&id).or(self.secrets.as_ref())
    }

    /// What no dial will tell: something of a node that is gone is still there.
    pub(super) fn untold(&self) -> impl Iterator<Item = &FileError> {
        self.leftovers.iter().chain(self.secrets.as_ref().filter(|_| self.removing))
    }
}

impl Wanted {
    pub(super) fn new(ppp_dir: PathBuf) -> Self {
        Wanted {
            ppp_dir,
            peers: BTreeMap::new(),
            entries: BTreeMap::new(),
            strangers: Strangers::AllBut(BTreeSet::new()),
            todo: Todo::default(),
        }
    }

    /// Takes in what a request means for files. A dial means to look at the node's files again:
    /// others may have been at them since.
    pub(super) fn note(&mut self, request: &Order) {
        match request {
            Order::WriteFiles { node, options } => {
                let pptp = PathBuf::from(&options.pptp);
                let is_named = options.interface_name == InterfaceName::Node;
                self.peers
                    .insert(node.id, Peer { text: peer_file::text(node, options), pptp, is_named });
                let (login, password) = (node.login.clone(), node.password.clone());
                self.entries.insert(node.id, Entry { login, password });
                self.todo.nodes.insert(node.id);
            }
            Order::RemoveFiles(id) => {
                self.peers.remove(id);
                self.entries.remove(id);
                self.strangers.remove(*id);
                self.todo.nodes.insert(*id);
            }
            Order::SweepFiles(keep) => {
                let keep: BTreeSet<NodeId> = keep.iter().copied().collect();
                self.peers.retain(|id, _| keep.contains(id));
                self.entries.retain(|id, _| keep.contains(id));
                self.strangers = Strangers::Only(keep);
                self.todo.sweep = true;
            }
            Order::Dial { node, .. } if self.peers.contains_key(node) => {
                self.todo.nodes.insert(*node);
            }
            Order::Dial { .. } | Order::Signal { .. } => return,
        }
        self.todo.secrets = true;
    }

    /// The pptp program that the node's peer file names.
    pub(super) fn pptp(&self, id: NodeId) -> Option<&Path> {
        self.peers.get(&id).map(|peer| peer.pptp.as_path())
    }

    /// The name that the node's link is to have, where pppd is told one.
    pub(super) fn link_name(&self, id: NodeId) -> Option<String> {
        self.peers.get(&id).filter(|peer| peer.is_named).map(|_| id.link_name())
    }

    /// What is to be done now, if anything.
    pub(super) fn next_round(&mut self) -> Option<Round> {
        let todo = std::mem::take(&mut self.todo);
        if !todo.secrets {
            return None;
        }
        let mut round = Round {
            ppp_dir: self.ppp_dir.clone(),
            write: Vec::new(),
            remove: Vec::new(),
            sweep: todo.sweep,
            entries: self.entries.clone(),
            strangers: self.strangers.clone(),
        };
        for id in todo.nodes {
            match self.peers.get(&id) {
                Some(peer) => round.write.push((id, peer.text.clone())),
                None => round.remove.push(id),
            }
        }
        Some(round)
    }
}

impl Round {
    /// Does it, each file whatever became of the others; `chap-secrets` once.
    pub(super) fn work(self) -> Problems {
        let removing = self.sweep || !self.remove.is_empty();
        let mut problems = Problems { removing, ..Problems::default() };
        let peers = self.ppp_dir.join("peers");
        let mut gone: Vec<String> = self.remove.iter().map(|id| id.peer_name()).collect();
        if self.sweep {
            match atomic_file::names(&peers) {
                Ok(names) => gone.extend(names.into_iter().filter(|name| self.is_left_over(name))),
                Err(error) => problems.leftovers.push(error),
            }
        }
        for name in gone {
            problems.leftovers.extend(atomic_file::remove(&peers.join(name)).err());
        }
        for (id, text) in &self.write {
            if let Err(error) =
                atomic_file::write_for_now(&peers.join(id.peer_name()), text.as_bytes())
            {
                problems.peers.insert(*id, error);
            }
        }
        let path = self.ppp_dir.join("chap-secrets");
        let edited =
            atomic_file::edit(&path, |old| secrets::rewrite(old, &self.entries, &self.strangers));
        problems.secrets = edited.err();
        problems
    }

    /// Whether a file in `peers` is ours and of no use any more, drafts of a crashed write included.
    fn is_left_over(&self, name: &str) -> bool {
        match atomic_file::of_draft(name) {
            Some(name) => NodeId::from_peer_name(name).is_some(),
            None => NodeId::from_peer_name(name).is_some_and(|id| !self.strangers.keep(Some(id))),
        }
    }
}
