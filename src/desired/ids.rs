//! Which rows have which id, as the table holds it: a number, a text or a blob.

use std::collections::BTreeMap;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Row as _, Sqlite};

use super::columns::ID;
use super::problem::What;
use super::query::quoted;
use super::rows::node_id;
use super::schema::Columns;
use crate::node::NodeId;

/// The id of a row in the type that the table holds it in, so that SQLite finds it again, by its
/// index where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RowId {
    Number(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl RowId {
    /// As the next value of a query.
    pub(super) fn bind<'q>(
        &self,
        query: Query<'q, Sqlite, SqliteArguments>,
    ) -> Query<'q, Sqlite, SqliteArguments> {
        match self {
            RowId::Number(number) => query.bind(*number),
            RowId::Text(text) => query.bind(text.clone()),
            RowId::Blob(bytes) => query.bind(bytes.clone()),
        }
    }
}

/// Every row whose id a node can have.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    table: &str,
    columns: &Columns,
) -> Result<BTreeMap<NodeId, Vec<RowId>>, What> {
    read_where(connection, table, columns, "1").await
}

/// The same, of rows for which a condition in SQL holds.
pub(super) async fn read_where(
    connection: &mut SqliteConnection,
    table: &str,
    columns: &Columns,
    condition: &str,
) -> Result<BTreeMap<NodeId, Vec<RowId>>, What> {
    let sqlite = |error: sqlx::Error| What::of_sqlite(&error);
    let (id, table) = (columns.sql(&ID), quoted(table));
    let sql =
        format!("SELECT typeof({id}), CAST({id} AS TEXT) FROM main.{table} WHERE {condition}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(sqlite)?;
    let mut ids: BTreeMap<NodeId, Vec<RowId>> = BTreeMap::new();
    for row in rows {
        let kind: String = row.try_get_unchecked(0).map_err(sqlite)?;
        let bytes: Option<Vec<u8>> = row.try_get_unchecked(1).map_err(sqlite)?;
        let Some(id) = node_id(bytes.as_deref()) else { continue };
        let bytes = bytes.unwrap_or_default();
        let row_id = match kind.as_str() {
            // SQLite takes 7 and 7.0 for equal.
            "integer" | "real" => RowId::Number(id.0.into()),
            "blob" => RowId::Blob(bytes),
            _ => RowId::Text(String::from_utf8_lossy(&bytes).into_owned()),
        };
        ids.entry(id).or_default().push(row_id);
    }
    Ok(ids)
}
