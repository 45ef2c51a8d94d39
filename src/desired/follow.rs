//! When the database is read: at first, after its file changed, when the settings were sent, and
//! again while inotify can't be trusted to tell all.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Settings;
use super::file::WatchedFile;
use super::lines::Lines;
use super::problem::Problem;
use super::read::{self, Ask, Found};
use crate::core::event::{Event, Rows};
use crate::node::NodeId;

/// After a read the file is left alone for this many times as long as the read took, at most
/// [`LONGEST_REST`]: a constant writer must get its locks, too.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Between tries to read a database that can't be read; each is twice as long as the last.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// When a database in WAL mode, or one that can't serve, is read again after its last change, from
/// read to read.
///
/// A commit shows to readers through the log's index, which is shared memory and causes no
/// event, and with `PRAGMA synchronous=FULL` it shows a disk flush later than the write to the
/// log that does (sqlite.org/walformat.html). These cover flushes of half a minute.
const SECOND_LOOKS: [Duration; 4] = [
    Duration::from_millis(30),
    Duration::from_millis(300),
    Duration::from_secs(3),
    Duration::from_secs(30),
];

/// Tells what the database wants: [`Event::Desired`] with all rows at first and whenever `settings`
/// were sent, changed or not, and with what differs whenever that changed; [`Event::DesiredUnavailable`]
/// when it can't be read.
/// Returns when nobody receives `events` any more.
pub(crate) async fn follow(settings: watch::Receiver<Settings>, events: mpsc::Sender<Event>) {
    let mut follower = Follower {
        settings,
        events,
        lines: Lines::new(&[]),
        told: None,
        has_told_all: false,
        told_by: None,
        complained_about: Vec::new(),
        without_address: BTreeSet::new(),
    };
    while follower.follow_file().await.is_ok() {}
}

/// Nobody receives events any more.
struct Deaf;

struct Follower {
    settings: watch::Receiver<Settings>,
    events: mpsc::Sender<Event>,
    lines: Lines,
    /// What was told last under these settings; rows, or why there are none.
    told: Option<Result<(), Problem>>,
    /// All rows were told under these settings, and every change of them since.
    has_told_all: bool,
    /// The settings under which rows were told last.
    told_by: Option<Settings>,
    /// Ids of rows that can't be nodes, as warned of last.
    complained_about: Vec<String>,
    /// Nodes without an address, as told of last.
    without_address: BTreeSet<NodeId>,
}

impl Follower {
    /// Follows one file until settings are sent.
    async fn follow_file(&mut self) -> Result<(), Deaf> {
        let settings = self.settings.borrow_and_update().clone();
        self.told = None;
        self.has_told_all = false;
        self.lines = Lines::new(&settings.selection.priority);
        let mut file = WatchedFile::new(&settings.database.path).await;
        let mut pace = Pace::default();
        loop {
            let started = Instant::now();
            let ask = self.ask(&settings);
            let found = read::read(&settings, &mut self.lines, ask).await;
            let took = started.elapsed();
            tracing::debug!("Database read in {took:.1?}");
            let rested = Instant::now() + (took * REST).min(LONGEST_REST);
            let again = pace.again(&found);
            self.tell(found, &settings).await?;
            tokio::select! {
                () = sent(&mut self.settings) => return Ok(()),
                () = file.changed() => {
                    file.settle(rested).await;
                    pace = Pace::default();
                }
                () = sleep_if(again) => {}
            }
            file.find_again().await;
        }
    }

    /// What is left out is to be known once of other settings.
    fn ask(&self, settings: &Settings) -> Ask {
        match &self.told_by {
            Some(told_by) if told_by != settings => Ask::LeftOutToo,
            Some(_) | None => Ask::Candidates,
        }
    }

    async fn tell(
        &mut self,
        found: Result<Found, Problem>,
        settings: &Settings,
    ) -> Result<(), Deaf> {
        let (event, told) = match found {
            Ok(Found { left_out, .. }) => {
                self.complain_about(self.lines.unusable_ids().map(str::to_owned).collect());
                let changes = self.lines.changes();
                self.tell_of_those_without_address();
                if changes.is_empty() && self.told == Some(Ok(())) {
                    return Ok(());
                }
                let rows = if std::mem::replace(&mut self.has_told_all, true) {
                    Rows::Changes { rows: changes.rows, gone: changes.gone }
                } else {
                    self.all_rows(settings, left_out)
                };
                let places = settings.selection.max_tunnels;
                (Event::Desired { rows, places }, Ok(()))
            }
            Err(problem) if matches!(&self.told, Some(Err(told)) if told.is_as(&problem)) => {
                return Ok(());
            }
            Err(problem) => (Event::DesiredUnavailable(problem.to_string()), Err(problem)),
        };
        self.told = Some(told);
        self.events.send(event).await.map_err(|_| Deaf)
    }

    fn all_rows(&mut self, settings: &Settings, left_out: Vec<NodeId>) -> Rows {
        let told_by = self.told_by.replace(settings.clone());
        let rows = self.lines.candidates();
        if told_by.is_none_or(|told_by| told_by == *settings) {
            Rows::All(rows)
        } else {
            Rows::Reselected { rows, left_out }
        }
    }

    fn complain_about(&mut self, ids: Vec<String>) {
        if ids != self.complained_about && !ids.is_empty() {
            let has = if ids.len() == 1 { "row has" } else { "rows have" };
            tracing::warn!(
                "{} {has} an id that is no whole number from 0 to {} ({}); such rows are left out: \
                 correct them, or set database.columns.id",
                ids.len(),
                u32::MAX,
                some_of(ids.iter().map(|id| format!("\"{id}\"")))
            );
        }
        self.complained_about = ids;
    }

    fn tell_of_those_without_address(&mut self) {
        let ids = self.lines.without_address();
        if *ids != self.without_address && !ids.is_empty() {
            let has = if ids.len() == 1 { "selected row has" } else { "selected rows have" };
            tracing::warn!(
                "{} {has} no ip and can't be dialled (node {}): set the ip, or another status",
                ids.len(),
                some_of(ids.iter().map(NodeId::to_string))
            );
        }
        self.without_address.clone_from(ids);
    }
}

/// The first few, for people.
fn some_of(all: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 5;
    let rest = if all.len() > MOST { ", …" } else { "" };
    all.take(MOST).collect::<Vec<_>>().join(", ") + rest
}

/// When to read again though nothing was told of.
struct Pace {
    retry: Duration,
    second_looks: std::slice::Iter<'static, Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { retry: FIRST_RETRY, second_looks: SECOND_LOOKS.iter() }
    }
}

impl Pace {
    /// How long from now, after a read that found this. `None`: never.
    fn again(&mut self, found: &Result<Found, Problem>) -> Option<Duration> {
        match found {
            Ok(found) => {
                self.retry = FIRST_RETRY;
                if found.wal { self.second_looks.next().copied() } else { None }
            }
            Err(problem) if problem.what.may_end_unseen() => {
                let delay = self.retry;
                self.retry = (delay * 2).min(LONGEST_RETRY);
                Some(delay)
            }
            // It may be the last state before a commit that was told of and does not show yet.
            Err(_) => self.second_looks.next().copied(),
        }
    }
}

/// Settings were sent. Once nobody can send any more, the last ones stay in force.
async fn sent(settings: &mut watch::Receiver<Settings>) {
    if settings.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn sleep_if(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::problem::What;
    use super::*;

    fn delays(found: &Result<Found, Problem>, count: usize) -> Vec<Option<u128>> {
        let mut pace = Pace::default();
        (0..count).map(|_| pace.again(found).map(|delay| delay.as_millis())).collect()
    }

    fn found(wal: bool) -> Result<Found, Problem> {
        Ok(Found { wal, left_out: Vec::new() })
    }

    #[test]
    fn a_database_that_was_read_is_not_read_again() {
        assert_eq!(delays(&found(false), 1), [None]);
    }

    #[test]
    fn a_database_in_wal_mode_gets_four_more_looks_and_no_fifth() {
        assert_eq!(delays(&found(true), 5), [Some(30), Some(300), Some(3000), Some(30_000), None]);
    }

    #[test]
    fn a_locked_database_is_tried_less_and_less_often_down_to_twice_a_minute() {
        let locked = Err(What::Locked.at(Path::new("/c.db")));
        let delays = delays(&locked, 10);
        assert_eq!((delays[0], delays[1], delays[9]), (Some(250), Some(500), Some(30_000)));
    }

    #[test]
    fn a_file_that_can_not_serve_gets_four_more_looks_and_no_fifth() {
        let delays = delays(&Err(What::NotSqlite.at(Path::new("/c.db"))), 5);
        assert_eq!((delays[0], delays[3], delays[4]), (Some(30), Some(30_000), None));
    }
}
