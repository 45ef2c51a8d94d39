//! The backend's SQLite file, written as the backend writes it: by another process's connection.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::runtime::{Builder, Runtime};

/// The table of nodes as the backend makes it.
pub(crate) const SCHEMA: &str = "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, \
    password TEXT, port INTEGER DEFAULT 1723, country TEXT, status TEXT DEFAULT 'not_tested');";

/// An open connection.
pub(crate) struct Database {
    runtime: Runtime,
    connection: Option<SqliteConnection>,
}

impl Database {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let connection = runtime.block_on(options.connect()).unwrap();
        Database { runtime, connection: Some(connection) }
    }

    /// Runs statements.
    pub(crate) fn execute(&mut self, sql: &str) {
        let connection = self.connection.as_mut().unwrap();
        let statements = sqlx::raw_sql(AssertSqlSafe(sql));
        self.runtime.block_on(statements.execute(connection)).unwrap();
    }

    /// The one value that a query gives, as text; `None` for NULL.
    pub(crate) fn text(&mut self, sql: &str) -> Option<String> {
        let connection = self.connection.as_mut().unwrap();
        let query = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql));
        self.runtime.block_on(query.fetch_one(connection)).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(connection.close());
        }
    }
}
