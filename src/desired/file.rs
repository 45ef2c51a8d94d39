//! The database's file, found and watched wherever its name leads.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::watch::{Interest, Watch};

/// A burst of changes is over when nothing more came for this long …
const QUIET: Duration = Duration::from_millis(2);
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
        while Instant::now() < latest && timeout(QUIET, self.changed()).await.is_ok() {}
        sleep_until(earliest).await;
    }
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
    let beside = |suffix: &str| {
        let mut name: OsString = name.to_owned();
        name.push(suffix);
        name
    };
    Some([
        Interest::files(folder, vec![name.to_owned()]),
        Interest::files(folder, vec![beside("-wal"), beside("-journal")]).without_rights(),
    ])
}
