//! What the database wants: read, and read again whenever its file changes.
//!
//! Each read stands alone: open, one read transaction, close. No connection is kept, because an
//! open one has a price that the file's owner would pay. In WAL mode it keeps the owner's last
//! connection from folding the log into the file and removing it; the log left behind would
//! then be taken for that of whatever file is put in its place. And `PRAGMA data_version`, which
//! only an open connection can ask, does not notice a file copied over this one whose change
//! counter happens to be the same.

mod file;
mod follow;
mod problem;
mod query;
mod read;
mod rows;
mod schema;

pub use follow::follow;
pub use problem::{Problem, What};
pub use schema::{Field, SchemaError};

use crate::config::{Config, Database, Selection};
use crate::core::event::Candidate;

/// The part of the configuration that says which nodes are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which file and table.
    pub database: Database,
    /// Which rows.
    pub selection: Selection,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Settings { database: config.database.clone(), selection: config.selection.clone() }
    }
}

/// Reads the candidates once, most wanted first.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub async fn read_once(settings: &Settings) -> Result<Vec<Candidate>, Problem> {
    Ok(read::read(settings).await?.judged.candidates)
}

#[cfg(test)]
mod tests;
