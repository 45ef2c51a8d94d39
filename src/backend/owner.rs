//! Whose a process is: what proc(5) tells of it and of those that started it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::unit::{self, Unit};
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
    /// Who would start it again.
    pub manager: Manager,
}

/// Who runs a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manager {
    /// supervisord, as this program where that can be seen.
    Supervisord(Option<Program>),
    /// systemd, as this unit.
    Systemd(Unit),
    /// None of both: somebody started it by hand.
    Nobody,
}

/// A program of supervisord.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// Its group; a program that is in none is the only one of a group of its own name.
    pub group: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Program {
    /// As `supervisorctl` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Program { group, name } = self;
        if group == name { f.write_str(name) } else { write!(f, "{group}:{name}") }
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Manager::Supervisord(Some(program)) => write!(f, "program {program} (supervisord)"),
            Manager::Supervisord(None) => f.write_str("supervisord"),
            Manager::Systemd(Unit { name, user: None }) => write!(f, "{name} (systemd)"),
            Manager::Systemd(Unit { name, user: Some(user) }) => {
                write!(f, "{name} (systemd of user {user})")
            }
            Manager::Nobody => f.write_str("no service"),
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
pub(super) fn of(proc: Proc, pid: Pid) -> Option<Owner> {
    let parent = proc.parent(pid)?;
    Some(Owner { pid, parent, command: command(proc, pid), manager: manager(proc, pid) })
}

/// supervisord comes first: its programs are in the cgroup of its own unit.
fn manager(proc: Proc, pid: Pid) -> Manager {
    if is_supervisord(proc, pid) {
        return Manager::Supervisord(None);
    }
    if let Some(program) = supervised(proc, pid) {
        return Manager::Supervisord(program);
    }
    let ours = || unit::of_cgroup(&proc.own_cgroups());
    match unit::of_cgroup(&proc.cgroups(pid)) {
        // What a shell in our own unit or in that of sshd started is nobody's service.
        Some(unit) if !unit.starts_others() && Some(&unit) != ours().as_ref() => {
            Manager::Systemd(unit)
        }
        Some(_) | None => Manager::Nobody,
    }
}

/// Whether supervisord is among those that started the process, and as which program it did.
fn supervised(proc: Proc, pid: Pid) -> Option<Option<Program>> {
    let mut program = None;
    let mut at = pid;
    let mut seen = BTreeSet::new();
    // The table changes while it is read, so that even a circle is possible.
    while seen.insert(at) {
        program = program.or_else(|| named_by_environment(proc, at));
        at = proc.parent(at)?;
        if is_supervisord(proc, at) {
            return Some(program);
        }
    }
    None
}

/// The two values that supervisord gives each of its programs ("Subprocess Environment" in its
/// manual).
fn named_by_environment(proc: Proc, pid: Pid) -> Option<Program> {
    let value = |name| Some(one_line(&String::from_utf8_lossy(&proc.variable(pid, name)?)));
    let name = value("SUPERVISOR_PROCESS_NAME")?;
    let group = value("SUPERVISOR_GROUP_NAME").unwrap_or_else(|| name.clone());
    Some(Program { group, name })
}

/// Whether the process runs supervisord: as a script it goes by its own name or by Python's.
fn is_supervisord(proc: Proc, pid: Pid) -> bool {
    if proc.name(pid) == b"supervisord" {
        return true;
    }
    let line = proc.command_line(pid);
    let mut words = line.iter().map(Vec::as_slice);
    let is_python = words.next().is_some_and(|first| last_part(first).starts_with(b"python"));
    is_python
        && words.find(|word| !word.starts_with(b"-")).is_some_and(|script| {
            matches!(last_part(script), b"supervisord" | b"supervisor.supervisord")
        })
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

fn command(proc: Proc, pid: Pid) -> String {
    let line = proc.command_line(pid);
    let words: Vec<_> = line.iter().map(|word| String::from_utf8_lossy(word)).collect();
    one_line(&words.join(" "))
}

fn one_line(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
