//! Whose a process is: what proc(5) tells of it and of those that started it.

use std::collections::{BTreeMap, BTreeSet};

use super::container;
use super::managers::Service;
use super::target::Target;
use crate::core::event::Pid;
use crate::process::Proc;

/// Characters of a command line that are shown.
const SHOWN: usize = 100;

/// A process that holds a listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub pid: Pid,
    /// The process that started it, or took it over.
    pub parent: Pid,
    /// Its command line, on one line and not longer than people read.
    pub command: String,
    /// Who would start it again; `None` where somebody started it by hand.
    pub service: Option<Service>,
    /// What may be restarted with it: the service of systemd whose cgroup it is in, also where another
    /// manager runs it there.
    pub(crate) within: Option<Service>,
    /// Whether a container's runtime has started it: whose its container is can't be seen.
    pub(crate) is_contained: bool,
}

impl Owner {
    /// Whether a restart of that target restarts it; where that can't be told, it does.
    pub(crate) fn is_restarted_by(&self, target: &Target) -> bool {
        let services = [&self.service, &self.within];
        self.is_contained || services.into_iter().flatten().any(|service| target.restarts(service))
    }

    /// The command that frees the port.
    pub(crate) fn way_out(&self) -> String {
        match &self.service {
            Some(service) => service.stop(),
            None => format!("kill {}", self.pid),
        }
    }
}

/// The processes that hold each of these sockets, by the sockets' numbers.
pub(super) fn holders(proc: Proc, inodes: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<Pid>> {
    let mut holders: BTreeMap<u32, BTreeSet<Pid>> = BTreeMap::new();
    if inodes.is_empty() {
        return holders;
    }
    for pid in proc.pids().unwrap_or_default() {
        for inode in proc.sockets(pid).into_iter().filter(|inode| inodes.contains(inode)) {
            holders.entry(inode).or_default().insert(pid);
        }
    }
    holders
}

/// What is known of a process; `None` when it is gone.
pub(crate) fn of(proc: Proc, pid: Pid) -> Option<Owner> {
    let parent = proc.parent(pid).ok()??;
    Some(Owner {
        pid,
        parent,
        command: command(proc, pid),
        service: Service::of(proc, pid),
        within: Service::around(proc, pid),
        // Within a container everything is in its groups.
        is_contained: container::is_of_one(&proc.cgroups(pid))
            && !container::is_of_one(&proc.own_cgroups()),
    })
}

fn command(proc: Proc, pid: Pid) -> String {
    let line = proc.command_line(pid).unwrap_or_default();
    let words: Vec<_> = line.iter().map(|word| String::from_utf8_lossy(word)).collect();
    one_line(&words.join(" "))
}

pub(super) fn one_line(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
