//! Whose a process is: what proc(5) tells of it and of those that started it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::unit::{self, Unit};
use crate::core::event::Pid;

/// Characters of a command line that are shown.
const SHOWN: usize = 100;

/// More of a process's environment or command line is not read, bytes.
const LARGEST: u64 = 1024 * 1024;

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
pub(super) fn holders(proc: &Path, inodes: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<Pid>> {
    let mut holders: BTreeMap<u32, BTreeSet<Pid>> = BTreeMap::new();
    if inodes.is_empty() {
        return holders;
    }
    for pid in names(proc) {
        let files = entry(proc, pid, "fd");
        for file in names::<u32>(&files) {
            let target = fs::read_link(files.join(file.to_string())).unwrap_or_default();
            let inode = socket(target.as_os_str().as_bytes());
            if let Some(inode) = inode.filter(|inode| inodes.contains(inode)) {
                holders.entry(inode).or_default().insert(pid);
            }
        }
    }
    holders
}

/// The number in `socket:[NUMBER]`.
fn socket(link: &[u8]) -> Option<u32> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The names in a folder that are numbers; none where it can't be read.
fn names<T: std::str::FromStr>(folder: &Path) -> Vec<T> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What is known of a process; `None` when it is gone.
pub(super) fn of(proc: &Path, pid: Pid) -> Option<Owner> {
    let parent = parent(proc, pid)?;
    Some(Owner { pid, parent, command: command(proc, pid), manager: manager(proc, pid) })
}

/// supervisord comes first: its programs are in the cgroup of its own unit.
fn manager(proc: &Path, pid: Pid) -> Manager {
    if is_supervisord(proc, pid) {
        return Manager::Supervisord(None);
    }
    if let Some(program) = supervised(proc, pid) {
        return Manager::Supervisord(program);
    }
    let cgroup = |pid: &str| {
        let text = fs::read(proc.join(pid).join("cgroup")).unwrap_or_default();
        unit::of_cgroup(&String::from_utf8_lossy(&text))
    };
    match cgroup(&pid.to_string()) {
        // What a shell in our own unit or in that of sshd started is nobody's service.
        Some(unit) if !unit.starts_others() && Some(&unit) != cgroup("self").as_ref() => {
            Manager::Systemd(unit)
        }
        Some(_) | None => Manager::Nobody,
    }
}

/// Whether supervisord is among those that started the process, and as which program it did.
fn supervised(proc: &Path, pid: Pid) -> Option<Option<Program>> {
    let mut program = None;
    let mut at = pid;
    let mut seen = BTreeSet::new();
    // The table changes while it is read, so that even a circle is possible.
    while seen.insert(at) {
        program = program.or_else(|| named_by_environment(proc, at));
        at = parent(proc, at)?;
        if is_supervisord(proc, at) {
            return Some(program);
        }
    }
    None
}

/// The two values that supervisord gives each of its programs ("Subprocess Environment" in its
/// manual). The rest of an environment may be secret, and is dropped here.
fn named_by_environment(proc: &Path, pid: Pid) -> Option<Program> {
    let environment = read(&entry(proc, pid, "environ"));
    let value = |name: &str| {
        let mut variables = environment.split(|&byte| byte == 0);
        let value = variables.find_map(|v| v.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        Some(one_line(&String::from_utf8_lossy(value)))
    };
    let name = value("SUPERVISOR_PROCESS_NAME")?;
    let group = value("SUPERVISOR_GROUP_NAME").unwrap_or_else(|| name.clone());
    Some(Program { group, name })
}

/// Whether the process runs supervisord: as a script it goes by its own name or by Python's.
fn is_supervisord(proc: &Path, pid: Pid) -> bool {
    if read(&entry(proc, pid, "comm")).strip_suffix(b"\n") == Some(b"supervisord") {
        return true;
    }
    let line = read(&entry(proc, pid, "cmdline"));
    let mut words = line.split(|&byte| byte == 0);
    let is_python = words.next().is_some_and(|first| last_part(first).starts_with(b"python"));
    is_python
        && words.find(|word| !word.starts_with(b"-")).is_some_and(|script| {
            matches!(last_part(script), b"supervisord" | b"supervisor.supervisord")
        })
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

fn command(proc: &Path, pid: Pid) -> String {
    let line = read(&entry(proc, pid, "cmdline"));
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let words: Vec<_> = line.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    one_line(&words.join(" "))
}

fn one_line(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn parent(proc: &Path, pid: Pid) -> Option<Pid> {
    let status = read(&entry(proc, pid, "status"));
    let status = String::from_utf8_lossy(&status);
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// What a file holds, up to a limit; nothing where it can't be read.
fn read(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is as good as a file that is shorter.
    let _ = File::open(file).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    bytes
}

fn entry(proc: &Path, pid: Pid, what: &str) -> PathBuf {
    proc.join(pid.to_string()).join(what)
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
