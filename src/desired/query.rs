//! The one query that selects candidates, in their order.

use super::schema::Columns;
use crate::config::Selection;

/// SQL with the values that go into its `?`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<String>,
}

/// Reads id, ip, login, password, status and mppe (NULL where there is no such column), each as
/// text or NULL, whatever its type.
///
/// A row is a candidate when its status matches one of `statuses` and none of `exclude`, and its
/// ip is neither NULL nor empty. LIKE takes ASCII letters of either case as the same, and so
/// does `priority`. The order is total but for rows that read the same in every column.
pub(super) fn candidates(table: &str, columns: &Columns, selection: &Selection) -> Query {
    let text = |column: &str| format!("CAST({} AS TEXT)", quoted(column));
    let status = text(&columns.status);
    let any_like = |patterns: &[String]| {
        if patterns.is_empty() {
            return "0".to_owned();
        }
        vec![format!("{status} LIKE ?"); patterns.len()].join(" OR ")
    };
    let mppe = columns.mppe.as_deref().map_or_else(|| "NULL".to_owned(), text);
    let whens: String = (0..selection.priority.len())
        .map(|rank| format!(" WHEN {status} = ? COLLATE NOCASE THEN {rank}"))
        .collect();
    let rank = if whens.is_empty() {
        String::new()
    } else {
        format!("CASE{whens} ELSE {} END, ", selection.priority.len())
    };
    let id = text(&columns.id);
    let ip = text(&columns.ip);
    let login = text(&columns.login);
    let password = text(&columns.password);
    let sql = format!(
        "SELECT {id}, {ip}, {login}, {password}, {status}, {mppe} FROM main.{table} \
         WHERE ({statuses}) AND NOT ({exclude}) AND {ip} IS NOT NULL AND {ip} != '' \
         ORDER BY {rank}CAST({id} AS INTEGER), {id}, {ip}, {login}, {password}, {status}, {mppe}",
        table = quoted(table),
        statuses = any_like(&selection.statuses),
        exclude = any_like(&selection.exclude),
    );
    let values =
        [&selection.statuses, &selection.exclude, &selection.priority].into_iter().flatten();
    Query { sql, values: values.cloned().collect() }
}

/// A name as SQL can't mistake it (sqlite.org/lang_keywords.html).
fn quoted(name: &str) -> String {
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
