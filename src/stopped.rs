//! Which nodes the operator has stopped, kept beyond the daemon's life.
//!
//! The file `stopped` in `paths.state_dir` holds one node id a line; lines that begin with `#`
//! and empty ones count for nothing.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};

use crate::atomic_file::{self, FileError};
use crate::config::Paths;
use crate::node::NodeId;

/// What the list begins with: by this it is known to be connexad's.
const MARK: &str = "# Nodes that the operator has stopped";

const ABOUT: &str = "# Nodes that the operator has stopped, one id a line. connexad writes this \
                     file; `connexactl start ID` takes a node off it.\n";

/// Where the list is.
pub(crate) fn file(paths: &Paths) -> PathBuf {
    paths.state_dir.join("stopped")
}

/// What is wrong with the list as it was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damaged {
    /// It can't be read at all.
    #[error("can't read {}, so nodes that were stopped may be dialled: {source}; make it a readable file and stop them again", path.display())]
    Unreadable {
        /// The list.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Some lines are no ids; the others count.
    #[error("{}: line {line} ({text:?}) is no node id{}, so the nodes that were meant are dialled; stop them again: the next stop or start writes the file anew", path.display(), like(*others))]
    Garbage {
        /// The list.
        path: PathBuf,
        /// The first such line, from 1.
        line: usize,
        /// What it holds, cut short.
        text: String,
        /// How many more there are.
        others: usize,
    },
}

fn like(others: usize) -> String {
    if others == 0 { String::new() } else { format!(", and {others} more like it") }
}

/// Reads the list; a missing file is an empty one. What can be read counts, whatever is wrong
/// with the rest.
pub(crate) fn read(path: &Path) -> (BTreeSet<NodeId>, Option<Damaged>) {
    let content = match atomic_file::read(path) {
        Ok(content) => content.unwrap_or_default(),
        Err(source) => {
            let path = path.to_owned();
            return (BTreeSet::new(), Some(Damaged::Unreadable { path, source }));
        }
    };
    let text = String::from_utf8_lossy(&content);
    let mut stopped = BTreeSet::new();
    let mut garbage = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.parse() {
            Ok(id) => drop(stopped.insert(NodeId(id))),
            Err(_) => garbage.push((number, line)),
        }
    }
    let damaged = garbage.first().map(|&(line, text)| Damaged::Garbage {
        path: path.to_owned(),
        line,
        text: text.chars().take(40).collect(),
        others: garbage.len() - 1,
    });
    (stopped, damaged)
}

/// The ids, for people to read.
pub(crate) fn list(stopped: &BTreeSet<NodeId>) -> String {
    let ids: Vec<String> = stopped.iter().map(NodeId::to_string).collect();
    match ids.as_slice() {
        [] => "no node".to_owned(),
        [one] => format!("node {one}"),
        many => format!("nodes {}", many.join(", ")),
    }
}

fn text(stopped: &BTreeSet<NodeId>) -> String {
    stopped.iter().fold(ABOUT.to_owned(), |mut text, id| {
        let _ = writeln!(text, "{id}");
        text
    })
}

/// The newest list; each change of it has a number of its own.
#[derive(Clone, Debug, Default)]
struct Wanted {
    version: u64,
    stopped: BTreeSet<NodeId>,
}

/// How the last write went, and which version that was.
#[derive(Clone, Debug)]
struct Written {
    version: u64,
    result: Result<(), NotKept>,
}

/// Why the list is not on disk.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotKept {
    /// It can't be written.
    #[error("{0}")]
    File(Arc<FileError>),
    /// A file of its name is somebody else's.
    #[error("{} is not a list of connexad's, which begins with {MARK:?}, and nothing of others is replaced; move it away, or set paths.state_dir", .0.display())]
    Stranger(PathBuf),
    /// What writes it has failed.
    #[error("writing {} has failed: {error}; report it, and stop the node again", path.display())]
    Panicked {
        /// The list.
        path: PathBuf,
        /// How.
        error: Arc<JoinError>,
    },
    /// Nobody writes it any more.
    #[error("connexad is stopping")]
    Stopping,
}

/// Has the list written, one write at a time; lists that come during a write are written as one.
#[derive(Debug)]
pub(crate) struct Keeper {
    wanted: watch::Sender<Wanted>,
    written: watch::Receiver<Written>,
}

impl Keeper {
    /// A keeper, and the work that it needs done; that ends when the keeper is dropped.
    pub(crate) fn new(file: PathBuf) -> (Self, impl Future<Output = ()> + use<>) {
        let (wanted, theirs) = watch::channel(Wanted::default());
        let (ours, written) = watch::channel(Written { version: 0, result: Ok(()) });
        (Keeper { wanted, written }, write_each(file, theirs, ours))
    }

    /// Keeps this list from now on.
    pub(crate) fn keep(&self, stopped: BTreeSet<NodeId>) {
        self.wanted.send_modify(|wanted| {
            wanted.version += 1;
            wanted.stopped = stopped;
        });
    }

    /// Waits for the list as it is now. A write that failed is tried again.
    pub(crate) fn kept(&self) -> Kept {
        let Written { version: written, result } = self.written.borrow().clone();
        if result.is_err() && written == self.wanted.borrow().version {
            self.wanted.send_modify(|wanted| wanted.version += 1);
        }
        Kept { version: self.wanted.borrow().version, written: self.written.clone() }
    }
}

/// A write that somebody waits for.
#[derive(Debug)]
pub(crate) struct Kept {
    version: u64,
    written: watch::Receiver<Written>,
}

impl Kept {
    /// Until the list, or a newer one, is on disk.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) async fn wait(mut self) -> Result<(), NotKept> {
        match self.written.wait_for(|written| written.version >= self.version).await {
            Ok(written) => written.result.clone(),
            Err(_) => Err(NotKept::Stopping),
        }
    }
}

fn write(path: &Path, stopped: &BTreeSet<NodeId>) -> Result<(), NotKept> {
    if is_of_another(path) {
        return Err(NotKept::Stranger(path.to_owned()));
    }
    atomic_file::write(path, text(stopped).as_bytes()).map_err(|e| NotKept::File(Arc::new(e)))
}

/// Removes the list.
///
/// # Errors
/// When it is there and can't be removed, or is somebody else's file.
pub(crate) fn remove(path: &Path) -> Result<(), NotKept> {
    if is_of_another(path) {
        return Err(NotKept::Stranger(path.to_owned()));
    }
    atomic_file::remove(path).map_err(|error| NotKept::File(Arc::new(error)))
}

/// Whether the file holds something that is no list of ours, damaged or not. What can't be read is
/// for its writing to tell.
fn is_of_another(path: &Path) -> bool {
    let Ok(Some(content)) = atomic_file::read(path) else { return false };
    !content.starts_with(MARK.as_bytes()) && read(path).1.is_some()
}

async fn write_each(
    file: PathBuf,
    mut wanted: watch::Receiver<Wanted>,
    written: watch::Sender<Written>,
) {
    while wanted.changed().await.is_ok() {
        let Wanted { version, stopped } = wanted.borrow_and_update().clone();
        let path = file.clone();
        let result = match spawn_blocking(move || write(&path, &stopped)).await {
            Ok(result) => result,
            Err(error) => Err(NotKept::Panicked { path: file.clone(), error: Arc::new(error) }),
        };
        if let Err(problem) = &result {
            tracing::error!("What the operator stopped will not survive a restart: {problem}");
        }
        written.send_replace(Written { version, result });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ids(ids: &[u32]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    /// A list that holds this.
    fn list(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stopped");
        fs::write(&path, content).unwrap();
        (dir, path)
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let stopped = ids(&[2, 7, 0, u32::MAX]);
        let (_dir, path) = list(text(&stopped).as_bytes());
        let (read, damaged) = read(&path);
        assert_eq!(read, stopped);
        assert!(damaged.is_none(), "{damaged:?}");
    }

    #[test]
    fn the_file_says_what_it_is_about_in_its_first_line() {
        assert!(text(&ids(&[2])).starts_with("# Nodes that the operator has stopped"));
    }

    #[test]
    fn a_missing_file_is_an_empty_list() {
        let (stopped, damaged) = read(Path::new("/nowhere/stopped"));
        assert!(stopped.is_empty() && damaged.is_none(), "{damaged:?}");
    }

    #[test]
    fn lines_that_are_no_ids_are_told_and_the_others_count() {
        let (_dir, path) = list(b"2\nseven\n\xff\xfe\n-1\n4294967296\n 9 \n");
        let (stopped, damaged) = read(&path);
        assert_eq!(stopped, ids(&[2, 9]));
        let message = damaged.unwrap().to_string();
        assert!(message.contains(": line 2 (\"seven\") is no node id, and 3 more"), "{message}");
    }

    #[test]
    fn a_list_that_is_no_file_is_told_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let (stopped, damaged) = read(dir.path());
        assert!(stopped.is_empty());
        let message = damaged.unwrap().to_string();
        assert!(message.contains("not a plain file; make it a readable file"), "{message}");
    }

    #[tokio::test]
    async fn of_many_lists_the_newest_is_on_disk_when_waited_for() {
        let (_dir, path) = list(b"");
        let (keeper, work) = Keeper::new(path.clone());
        tokio::spawn(work);
        for id in 1..=100 {
            keeper.keep(ids(&[id]));
        }
        keeper.kept().wait().await.unwrap();
        assert_eq!(read(&path).0, ids(&[100]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[tokio::test]
    async fn a_file_of_this_name_that_is_no_list_of_ours_stays_as_it_is() {
        let (_dir, path) = list(b"precious\n");
        let (keeper, work) = Keeper::new(path.clone());
        tokio::spawn(work);
        keeper.keep(ids(&[2]));
        let problem = keeper.kept().wait().await.unwrap_err().to_string();
        assert!(problem.contains("is not a list of connexad's"), "{problem}");
        assert_eq!(fs::read(&path).unwrap(), b"precious\n");
    }

    #[tokio::test]
    async fn a_list_of_ours_that_was_damaged_is_written_anew() {
        let (_dir, path) = list(format!("{ABOUT}\u{0}\u{0}").as_bytes());
        let (keeper, work) = Keeper::new(path.clone());
        tokio::spawn(work);
        keeper.keep(ids(&[2]));
        keeper.kept().wait().await.unwrap();
        assert_eq!(read(&path).0, ids(&[2]));
    }

    #[tokio::test]
    async fn a_write_that_failed_is_told_and_tried_again_when_next_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("state");
        fs::write(&blocked, "a file where the folder should be").unwrap();
        let (keeper, work) = Keeper::new(blocked.join("stopped"));
        tokio::spawn(work);
        keeper.keep(ids(&[2]));
        let problem = keeper.kept().wait().await.unwrap_err().to_string();
        assert!(problem.starts_with(&format!("can't write {}/stopped", blocked.display())));
        fs::remove_file(&blocked).unwrap();
        keeper.kept().wait().await.unwrap();
        assert_eq!(read(&blocked.join("stopped")).0, ids(&[2]));
    }

    #[tokio::test]
    async fn nothing_to_keep_is_not_waited_for() {
        let (keeper, work) = Keeper::new("/nowhere/stopped".into());
        tokio::spawn(work);
        assert!(keeper.kept().wait().await.is_ok());
    }
}
