//! Facts become columns and rows of the backend's own making.
//!
//! `nodes` has had `ppp_interface` since v7.3, `ppp_iface` and `last_ppp_up` since v7.4.3, or all
//! of them after both migrations. `watchdog_events` is (ts, node_id, action, result, details), or
//! (ts, event, details) since v7.4.3. Times are UTC as CURRENT_TIMESTAMP writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::columns::ID;
use super::ids::{self, RowId};
use super::look::{self, names_of_columns};
use super::problem::What;
use super::query::quoted;
use super::write_back::Fact;
use crate::config::Database;
use crate::node::NodeId;

/// How long a lock of another process is waited for, within one try.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rows, or events, in one transaction at most: others want their turn to write.
pub(super) const MOST_AT_ONCE: usize = 500;

/// Columns of a node's row that name its link.
const LINK_COLUMNS: [&str; 2] = ["ppp_iface", "ppp_interface"];
const TIME_COLUMN: &str = "last_ppp_up";

const EVENTS: &str = "watchdog_events";
/// Columns of both shapes of events, with what is written into them: node, whether it is up, when
/// in seconds since 1970, and details.
const EVENT_COLUMNS: [(&str, &str); 6] = [
    ("ts", "datetime(?3, 'unixepoch')"),
    ("node_id", "?1"),
    ("action", "CASE WHEN ?2 THEN 'tunnel_up' ELSE 'tunnel_down' END"),
    ("event", "CASE WHEN ?2 THEN 'tunnel_up' ELSE 'tunnel_down' END"),
    ("result", "CASE WHEN ?2 THEN 'up' ELSE 'down' END"),
    ("details", "?4"),
];

/// What goes into one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    /// All nodes that are up: the rows of all others are to name no link, before anything else.
    pub(super) only_up: Option<BTreeSet<NodeId>>,
    /// The newest fact of each node.
    pub(super) rows: Vec<Fact>,
    /// All facts, in order.
    pub(super) events: Vec<Fact>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// There is a column or a table for it.
    pub(super) has_place: bool,
    /// What SQLite refuses, and will refuse whenever it is asked, with its reason: one of each
    /// table.
    pub(super) refused: BTreeMap<String, String>,
}

/// Writes facts of tunnels where there is a place for them. A fact that is refused for good is
/// left out: others have nothing to do with it.
///
/// # Errors
/// When not all was written, and may be later. What was, is harmless to write again, but for events
/// where a trigger ends transactions: then there may be two of one.
pub(super) async fn write(database: &Database, batch: &Batch) -> Result<Written, What> {
    let size = look::check(&database.path).await?;
    let options = SqliteConnectOptions::new()
        .filename(&database.path)
        .create_if_missing(false)
        .busy_timeout(PATIENCE)
        // As SQLite's default has it and with it the backend.
        .foreign_keys(false)
        .thread_name(|_| "write-back".to_owned())
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(|error| What::of_sqlite(&error))?;
    let wrote = write_open(&mut connection, database, size, batch).await;
    // What was not committed is undone; a failure to close loses nothing.
    let _ = connection.close().await;
    wrote
}

async fn write_open(
    connection: &mut SqliteConnection,
    database: &Database,
    size: u64,
    batch: &Batch,
) -> Result<Written, What> {
    let columns = look::columns(connection, database, size).await?;
    let found = names_of_columns(connection, &database.table).await?;
    let update = update(&found);
    let insert = insert(&names_of_columns(connection, EVENTS).await?);
    let mut written = Written::default();
    if update.is_none() && insert.is_none() {
        return Ok(written);
    }
    written.has_place = true;
    // Before the transactions, which are to be short.
    let ids = ids::read(connection, &database.table, &columns).await?;
    let stale = match (&batch.only_up, has_link(&found)) {
        (Some(up), Some(has_link)) => {
            let linked = ids::read_where(connection, &database.table, &columns, &has_link).await?;
            linked.into_iter().filter(|(node, _)| !up.contains(node)).collect()
        }
        (None, _) | (_, None) => BTreeMap::new(),
    };
    let (table, id) = (&database.table, columns.sql(&ID));
    let update =
        update.map(|set| format!("UPDATE main.{} SET {set} WHERE {id} = ?4", quoted(table)));
    let (mut gone, mut changes) = (Vec::new(), Vec::new());
    if let Some(sql) = &update {
        let change = |row, fact| Change::Row { table, sql, row, fact };
        gone.extend(stale.values().flatten().map(|row| change(row, None)));
        for fact in &batch.rows {
            let rows = ids.get(&fact.node).into_iter().flatten();
            changes.extend(rows.map(|row| change(row, Some(fact))));
        }
    }
    if let Some(sql) = &insert {
        changes.extend(batch.events.iter().map(|fact| Change::Event { sql, fact }));
    }
    for some in gone.chunks(MOST_AT_ONCE) {
        make(connection, some, &mut written).await?;
    }
    make(connection, &changes, &mut written).await?;
    Ok(written)
}

/// One statement's worth.
enum Change<'a> {
    /// A row takes in a fact; without one its tunnel is not up.
    Row { table: &'a str, sql: &'a str, row: &'a RowId, fact: Option<&'a Fact> },
    /// A fact becomes an event.
    Event { sql: &'a str, fact: &'a Fact },
}

/// Makes changes in one transaction, but for those that are refused. What refuses one may undo
/// those before it and end the transaction, as a trigger's RAISE(ROLLBACK) does: then each is made
/// by itself.
async fn make(
    connection: &mut SqliteConnection,
    changes: &[Change<'_>],
    written: &mut Written,
) -> Result<(), What> {
    if changes.is_empty() {
        return Ok(());
    }
    let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
    connection.execute("BEGIN IMMEDIATE").await.map_err(sqlite)?;
    for change in changes {
        let is_refused = change.make(connection, written).await?;
        if is_refused && has_ended(connection).await {
            for change in changes {
                change.make(connection, written).await?;
            }
            return Ok(());
        }
    }
    connection.execute("COMMIT").await.map(drop).map_err(sqlite)
}

/// Whether there is no transaction any more: this BEGIN takes no lock, and fails within one only.
async fn has_ended(connection: &mut SqliteConnection) -> bool {
    connection.execute("BEGIN").await.is_ok() && connection.execute("ROLLBACK").await.is_ok()
}

impl Change<'_> {
    /// Whether it was refused, which is noted. Fails by what may be over later.
    async fn make(
        &self,
        connection: &mut SqliteConnection,
        written: &mut Written,
    ) -> Result<bool, What> {
        let (table, done) = match self {
            Change::Row { table, sql, row, fact } => {
                (*table, update_row(connection, sql, *fact, row).await)
            }
            Change::Event { sql, fact } => (EVENTS, insert_event(connection, sql, fact).await),
        };
        let Err(error) = done else { return Ok(false) };
        let why = What::refusal(&error).ok_or_else(|| What::of_sqlite(&error))?;
        written.refused.entry(table.to_owned()).or_insert(why);
        Ok(true)
    }
}

async fn update_row(
    connection: &mut SqliteConnection,
    sql: &str,
    fact: Option<&Fact>,
    row: &RowId,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(fact.map(|fact| fact.interface.clone()))
        .bind(fact.is_some_and(|fact| fact.up))
        .bind(fact.and_then(seconds));
    row.bind(query).execute(connection).await.map(drop)
}

async fn insert_event(
    connection: &mut SqliteConnection,
    sql: &str,
    fact: &Fact,
) -> Result<(), sqlx::Error> {
    let details = format!("node={} {}: {}", fact.node, fact.interface, fact.reason);
    sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(i64::from(fact.node.0))
        .bind(fact.up)
        .bind(seconds(fact))
        .bind(details)
        .execute(connection)
        .await
        .map(drop)
}

/// Seconds since 1970.
fn seconds(fact: &Fact) -> Option<i64> {
    fact.at.map(|at| i64::try_from(at.0 / 1000).unwrap_or(i64::MAX))
}

fn has(found: &[String], name: &str) -> bool {
    found.iter().any(|column| column.eq_ignore_ascii_case(name))
}

/// Those of the columns `found` that name a link.
fn link_columns(found: &[String]) -> impl Iterator<Item = &'static str> {
    LINK_COLUMNS.into_iter().filter(|name| has(found, name))
}

/// Whether a row names a link, which neither NULL nor an empty text does, as a condition on the columns `found`.
fn has_link(found: &[String]) -> Option<String> {
    let links: Vec<String> = link_columns(found).map(|name| format!("{name} <> ''")).collect();
    (!links.is_empty()).then(|| links.join(" OR "))
}

/// What an UPDATE sets, of the columns `found`, by the values link, up, time.
fn update(found: &[String]) -> Option<String> {
    let links = link_columns(found).map(|name| format!("{name} = CASE WHEN ?2 THEN ?1 END"));
    // It tells when the tunnel last came up, so its end changes nothing, nor that it is found up.
    let time = has(found, TIME_COLUMN).then(|| {
        format!(
            "{TIME_COLUMN} = CASE WHEN ?2 AND ?3 IS NOT NULL THEN datetime(?3, 'unixepoch') \
             ELSE {TIME_COLUMN} END"
        )
    });
    let sets: Vec<String> = links.chain(time).collect();
    (!sets.is_empty()).then(|| sets.join(", "))
}

/// An INSERT of an event into a table with the columns `found`.
fn insert(found: &[String]) -> Option<String> {
    if !has(found, "event") && !has(found, "action") {
        return None;
    }
    let (columns, values): (Vec<&str>, Vec<&str>) =
        EVENT_COLUMNS.iter().copied().filter(|(name, _)| has(found, name)).unzip();
    Some(format!(
        "INSERT INTO main.{EVENTS} ({}) VALUES ({})",
        columns.join(", "),
        values.join(", ")
    ))
}
