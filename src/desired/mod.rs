//! What the database wants: read, and read again whenever its file changes. And what is written
//! into it, where the operator wants that: rows by `connexactl node`, links that are up by the
//! daemon.
//!
//! Each read stands alone: open, one read transaction, close. No connection is kept, because an
//! open one has a price that the file's owner would pay. In WAL mode it keeps the owner's last
//! connection from folding the log into the file and removing it; the log left behind would
//! then be taken for that of whatever file is put in its place. And `PRAGMA data_version`, which
//! only an open connection can ask, does not notice a file copied over this one whose change
//! counter happens to be the same.

mod columns;
mod create;
mod edit;
mod file;
mod follow;
mod ids;
mod lines;
mod list;
mod look;
mod problem;
mod query;
mod read;
mod rows;
mod schema;
mod store;
mod tunnels;
mod unselected;
mod write_back;

#[cfg(test)]
pub(crate) use columns::Value;
pub(crate) use columns::{COLUMNS, Choice, Column, Edited, LOGIN, OfNew, PASSWORD, STATUS};
pub(crate) use create::{CreateError, create};
pub(crate) use edit::{EditError, Editor, Fields};
pub(crate) use file::beside;
pub(crate) use follow::follow;
pub(crate) use list::{Listed, ListedId};
pub(crate) use problem::{Problem, What};
pub(crate) use tunnels::TunnelWriter;
pub(crate) use unselected::{Unselected, unselected};
pub(crate) use write_back::write_back;
#[cfg(test)]
use write_back::{Fact, Reporter};

use crate::config::{Config, Database, Selection};
use crate::core::event::{Ranked, Rows};
use crate::node::NodeId;

/// The part of the configuration that says which nodes are wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
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
pub(crate) async fn read_once(settings: &Settings) -> Result<Vec<Ranked>, Problem> {
    let mut lines = lines::Lines::new(&settings.selection.priority);
    read::read(settings, &mut lines, read::Ask::Candidates).await?;
    Ok(lines.changes().rows)
}

/// Reads all candidates once, as [`follow`] tells them where the settings were `before`.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(crate) async fn read_after(settings: &Settings, before: &Settings) -> Result<Rows, Problem> {
    let mut lines = lines::Lines::new(&settings.selection.priority);
    let is_as_before = settings == before;
    let ask = if is_as_before { read::Ask::Candidates } else { read::Ask::LeftOutToo };
    let read::Found { left_out, .. } = read::read(settings, &mut lines, ask).await?;
    let rows = lines.changes().rows;
    Ok(if is_as_before { Rows::All(rows) } else { Rows::Reselected { rows, left_out } })
}

/// The passwords of every row, selected or not, whatever bytes they are: what must not be shown.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(crate) async fn passwords(settings: &Settings) -> Result<Vec<Vec<u8>>, Problem> {
    read::passwords(settings).await
}

/// The id that a text means, if a node can have it: digits, and blanks around them; `7.0` is 7.
pub(crate) fn node_id(text: &str) -> Option<NodeId> {
    rows::node_id(Some(text.as_bytes()))
}

/// What is looked for in the table, and the column that holds it, as the table spells it; `None` where
/// it has none and needs none.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(crate) async fn columns(
    settings: &Settings,
) -> Result<Vec<(&'static str, Option<String>)>, Problem> {
    read::columns(settings).await
}

/// Reads every row of the table, candidate or not, in the order of ids.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(crate) async fn list(settings: &Settings) -> Result<Vec<Listed>, Problem> {
    read::list(settings).await
}

#[cfg(test)]
mod tests;
