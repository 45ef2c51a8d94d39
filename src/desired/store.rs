//! Facts become columns and rows of the backend's own making.
//!
//! `nodes` has had `ppp_interface` since v7.3, `ppp_iface` and `last_ppp_up` since v7.4.3, or all
//! of them after both migrations. `watchdog_events` is (ts, node_id, action, result, details), or
//! (ts, event, details) since v7.4.3. Times are UTC as CURRENT_TIMESTAMP writes them.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::ids;
use super::look::{self, names_of_columns};
use super::problem::What;
use super::query::quoted;
use super::write_back::Fact;
use crate::config::Database;

/// How long a lock of another process is waited for, within one try.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// The newest fact of each node.
    pub(super) rows: Vec<Fact>,
    /// All facts, in order.
    pub(super) events: Vec<Fact>,
}

/// Writes facts of tunnels where there is a place for them; returns whether there is any.
pub(super) async fn write(database: &Database, batch: &Batch) -> Result<bool, What> {
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
) -> Result<bool, What> {
    let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
    let columns = look::columns(connection, database, size).await?;
    let update = update(&names_of_columns(connection, &database.table).await?);
    let insert = insert(&names_of_columns(connection, EVENTS).await?);
    if update.is_none() && insert.is_none() {
        return Ok(false);
    }
    // Before the transaction, which is to be short.
    let ids = ids::read(connection, &database.table, &columns).await?;
    connection.execute("BEGIN IMMEDIATE").await.map_err(sqlite)?;
    if let Some(set) = update {
        let (table, id) = (quoted(&database.table), quoted(&columns.id));
        let sql = format!("UPDATE main.{table} SET {set} WHERE {id} = ?4");
        for fact in &batch.rows {
            for row in ids.get(&fact.node).into_iter().flatten() {
                let query = sqlx::query(AssertSqlSafe(sql.clone()))
                    .bind(&fact.interface)
                    .bind(fact.up)
                    .bind(seconds(fact));
                row.bind(query).execute(&mut *connection).await.map_err(sqlite)?;
            }
        }
    }
    if let Some(sql) = insert {
        for fact in &batch.events {
            let details = format!("node={} {}: {}", fact.node, fact.interface, fact.reason);
            sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(i64::from(fact.node.0))
                .bind(fact.up)
                .bind(seconds(fact))
                .bind(details)
                .execute(&mut *connection)
                .await
                .map_err(sqlite)?;
        }
    }
    connection.execute("COMMIT").await.map_err(sqlite)?;
    Ok(true)
}

/// Seconds since 1970.
fn seconds(fact: &Fact) -> i64 {
    i64::try_from(fact.at.0 / 1000).unwrap_or(i64::MAX)
}

/// What an UPDATE sets, of the columns `found`, by the values link, up, time.
fn update(found: &[String]) -> Option<String> {
    let has = |name: &&str| found.iter().any(|column| column.eq_ignore_ascii_case(name));
    let links = LINK_COLUMNS.iter().filter(|name| has(name));
    let links = links.map(|name| format!("{name} = CASE WHEN ?2 THEN ?1 END"));
    // It tells when the tunnel last came up, so its end changes nothing.
    let time = has(&TIME_COLUMN).then(|| {
        format!(
            "{TIME_COLUMN} = CASE WHEN ?2 THEN datetime(?3, 'unixepoch') ELSE {TIME_COLUMN} END"
        )
    });
    let sets: Vec<String> = links.chain(time).collect();
    (!sets.is_empty()).then(|| sets.join(", "))
}

/// An INSERT of an event into a table with the columns `found`.
fn insert(found: &[String]) -> Option<String> {
    let has = |name: &str| found.iter().any(|column| column.eq_ignore_ascii_case(name));
    if !has("event") && !has("action") {
        return None;
    }
    let (columns, values): (Vec<&str>, Vec<&str>) =
        EVENT_COLUMNS.iter().copied().filter(|(name, _)| has(name)).unzip();
    Some(format!(
        "INSERT INTO main.{EVENTS} ({}) VALUES ({})",
        columns.join(", "),
        values.join(", ")
    ))
}
