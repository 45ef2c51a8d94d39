//! Why a row of the table is no candidate.

use sqlx::Row as _;

use super::Settings;
use super::columns::{ID, IP, LOGIN, STATUS};
use super::look::Look;
use super::problem::{Problem, What};
use super::query::{Query, quoted};
use super::read::{fetch, fetch_one, row};
use super::rows::{Row, node_id};
use crate::node::NodeId;

/// A row that the selection does not take, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unselected {
    /// Its address column.
    pub ip: String,
    /// Its login column.
    pub login: String,
    /// Its status column.
    pub status: String,
    /// What decides.
    pub why: Why,
}

/// What decides about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// This pattern of `selection.exclude`.
    Excluded(String),
    /// None of `selection.statuses` is like its status.
    NotListed,
    /// It has no address.
    NoAddress,
    /// It is a candidate, and was none when the table was read last.
    Selected,
}

impl Unselected {
    /// What decides, for people.
    pub(crate) fn message(&self) -> String {
        let status = &self.status;
        match &self.why {
            Why::Excluded(pattern) => {
                format!("its status {status:?} matches {pattern:?} of selection.exclude")
            }
            Why::NotListed => format!("its status {status:?} matches none of selection.statuses"),
            Why::NoAddress => "it has no address".to_owned(),
            Why::Selected => "it was not selected at the last read".to_owned(),
        }
    }

    /// What changes that.
    pub(crate) fn remedy(&self) -> &'static str {
        match self.why {
            Why::Excluded(_) => "set another status in its row, or change selection.exclude",
            Why::NotListed => "set another status in its row, or change selection.statuses",
            Why::NoAddress => "set one in its row",
            Why::Selected => "ask again in a few seconds",
        }
    }
}

/// Looks up one row; `None` where there is none with this id.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(crate) async fn unselected(
    settings: &Settings,
    id: NodeId,
) -> Result<Option<Unselected>, Problem> {
    let of_path = |what: What| what.at(&settings.database.path);
    let mut look = Look::begin(&settings.database).await.map_err(of_path)?;
    let result = look_up(&mut look, settings, id).await.map_err(of_path);
    look.end().await;
    result
}

async fn look_up(
    look: &mut Look,
    settings: &Settings,
    id: NodeId,
) -> Result<Option<Unselected>, What> {
    let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
    let columns = look.columns(&settings.database).await?;
    let sql = format!(
        "SELECT {texts} FROM main.{table} WHERE CAST(CAST({id} AS TEXT) AS INTEGER) = ?",
        texts = columns.texts().join(", "),
        table = quoted(&settings.database.table),
        id = columns.sql(&ID),
    );
    let query = Query { sql, values: vec![id.to_string()] };
    let found = fetch(&mut look.connection, query).await?;
    let rows = found.iter().map(row).collect::<Result<Vec<Row>, _>>().map_err(sqlite)?;
    let Some(row) = rows.into_iter().find(|row| node_id(row.get(&ID)) == Some(id)) else {
        return Ok(None);
    };
    let [ip, login, status] = [&IP, &LOGIN, &STATUS].map(|column| row.shown(column));
    let selection = &settings.selection;
    let excluded = first_like(look, &status, &selection.exclude).await?;
    let listed = first_like(look, &status, &selection.statuses).await?;
    let why = match (excluded, listed) {
        (Some(pattern), _) => Why::Excluded(pattern),
        (None, None) => Why::NotListed,
        (None, Some(_)) if ip.is_empty() => Why::NoAddress,
        (None, Some(_)) => Why::Selected,
    };
    Ok(Some(Unselected { ip, login, status, why }))
}

/// The first of these patterns that a status is like, as SQLite compares.
async fn first_like(
    look: &mut Look,
    status: &str,
    patterns: &[String],
) -> Result<Option<String>, What> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let sql = format!("SELECT {}", vec!["? LIKE ?"; patterns.len()].join(", "));
    let values = patterns.iter().flat_map(|pattern| [status.to_owned(), pattern.clone()]);
    let query = Query { sql, values: values.collect() };
    let found = fetch_one(&mut look.connection, query).await?;
    for (place, pattern) in patterns.iter().enumerate() {
        let is_like: bool =
            found.try_get_unchecked(place).map_err(|error| What::of_sqlite(&error))?;
        if is_like {
            return Ok(Some(pattern.clone()));
        }
    }
    Ok(None)
}
