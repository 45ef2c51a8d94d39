//! Pid files of our nodes that name no living pppd: one that was killed leaves its file behind.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{files, found, processes};
use crate::node::NodeId;

/// A pid file as it was when it was looked at.
#[derive(Debug)]
pub(super) struct PidFile {
    /// Of which node.
    pub(super) node: NodeId,
    path: PathBuf,
    state: State,
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

/// The pid files of our nodes, whatever they are but folders.
pub(super) fn pid_files(run_dir: &Path) -> Vec<PidFile> {
    // That it can't be read was told by the look at the start.
    let names = files::names(run_dir).unwrap_or_default();
    let file = |name: String| {
        let (node, path) = (found::node_of(&name)?, run_dir.join(&name));
        let file = fs::symlink_metadata(&path).ok().filter(|file| !file.is_dir())?;
        Some(PidFile { node, path, state: State::of(&file) })
    };
    names.into_iter().filter_map(file).collect()
}

impl PidFile {
    /// Whether it names no process that was started to call its node.
    pub(super) fn names_nobody(&self) -> bool {
        !found::named(&self.path).is_some_and(|pid| processes::calls(pid, self.node))
    }

    /// Removes the file, if it was of no living pppd when it was looked at.
    ///
    /// A pppd may write it this very moment, over the old one. So it is moved aside first and
    /// looked at there: a pppd that had opened it before has changed it, and it is put back, unless
    /// a newer one has taken its place; a pppd that comes later makes a new one.
    pub(super) fn take_away(&self) {
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return };
        let aside = self.path.with_file_name(format!(".{name}.connexad-old"));
        if fs::rename(&self.path, &aside).is_err() {
            return;
        }
        if !fs::symlink_metadata(&aside).is_ok_and(|file| State::of(&file) == self.state) {
            // Not a rename, which would replace the newer one.
            let _ = fs::hard_link(&aside, &self.path);
        }
        let _ = fs::remove_file(&aside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(text: &str) -> (tempfile::TempDir, PidFile) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ppp-connexa-node-2.pid"), text).unwrap();
        let file = pid_files(dir.path()).pop().unwrap();
        assert_eq!(file.node, NodeId(2));
        (dir, file)
    }

    fn count(dir: &tempfile::TempDir) -> usize {
        fs::read_dir(dir.path()).unwrap().count()
    }

    #[test]
    fn a_pid_file_that_nobody_has_touched_is_taken_away() {
        let (dir, file) = folder_with("155\nppp0\n");
        file.take_away();
        assert_eq!(count(&dir), 0);
    }

    #[test]
    fn a_pid_file_that_was_written_meanwhile_stays() {
        let (dir, file) = folder_with("155\nppp0\n");
        fs::write(&file.path, "156\n").unwrap();
        file.take_away();
        assert_eq!((fs::read_to_string(&file.path).unwrap(), count(&dir)), ("156\n".into(), 1));
    }

    #[test]
    fn a_pid_file_that_is_being_written_stays() {
        let (dir, file) = folder_with("155\nppp0\n");
        let _begun = fs::File::create(&file.path).unwrap();
        file.take_away();
        assert_eq!((fs::read_to_string(&file.path).unwrap(), count(&dir)), (String::new(), 1));
    }

    #[test]
    fn a_pid_file_that_names_another_process_names_nobody() {
        let (_dir, file) = folder_with(&format!("{}\n", std::process::id()));
        assert!(file.names_nobody());
    }
}
