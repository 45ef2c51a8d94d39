//! The query that selects candidates, and the one that lists every row.

use super::schema::Columns;
use crate::config::Selection;

/// SQL with the values that go into its `?`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<String>,
}

/// Reads one text, a line of JSON for each row: its id, ip, login, password, status and mppe (null
/// where there is no such column), each as text or null, whatever its type. NULL where there is no
/// row. SQLite makes that text several times as quickly as it hands over six values a row.
///
/// A row is a candidate when its status matches one of `statuses` and none of `exclude`, and its
/// ip is neither NULL nor empty. LIKE takes ASCII letters of either case as the same. The rows
/// come as SQLite finds them: [`super::rows::together`] puts them in order, for to sort all of them again
/// because one has changed takes SQLite as long as to read them.
pub(super) fn candidates(table: &str, columns: &Columns, selection: &Selection) -> Query {
    let Texts { id, ip, login, password, status, mppe } = Texts::of(columns);
    let sql = format!(
        "SELECT group_concat(json_array({id}, {ip}, {login}, {password}, {status}, {mppe}), \
         char(10)) FROM main.{table} WHERE {selected}",
        table = quoted(table),
        selected = selected(columns, selection),
    );
    let values = [&selection.statuses, &selection.exclude].into_iter().flatten();
    Query { sql, values: values.cloned().collect() }
}

/// Reads every row by its id: the columns of [`candidates`], and 1 where the row is one of them,
/// else 0.
pub(super) fn everything(table: &str, columns: &Columns, selection: &Selection) -> Query {
    let Texts { id, ip, login, password, status, mppe } = Texts::of(columns);
    let sql = format!(
        "SELECT {id}, {ip}, {login}, {password}, {status}, {mppe}, coalesce({selected}, 0) \
         FROM main.{table} \
         ORDER BY CAST({id} AS INTEGER), {id}, {ip}, {login}, {password}, {status}, {mppe}",
        table = quoted(table),
        selected = selected(columns, selection),
    );
    let values = [&selection.statuses, &selection.exclude].into_iter().flatten();
    Query { sql, values: values.cloned().collect() }
}

/// What SQL takes each column for: text or NULL.
struct Texts {
    id: String,
    ip: String,
    login: String,
    password: String,
    status: String,
    mppe: String,
}

impl Texts {
    fn of(columns: &Columns) -> Self {
        let text = |column: &String| format!("CAST({} AS TEXT)", quoted(column));
        Texts {
            id: text(&columns.id),
            ip: text(&columns.ip),
            login: text(&columns.login),
            password: text(&columns.password),
            status: text(&columns.status),
            mppe: columns.mppe.as_ref().map_or_else(|| "NULL".to_owned(), text),
        }
    }
}

/// Whether a row is a candidate, with a `?` for each status and each exclusion. LIKE takes what it
/// compares for text, whatever its type.
fn selected(columns: &Columns, selection: &Selection) -> String {
    let (ip, status) = (quoted(&columns.ip), quoted(&columns.status));
    let any_like = |patterns: &[String]| {
        if patterns.is_empty() {
            return "0".to_owned();
        }
        vec![format!("{status} LIKE ?"); patterns.len()].join(" OR ")
    };
    format!(
        "({statuses}) AND NOT ({exclude}) AND CAST({ip} AS TEXT) != ''",
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
    use super::*;

    #[test]
    fn a_name_with_quotes_stays_one_name() {
        assert_eq!(quoted(r#"no"des; DROP"#), r#""no""des; DROP""#);
    }

    #[test]
    fn no_value_of_the_configuration_stands_in_the_query() {
        let name = |name: &str| name.to_owned();
        let columns = Columns {
            id: name("id"),
            ip: name("ip"),
            login: name("login"),
            password: name("password"),
            status: name("status"),
            mppe: None,
        };
        let query = candidates("nodes", &columns, &Selection::default());
        assert!(Selection::default().statuses.iter().all(|status| !query.sql.contains(status)));
        assert_eq!(query.sql.matches('?').count(), query.values.len());
    }
}
