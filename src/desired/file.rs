//! The database's file, found and watched wherever its name leads.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::watch::{Interest, Watch};

/// A burst of changes is over when nothing more came for this long and no transaction is being
/// written … Tokio's timers round up to whole milliseconds, so that it is at most twice as long.
const QUIET: Duration = Duration::from_millis(1);
/// … or when it has lasted this long.
const LONGEST_BURST: Duration = Duration::from_millis(50);

/// Symbolic links followed at most, as the kernel does (MAXSYMLINKS).
const MOST_LINKS: usize = 40;

/// A database file under watch, with its log and its journal.
pub(super) struct WatchedFile {
    path: PathBuf,
    /// The file's name, and each that symbolic links lead to from there. Beside the last one lie
    /// its log and its journal.
    way: Vec<PathBuf>,
    watch: Watch,
}

impl WatchedFile {
    pub(super) async fn new(path: &Path) -> Self {
        let way = way(path).await;
        let watch = Watch::new(interests(&way));
        let mut file = WatchedFile { path: path.to_owned(), way, watch };
        file.find_again().await;
        file
    }

    /// Watches another file if the links now lead there.
    pub(super) async fn find_again(&mut self) {
        loop {
            let way = way(&self.path).await;
            if way == self.way {
                return;
            }
            self.watch = Watch::new(interests(&way));
            // Once more: the links may have changed before the watch was set.
            self.way = way;
        }
    }

    /// Returns after a change.
    pub(super) async fn changed(&mut self) {
        self.watch.changed().await;
    }

    /// Waits for the end of a burst of changes, and in any case until `earliest`. Changes until
    /// then are taken in.
    pub(super) async fn settle(&mut self, earliest: Instant) {
        let latest = Instant::now() + LONGEST_BURST;
        while Instant::now() < latest {
            let quiet = Instant::now() + QUIET;
            // Between two flushes to the disk a commit is silent, for longer than that.
            let end = if self.is_being_written().await { latest } else { quiet };
            if timeout_at(end, self.changed()).await.is_err() {
                break;
            }
        }
        sleep_until(earliest).await;
    }

    /// A rollback journal is there. The end of its transaction deletes or empties it
    /// (sqlite.org/pragma.html, `journal_mode`); where it is kept as it is, by PERSIST, each burst
    /// counts as the longest.
    async fn is_being_written(&self) -> bool {
        let Some((file, name)) = self.way.last().and_then(|file| Some((file, file.file_name()?)))
        else {
            return false;
        };
        let about = tokio::fs::metadata(file.with_file_name(beside(name, "-journal"))).await;
        about.is_ok_and(|about| about.len() > 0)
    }
}

/// The name, or the path, of a file that SQLite keeps beside the database of this name.
pub(crate) fn beside(database: &OsStr, suffix: &str) -> OsString {
    let mut name = database.to_owned();
    name.push(suffix);
    name
}

async fn way(path: &Path) -> Vec<PathBuf> {
    let first = path.to_owned();
    let walked = tokio::task::spawn_blocking(move || {
        let steps = std::iter::successors(Some(first), |path| past_first_link(path));
        steps.take(MOST_LINKS).collect()
    });
    walked.await.unwrap_or_else(|_| vec![path.to_owned()])
}

/// The same place, named without the first symbolic link in its name; `None` if there is none.
fn past_first_link(path: &Path) -> Option<PathBuf> {
    let mut walked = PathBuf::new();
    let mut ahead = path.components();
    while let Some(step) = ahead.next() {
        match step {
            Component::ParentDir => drop(walked.pop()),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::Normal(_) => walked.push(step),
        }
        if let Ok(target) = std::fs::read_link(&walked) {
            let target = walked.parent()?.join(target);
            let rest = ahead.as_path();
            // To join nothing would append a slash.
            return Some(if rest.as_os_str().is_empty() { target } else { target.join(rest) });
        }
    }
    None
}

/// Of log and journal the rights are left out: run by root, SQLite sets their owner whenever it
/// opens one, as it does to read. The `-shm` file is left out whole: it is memory that readers
/// change, too.
fn interests(way: &[PathBuf]) -> Vec<Interest> {
    way.iter().filter_map(|file| with_log_and_journal(file)).flatten().collect()
}

fn with_log_and_journal(file: &Path) -> Option<[Interest; 2]> {
    let folder = file.parent()?;
    let name = file.file_name()?;
    Some([
        Interest::files(folder, vec![name.to_owned()]),
        Interest::files(folder, vec![beside(name, "-wal"), beside(name, "-journal")])
            .without_rights(),
    ])
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{ConnectOptions, Executor};

    use super::*;

    #[tokio::test]
    async fn a_transaction_is_seen_while_it_is_written_and_no_longer() {
        for mode in [SqliteJournalMode::Delete, SqliteJournalMode::Truncate] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("c.db");
            let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
            let mut writer = options.journal_mode(mode).connect().await.unwrap();
            writer.execute("CREATE TABLE nodes (id)").await.unwrap();
            let file = WatchedFile::new(&path).await;
            assert!(!file.is_being_written().await, "{mode:?}, before");
            writer.execute("BEGIN; INSERT INTO nodes VALUES (1)").await.unwrap();
            assert!(file.is_being_written().await, "{mode:?}, within");
            writer.execute("COMMIT").await.unwrap();
            assert!(!file.is_being_written().await, "{mode:?}, after");
        }
    }
}
