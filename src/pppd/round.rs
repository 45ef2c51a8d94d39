//! One round of work on the files of nodes, and what it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::secrets::{self, Strangers};
use super::stamp::Stamp;
use crate::atomic_file::{self, Edited, FileError};
use crate::node::{Node, NodeId};

/// Where files are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The folder of pppd's files.
    pub(super) ppp_dir: PathBuf,
    /// Where work on `chap-secrets` is kept while its own folder can't be written.
    pub(super) spare: PathBuf,
}

/// One round of file work, to be done where blocking is fine.
#[derive(Debug)]
pub(super) struct Round {
    /// Where files are.
    pub(super) places: Places,
    /// Peer files that are to hold this text.
    pub(super) write: Vec<(NodeId, String)>,
    /// Nodes whose peer file is to go.
    pub(super) remove: Vec<NodeId>,
    /// What is to be done with `chap-secrets`.
    pub(super) secrets: Option<Secrets>,
}

/// Work on `chap-secrets`.
#[derive(Debug)]
pub(super) struct Secrets {
    /// The last change that is in it.
    pub(super) change: u64,
    /// The stamp under which it holds all that is wanted; `None`: it has to be read.
    pub(super) right: Option<Stamp>,
    /// The nodes that have an entry.
    pub(super) nodes: BTreeMap<NodeId, Arc<Node>>,
    /// Which entries of others stay.
    pub(super) strangers: Strangers,
    /// Whether peer files that no node needs are removed, too.
    pub(super) sweep: bool,
    /// Whether it is to lose entries.
    pub(super) removing: bool,
}

/// What a round came to.
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
    /// The stamp under which `chap-secrets` holds all that is wanted.
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

    /// The stamp under which `chap-secrets` holds all that is wanted.
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
            let file = ppp_dir.join(secrets::FILE);
            secrets.work(&file, spare, SystemTime::now(), &mut problems);
        }
        problems
    }
}

impl Secrets {
    fn work(&self, path: &Path, spare: &Path, now: SystemTime, problems: &mut Problems) {
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
            problems.right = stamp.filter(|stamp| stamp.is_settled(now));
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
