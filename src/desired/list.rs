//! Every row of the table, for people to look at.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::rows::{self, Row, node_id};
use crate::node::{Invalid, NodeId};

/// A row of the table, whether it is a candidate or not. It has no password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The id, as text where it is none that a node can have.
    pub id: ListedId,
    /// The address column, whatever it holds.
    pub ip: String,
    /// The login column, whatever it holds.
    pub login: String,
    /// The status column.
    pub status: String,
    /// The mppe column; `None` where there is none or it is NULL.
    pub mppe: Option<String>,
    /// Whether the selection takes it for a candidate.
    pub selected: bool,
    /// Why it can't be dialled.
    pub problem: Option<String>,
}

/// The id of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ListedId {
    /// One that a node can have.
    Node(NodeId),
    /// Any other; NULL is shown as that word.
    Other(String),
}

impl fmt::Display for ListedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListedId::Node(id) => id.fmt(f),
            ListedId::Other(text) => text.fmt(f),
        }
    }
}

/// Tells of each row what is known of it.
pub(super) fn list(rows: &[Row], selected: &[bool]) -> Vec<Listed> {
    // As the daemon counts, which sees those that are selected.
    let mut counts: BTreeMap<NodeId, u32> = BTreeMap::new();
    for (row, _) in rows.iter().zip(selected).filter(|(_, selected)| **selected) {
        if let Some(id) = node_id(row.id.as_deref()) {
            *counts.entry(id).or_default() += 1;
        }
    }
    let list_one = |(row, selected): (&Row, &bool)| {
        let shown = |column: &Option<Vec<u8>>| rows::shown(column.as_deref().unwrap_or_default());
        let (id, problem) = match node_id(row.id.as_deref()) {
            None => {
                let id = row.id.as_ref().map_or("NULL".to_owned(), |_| shown(&row.id));
                (ListedId::Other(id), Some(NO_ID.to_owned()))
            }
            Some(id) if *selected && counts.get(&id).is_some_and(|&count| count > 1) => {
                (ListedId::Node(id), Some(Invalid::DuplicateId.to_string()))
            }
            Some(id) => {
                (ListedId::Node(id), rows::node(id, row).err().map(|reason| reason.to_string()))
            }
        };
        Listed {
            id,
            ip: shown(&row.ip),
            login: shown(&row.login),
            status: shown(&row.status),
            mppe: row.mppe.as_ref().map(|_| shown(&row.mppe)),
            selected: *selected,
            problem,
        }
    };
    rows.iter().zip(selected).map(list_one).collect()
}

/// What is told of an id that no node can have.
const NO_ID: &str =
    "its id is no whole number from 0 to 4294967295; correct it, or set database.columns.id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_counts_as_taken_twice_among_selected_rows_only() {
        let column = |text: &str| Some(text.as_bytes().to_vec());
        let row = || Row {
            id: column("7"),
            ip: column("10.9.0.2"),
            login: column("admin"),
            password: column("secret"),
            ..Row::default()
        };
        let problems = |selected: [bool; 2]| {
            let listed = list(&[row(), row()], &selected);
            listed.iter().map(|row| row.problem.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(problems([true, false]), [false, false]);
        assert_eq!(problems([true, true]), [true, true]);
    }
}
