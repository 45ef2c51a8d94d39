//! One read of the database.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::Settings;
use super::columns::{COLUMNS, COUNT, Column, ID, PASSWORD};
use super::lines::Lines;
use super::list::{self, Listed};
use super::look::Look;
use super::problem::{Problem, What};
use super::query::{self, Query};
use super::rows::{Row, node_id};
use super::schema::Columns;
use crate::node::NodeId;

/// Between the two looks that must agree on a transaction left unfinished.
const SECOND_LOOK: Duration = Duration::from_millis(20);

/// What a read found, beside its rows.
pub(super) struct Found {
    /// The database is in WAL mode.
    pub(super) wal: bool,
    /// Rows that are there and no candidates, where they were asked for.
    pub(super) left_out: Vec<NodeId>,
}

/// What a read looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The candidates.
    Candidates,
    /// Those, and which rows are there and none.
    LeftOutToo,
}

/// Reads the candidates, as of one instant, into `known`, which is what was read last.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(super) async fn read(
    settings: &Settings,
    known: &mut Lines,
    ask: Ask,
) -> Result<Found, Problem> {
    #[cfg(test)]
    super::tests::READS.with(|reads| reads.set(reads.get() + 1));
    let mut found = read_file(settings, known, ask).await;
    if matches!(found, Err(What::Unfinished)) {
        // A commit that ends between SQLite's looks at journal and lock is taken for one by
        // readers that may not write (hasHotJournal in pager.c); it is not there a moment later.
        tokio::time::sleep(SECOND_LOOK).await;
        found = read_file(settings, known, ask).await;
    }
    found.map_err(|what| what.at(&settings.database.path))
}

async fn read_file(settings: &Settings, known: &mut Lines, ask: Ask) -> Result<Found, What> {
    let mut look = Look::begin(&settings.database).await?;
    let result = candidates(&mut look, settings, known, ask).await;
    look.end().await;
    result
}

async fn candidates(
    look: &mut Look,
    settings: &Settings,
    known: &mut Lines,
    ask: Ask,
) -> Result<Found, What> {
    let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
    let (table, selection) = (&settings.database.table, &settings.selection);
    let columns = look.columns(&settings.database).await?;
    refuse_too_many(look, settings, &columns).await?;
    let query = query::candidates(table, &columns, selection);
    let found = fetch_one(&mut look.connection, query).await?;
    let text: Option<Vec<u8>> = found.try_get_unchecked(0).map_err(sqlite)?;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut look.connection)
        .await
        .map_err(sqlite)?;
    known.take_in(text.unwrap_or_default()).map_err(|e| What::Other(e.to_string()))?;
    if known.are_all_unusable() {
        // Not one node can be told apart: that is no empty table.
        return Err(What::NoIds {
            table: table.clone(),
            column: columns.name(&ID).unwrap_or_default().to_owned(),
            shown: known.unusable_ids().next().unwrap_or_default().to_owned(),
        });
    }
    let left_out = match ask {
        Ask::Candidates => Vec::new(),
        Ask::LeftOutToo => left_out(look, settings, &columns).await?,
    };
    Ok(Found { wal: mode.eq_ignore_ascii_case("wal"), left_out })
}

async fn left_out(
    look: &mut Look,
    settings: &Settings,
    columns: &Columns,
) -> Result<Vec<NodeId>, What> {
    let (table, selection) = (&settings.database.table, &settings.selection);
    let found = fetch_one(&mut look.connection, query::left_out(table, columns, selection)).await?;
    let ids: Option<Vec<u8>> =
        found.try_get_unchecked(0).map_err(|error| What::of_sqlite(&error))?;
    let ids = ids.unwrap_or_default();
    Ok(ids.split(|&byte| byte == b'\n').filter_map(|id| node_id(Some(id))).collect())
}

/// Before they are read: their text may be larger than memory.
async fn refuse_too_many(
    look: &mut Look,
    settings: &Settings,
    columns: &Columns,
) -> Result<(), What> {
    let (table, selection) = (&settings.database.table, &settings.selection);
    let most = selection.max_rows;
    let all = count(look, query::count_all(table)).await?;
    if all <= u64::from(most) {
        return Ok(());
    }
    let rows = count(look, query::count(table, columns, selection)).await?;
    if rows <= u64::from(most) {
        return Ok(());
    }
    Err(What::TooMany { table: table.clone(), rows, most })
}

async fn count(look: &mut Look, query: Query) -> Result<u64, What> {
    let found = fetch_one(&mut look.connection, query).await?;
    let rows: i64 = found.try_get_unchecked(0).map_err(|error| What::of_sqlite(&error))?;
    Ok(rows.unsigned_abs())
}

/// Which column holds what.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(super) async fn columns(
    settings: &Settings,
) -> Result<Vec<(&'static str, Option<String>)>, Problem> {
    let of_path = |what: What| what.at(&settings.database.path);
    let mut look = Look::begin(&settings.database).await.map_err(of_path)?;
    let found = look.columns(&settings.database).await.map_err(of_path);
    look.end().await;
    let found = found?;
    let named = |column: &'static Column| (column.name, found.name(column).map(str::to_owned));
    Ok(COLUMNS.into_iter().map(named).collect())
}

/// Reads every row of the table, as of one instant.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(super) async fn list(settings: &Settings) -> Result<Vec<Listed>, Problem> {
    let of_path = |what: What| what.at(&settings.database.path);
    let mut look = Look::begin(&settings.database).await.map_err(of_path)?;
    let result = every_row(&mut look, settings).await.map_err(of_path);
    look.end().await;
    result
}

/// The passwords of every row, selected or not, whatever bytes they are.
///
/// # Errors
/// When the file, the table or its columns can't be read.
pub(super) async fn passwords(settings: &Settings) -> Result<Vec<Vec<u8>>, Problem> {
    let of_path = |what: What| what.at(&settings.database.path);
    let mut look = Look::begin(&settings.database).await.map_err(of_path)?;
    let result = fetch_every_row(&mut look, settings).await;
    look.end().await;
    let (_, rows) = result.map_err(of_path)?;
    Ok(rows.iter().filter_map(|row| row.get(&PASSWORD)).map(<[u8]>::to_vec).collect())
}

async fn fetch_every_row(
    look: &mut Look,
    settings: &Settings,
) -> Result<(Vec<SqliteRow>, Vec<Row>), What> {
    let columns = look.columns(&settings.database).await?;
    let query = query::everything(&settings.database.table, &columns, &settings.selection);
    let found = fetch(&mut look.connection, query).await?;
    let rows = found.iter().map(row).collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|error| What::of_sqlite(&error))?;
    Ok((found, rows))
}

async fn every_row(look: &mut Look, settings: &Settings) -> Result<Vec<Listed>, What> {
    let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
    let (found, rows) = fetch_every_row(look, settings).await?;
    let selected = found.iter().map(|row| row.try_get_unchecked(COUNT));
    let selected = selected.collect::<Result<Vec<bool>, _>>().map_err(sqlite)?;
    Ok(list::list(&rows, &selected))
}

pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    query: Query,
) -> Result<Vec<SqliteRow>, What> {
    let found = query.bind().fetch_all(connection).await;
    found.map_err(|error| What::of_sqlite(&error))
}

pub(super) async fn fetch_one(
    connection: &mut SqliteConnection,
    query: Query,
) -> Result<SqliteRow, What> {
    let found = query.bind().fetch_one(connection).await;
    found.map_err(|error| What::of_sqlite(&error))
}

pub(super) fn row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let mut columns = Row::default();
    for (place, column) in columns.0.iter_mut().enumerate() {
        // Unchecked: text that is no UTF-8 must fail its row alone.
        let bytes: Option<Vec<u8>> = row.try_get_unchecked(place)?;
        *column = bytes.map(Into::into);
    }
    Ok(columns)
}
