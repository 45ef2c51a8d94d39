//! Finding pppds that this daemon did not start: those of a daemon before it, and
//! `pppd call connexa-node-N` by hand.
//!
//! pppd with the option `linkname` writes `ppp-LINKNAME.pid`: the first line is its process, the
//! second its link, once there is one (`create_linkpidfile` in pppd/main.c). That such a file
//! names a process proves nothing, so the process is asked as well.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::peer_file;
use super::process::{lives, take_hold};
use crate::config::Paths;
use crate::core::event::{Dialled, Pid};
use crate::node::NodeId;

/// A pid file holds a number and a name; more than this is none, in bytes.
const LARGEST: u64 = 256;

/// The kernel keeps this much of a program's name in `comm`, in bytes (proc(5)).
const COMM: usize = 15;

/// A running pppd for one of our nodes.
#[derive(Debug)]
pub(super) struct Sighting {
    /// The node that its names tell.
    pub(super) node: NodeId,
    /// Its number.
    pub(super) pid: Pid,
    /// Its link's name, once it has one.
    pub(super) interface: Option<String>,
    /// Whom it called, where that is told.
    pub(super) dialled: Option<Dialled>,
    /// The process, unless it is one that is held already.
    pub(super) pidfd: Option<OwnedFd>,
}

/// Whether a file of the run folder is of interest.
pub(super) fn is_pid_file(name: &OsStr) -> bool {
    name.to_str().and_then(node_of).is_some()
}

fn node_of(name: &str) -> Option<NodeId> {
    NodeId::from_peer_name(name.strip_prefix("ppp-")?.strip_suffix(".pid")?)
}

/// Looks for pppds that run. `held` are the processes that are known already; they are not
/// questioned again. Files that name nothing of ours are left to pppd.
pub(super) fn look(paths: &Paths, held: &BTreeSet<Pid>) -> Vec<Sighting> {
    let Paths { run_dir, pppd, .. } = paths;
    let names = super::files::names(run_dir).unwrap_or_else(|error| {
        tracing::warn!("running pppds can't be looked for: {error}");
        Vec::new()
    });
    let mut sightings = Vec::new();
    for name in names {
        let Some(node) = node_of(&name) else { continue };
        let Some((pid, interface)) = read(&run_dir.join(name)) else { continue };
        if held.contains(&pid) {
            sightings.push(Sighting { node, pid, interface, dialled: None, pidfd: None });
        } else if let Some(pidfd) = recognise(pid, node, pppd) {
            let dialled = dialled(paths, node);
            sightings.push(Sighting { node, pid, interface, dialled, pidfd: Some(pidfd) });
        }
    }
    sightings
}

fn dialled(paths: &Paths, node: NodeId) -> Option<Dialled> {
    let file = paths.ppp_dir.join("peers").join(node.peer_name());
    peer_file::dialled(&fs::read_to_string(file).ok()?)
}

/// Reads a pid file. pppd may be writing it just now: a line without its end does not count, and
/// the rest of it will be told as a change.
fn read(path: &Path) -> Option<(Pid, Option<String>)> {
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
    Some((pid.trim().parse().ok()?, interface))
}

/// Takes hold of the process if it is the node's pppd.
fn recognise(pid: Pid, node: NodeId, pppd: &Path) -> Option<OwnedFd> {
    let pidfd = take_hold(pid).ok()?;
    let is_it = is_pppd(pid, pppd) && calls(pid, node);
    // Its number was its own all the while only if it lives still.
    (is_it && lives(&pidfd)).then_some(pidfd)
}

/// Whether the process runs pppd with the daemon's rights. Its program may have been replaced by
/// an upgrade since, and may be hidden from us, so either of its two names will do.
fn is_pppd(pid: Pid, pppd: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.to_string());
    if fs::metadata(&proc).ok().map(|m| m.uid()) != Some(rustix::process::geteuid().as_raw()) {
        return false;
    }
    let Some(name) = pppd.file_name().map(OsStr::as_bytes) else { return false };
    let exe = fs::read_link(proc.join("exe")).unwrap_or_default();
    let exe = exe.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let exe = exe.strip_suffix(b" (deleted)").unwrap_or(exe);
    let comm = fs::read(proc.join("comm")).unwrap_or_default();
    exe == name || comm.trim_ascii_end() == name.get(..COMM).unwrap_or(name)
}

/// Whether the process was started to call this node.
fn calls(pid: Pid, node: NodeId) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mut words = line.split(|&byte| byte == 0);
    words.any(|word| word == b"call") && words.next() == Some(node.peer_name().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Option<(Pid, Option<String>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, text).unwrap();
        read(&path)
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
        let [link, folder] = ["link", "folder"].map(|name| dir.path().join(name));
        fs::write(dir.path().join("real"), "155\n").unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), &link).unwrap();
        fs::create_dir(&folder).unwrap();
        assert_eq!((read(&link), read(&folder)), (None, None));
        assert_eq!(read_text(&("155\n".to_owned() + &"x".repeat(300))), None);
    }

    #[test]
    fn only_pid_files_of_our_nodes_are_of_interest() {
        assert!(is_pid_file(OsStr::new("ppp-connexa-node-2.pid")));
        for name in ["ppp0.pid", "ppp-connexa-node-2.pid.x", "ppp-other.pid", "connexa-node-2"] {
            assert!(!is_pid_file(OsStr::new(name)), "{name}");
        }
    }
}
