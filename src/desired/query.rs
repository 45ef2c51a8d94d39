//! The query that selects candidates, and the one that lists every row.

use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite};

use super::columns::{ID, STATUS};
use super::schema::Columns;
use crate::config::Selection;

/// SQL with the values that go into its `?`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<String>,
}

impl Query {
    /// With the values of [`selected`].
    fn new(sql: String, selection: &Selection) -> Self {
        let values = [&selection.statuses, &selection.exclude].into_iter().flatten();
        Query { sql, values: values.cloned().collect() }
    }

    /// With its values in their places.
    pub(super) fn bind(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        let query = sqlx::query(AssertSqlSafe(self.sql));
        self.values.into_iter().fold(query, |query, value| query.bind(value))
    }
}

/// Reads one text, a line of JSON for each row: an array of all [`COLUMNS`](super::columns::COLUMNS),
/// each as text or null, whatever its type. NULL where there is no row. SQLite makes that text
/// several times as quickly as it hands over six values a row.
///
/// A row is a candidate when its status matches one of `statuses` and none of `exclude`. LIKE takes
/// ASCII letters of either case as the same. The rows come as SQLite finds them, for to sort all of them again because one has changed takes SQLite as
/// long as to read them.
pub(super) fn candidates(table: &str, columns: &Columns, selection: &Selection) -> Query {
    let sql = format!(
        "SELECT group_concat(json_array({texts}), char(10)) FROM main.{table} WHERE {selected}",
        texts = columns.texts().join(", "),
        table = quoted(table),
        selected = selected(columns, selection),
    );
    Query::new(sql, selection)
}

/// Reads the ids of rows that are no candidates as one text, a line each; NULL where there is none.
pub(super) fn left_out(table: &str, columns: &Columns, selection: &Selection) -> Query {
    let sql = format!(
        "SELECT group_concat(CAST({id} AS TEXT), char(10)) FROM main.{table} \
         WHERE NOT coalesce({selected}, 0)",
        id = columns.sql(&ID),
        table = quoted(table),
        selected = selected(columns, selection),
    );
    Query::new(sql, selection)
}

/// Counts all rows, which takes SQLite a small part of the time of a scan.
pub(super) fn count_all(table: &str) -> Query {
    Query { sql: format!("SELECT count(*) FROM main.{}", quoted(table)), values: Vec::new() }
}

/// Counts the candidates.
pub(super) fn count(table: &str, columns: &Columns, selection: &Selection) -> Query {
    let selected = selected(columns, selection);
    let sql = format!("SELECT count(*) FROM main.{} WHERE {selected}", quoted(table));
    Query::new(sql, selection)
}

/// Reads every row by its id: the columns of [`candidates`], and 1 where the row is one of them,
/// else 0.
pub(super) fn everything(table: &str, columns: &Columns, selection: &Selection) -> Query {
    let texts = columns.texts().join(", ");
    let sql = format!(
        "SELECT {texts}, coalesce({selected}, 0) FROM main.{table} \
         ORDER BY CAST(CAST({id} AS TEXT) AS INTEGER), {texts}",
        id = columns.sql(&ID),
        table = quoted(table),
        selected = selected(columns, selection),
    );
    Query::new(sql, selection)
}

/// Whether a row is a candidate, with a `?` for each status and each exclusion. LIKE takes what it
/// compares for text, whatever its type.
fn selected(columns: &Columns, selection: &Selection) -> String {
    let status = columns.sql(&STATUS);
    let any_like = |patterns: &[String]| {
        if patterns.is_empty() {
            return "0".to_owned();
        }
        vec![format!("{status} LIKE ?"); patterns.len()].join(" OR ")
    };
    format!(
        "({statuses}) AND NOT ({exclude})",
        statuses = any_like(&selection.statuses),
        exclude = any_like(&selection.exclude),
    )
}

/// A name as SQL can't mistake it (sqlite.org/lang_keywords.html).
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::schema::detect;
    use super::*;
    use crate::config;

    #[test]
    fn a_name_with_quotes_stays_one_name() {
        assert_eq!(quoted(r#"no"des; DROP"#), r#""no""des; DROP""#);
    }

    #[test]
    fn no_value_of_the_configuration_stands_in_the_query() {
        let names = ["id", "ip", "login", "password", "status"].map(str::to_owned);
        let columns = detect("nodes", &names, &config::Columns::default()).unwrap();
        let query = candidates("nodes", &columns, &Selection::default());
        assert!(Selection::default().statuses.iter().all(|status| !query.sql.contains(status)));
        assert_eq!(query.sql.matches('?').count(), query.values.len());
    }
}
