//! Finding pppds that this daemon did not start: those of a daemon before it, and
//! `pppd call connexa-node-N` by hand.
//!
//! pppd with the option `linkname` writes `ppp-LINKNAME.pid`: the first line is its process, the
//! second its link, once there is one. Another file, `LINK.pid`, holds its process alone
//! (`create_linkpidfile` and `create_pidfile` in pppd/main.c). That such a file names a process
//! proves nothing, so the process is asked as well; and a file may be missing or wrong, so the
//! first look asks every process there is.
//!
//! A process is known by its handle, its program, its rights and its command line, and not by when
//! it was started: the time of a file and the time of a process come from clocks that may step
//! against each other, and a tunnel must not be lost for that. That its number was given to another
//! process meanwhile is ruled out by its handle, which is taken first and must show it alive last.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::callers::{self, Caller, Runs};
use super::{peer_file, secrets};
use crate::atomic_file;
use crate::config::Paths;
use crate::core::event::{Dialled, Pid};
use crate::node::NodeId;
use crate::process::{Proc, lives, take_hold};

/// A pid file holds a number and a name; more than this is none, in bytes.
const LARGEST: u64 = 256;

/// A running pppd for one of our nodes.
#[derive(Debug)]
pub(super) struct Sighting {
    /// The node that its names tell.
    pub(super) node: NodeId,
    /// Its number.
    pub(super) pid: Pid,
    /// Its link's name, once it has one.
    pub(super) interface: Option<String>,
    /// That name is another's link by now.
    pub(super) renamed: bool,
    /// What it was dialled with, where that is told.
    pub(super) dialled: Option<Dialled>,
    /// The process, unless it is one that is held already.
    pub(super) pidfd: Option<OwnedFd>,
}

/// What a pid file says.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: Pid,
    interface: Option<String>,
    written: SystemTime,
}

/// Whether a file of the run folder is of interest.
pub(super) fn is_pid_file(name: &OsStr) -> bool {
    name.to_str().and_then(node_of).is_some()
}

/// The node that a pid file in the run folder speaks of, by the file's name.
pub(super) fn node_of(name: &str) -> Option<NodeId> {
    NodeId::from_peer_name(name.strip_prefix("ppp-")?.strip_suffix(".pid")?)
}

/// Why it can't be told which pppds run.
#[derive(Debug, thiserror::Error)]
#[error("it is not known which pppds run, and none may be dialled twice: {0}")]
pub struct LookError(String);

impl LookError {
    /// The look itself has ended before it was done.
    pub(super) fn of_task(error: &tokio::task::JoinError) -> Self {
        LookError(format!("the look has failed: {error}"))
    }
}

/// Looks for every pppd that runs for a node, whatever its pid file says.
///
/// # Errors
/// When processes can't be listed: that would look as if none ran. Without the folder of pid files
/// they are still found.
pub(super) fn first_look(paths: &Paths) -> Result<Vec<Sighting>, LookError> {
    let mut sightings = by_files(paths, &BTreeSet::new());
    let known = sightings.iter().map(|sighting| sighting.pid).collect();
    sightings.extend(by_processes(&paths.pppd, &known)?);
    Ok(complete(sightings, paths))
}

/// Looks for pppds that have written their pid files. `held` are the processes that are known
/// already; they are not questioned again.
pub(super) fn look(paths: &Paths, held: &BTreeSet<Pid>) -> Vec<Sighting> {
    complete(by_files(paths, held), paths)
}

fn by_files(paths: &Paths, held: &BTreeSet<Pid>) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for name in run_files(&paths.run_dir) {
        let Some(node) = node_of(&name) else { continue };
        let Some(PidFile { pid, interface, .. }) = read(&paths.run_dir.join(name)) else {
            continue;
        };
        let pidfd = if held.contains(&pid) { None } else { recognise(pid, node, &paths.pppd) };
        if pidfd.is_some() || held.contains(&pid) {
            let theirs = |link: &String| is_of_another(paths, link, pid);
            let renamed = interface.as_ref().is_some_and(theirs);
            let interface = interface.filter(|_| !renamed);
            sightings.push(Sighting { node, pid, interface, renamed, dialled: None, pidfd });
        }
    }
    sightings
}

fn run_files(run_dir: &Path) -> Vec<String> {
    atomic_file::names(run_dir).unwrap_or_else(|error| {
        tracing::warn!("the pid files of running pppds can't be looked for: {error}");
        Vec::new()
    })
}

fn by_processes(pppd: &Path, known: &BTreeSet<Pid>) -> Result<Vec<Sighting>, LookError> {
    let failed = |error| LookError(format!("can't read /proc: {error}; mount it for connexad"));
    let pids = Proc::host().pids().map_err(failed)?;
    let callers: Vec<Caller> = pids.into_iter().filter_map(callers::caller).collect();
    let mut sightings = Vec::new();
    for Caller { pid, parent, node } in &callers {
        // What pppd has forked looks like it until it runs a program of its own.
        let is_a_child = callers.iter().any(|caller| {
            caller.pid == *parent && caller.node == *node && is_pppd(caller.pid, pppd)
        });
        if known.contains(pid) || is_a_child {
            continue;
        }
        // One of another place is only taken for the node's where the node's pid file names it.
        let is_itself = callers::runs(*pid, pppd, "pppd") == Runs::Itself;
        if is_itself && let Some(pidfd) = recognise(*pid, *node, pppd) {
            let (node, pid, pidfd) = (*node, *pid, Some(pidfd));
            let (interface, renamed, dialled) = (None, false, None);
            sightings.push(Sighting { node, pid, interface, renamed, dialled, pidfd });
        }
    }
    Ok(sightings)
}

/// Adds what other files tell of those that are new.
fn complete(mut sightings: Vec<Sighting>, paths: &Paths) -> Vec<Sighting> {
    let new = |sighting: &&mut Sighting| sighting.pidfd.is_some();
    let nameless = |s: &Sighting| s.pidfd.is_some() && s.interface.is_none() && !s.renamed;
    if sightings.iter().any(nameless) {
        let links = links(&paths.run_dir);
        for sighting in sightings.iter_mut().filter(|sighting| nameless(sighting)) {
            sighting.interface = links.get(&sighting.pid).map(|(_, link)| link.clone());
        }
    }
    if sightings.iter().any(|s| s.pidfd.is_some()) {
        let secrets = atomic_file::read(&paths.ppp_dir.join(secrets::FILE)).ok().flatten();
        let secrets = secrets.unwrap_or_default();
        for sighting in sightings.iter_mut().filter(new) {
            sighting.dialled = dialled(paths, sighting.node, &secrets);
        }
    }
    sightings
}

/// The links that `LINK.pid` files tell of, by process. A pppd that was killed leaves its file
/// behind, so of two that name one process the newer counts.
fn links(run_dir: &Path) -> BTreeMap<Pid, (SystemTime, String)> {
    let mut links: BTreeMap<Pid, (SystemTime, String)> = BTreeMap::new();
    for name in run_files(run_dir) {
        let Some(link) = name.strip_suffix(".pid").filter(|_| node_of(&name).is_none()) else {
            continue;
        };
        let Some(PidFile { pid, interface, written }) = read(&run_dir.join(&name)) else {
            continue;
        };
        // `ppp-LINKNAME.pid` is written under another link name that was given by hand.
        let link = match interface {
            Some(interface) => interface,
            None if name.starts_with("ppp-") => continue,
            None => link.to_owned(),
        };
        match links.get(&pid) {
            Some((newest, _)) if *newest >= written => {}
            Some(_) | None => {
                links.insert(pid, (written, link));
            }
        }
    }
    links
}

/// Whether a link of this name is another pppd's by now. pppd writes `LINK.pid` when it names its
/// link, whosever that name was before it was renamed. Pppds of other networks may write into the
/// same folder, and any text may be left there: only a pppd that lives in our network, and whose
/// own files give it no other link, can have a link of ours.
fn is_of_another(paths: &Paths, link: &str, pid: Pid) -> bool {
    let run_dir = &paths.run_dir;
    let Some(other) = named(&run_dir.join(format!("{link}.pid"))) else { return false };
    let lives_here = || {
        take_hold(other).is_ok_and(|pidfd| {
            is_pppd(other, &paths.pppd) && Proc::host().is_here(other) && lives(&pidfd)
        })
    };
    other != pid && lives_here() && told_link(run_dir, other).as_deref() == Some(link)
}

/// The link that its own files give to a pppd: that of its node, or else the newest that names it.
fn told_link(run_dir: &Path, pid: Pid) -> Option<String> {
    let of_its_node = || {
        let Caller { node, .. } = callers::caller(pid)?;
        let file = read(&run_dir.join(format!("ppp-{}.pid", node.peer_name())))?;
        file.interface.filter(|_| file.pid == pid)
    };
    of_its_node().or_else(|| links(run_dir).remove(&pid).map(|(_, link)| link))
}

/// What the node's files say that a call is dialled with.
fn dialled(paths: &Paths, node: NodeId, secrets: &[u8]) -> Option<Dialled> {
    let file = atomic_file::read(&paths.ppp_dir.join("peers").join(node.peer_name())).ok()??;
    let dialled = peer_file::dialled(&String::from_utf8(file).ok()?)?;
    let password = secrets::password(secrets, node, &dialled.login);
    Some(Dialled { password, ..dialled })
}

/// The process that a pid file names.
pub(super) fn named(path: &Path) -> Option<Pid> {
    read(path).map(|file| file.pid)
}

/// The process that a pid file names, and its link, once it has one.
pub(super) fn named_with_link(path: &Path) -> Option<(Pid, Option<String>)> {
    read(path).map(|file| (file.pid, file.interface))
}

/// Reads a pid file. pppd may be writing it just now: a line without its end does not count, and
/// the rest of it will be told as a change.
fn read(path: &Path) -> Option<PidFile> {
    // Neither a link nor a fifo is pppd's.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).ok()?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).ok()?;
    let (pid, rest) = text.split_once('\n')?;
    let interface = rest.split_once('\n').map(|(name, _)| name.trim());
    let interface = interface.filter(|name| !name.is_empty()).map(str::to_owned);
    Some(PidFile { pid: pid.trim().parse().ok()?, interface, written: metadata.modified().ok()? })
}

/// Takes hold of the process if it is the node's pppd.
fn recognise(pid: Pid, node: NodeId, pppd: &Path) -> Option<OwnedFd> {
    let pidfd = take_hold(pid).ok()?;
    let is_it = is_pppd(pid, pppd)
        && callers::calls(pid, node)
        && Proc::host().has_our_rights(pid)
        && Proc::host().is_here(pid);
    // Its number was its own all the while only if it lives still.
    (is_it && lives(&pidfd)).then_some(pidfd)
}

/// Whether the process runs a pppd.
pub(super) fn is_pppd(pid: Pid, pppd: &Path) -> bool {
    match callers::runs(pid, pppd, "pppd") {
        Runs::Itself | Runs::Namesake => true,
        Runs::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(text: &str) -> Option<(Pid, Option<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, text).unwrap();
        read(&path).map(|file| (file.pid, file.interface))
    }

    #[test]
    fn a_pid_file_tells_the_process_and_its_link_once_there_is_one() {
        assert_eq!(read_text("155\nppp0\n"), Some((155, Some("ppp0".into()))));
        assert_eq!(read_text("155\n"), Some((155, None)));
    }

    #[test]
    fn what_is_half_written_does_not_count() {
        for text in ["", "15", "x\n", "-1\n"] {
            assert_eq!(read_text(text), None, "{text:?}");
        }
        assert_eq!(read_text("155\npp"), Some((155, None)));
    }

    #[test]
    fn what_is_no_small_plain_file_is_no_pid_file() {
        let dir = tempfile::tempdir().unwrap();
        let [link, folder, fifo] = ["link", "folder", "fifo"].map(|name| dir.path().join(name));
        fs::write(dir.path().join("real"), "155\n").unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), &link).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert_eq!((read(&link), read(&folder), read(&fifo)), (None, None, None));
        assert_eq!(read_text(&("155\n".to_owned() + &"x".repeat(300))), None);
    }

    #[test]
    fn only_pid_files_of_our_nodes_are_of_interest() {
        assert!(is_pid_file(OsStr::new("ppp-connexa-node-2.pid")));
        for name in ["ppp0.pid", "ppp-connexa-node-2.pid.x", "ppp-other.pid", "connexa-node-2"] {
            assert!(!is_pid_file(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn of_two_links_of_one_process_the_newer_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("ppp7.pid", "155\n"), ("ppp3.pid", "155\n"), ("sshd.pid", "9\n")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let old = fs::File::options().write(true).open(dir.path().join("ppp7.pid")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(links(dir.path()).get(&155).map(|(_, link)| link.as_str()), Some("ppp3"));
    }
}
