//! Rows added, changed and removed, all or nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row as _};

use super::Settings;
use super::columns::{COLUMNS, Choice, Column, Edited, ID, OfNew, PASSWORD, Value};
use super::ids::{self, RowId};
use super::look;
use super::problem::{Problem, What};
use super::query::quoted;
use super::rows::node_id;
use super::schema::Columns;
use crate::node::{NodeId, Secret};
use crate::unknown::{Nearest, nearest};

/// How long a lock of another process is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a row is to hold. A column without a value stays as it is, or has its default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(&'static Column, Value)>);

impl Fields {
    /// What a new row has where nothing is said.
    pub(crate) fn of_new() -> Self {
        let of_new = |column: &'static Column| match &column.edited {
            Edited::Value(Choice { of_new: OfNew::Unless(text), .. }) => {
                Some((column, Value::Text((*text).to_owned())))
            }
            Edited::Id | Edited::Secret | Edited::Value(_) => None,
        };
        Fields(COLUMNS.into_iter().filter_map(of_new).collect())
    }

    /// Has this in the column, instead of what was said before.
    pub(crate) fn set(&mut self, column: &'static Column, value: Value) {
        self.0.retain(|(other, _)| *other != column);
        self.0.push((column, value));
    }

    #[cfg(test)]
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(column, _)| column.name == name).map(|(_, value)| value)
    }

    /// Has this password.
    pub(crate) fn set_password(&mut self, password: Secret) {
        self.set(&PASSWORD, Value::Secret(password));
    }
}

/// Why rows were not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The database can't be used.
    #[error(transparent)]
    Unusable(Problem),
    /// Another process holds a lock on it.
    #[error(
        "{}: another process has kept it locked for {} s; nothing was changed: try again, and look for a transaction left open",
        path.display(),
        PATIENCE.as_secs()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No row has this id.
    #[error("{}: table {table:?} has no node {id}{}; `connexactl node list` shows those it has", path.display(), Nearest(nearest))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// The id asked for.
        id: NodeId,
        /// The ids next to it.
        nearest: Vec<u32>,
    },
    /// A row has this id already.
    #[error("node {0} is there already; `connexactl node set {0}` changes it, another id adds one")]
    Exists(NodeId),
    /// Several rows have this id.
    #[error(
        "node {id} has {rows} rows; remove all by `connexactl node remove {id}` and add it anew"
    )]
    Several {
        /// The id.
        id: NodeId,
        /// How many rows have it.
        rows: usize,
    },
    /// The table lacks a column that it need not have.
    #[error("table {table:?} has no column {column}; add one, or {instead}")]
    NoColumn {
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
        /// What else can be done.
        instead: &'static str,
    },
    /// The table numbers no rows by itself.
    #[error("table {0:?} gives a new row no id that a node can have; say which one it is to have")]
    NoId(String),
    /// The table changes what is written into it.
    #[error(
        "table {table:?} turns the text for its column {column:?} into another; declare that column TEXT"
    )]
    Mangled {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// SQLite has another reason.
    #[error("{}: it refuses the change: {why}; nothing was changed", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
}

/// One transaction that writes. Dropped without [`Editor::commit`], it has changed nothing.
pub(crate) struct Editor {
    connection: SqliteConnection,
    path: PathBuf,
    table: String,
    columns: Columns,
    ids: BTreeMap<NodeId, Vec<RowId>>,
}

impl Editor {
    /// Waits for the right to write, five seconds at most. Foreign keys are not enforced, as
    /// SQLite's default has it and with it the backend: rows of other tables that name a node
    /// are theirs to keep.
    ///
    /// # Errors
    /// When the file, the table or its columns can't serve, or it stays locked.
    pub(crate) async fn begin(settings: &Settings) -> Result<Self, EditError> {
        let database = &settings.database;
        let path = database.path.clone();
        let of_path = |what: What| of(what, &database.path);
        let sqlite = |error: sqlx::Error| of(What::of_sqlite(&error), &database.path);
        let size = look::check(&path).await.map_err(of_path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .busy_timeout(PATIENCE)
            .foreign_keys(false)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(sqlite)?;
        connection.execute("BEGIN IMMEDIATE").await.map_err(sqlite)?;
        let columns = look::columns(&mut connection, database, size).await.map_err(of_path)?;
        let table = database.table.clone();
        let ids = ids::read(&mut connection, &table, &columns).await.map_err(of_path)?;
        Ok(Editor { connection, path, table, columns, ids })
    }

    /// Adds a row. Without an `id` the table gives one.
    ///
    /// # Errors
    /// When the id is there already, or the table refuses the row or alters it.
    pub(crate) async fn add(
        &mut self,
        id: Option<NodeId>,
        fields: &Fields,
    ) -> Result<NodeId, EditError> {
        if let Some(id) = id.filter(|id| self.ids.contains_key(id)) {
            return Err(EditError::Exists(id));
        }
        let mut values = self.values(fields)?;
        if let Some(id) = id {
            values.push((self.id_column().to_owned(), Some(id.to_string())));
        }
        let names: Vec<String> = values.iter().map(|(column, _)| quoted(column)).collect();
        let sql = format!(
            "INSERT INTO main.{} ({}) VALUES ({})",
            quoted(&self.table),
            names.join(", "),
            vec!["?"; values.len()].join(", "),
        );
        let given = self.write(sql, &values, None).await?;
        let new = given.as_deref().and_then(|given| node_id(Some(given)));
        let new = new.ok_or_else(|| EditError::NoId(self.table.clone()))?;
        // Its place is known by now: only a row that was there before can be changed again.
        if self.ids.insert(new, Vec::new()).is_some() {
            return Err(EditError::Exists(new));
        }
        Ok(new)
    }

    /// Changes a row in these fields and no other.
    ///
    /// # Errors
    /// When no row or several have this id, or the table refuses the values or alters them.
    pub(crate) async fn set(&mut self, id: NodeId, fields: &Fields) -> Result<(), EditError> {
        let rows = self.rows(id)?;
        let [row] = rows else {
            return Err(EditError::Several { id, rows: rows.len() });
        };
        let row = row.clone();
        let values = self.values(fields)?;
        let sets: Vec<String> =
            values.iter().map(|(column, _)| format!("{} = ?", quoted(column))).collect();
        let sql = format!(
            "UPDATE main.{} SET {} WHERE {} = ?",
            quoted(&self.table),
            sets.join(", "),
            self.columns.sql(&ID)
        );
        self.write(sql, &values, Some(row)).await.map(drop)
    }

    /// Removes every row of this id.
    ///
    /// # Errors
    /// When none has it, or the table refuses.
    pub(crate) async fn remove(&mut self, id: NodeId) -> Result<(), EditError> {
        let rows = self.rows(id)?.to_vec();
        let sql =
            format!("DELETE FROM main.{} WHERE {} = ?", quoted(&self.table), self.columns.sql(&ID));
        for row in rows {
            let query = row.bind(sqlx::query(AssertSqlSafe(sql.clone())));
            let removed = query.execute(&mut self.connection).await;
            removed.map_err(|error| of(What::of_sqlite(&error), &self.path))?;
        }
        self.ids.remove(&id);
        Ok(())
    }

    /// Makes all changes at once.
    ///
    /// # Errors
    /// When they can't be written; then none is made.
    pub(crate) async fn commit(mut self) -> Result<(), EditError> {
        let done = self.connection.execute("COMMIT").await;
        done.map_err(|error| of(What::of_sqlite(&error), &self.path))?;
        // The change is made; a failure to close loses nothing.
        let _ = self.connection.close().await;
        Ok(())
    }

    fn id_column(&self) -> &str {
        self.columns.name(&ID).unwrap_or_default()
    }

    fn rows(&self, id: NodeId) -> Result<&[RowId], EditError> {
        let unknown = || {
            let nearest = nearest(id.0, self.ids.keys().map(|id| id.0));
            EditError::Unknown { path: self.path.clone(), table: self.table.clone(), id, nearest }
        };
        self.ids.get(&id).map(Vec::as_slice).ok_or_else(unknown)
    }

    /// Columns with their new text, or `None` for NULL.
    fn values(&self, fields: &Fields) -> Result<Vec<(String, Option<String>)>, EditError> {
        let value = |(column, value): &(&'static Column, Value)| {
            let name = self.columns.name(column).ok_or_else(|| EditError::NoColumn {
                table: self.table.clone(),
                column: column.name,
                instead: column.instead(),
            })?;
            Ok((name.to_owned(), value.text().map(str::to_owned)))
        };
        fields.0.iter().map(value).collect()
    }

    /// Runs an INSERT or UPDATE, and sees that the table holds the text that it was given.
    /// Returns the row's id as the table has it.
    async fn write(
        &mut self,
        sql: String,
        values: &[(String, Option<String>)],
        row: Option<RowId>,
    ) -> Result<Option<Vec<u8>>, EditError> {
        let texts: Vec<String> = values
            .iter()
            .map(|(column, _)| column.as_str())
            .chain([self.id_column()])
            .map(|column| format!("CAST({} AS TEXT)", quoted(column)))
            .collect();
        let sql = format!("{sql} RETURNING {}", texts.join(", "));
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = values.iter().fold(query, |query, (_, text)| query.bind(text));
        let query = match row {
            Some(row) => row.bind(query),
            None => query,
        };
        let sqlite = |error: sqlx::Error| of(What::of_sqlite(&error), &self.path);
        let written = query.fetch_one(&mut self.connection).await.map_err(sqlite)?;
        for (place, (column, text)) in values.iter().enumerate() {
            let kept: Option<Vec<u8>> = written.try_get_unchecked(place).map_err(sqlite)?;
            let wanted = text.as_deref().map(str::as_bytes);
            // A column of REAL ids gives 7.0 back for 7.
            let same_id =
                || column == self.id_column() && node_id(kept.as_deref()) == node_id(wanted);
            if kept.as_deref() != wanted && !same_id() {
                let (table, column) = (self.table.clone(), column.clone());
                return Err(EditError::Mangled { table, column });
            }
        }
        written.try_get_unchecked(values.len()).map_err(sqlite)
    }
}

fn of(what: What, path: &std::path::Path) -> EditError {
    match what {
        What::Locked => EditError::Locked { path: path.to_owned() },
        What::Other(why) => EditError::Refused { path: path.to_owned(), why },
        What::Missing
        | What::NotAFile
        | What::SideFile(_)
        | What::Rights(_)
        | What::Empty { .. }
        | What::NotSqlite
        | What::Schema(_)
        | What::NoIds { .. }
        | What::TooMany { .. }
        | What::Unfinished
        | What::WalWithoutPlace
        | What::Damaged(_) => EditError::Unusable(what.at(path)),
    }
}
