//! The kernel's links, and what the daemon hears of them: several changes at once, or none after
//! an overrun until it has looked at the whole table again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use connexa::core::event::{Hearing, IfIndex, Link, LinkChange};

use super::{Happening, Way, World};
use crate::wire::News;

#[derive(Debug, Default)]
pub(super) struct Kernel {
    pub(super) links: BTreeMap<u32, Link>,
    next_index: u32,
    /// Messages that the daemon has not read.
    queue: VecDeque<(u32, Option<Link>)>,
    /// What the daemon was told.
    table: BTreeMap<u32, Link>,
    /// Nothing is queued: the daemon is not there, or is about to list all links.
    pub(super) is_deaf: bool,
    overruns: u64,
}

impl World {
    /// A new link with the lowest free name, and hardly ever a number that was used before.
    pub(super) fn new_link(&mut self) -> u32 {
        let kernel = &self.kernel;
        let free = |index: &u32| {
            !kernel.links.contains_key(index)
                && !kernel.table.contains_key(index)
                && kernel.queue.iter().all(|(queued, _)| queued != index)
        };
        let reused = (3..kernel.next_index).find(free);
        let names: BTreeSet<&str> = kernel.links.values().map(|link| link.name.as_str()).collect();
        let name = (0..).map(|n| format!("ppp{n}")).find(|n| !names.contains(n.as_str()));
        let index = match reused {
            Some(index) if self.roll(50) == 0 => index,
            Some(_) | None => {
                self.kernel.next_index = self.kernel.next_index.max(3) + 1;
                self.kernel.next_index - 1
            }
        };
        let link = Link { name: name.unwrap(), up: false, addresses: Vec::new() };
        self.kernel.links.insert(index, link);
        self.link_changed(index);
        index
    }

    pub(super) fn change_link(&mut self, index: u32, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.kernel.links.get_mut(&index) {
            change(link);
            self.link_changed(index);
        }
    }

    pub(super) fn remove_link(&mut self, index: u32) {
        if self.kernel.links.remove(&index).is_some() {
            self.link_changed(index);
        }
    }

    fn link_changed(&mut self, index: u32) {
        if !self.kernel.is_deaf {
            let link = self.kernel.links.get(&index).cloned();
            self.kernel.queue.push_back((index, link));
            self.send(Way::Links, Happening::KernelIsHeard);
        }
    }

    /// The daemon reads some messages, and tells each link that changed once.
    pub(super) fn hear_kernel(&mut self) {
        let many = self.kernel.queue.len() as u64;
        let take = if self.roll(4) == 0 { 1 + self.roll(many) } else { many };
        let mut changed = BTreeSet::new();
        for _ in 0..take.min(many) {
            let Some((index, link)) = self.kernel.queue.pop_front() else { break };
            changed.insert(index);
            match link {
                Some(link) => drop(self.kernel.table.insert(index, link)),
                None => drop(self.kernel.table.remove(&index)),
            }
        }
        let change = |index: &u32| LinkChange {
            index: IfIndex(*index),
            link: self.kernel.table.get(index).cloned(),
        };
        let changes: Vec<_> = changed.iter().map(change).collect();
        if !changes.is_empty() {
            self.tell_links(changes);
        }
    }

    /// The daemon lists all links, and tells what is not as it told before.
    pub(super) fn list_links(&mut self) {
        self.kernel.is_deaf = false;
        let table = std::mem::replace(&mut self.kernel.table, self.kernel.links.clone());
        let links = &self.kernel.links;
        let differs = |index: &&u32| links.get(index) != table.get(index);
        let all: BTreeSet<&u32> = links.keys().chain(table.keys()).collect();
        let change =
            |index: &u32| LinkChange { index: IfIndex(*index), link: links.get(index).cloned() };
        let changes = all.into_iter().filter(differs).map(change).collect();
        self.tell_links(changes);
    }

    fn tell_links(&mut self, changes: Vec<LinkChange>) {
        let links = self.kernel.table.len() as u32;
        let overruns = self.kernel.overruns;
        let hearing = Hearing { links, overruns, resyncs: 1 + overruns, ..Hearing::default() };
        self.feed(News::Links { changes, hearing });
    }

    /// The kernel drops messages, and the daemon will list all links.
    pub(super) fn overrun(&mut self) {
        self.kernel.queue.clear();
        self.kernel.overruns += 1;
        self.relist();
    }

    /// The daemon is new.
    pub(super) fn first_list(&mut self) {
        self.kernel.queue.clear();
        self.kernel.table.clear();
        self.kernel.overruns = 0;
        self.relist();
    }

    fn relist(&mut self) {
        self.kernel.is_deaf = true;
        self.send(Way::Links, Happening::KernelIsListed);
    }
}
