//! Which columns of a table hold what: tables drift, names differ.

use std::fmt;

use crate::config;

/// What is read of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The number that names the node everywhere.
    Id,
    /// The server's address.
    Ip,
    /// The login.
    Login,
    /// The password.
    Password,
    /// The status that rows are selected by.
    Status,
}

impl Field {
    const ALL: [Field; 5] = [Field::Id, Field::Ip, Field::Login, Field::Password, Field::Status];

    /// Names that its column usually has, the likeliest first.
    fn usual(self) -> &'static [&'static str] {
        match self {
            Field::Id => &["id"],
            Field::Ip => &["ip"],
            Field::Login => &["login", "username", "user"],
            Field::Password => &["password", "pass"],
            Field::Status => &["status"],
        }
    }

    fn named_by(self, names: &config::Columns) -> Option<&str> {
        match self {
            Field::Id => names.id.as_deref(),
            Field::Ip => names.ip.as_deref(),
            Field::Login => names.login.as_deref(),
            Field::Password => names.password.as_deref(),
            Field::Status => names.status.as_deref(),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Id => "id",
            Field::Ip => "ip",
            Field::Login => "login",
            Field::Password => "password",
            Field::Status => "status",
        })
    }
}

/// The names of the columns, as the table spells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) id: String,
    pub(super) ip: String,
    pub(super) login: String,
    pub(super) password: String,
    pub(super) status: String,
    /// A column `mppe`, where there is one.
    pub(super) mppe: Option<String>,
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
        missing: Vec<(Field, Vec<String>)>,
        /// Columns that are there.
        found: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn explain(table: &str, missing: &[(Field, Vec<String>)], found: &[String]) -> String {
    let wanted: Vec<String> = missing.iter().map(|(_, names)| names.join(" or ")).collect();
    let keys: Vec<String> =
        missing.iter().map(|(field, _)| format!("database.columns.{field}")).collect();
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
    let [id, ip, login, password, status] = Field::ALL.map(|field| {
        let wanted = match field.named_by(names) {
            Some(name) => vec![name],
            None => field.usual().to_vec(),
        };
        wanted.iter().find_map(|name| find(name)).unwrap_or_else(|| {
            missing.push((field, wanted.into_iter().map(str::to_owned).collect()));
            String::new()
        })
    });
    if missing.is_empty() {
        Ok(Columns { id, ip, login, password, status, mppe: find("mppe") })
    } else {
        Err(SchemaError::NoColumns { table: table.to_owned(), missing, found: found.to_vec() })
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!((columns.id.as_str(), columns.login.as_str()), ("id", "login"));
    }

    #[test]
    fn drifted_names_are_found() {
        for (found, login, password) in [
            ("id ip username pass status", "username", "pass"),
            ("id ip user password status", "user", "password"),
        ] {
            let columns = detected(found);
            assert_eq!((columns.login.as_str(), columns.password.as_str()), (login, password));
        }
    }

    #[test]
    fn the_likeliest_of_several_names_wins() {
        assert_eq!(detected("id ip user login pass password status").login, "login");
    }

    #[test]
    fn case_does_not_matter_and_the_tables_spelling_is_kept() {
        assert_eq!(detected("ID Ip Login PASSWORD Status").ip, "Ip");
    }

    #[test]
    fn the_mppe_column_is_optional() {
        assert_eq!(detected("id ip login password status").mppe, None);
        assert_eq!(detected("id ip login password status MPPE").mppe.as_deref(), Some("MPPE"));
    }

    #[test]
    fn a_configured_name_wins_over_a_usual_one() {
        let overrides =
            config::Columns { login: Some("vpn user".into()), ..config::Columns::default() };
        let mut found = names("id ip login password status");
        found.push("vpn user".into());
        assert_eq!(detect("nodes", &found, &overrides).unwrap().login, "vpn user");
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
