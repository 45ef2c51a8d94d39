//! Pid files that name no living pppd: one that was killed leaves its files behind.
//!
//! pppd has two: `ppp-connexa-node-N.pid` by the option `linkname`, and `LINK.pid` (see `found`).

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::{callers, found};
use crate::atomic_file;
use crate::core::event::Pid;
use crate::node::NodeId;

/// A pid file as it was when it was looked at.
#[derive(Debug)]
pub(super) struct PidFile {
    /// Of what.
    pub(super) of: Of,
    path: PathBuf,
    state: State,
}

/// What a pid file speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The pppd of a node.
    Node(NodeId),
    /// The pppd of a link with this name.
    Link(String),
}

/// By what a change of a file is seen: opening it to write, as pppd does, changes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl State {
    fn of(file: &Metadata) -> Self {
        let modified = (file.mtime(), file.mtime_nsec());
        State { inode: file.ino(), size: file.size(), modified }
    }
}

impl Of {
    fn read(name: &str) -> Option<Of> {
        if let Some(node) = found::node_of(name) {
            return Some(Of::Node(node));
        }
        let link = name.strip_suffix(".pid")?;
        // Names that the daemon's calls give to links; others' files are not looked at.
        let number = link.strip_prefix("ppp").or_else(|| link.strip_prefix("cx"))?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Of::Link(link.to_owned()))
    }
}

/// The pid files of our nodes and of links. What is no plain file is nobody's pid file.
pub(super) fn pid_files(run_dir: &Path) -> Vec<PidFile> {
    // That it can't be read was told by the look at the start.
    let names = atomic_file::names(run_dir).unwrap_or_default();
    let file = |name: String| {
        let (of, path) = (Of::read(&name)?, run_dir.join(&name));
        let file = fs::symlink_metadata(&path).ok().filter(Metadata::is_file)?;
        Some(PidFile { of, path, state: State::of(&file) })
    };
    names.into_iter().filter_map(file).collect()
}

impl PidFile {
    /// The process that it names.
    ///
    /// # Errors
    /// When that is not known, for want of descriptors or memory.
    pub(super) fn named(&self) -> io::Result<Option<Pid>> {
        found::named(&self.path)
    }

    /// Whether it names no process that it could be of. A link's file may be a stranger's, as one
    /// of another network is: so a node's file has to name the same process and link, it has to be
    /// of a pppd that has ended, and its link has to be gone, too.
    ///
    /// # Errors
    /// When that is not known, for want of descriptors or memory.
    pub(super) fn names_nobody(&self, pppd: &Path) -> io::Result<bool> {
        let named = self.named()?;
        Ok(match (&self.of, named) {
            (Of::Node(node), Some(pid)) => match callers::caller(pid)? {
                Some(caller) => caller.node != *node,
                // One that dials by a copy of the peer file calls no node.
                None => !found::is_pppd(pid, pppd)?,
            },
            (Of::Node(_), None) => true,
            (Of::Link(link), Some(pid)) => {
                // First what costs little: of tunnels that are up nothing more is asked, and the last
                // reads the files of all nodes.
                is_gone(link)
                    && !found::is_pppd(pid, pppd)?
                    && self.path.parent().is_some_and(|dir| is_of_a_node(dir, pid, link))
            }
            (Of::Link(_), None) => false,
        })
    }

    /// Removes the file, if it was of no living pppd when it was looked at.
    ///
    /// A pppd may write it this very moment, over the old one. So it is moved aside first and
    /// looked at there: a pppd that had opened it before has changed it, and it is put back, unless
    /// a newer one has taken its place; a pppd that comes later makes a new one.
    pub(super) fn take_away(&self) {
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return };
        let aside = self.path.with_file_name(aside_name(name));
        if renameat_with(CWD, &self.path, CWD, &aside, RenameFlags::NOREPLACE).is_err() {
            return;
        }
        if !fs::symlink_metadata(&aside).is_ok_and(|file| State::of(&file) == self.state) {
            put_back(&aside, &self.path);
        }
        let _ = fs::remove_file(&aside);
    }
}

/// Whether a pid file of one of our nodes names this process and this link.
fn is_of_a_node(run_dir: &Path, pid: Pid, link: &str) -> bool {
    let names = atomic_file::names(run_dir).unwrap_or_default();
    let of_nodes = names.iter().filter(|name| found::node_of(name).is_some());
    of_nodes
        .filter_map(|name| found::named_with_link(&run_dir.join(name)).ok()?)
        .any(|(named, its_link)| named == pid && its_link.as_deref() == Some(link))
}

/// Ends what a daemon that died within [`PidFile::take_away`] has begun. Not to be called while
/// one is at it.
///
/// # Errors
/// When it is not known what to do with a file, for want of descriptors or memory.
pub(super) fn finish(run_dir: &Path, pppd: &Path) -> io::Result<()> {
    for name in atomic_file::names(run_dir).unwrap_or_default() {
        let Some(path) = of_aside(&name).map(|name| run_dir.join(name)) else { continue };
        let aside = run_dir.join(&name);
        if !fs::symlink_metadata(&aside).is_ok_and(|file| file.is_file()) {
            continue;
        }
        if let Some(pid) = found::named(&aside)?
            && found::is_pppd(pid, pppd)?
        {
            put_back(&aside, &path);
        }
        let _ = fs::remove_file(&aside);
    }
    Ok(())
}

fn put_back(aside: &Path, path: &Path) {
    // Not a rename, which would replace a newer one.
    let _ = fs::hard_link(aside, path);
}

fn aside_name(name: &str) -> String {
    format!(".{name}.connexad-old")
}

fn of_aside(name: &str) -> Option<&str> {
    let name = name.strip_prefix('.')?.strip_suffix(".connexad-old")?;
    Of::read(name).map(|_| name)
}

/// Whether our network has no such link.
fn is_gone(link: &str) -> bool {
    let any: Result<OwnedFd, _> = socket(AddressFamily::INET, SocketType::DGRAM, None);
    any.is_ok_and(|any| netdevice::name_to_index(&any, link) == Err(rustix::io::Errno::NODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "ppp-connexa-node-2.pid";
    /// No kernel gives a link this number.
    const LINK: &str = "ppp4294967295.pid";
    /// No process has this number (proc(5), `pid_max`).
    const NOBODY: &str = "4194305\n";

    fn folder_with(name: &str, text: &str) -> (tempfile::TempDir, PidFile) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        let file = pid_files(dir.path()).pop().unwrap();
        (dir, file)
    }

    fn names_nobody(name: &str, text: &str) -> bool {
        folder_with(name, text).1.names_nobody(Path::new("/usr/sbin/pppd")).unwrap()
    }

    fn listing(dir: &tempfile::TempDir) -> Vec<String> {
        atomic_file::names(dir.path()).unwrap()
    }

    #[test]
    fn a_pid_file_that_nobody_has_touched_is_taken_away() {
        let (dir, file) = folder_with(OURS, "155\nppp0\n");
        file.take_away();
        assert_eq!(listing(&dir), Vec::<String>::new());
    }

    #[test]
    fn a_pid_file_that_was_written_meanwhile_stays() {
        let (dir, file) = folder_with(OURS, "155\nppp0\n");
        fs::write(&file.path, "156\n").unwrap();
        file.take_away();
        assert_eq!(
            (fs::read_to_string(&file.path).unwrap(), listing(&dir).len()),
            ("156\n".into(), 1)
        );
    }

    #[test]
    fn a_pid_file_that_is_being_written_stays() {
        let (dir, file) = folder_with(OURS, "155\nppp0\n");
        let _begun = fs::File::create(&file.path).unwrap();
        file.take_away();
        assert_eq!(
            (fs::read_to_string(&file.path).unwrap(), listing(&dir).len()),
            (String::new(), 1)
        );
    }

    #[test]
    fn a_nodes_pid_file_that_names_another_process_names_nobody() {
        assert!(names_nobody(OURS, &format!("{}\n", std::process::id())));
    }

    /// A link's pid file beside that of its node.
    fn of_a_node(pid: &str) -> (tempfile::TempDir, PidFile) {
        let (dir, file) = folder_with(LINK, pid);
        let link = LINK.strip_suffix(".pid").unwrap();
        fs::write(dir.path().join(OURS), format!("{pid}{link}\n")).unwrap();
        (dir, file)
    }

    #[test]
    fn a_links_pid_file_names_nobody_once_its_pppd_and_its_link_are_gone() {
        for pid in [NOBODY, &format!("{}\n", std::process::id())] {
            let (_dir, file) = of_a_node(pid);
            assert!(file.names_nobody(Path::new("/usr/sbin/pppd")).unwrap());
        }
    }

    #[test]
    fn a_links_pid_file_that_no_node_of_ours_speaks_of_is_a_strangers() {
        assert!(!names_nobody(LINK, NOBODY));
        let (dir, file) = folder_with(LINK, NOBODY);
        fs::write(dir.path().join(OURS), format!("{NOBODY}ppp7\n")).unwrap();
        assert!(!file.names_nobody(Path::new("/usr/sbin/pppd")).unwrap());
    }

    #[test]
    fn what_is_no_plain_file_is_no_pid_file_of_anybody() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(OURS)).unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join(LINK)).unwrap();
        assert_eq!(pid_files(dir.path()).len(), 0);
    }

    #[test]
    fn a_links_pid_file_whose_pppd_runs_stays() {
        let exe = std::env::current_exe().unwrap();
        let (_dir, file) = of_a_node(&format!("{}\n", std::process::id()));
        assert!(!file.names_nobody(&exe).unwrap());
    }

    #[test]
    fn a_links_pid_file_that_is_only_begun_stays() {
        assert!(!names_nobody(LINK, ""));
    }

    #[test]
    fn a_link_that_is_there_is_not_gone() {
        assert!(!is_gone("lo"));
    }

    #[test]
    fn files_of_others_are_none_of_ours() {
        for name in ["sshd.pid", "ppp.pid", "pppoe0.pid", "cx.pid", "ppp-other.pid", "ppp0.pid.x"] {
            assert_eq!(Of::read(name), None, "{name}");
        }
        for name in ["ppp0.pid", "cx12.pid"] {
            assert!(matches!(Of::read(name), Some(Of::Link(_))), "{name}");
        }
    }

    #[test]
    fn what_a_crash_left_aside_goes() {
        let (dir, _) = folder_with(LINK, NOBODY);
        for name in [OURS, "ppp7.pid"] {
            fs::write(dir.path().join(aside_name(name)), NOBODY).unwrap();
        }
        fs::write(dir.path().join(".sshd.pid.connexad-old"), NOBODY).unwrap();
        finish(dir.path(), Path::new("/usr/sbin/pppd")).unwrap();
        let mut left = listing(&dir);
        left.sort();
        assert_eq!(left, [".sshd.pid.connexad-old", LINK]);
    }

    #[test]
    fn what_a_crash_left_aside_of_a_living_pppd_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("{}\nppp0\n", std::process::id());
        fs::write(dir.path().join(aside_name(OURS)), &text).unwrap();
        finish(dir.path(), &std::env::current_exe().unwrap()).unwrap();
        assert_eq!(listing(&dir), [OURS]);
        assert_eq!(fs::read_to_string(dir.path().join(OURS)).unwrap(), text);
    }
}
