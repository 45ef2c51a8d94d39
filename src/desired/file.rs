//! The database's file, found and watched wherever its name leads.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::watch::{Interest, Watch};

/// A burst of changes is over when nothing more came for this long …
const QUIET: Duration = Duration::from_millis(5);
/// … or when it has lasted this long.
const LONGEST_BURST: Duration = Duration::from_millis(50);

/// A database file under watch, with its log and its journal.
pub(super) struct WatchedFile {
    path: PathBuf,
    /// The file that `path` means, past symbolic links: its log and journal lie beside it.
    real: PathBuf,
    watch: Watch,
}

impl WatchedFile {
    pub(super) async fn new(path: &Path) -> Self {
        let real = resolve(path).await;
        let watch = Watch::new(interests(path, &real));
        let mut file = WatchedFile { path: path.to_owned(), real, watch };
        file.find_again().await;
        file
    }

    /// Watches another file if the links now lead there.
    pub(super) async fn find_again(&mut self) {
        loop {
            let real = resolve(&self.path).await;
            if real == self.real {
                return;
            }
            self.watch = Watch::new(interests(&self.path, &real));
            // Once more: the links may have changed before the watch was set.
            self.real = real;
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

async fn resolve(path: &Path) -> PathBuf {
    tokio::fs::canonicalize(path).await.unwrap_or_else(|_| path.to_owned())
}

/// Of log and journal the rights are left out: run by root, SQLite sets their owner whenever it
/// opens one, as it does to read. The `-shm` file is left out whole: it is memory that readers
/// change, too.
fn interests(path: &Path, real: &Path) -> Vec<Interest> {
    let mut files = vec![path];
    if real != path {
        files.push(real);
    }
    files.into_iter().filter_map(with_log_and_journal).flatten().collect()
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
