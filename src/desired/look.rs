//! A connection for one look at the database.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};

use super::file::beside;
use super::problem::What;
use super::schema::{self, Columns, SchemaError};
use crate::config::Database;

/// How long a lock of another process is waited for, within one look.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rows handed over before SQLite waits for us: while it waits, its read lock is held.
const ROWS_IN_HAND: usize = 1024;

/// SQLite's cache of pages, in KiB as a negative number (`cache_size`, sqlite.org/pragma.html).
const CACHED: &str = "-128";

/// One read transaction: columns and rows of the same instant, and the lock is waited for once.
pub(super) struct Look {
    pub(super) connection: SqliteConnection,
    /// Of the file, in bytes.
    size: u64,
}

impl Look {
    pub(super) async fn begin(database: &Database) -> Result<Self, What> {
        let size = check(&database.path).await?;
        let options = SqliteConnectOptions::new()
            .filename(&database.path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(PATIENCE)
            .row_buffer_size(ROWS_IN_HAND)
            // Rows are read once, in order: pages that are kept would only cost memory.
            .pragma("cache_size", CACHED)
            .thread_name(|_| "database".to_owned())
            .disable_statement_logging();
        let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
        let mut connection = options.connect().await.map_err(sqlite)?;
        connection.execute("BEGIN").await.map_err(sqlite)?;
        Ok(Look { connection, size })
    }

    /// Where in the table everything stands.
    pub(super) async fn columns(&mut self, database: &Database) -> Result<Columns, What> {
        columns(&mut self.connection, database, self.size).await
    }

    /// Lets the file go. A failure to close loses nothing.
    pub(super) async fn end(self) {
        let _ = self.connection.close().await;
    }
}

/// SQLite tells little about a file that it can't open. Returns the file's size in bytes.
///
/// The file is not opened: to close it again would take all locks from this process's other
/// connections to it (sqlite.org/howtocorrupt.html, 2.2).
pub(super) async fn check(path: &Path) -> Result<u64, What> {
    let path = path.to_owned();
    let checked = tokio::task::spawn_blocking(move || check_now(&path)).await;
    checked.map_err(|error| What::Other(error.to_string()))?
}

fn check_now(path: &Path) -> Result<u64, What> {
    let about = std::fs::metadata(path).map_err(|error| What::of_io(&error))?;
    if !about.is_file() {
        return Err(What::NotAFile);
    }
    access(path, Access::READ_OK).map_err(|error| What::of_io(&error.into()))?;
    match stranger_beside(path).map_err(|error| What::of_io(&error))? {
        Some(stranger) => Err(What::SideFile(stranger)),
        None => Ok(about.len()),
    }
}

/// What stands where SQLite keeps a file of its own beside this one, and is no plain file: SQLite would
/// wait for a pipe for ever, and write into what a link leads to.
fn stranger_beside(path: &Path) -> io::Result<Option<PathBuf>> {
    let real = std::fs::canonicalize(path)?;
    let files =
        ["-journal", "-wal", "-shm"].map(|end| PathBuf::from(beside(real.as_os_str(), end)));
    let is_stranger =
        |file: &PathBuf| std::fs::symlink_metadata(file).is_ok_and(|metadata| !metadata.is_file());
    Ok(files.into_iter().find(is_stranger))
}

/// Where in the table everything stands, in a file of `size` bytes.
pub(super) async fn columns(
    connection: &mut SqliteConnection,
    database: &Database,
    size: u64,
) -> Result<Columns, What> {
    let table = &database.table;
    let columns = names_of_columns(connection, table).await?;
    if !columns.is_empty() {
        return schema::detect(table, &columns, &database.columns).map_err(What::Schema);
    }
    if size == 0 {
        return Err(What::Empty { table: table.clone() });
    }
    let all = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name";
    let found = names(connection, all, None).await?;
    Err(What::Schema(SchemaError::NoTable { table: table.clone(), found }))
}

/// The columns of a table or view; none where there is no such table.
pub(super) async fn names_of_columns(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<Vec<String>, What> {
    // Hidden: 1 is a virtual table's hidden column, 2 and 3 are generated columns.
    let sql = "SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden != 1 ORDER BY cid";
    names(connection, sql, Some(table)).await
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
