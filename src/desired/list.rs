//! Every row of the table, for people to look at.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::columns::{COLUMNS, Column, ID, IP, LOGIN, node};
use super::rows::{Row, node_id};
use crate::node::{Invalid, NodeId};
use crate::unknown::Known;

/// A row of the table, whether it is a candidate or not. It has no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The id, as text where it is none that a node can have.
    pub id: ListedId,
    /// The columns that have a heading, whatever they hold. `None` is NULL, or a column that the
    /// table lacks and needs not.
    pub values: Vec<(&'static Column, Option<String>)>,
    /// Whether the selection takes it for a candidate.
    pub selected: bool,
    /// Why it can't be dialled.
    pub problem: Option<String>,
}

impl Listed {
    /// What the node is known by; none where the row is no node's.
    pub(crate) fn known(&self) -> Option<Known<'_>> {
        let value = |wanted: &Column| {
            let (_, text) = self.values.iter().find(|(column, _)| column.name == wanted.name)?;
            text.as_deref()
        };
        Some(Known { id: self.id.number()?, ip: value(&IP), login: value(&LOGIN) })
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        for (column, value) in &self.values {
            map.serialize_entry(column.name, value)?;
        }
        map.serialize_entry("selected", &self.selected)?;
        map.serialize_entry("problem", &self.problem)?;
        map.end()
    }
}

/// The id of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum ListedId {
    /// One that a node can have.
    Node(NodeId),
    /// Any other; NULL is shown as that word.
    Other(String),
}

impl ListedId {
    /// The number, where it is a node's.
    pub(crate) fn number(&self) -> Option<u32> {
        match self {
            ListedId::Node(id) => Some(id.0),
            ListedId::Other(_) => None,
        }
    }
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
        if let Some(id) = node_id(row.get(&ID)) {
            *counts.entry(id).or_default() += 1;
        }
    }
    let list_one = |(row, selected): (&Row, &bool)| {
        let (id, problem) = match node_id(row.get(&ID)) {
            None => {
                let id = row.get(&ID).map_or("NULL".to_owned(), |_| row.shown(&ID));
                (ListedId::Other(id), Some(NO_ID.to_owned()))
            }
            Some(id) if *selected && counts.get(&id).is_some_and(|&count| count > 1) => {
                (ListedId::Node(id), Some(Invalid::DuplicateId.to_string()))
            }
            Some(id) => (ListedId::Node(id), node(id, row).err().map(|reason| reason.to_string())),
        };
        let listed = COLUMNS.into_iter().filter(|column| column.heading.is_some());
        let values = listed.map(|column| (column, value(column, row))).collect();
        Listed { id, values, selected: *selected, problem }
    };
    rows.iter().zip(selected).map(list_one).collect()
}

/// Where a table must have a column, its NULL is shown as nothing.
fn value(column: &Column, row: &Row) -> Option<String> {
    (column.is_needed() || row.get(column).is_some()).then(|| row.shown(column))
}

/// What is told of an id that no node can have.
const NO_ID: &str =
    "its id is no whole number from 0 to 4294967295; correct it, or set database.columns.id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_counts_as_taken_twice_among_selected_rows_only() {
        let columns = ["7", "10.9.0.2", "admin", "secret", "online"]
            .map(|text| Some(text.as_bytes().to_vec().into()));
        let row = || {
            let mut row = Row::default();
            row.0.iter_mut().zip(columns.clone()).for_each(|(column, text)| *column = text);
            row
        };
        let problems = |selected: [bool; 2]| {
            let listed = list(&[row(), row()], &selected);
            listed.iter().map(|row| row.problem.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(problems([true, false]), [false, false]);
        assert_eq!(problems([true, true]), [true, true]);
    }
}
