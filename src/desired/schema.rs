//! Which columns of a table hold what: tables drift, names differ.

use super::columns::{COLUMNS, COUNT, Column};
use super::query::quoted;
use crate::config;

/// The names of the columns, as the table spells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns([Option<String>; COUNT]);

impl Columns {
    /// The name of a column; one that is needed has one.
    pub(super) fn name(&self, column: &Column) -> Option<&str> {
        let mut names = COLUMNS.into_iter().zip(&self.0);
        names.find(|(other, _)| *other == column).and_then(|(_, name)| name.as_deref())
    }

    /// A column as SQL names it; NULL where there is none.
    pub(super) fn sql(&self, column: &Column) -> String {
        self.name(column).map_or_else(|| "NULL".to_owned(), quoted)
    }

    /// Each column as SQL takes it for text or NULL.
    pub(super) fn texts(&self) -> [String; COUNT] {
        COLUMNS.map(|column| format!("CAST({} AS TEXT)", self.sql(column)))
    }
}

/// Why a table can't serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// There is no such table or view.
    #[error("has no table {table:?} (found: {}); set database.table to the table of nodes", list(.found))]
    NoTable {
        /// The name looked for.
        table: String,
        /// Tables and views that are there.
        found: Vec<String>,
    },
    /// It lacks columns.
    #[error("{}", explain(.table, .missing, .found))]
    NoColumns {
        /// The table.
        table: String,
        /// What has no column, with the names looked for.
        missing: Vec<(&'static str, Vec<String>)>,
        /// Columns that are there.
        found: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn explain(table: &str, missing: &[(&str, Vec<String>)], found: &[String]) -> String {
    let wanted: Vec<String> = missing.iter().map(|(_, names)| names.join(" or ")).collect();
    let keys: Vec<String> =
        missing.iter().map(|(name, _)| format!("database.columns.{name}")).collect();
    format!(
        "table {table:?} has the columns {} and lacks {}; set {} to the column's name, or database.table to another table",
        list(found),
        wanted.join("; "),
        keys.join(", ")
    )
}

/// Finds the columns in `found`, the names of `table`'s columns. `names` wins over the usual
/// names; case does not matter, as it does not to SQLite.
///
/// # Errors
/// When a column is missing, with all that are.
pub(super) fn detect(
    table: &str,
    found: &[String],
    names: &config::Columns,
) -> Result<Columns, SchemaError> {
    let find = |wanted: &str| found.iter().find(|name| name.eq_ignore_ascii_case(wanted)).cloned();
    let mut missing = Vec::new();
    let places = COLUMNS.map(|column| {
        let wanted: Vec<&str> = match column.configured(names) {
            Some(name) => vec![name],
            None => column.names().collect(),
        };
        let place = wanted.iter().find_map(|name| find(name));
        if place.is_none() && column.is_needed() {
            missing.push((column.name, wanted.into_iter().map(str::to_owned).collect()));
        }
        place
    });
    if missing.is_empty() {
        Ok(Columns(places))
    } else {
        Err(SchemaError::NoColumns { table: table.to_owned(), missing, found: found.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::{ID, IP, LOGIN, MPPE, PASSWORD};
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn detected(found: &str) -> Columns {
        detect("nodes", &names(found), &config::Columns::default()).unwrap()
    }

    #[test]
    fn the_usual_names_are_found_among_others() {
        let columns = detected("id country ip login password status created_at");
        assert_eq!((columns.name(&ID), columns.name(&LOGIN)), (Some("id"), Some("login")));
    }

    #[test]
    fn drifted_names_are_found() {
        for (found, login, password) in [
            ("id ip username pass status", "username", "pass"),
            ("id ip user password status", "user", "password"),
        ] {
            let columns = detected(found);
            let names = (columns.name(&LOGIN), columns.name(&PASSWORD));
            assert_eq!(names, (Some(login), Some(password)));
        }
    }

    #[test]
    fn the_likeliest_of_several_names_wins() {
        let columns = detected("id ip user login pass password status");
        assert_eq!(columns.name(&LOGIN), Some("login"));
    }

    #[test]
    fn case_does_not_matter_and_the_tables_spelling_is_kept() {
        assert_eq!(detected("ID Ip Login PASSWORD Status").name(&IP), Some("Ip"));
    }

    #[test]
    fn the_mppe_column_is_optional() {
        assert_eq!(detected("id ip login password status").name(&MPPE), None);
        assert_eq!(detected("id ip login password status MPPE").name(&MPPE), Some("MPPE"));
    }

    #[test]
    fn a_configured_name_wins_over_a_usual_one() {
        let overrides =
            config::Columns { login: Some("vpn user".into()), ..config::Columns::default() };
        let mut found = names("id ip login password status");
        found.push("vpn user".into());
        assert_eq!(detect("nodes", &found, &overrides).unwrap().name(&LOGIN), Some("vpn user"));
    }

    #[test]
    fn what_is_missing_is_told_with_what_was_found_and_the_key_to_set() {
        let found = names("id host login status");
        let error = detect("nodes", &found, &config::Columns::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "table \"nodes\" has the columns id, host, login, status and lacks ip; password or pass; \
             set database.columns.ip, database.columns.password to the column's name, \
             or database.table to another table"
        );
    }

    #[test]
    fn a_configured_name_that_is_not_there_is_missing_even_if_a_usual_one_is() {
        let overrides = config::Columns { ip: Some("addr".into()), ..config::Columns::default() };
        let found = names("id ip login password status");
        assert!(
            detect("nodes", &found, &overrides).unwrap_err().to_string().contains("lacks addr")
        );
    }
}
