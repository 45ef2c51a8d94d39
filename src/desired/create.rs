//! A fresh database, for who has no backend that makes one.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::columns::{COLUMNS, Column};
use super::problem::What;
use super::query::quoted;
use crate::config::Database;

/// Why no database was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Something stands there already, and stays as it is.
    #[error("{}: is there already and stays as it is; name another file by database.path", .0.display())]
    Exists(PathBuf),
    /// Its folder is no folder.
    #[error("{}: a part of its path is no folder; move that away, or set database.path", .0.display())]
    NoFolder(PathBuf),
    /// No right to write there.
    #[error("{}: no right to make it; run as root, or set database.path", .0.display())]
    Rights(PathBuf),
    /// Anything else.
    #[error("{}: can't be made: {why}; see the disk, or set database.path", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Makes the file, for its owner only, with an empty table, and the folders that it lacks. The
/// names of table and columns are the configured ones, where there are any. A file of 0 bytes, which
/// is a database without tables (sqlite.org/fileformat.html), is filled and keeps its rights.
///
/// # Errors
/// When a file with content is there already, or it can't be made.
pub(crate) async fn create(database: &Database) -> Result<(), CreateError> {
    let path = &database.path;
    let there = std::fs::symlink_metadata(path);
    let is_empty = there.is_ok_and(|there| there.is_file() && there.len() == 0);
    if !is_empty {
        make(path).map_err(|error| of_io(&error, path))?;
    }
    let filled = fill(database).await;
    if filled.is_err() && !is_empty {
        // It is ours and of no use.
        let _ = std::fs::remove_file(path);
    }
    filled.map_err(|error| CreateError::Failed {
        path: path.clone(),
        why: What::of_sqlite(&error).to_string(),
    })
}

/// Made before SQLite opens it: so it has its rights from the first byte, and is nobody else's.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

async fn fill(database: &Database) -> Result<(), sqlx::Error> {
    let mut connection = SqliteConnectOptions::new()
        .filename(&database.path)
        .disable_statement_logging()
        .connect()
        .await?;
    connection.execute(AssertSqlSafe(schema(database))).await?;
    connection.close().await
}

fn of_io(error: &io::Error, path: &Path) -> CreateError {
    let kind = error.kind();
    let path = path.to_owned();
    if kind == io::ErrorKind::AlreadyExists {
        CreateError::Exists(path)
    } else if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        CreateError::NoFolder(path)
    } else if kind == io::ErrorKind::PermissionDenied {
        CreateError::Rights(path)
    } else {
        CreateError::Failed { path, why: error.to_string() }
    }
}

/// Columns that no node is made of, which the daemon writes.
const WRITTEN: &str = "  -- written by the daemon if database.write_back is on: the link that is up, NULL while none is,
  -- and when it came up last, in UTC
  ppp_iface TEXT,
  last_ppp_up TEXT";

/// The table, with comments that SQLite keeps and `.schema` shows.
fn schema(database: &Database) -> String {
    let declaration = |column: &Column| {
        let name = column.configured(&database.columns).unwrap_or(column.name);
        column.declaration(&quoted(name))
    };
    let columns: String = COLUMNS.into_iter().map(declaration).collect();
    format!("CREATE TABLE {} (\n{columns}{WRITTEN}\n)", quoted(&database.table))
}
