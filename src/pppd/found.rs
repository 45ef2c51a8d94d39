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
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::callers::{self, Caller, Runs};
use super::{peer_file, secrets};
use crate::atomic_file;
use crate::config::Paths;
use crate::core::event::{Dialled, Pid};
use crate::node::NodeId;
use crate::process::{Proc, Process, lives, take_hold, there};
use crate::watch::Changed;

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
    /// For how long it runs, where no file of its node's names it.
    pub(super) age: Duration,
    /// The process, unless it is one that is held already.
    pub(super) process: Option<Process>,
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

/// The name of a node's pid file.
pub(super) fn pid_file(node: NodeId) -> String {
    format!("ppp-{}.pid", node.peer_name())
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

/// Looks for every pppd that runs for a node, whatever its pid file says. Call it within the runtime.
///
/// # Errors
/// When processes can't be listed, or not all that is asked of them can be read: that would look as
/// if none ran. Without the folder of pid files they are still found.
pub(super) fn first_look(paths: &Paths) -> Result<Vec<Sighting>, LookError> {
    let failed = |error| LookError(format!("can't read /proc: {error}; mount it for connexad"));
    let pids = Proc::host().pids().map_err(failed)?;
    let look = || {
        let mut sightings = by_files(paths, run_files(&paths.run_dir)?, &BTreeSet::new())?;
        let known = sightings.iter().map(|sighting| sighting.pid).collect();
        sightings.extend(by_processes(pids, &paths.pppd, &known)?);
        complete(sightings, paths)
    };
    look().map_err(|error| LookError(format!("can't look at processes: {error}")))
}

/// Looks for pppds in the pid files that have changed. `held` are the processes that are known
/// already; they are not questioned again. Call it within the runtime.
///
/// # Errors
/// When not all can be read, for want of descriptors or memory.
pub(super) fn look(
    paths: &Paths,
    held: &BTreeSet<Pid>,
    changed: &Changed,
) -> io::Result<Vec<Sighting>> {
    let files = match changed {
        Changed::Entries(names) => {
            names.iter().filter_map(|name| name.to_str().map(str::to_owned)).collect()
        }
        Changed::All => run_files(&paths.run_dir)?,
    };
    complete(by_files(paths, files, held)?, paths)
}

fn by_files(paths: &Paths, files: Vec<String>, held: &BTreeSet<Pid>) -> io::Result<Vec<Sighting>> {
    let mut sightings = Vec::new();
    for name in files {
        let Some(node) = node_of(&name) else { continue };
        let Some(PidFile { pid, interface, .. }) = read(&paths.run_dir.join(name))? else {
            continue;
        };
        let process = if held.contains(&pid) { None } else { recognise(pid, node, &paths.pppd)? };
        if process.is_none() && !held.contains(&pid) {
            warn_of_another_program(pid, node, &paths.pppd)?;
        }
        if process.is_some() || held.contains(&pid) {
            let renamed = match &interface {
                Some(link) => is_of_another(paths, link, pid)?,
                None => false,
            };
            let interface = interface.filter(|_| !renamed);
            let (dialled, age) = (None, Duration::ZERO);
            sightings.push(Sighting { node, pid, interface, renamed, dialled, age, process });
        }
    }
    Ok(sightings)
}

fn run_files(run_dir: &Path) -> io::Result<Vec<String>> {
    match atomic_file::names(run_dir) {
        Ok(names) => Ok(names),
        Err(error) if error.is_for_want() => Err(io::Error::other(error)),
        Err(error) => {
            tracing::warn!("the pid files of running pppds can't be looked for: {error}");
            Ok(Vec::new())
        }
    }
}

fn by_processes(pids: Vec<Pid>, pppd: &Path, known: &BTreeSet<Pid>) -> io::Result<Vec<Sighting>> {
    let callers = pids.into_iter().filter_map(|pid| callers::caller(pid).transpose());
    let callers: Vec<Caller> = callers.collect::<io::Result<_>>()?;
    let mut sightings = Vec::new();
    for Caller { pid, parent, node } in &callers {
        // What pppd has forked looks like it until it runs a program of its own.
        let its_parent = callers.iter().find(|c| c.pid == *parent && c.node == *node);
        let is_a_child = match its_parent {
            Some(parent) => is_pppd(parent.pid, pppd)?,
            None => false,
        };
        if known.contains(pid) || is_a_child {
            continue;
        }
        // One of another place is only taken for the node's where the node's pid file names it.
        let is_itself = callers::runs(*pid, pppd, "pppd")? == Runs::Itself;
        if is_itself && let Some(process) = recognise(*pid, *node, pppd)? {
            let (node, pid, process) = (*node, *pid, Some(process));
            let (interface, renamed, dialled) = (None, false, None);
            let age = Proc::host().age(pid)?;
            sightings.push(Sighting { node, pid, interface, renamed, dialled, age, process });
        }
    }
    Ok(sightings)
}

/// Adds what other files tell of those that are new.
fn complete(mut sightings: Vec<Sighting>, paths: &Paths) -> io::Result<Vec<Sighting>> {
    let new = |sighting: &&mut Sighting| sighting.process.is_some();
    let nameless = |s: &Sighting| s.process.is_some() && s.interface.is_none() && !s.renamed;
    if sightings.iter().any(nameless) {
        let links = links(&paths.run_dir)?;
        for sighting in sightings.iter_mut().filter(|sighting| nameless(sighting)) {
            sighting.interface = links.get(&sighting.pid).map(|(_, link)| link.clone());
        }
    }
    if sightings.iter().any(|s| s.process.is_some()) {
        let secrets = there(atomic_file::read(&paths.ppp_dir.join(secrets::FILE)))?.flatten();
        let secrets = secrets.unwrap_or_default();
        for sighting in sightings.iter_mut().filter(new) {
            sighting.dialled = dialled(paths, sighting.node, &secrets)?;
        }
    }
    Ok(sightings)
}

/// The links that `LINK.pid` files tell of, by process. A pppd that was killed leaves its file
/// behind, so of two that name one process the newer counts.
fn links(run_dir: &Path) -> io::Result<BTreeMap<Pid, (SystemTime, String)>> {
    let mut links: BTreeMap<Pid, (SystemTime, String)> = BTreeMap::new();
    for name in run_files(run_dir)? {
        let Some(link) = name.strip_suffix(".pid").filter(|_| node_of(&name).is_none()) else {
            continue;
        };
        let Some(PidFile { pid, interface, written }) = read(&run_dir.join(&name))? else {
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
    Ok(links)
}

/// Whether a link of this name is another pppd's by now. pppd writes `LINK.pid` when it names its
/// link, whosever that name was before it was renamed. Pppds of other networks may write into the
/// same folder, and any text may be left there: only a pppd that lives in our network, and whose
/// own files give it no other link, can have a link of ours.
fn is_of_another(paths: &Paths, link: &str, pid: Pid) -> io::Result<bool> {
    let run_dir = &paths.run_dir;
    let Some(other) = named(&run_dir.join(format!("{link}.pid")))? else { return Ok(false) };
    if other == pid {
        return Ok(false);
    }
    let Some(pidfd) = there(take_hold(other))? else { return Ok(false) };
    let lives_here = is_pppd(other, &paths.pppd)? && Proc::host().is_here(other) && lives(&pidfd);
    Ok(lives_here && told_link(run_dir, other)?.as_deref() == Some(link))
}

/// The link that its own files give to a pppd: that of its node, or else the newest that names it.
fn told_link(run_dir: &Path, pid: Pid) -> io::Result<Option<String>> {
    if let Some(Caller { node, .. }) = callers::caller(pid)?
        && let Some(file) = read(&run_dir.join(pid_file(node)))?
        && file.pid == pid
        && file.interface.is_some()
    {
        return Ok(file.interface);
    }
    Ok(links(run_dir)?.remove(&pid).map(|(_, link)| link))
}

/// What the node's files say that a call is dialled with.
fn dialled(paths: &Paths, node: NodeId, secrets: &[u8]) -> io::Result<Option<Dialled>> {
    let file = there(atomic_file::read(&paths.ppp_dir.join("peers").join(node.peer_name())))?;
    let text = file.flatten().and_then(|file| String::from_utf8(file.to_vec()).ok());
    let dialled = text.and_then(|text| peer_file::dialled(&text));
    Ok(dialled.map(|dialled| {
        let password = secrets::password(secrets, node, &dialled.login);
        Dialled { password, ..dialled }
    }))
}

/// The process that a pid file names.
///
/// # Errors
/// When that is not known, for want of descriptors or memory.
pub(super) fn named(path: &Path) -> io::Result<Option<Pid>> {
    Ok(read(path)?.map(|file| file.pid))
}

/// The process that a pid file names, and its link, once it has one.
///
/// # Errors
/// When that is not known, for want of descriptors or memory.
pub(super) fn named_with_link(path: &Path) -> io::Result<Option<(Pid, Option<String>)>> {
    Ok(read(path)?.map(|file| (file.pid, file.interface)))
}

/// Reads a pid file. pppd may be writing it just now: a line without its end does not count, and
/// the rest of it will be told as a change.
fn read(path: &Path) -> io::Result<Option<PidFile>> {
    let file = there(read_small(path))?.flatten();
    Ok(file.and_then(|(text, written)| parse(&text, written)))
}

/// A small plain file, and when it was written.
fn read_small(path: &Path) -> io::Result<Option<(String, SystemTime)>> {
    // Neither a link nor a fifo is pppd's.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Ok(None);
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok(Some((text, metadata.modified()?)))
}

fn parse(text: &str, written: SystemTime) -> Option<PidFile> {
    let (pid, rest) = text.split_once('\n')?;
    let interface = rest.split_once('\n').map(|(name, _)| name.trim());
    let interface = interface.filter(|name| !name.is_empty()).map(str::to_owned);
    Some(PidFile { pid: pid.trim().parse().ok()?, interface, written })
}

/// Takes hold of the process if it is the node's pppd.
fn recognise(pid: Pid, node: NodeId, pppd: &Path) -> io::Result<Option<Process>> {
    let Some(pidfd) = there(take_hold(pid))? else { return Ok(None) };
    let is_it = is_pppd(pid, pppd)?
        && callers::calls(pid, node)?
        && Proc::host().has_our_rights(pid)?
        && Proc::host().is_here(pid);
    // Its number was its own all the while only if it lives still.
    if is_it && lives(&pidfd) { Process::new(pidfd).map(Some) } else { Ok(None) }
}

/// A node's pid file names a process that calls the node, and is no pppd by its program: that of a
/// wrapper, perhaps. It is not taken over, and people are to know.
fn warn_of_another_program(pid: Pid, node: NodeId, pppd: &Path) -> io::Result<()> {
    let is_ours = callers::caller(pid)?.is_some_and(|caller| caller.node == node);
    if !is_ours || is_pppd(pid, pppd)? {
        return Ok(());
    }
    let Some(program) = callers::executable(pid)? else { return Ok(()) };
    let (program, pppd) = (program.display(), pppd.display());
    tracing::warn!(
        NODE_ID = node.0,
        "Node {node}: its pid file names pid {pid}, which runs {program} and not {pppd}: it is not \
         taken over, and a node that is wanted is dialled beside it; set paths.pppd to the program that runs in the end"
    );
    Ok(())
}

/// Whether the process runs a pppd.
///
/// # Errors
/// When that is not known, for want of descriptors or memory.
pub(super) fn is_pppd(pid: Pid, pppd: &Path) -> io::Result<bool> {
    Ok(match callers::runs(pid, pppd, "pppd")? {
        Runs::Itself | Runs::Namesake => true,
        Runs::Other => false,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(text: &str) -> Option<(Pid, Option<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, text).unwrap();
        read(&path).unwrap().map(|file| (file.pid, file.interface))
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
        assert_eq!([&link, &folder, &fifo].map(|path| read(path).unwrap()), [None, None, None]);
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
        assert_eq!(
            links(dir.path()).unwrap().get(&155).map(|(_, link)| link.as_str()),
            Some("ppp3")
        );
    }
}
