//! `connexactl node import`: nodes from a CSV file (RFC 4180) with a header, all or none.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::problem::NodeError;
use crate::desired::{COLUMNS, Column, EditError, Edited, Editor, Fields, Settings};
use crate::node::{NodeId, Secret};

/// So many faults are told; more of them would be one and the same.
const MOST_TOLD: usize = 10;

/// A node of the file.
#[derive(Debug)]
pub(super) struct Imported {
    line: u64,
    id: Option<NodeId>,
    fields: Fields,
}

/// Reads and judges the whole file.
///
/// # Errors
/// When it can't be read, or with the faults of all its lines.
pub(super) fn read(path: &Path) -> Result<Vec<Imported>, NodeError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|source| NodeError::NoFile { path: path.to_owned(), source })?;
    parse(path, &bytes)
}

/// Adds all nodes in one transaction.
///
/// # Errors
/// When one of them can't be added.
pub(super) async fn add(
    settings: &Settings,
    path: &Path,
    nodes: &[Imported],
) -> Result<Vec<NodeId>, NodeError> {
    let mut editor = Editor::begin(settings).await?;
    let mut ids = Vec::new();
    let mut faults = Faults::default();
    // Given ids first: the table must not give one of them to a node without.
    let (given, free): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.id.is_some());
    for node in given.into_iter().chain(free) {
        match editor.add(node.id, &node.fields).await {
            Ok(id) => ids.push(id),
            Err(EditError::Exists(id)) => {
                let twice = nodes.iter().find(|other| other.id == Some(id));
                let first = twice.filter(|first| first.line < node.line).map(|first| first.line);
                faults.add(
                    node.line,
                    &match first {
                        Some(first) => {
                            format!("node {id} is in line {first} already; leave one out")
                        }
                        None => format!("node {id} is there already; leave the line out"),
                    },
                );
            }
            // What the table refuses of one row it may well refuse of all: the first tells enough.
            Err(error) => {
                faults.add(node.line, &error.to_string());
                return faults.end(path, ids);
            }
        }
    }
    let ids = faults.end(path, ids)?;
    editor.commit().await?;
    Ok(ids)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Imported>, NodeError> {
    // The mark that Windows puts before UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Lines { bytes, at: 0, number: 1 };
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let mut faults = Faults::default();
    let mut header = None;
    let mut nodes = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let line = lines.of_record_at(reader.position().byte());
        match (reader.read_record(&mut record), &header) {
            (Ok(false), Some(_)) => return faults.end(path, nodes),
            (Ok(false), None) => return Err(faults.only(path, 1, "is missing: the file is empty")),
            (Ok(true), None) => {
                let columns = columns(&record).map_err(|fault| faults.only(path, line, &fault))?;
                header = Some(columns);
            }
            (Ok(true), Some(columns)) => match imported(line, columns, &record) {
                Ok(node) => nodes.push(node),
                Err(fault) => faults.add(line, &fault),
            },
            (Err(error), Some(_)) => faults.add(line, &what_of(&error)),
            (Err(error), None) => return Err(faults.only(path, line, &what_of(&error))),
        }
    }
}

/// Numbers of lines. The reader counts the end of a line, and empty lines, as part of what comes
/// after them.
struct Lines<'a> {
    bytes: &'a [u8],
    /// Up to here …
    at: usize,
    /// … lies before this line.
    number: u64,
}

impl Lines<'_> {
    /// The line in which a record begins that the reader sees at this place, which is not before
    /// the last one.
    fn of_record_at(&mut self, place: u64) -> u64 {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let rest = self.bytes.get(place..).unwrap_or_default();
        let begin = place + rest.iter().take_while(|byte| is_end(byte)).count();
        let passed = self.bytes.get(self.at..begin).unwrap_or_default();
        // An end of line is one of "\n", "\r\n" and "\r".
        let lone = passed.windows(2).filter(|two| matches!(two, [b'\r', next] if *next != b'\n'));
        let feeds = passed.iter().filter(|byte| **byte == b'\n').count();
        let ends = feeds + lone.count() + usize::from(passed.ends_with(b"\r"));
        self.number += u64::try_from(ends).unwrap_or(u64::MAX);
        self.at = begin.max(self.at);
        self.number
    }
}

/// The columns that a file must and may have.
pub(super) fn known_columns() -> String {
    let (needed, others): (Vec<_>, Vec<_>) =
        COLUMNS.into_iter().partition(|column| column.is_needed_of_new());
    let list = |columns: &[&Column]| {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        names.join(", ")
    };
    format!("{}, and where wanted {}", list(&needed), list(&others))
}

fn columns(names: &StringRecord) -> Result<Vec<&'static Column>, String> {
    let known = || format!("it names the columns {}, separated by commas", known_columns());
    let mut columns: Vec<&Column> = Vec::new();
    for (number, name) in (1..).zip(names) {
        // Not shown: where the header is missing, it may be a password.
        let unknown = || format!("column {number} has no name that is known; {}", known());
        let column = Column::named(name.trim()).ok_or_else(unknown)?;
        if columns.contains(&column) {
            return Err(format!("column {name:?} is there twice; {}", known()));
        }
        columns.push(column);
    }
    let is_missing = |column: &&Column| column.is_needed_of_new() && !columns.contains(column);
    match COLUMNS.into_iter().find(is_missing) {
        Some(column) => Err(format!("column {} is missing; {}", column.name, known())),
        None => Ok(columns),
    }
}

fn imported(
    line: u64,
    columns: &[&'static Column],
    record: &StringRecord,
) -> Result<Imported, String> {
    let mut node = Imported { line, id: None, fields: Fields::of_new() };
    for (&column, text) in columns.iter().zip(record) {
        if text.trim().is_empty() && !column.is_needed_of_new() {
            continue;
        }
        let invalid = |reason: crate::node::Invalid| reason.to_string();
        match &column.edited {
            Edited::Id => {
                let id = crate::desired::node_id(text);
                node.id = Some(id.ok_or_else(|| {
                    format!("id {text:?} is no whole number from 0 to {}", u32::MAX)
                })?);
            }
            Edited::Secret => node.fields.set_password(Secret::parse(text).map_err(invalid)?),
            Edited::Value(choice) => {
                node.fields.set(column, (choice.judge)(text).map_err(invalid)?);
            }
        }
    }
    Ok(node)
}

/// What is wrong with a record.
fn what_of(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!(
            "has {len} fields where the first line has {expected_len}; put fields with commas in quotes"
        ),
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8 text; save the file as UTF-8".to_owned(),
        // Ours are read from memory only, and read as they are.
        csv::ErrorKind::Io(_)
        | csv::ErrorKind::Seek
        | csv::ErrorKind::Serialize(_)
        | csv::ErrorKind::Deserialize { .. }
        | _ => "is not CSV".to_owned(),
    }
}

/// What is wrong in which line.
#[derive(Debug, Default)]
struct Faults {
    told: Vec<String>,
    untold: usize,
}

impl Faults {
    fn add(&mut self, line: u64, fault: &str) {
        if self.told.len() < MOST_TOLD {
            self.told.push(format!("line {line}: {fault}"));
        } else {
            self.untold += 1;
        }
    }

    fn only(&mut self, path: &Path, line: u64, fault: &str) -> NodeError {
        self.add(line, fault);
        self.error(path)
    }

    /// `found`, if there are none.
    fn end<T>(&self, path: &Path, found: T) -> Result<T, NodeError> {
        if self.told.is_empty() { Ok(found) } else { Err(self.error(path)) }
    }

    fn error(&self, path: &Path) -> NodeError {
        let mut faults = self.told.join(" | ");
        if self.untold > 0 {
            faults.push_str(&format!(" | and {} lines more", self.untold));
        }
        NodeError::Faults { path: path.to_owned(), faults }
    }
}

#[cfg(test)]
mod tests;
