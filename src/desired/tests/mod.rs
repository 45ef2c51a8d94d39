//! The follower on real SQLite files, written to by other connections.

mod appearing;
mod broken;
mod contents;
mod quiet;
mod write_back;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use super::{Settings, follow};
use crate::config::Config;
use crate::core::event::{Candidate, Event, Ranked, Rows};
use crate::node::NodeId;

thread_local! {
    /// Reads begun in this test: each test has its own thread.
    pub(super) static READS: Cell<u32> = const { Cell::new(0) };
}

const TABLE: &str =
    "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, status TEXT)";

/// A database file and what the follower tells of it.
struct Bench {
    dir: TempDir,
    settings: watch::Sender<Settings>,
    events: mpsc::Receiver<Event>,
    start: Option<(watch::Receiver<Settings>, mpsc::Sender<Event>)>,
    /// What was told, in sum.
    wanted: BTreeMap<NodeId, Ranked>,
}

impl Bench {
    /// A follower that has not started, of `c.db` in an empty folder.
    fn new() -> Self {
        Self::at("c.db")
    }

    fn at(file: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let mut config = Config::default();
        config.database.path = dir.path().join(file);
        let (settings, settings_rx) = watch::channel(Settings::from(&config));
        let (events_tx, events) = mpsc::channel(16);
        let start = Some((settings_rx, events_tx));
        Bench { dir, settings, events, start, wanted: BTreeMap::new() }
    }

    fn path(&self) -> PathBuf {
        self.settings.borrow().database.path.clone()
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&mut self) {
        let (settings, events) = self.start.take().unwrap();
        tokio::spawn(follow(settings, events));
    }

    async fn next(&mut self) -> Event {
        within(self.events.recv()).await.unwrap()
    }

    /// The ids of the next set that is told.
    async fn ids(&mut self) -> Vec<u32> {
        self.candidates().await.iter().map(|candidate| candidate.id().0).collect()
    }

    /// The places that are told next.
    async fn places(&mut self) -> u32 {
        let event = self.next().await;
        let Event::Desired { places, .. } = event else { panic!("{event:?}") };
        places
    }

    async fn candidates(&mut self) -> Vec<Candidate> {
        let rows = self.rows().await;
        self.take(rows)
    }

    /// What is told next, as it is told.
    async fn rows(&mut self) -> Rows {
        let event = self.next().await;
        let Event::Desired { rows, .. } = event else { panic!("{event:?}") };
        rows
    }

    /// What is wanted after this was told, most wanted first.
    fn take(&mut self, rows: Rows) -> Vec<Candidate> {
        let rows = match rows {
            Rows::All(rows) | Rows::Reselected { rows, .. } => {
                self.wanted.clear();
                rows
            }
            Rows::Changes { rows, gone } => {
                gone.iter().for_each(|id| assert!(self.wanted.remove(id).is_some(), "{id}"));
                rows
            }
        };
        self.wanted.extend(rows.into_iter().map(|row| (row.candidate.id(), row)));
        let mut wanted: Vec<_> = self.wanted.values().cloned().collect();
        wanted.sort_by_key(|row| row.rank);
        wanted.into_iter().map(|row| row.candidate).collect()
    }

    /// The problem that is told next, without the file's path.
    async fn problem(&mut self) -> String {
        let event = self.next().await;
        let Event::DesiredUnavailable(problem) = event else { panic!("{event:?}") };
        problem.strip_prefix(&format!("{}: ", self.path().display())).unwrap().to_owned()
    }

    /// Skips what is told until these ids are wanted: a file copied piece by piece may be seen
    /// in between as unreadable.
    async fn until_ids(&mut self, wanted: &[u32]) {
        loop {
            if let Event::Desired { rows, .. } = self.next().await {
                let ids: Vec<u32> = self.take(rows).iter().map(|row| row.id().0).collect();
                if ids == wanted {
                    return;
                }
            }
        }
    }

    /// Takes in what was told by now.
    fn take_what_waits(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            if let Event::Desired { rows, .. } = event {
                self.take(rows);
            }
        }
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("not in time")
}

/// Another process's connection, made with the file if need be.
async fn writer(path: &Path, mode: SqliteJournalMode) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(mode)
        .connect()
        .await
        .unwrap()
}

async fn run(writer: &mut SqliteConnection, sql: &str) {
    writer.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

/// Adds a row that can be dialled.
async fn add(writer: &mut SqliteConnection, id: u32, status: &str) {
    let sql = format!(
        "INSERT INTO nodes (id, ip, login, password, status)
         VALUES ({id}, '10.9.0.{}', 'admin', 'secret', '{status}')",
        id % 250 + 1
    );
    run(writer, &sql).await;
}

/// A database with these nodes, and no connection to it.
async fn make(path: &Path, mode: SqliteJournalMode, ids: &[u32]) {
    let mut writer = writer(path, mode).await;
    run(&mut writer, TABLE).await;
    for id in ids {
        add(&mut writer, *id, "online").await;
    }
    writer.close().await.unwrap();
}
