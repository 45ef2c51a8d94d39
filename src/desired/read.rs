//! One read of the database.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _};

use super::problem::{Problem, What};
use super::rows::{self, Judged, Row};
use super::schema::{self, SchemaError};
use super::{Settings, query};

/// How long a lock of another process is waited for, within one read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rows handed over before SQLite waits for us: while it waits, its read lock is held.
const ROWS_IN_HAND: usize = 1024;

/// What a read found.
pub(super) struct Found {
    pub(super) judged: Judged,
    /// The database is in WAL mode.
    pub(super) wal: bool,
}

/// Reads the candidates, as of one instant.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(super) async fn read(settings: &Settings) -> Result<Found, Problem> {
    #[cfg(test)]
    super::tests::READS.with(|reads| reads.set(reads.get() + 1));
    read_file(settings).await.map_err(|what| what.at(&settings.database.path))
}

async fn read_file(settings: &Settings) -> Result<Found, What> {
    let path = &settings.database.path;
    let size = check(path).await?;
    let mut connection = open(path).await.map_err(|error| What::of_sqlite(&error))?;
    let result = read_open(&mut connection, settings, size).await;
    // The file is to be let go before anything else happens; a failure to close loses nothing.
    let _ = connection.close().await;
    result
}

/// SQLite tells little about a file that it can't open. Returns the file's size in bytes.
async fn check(path: &Path) -> Result<u64, What> {
    let about = tokio::fs::metadata(path).await.map_err(|error| What::of_io(&error))?;
    if !about.is_file() {
        return Err(What::NotAFile);
    }
    Ok(about.len())
}

async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(PATIENCE)
        .row_buffer_size(ROWS_IN_HAND)
        .thread_name(|_| "database".to_owned())
        .disable_statement_logging()
        .connect()
        .await
}

async fn read_open(
    connection: &mut SqliteConnection,
    settings: &Settings,
    size: u64,
) -> Result<Found, What> {
    let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
    let table = &settings.database.table;
    // One transaction: columns and rows of the same instant, and the lock is waited for once.
    let mut transaction = connection.begin().await.map_err(sqlite)?;
    let columns = names(
        &mut transaction,
        // Hidden: 1 is a virtual table's hidden column, 2 and 3 are generated columns.
        "SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden != 1 ORDER BY cid",
        Some(table),
    )
    .await?;
    if columns.is_empty() {
        let all = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name";
        let found = names(&mut transaction, all, None).await?;
        return Err(if size == 0 {
            What::Empty { table: table.clone() }
        } else {
            What::Schema(SchemaError::NoTable { table: table.clone(), found })
        });
    }
    let columns =
        schema::detect(table, &columns, &settings.database.columns).map_err(What::Schema)?;
    let query = query::candidates(table, &columns, &settings.selection);
    let rows = query
        .values
        .iter()
        .fold(sqlx::query(AssertSqlSafe(query.sql)), |query, value| query.bind(value))
        .fetch_all(&mut *transaction)
        .await
        .map_err(sqlite)?;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *transaction)
        .await
        .map_err(sqlite)?;
    transaction.rollback().await.map_err(sqlite)?;
    let rows = rows.iter().map(row).collect::<Result<_, _>>().map_err(sqlite)?;
    Ok(Found { judged: rows::judge(rows), wal: mode.eq_ignore_ascii_case("wal") })
}

async fn names(
    connection: &mut SqliteConnection,
    sql: &'static str,
    value: Option<&str>,
) -> Result<Vec<String>, What> {
    let query = sqlx::query_scalar(sql);
    let query = if let Some(value) = value { query.bind(value) } else { query };
    query.fetch_all(connection).await.map_err(|error| What::of_sqlite(&error))
}

fn row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    // Unchecked: text that is no UTF-8 must fail its row alone.
    Ok(Row {
        id: row.try_get_unchecked(0)?,
        ip: row.try_get_unchecked(1)?,
        login: row.try_get_unchecked(2)?,
        password: row.try_get_unchecked(3)?,
        status: row.try_get_unchecked(4)?,
        mppe: row.try_get_unchecked(5)?,
    })
}
