//! `connexactl node import`: nodes from a CSV file (RFC 4180) with a header, all or none.

mod fault;

pub(super) use fault::Faults;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::problem::NodeError;
use crate::desired::{
    COLUMNS, Column, EditError, Edited, Editor, Fields, LOGIN, PASSWORD, Settings,
};
use crate::node::{NodeId, Secret};
use fault::LineFault;

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
                let in_line = |line| LineFault::InLine { node: id, line };
                faults.add(node.line, first.map_or(LineFault::IsThere(id), in_line));
            }
            // What the table refuses of one row it may well refuse of all: the first tells enough.
            Err(error) => {
                faults.add(node.line, error);
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
        let begins = reader.position().byte();
        let line = lines.of_record_at(begins);
        match (reader.read_record(&mut record), &header) {
            (Ok(false), Some(_)) => return faults.end(path, nodes),
            (Ok(false), None) => return Err(Faults::only(path, 1, LineFault::EmptyFile)),
            (Ok(true), None) => {
                let columns = columns(&record).map_err(|fault| Faults::only(path, line, fault))?;
                header = Some(columns);
            }
            (Ok(true), Some(columns)) => {
                let raw = raw(bytes, begins, reader.position().byte());
                let judged = refuse_blanks(raw, columns, &record)
                    .and_then(|()| imported(line, columns, &record));
                match judged {
                    Ok(node) => nodes.push(node),
                    Err(fault) => faults.add(line, fault),
                }
            }
            (Err(error), Some(_)) => faults.add(line, &error),
            (Err(error), None) => return Err(Faults::only(path, line, &error)),
        }
    }
}

fn raw(bytes: &[u8], begins: u64, ends: u64) -> &[u8] {
    let [begins, ends] = [begins, ends].map(|place| usize::try_from(place).unwrap_or(usize::MAX));
    bytes.get(begins..ends).unwrap_or_default()
}

/// Blanks around a login or a password belong to it, and would be sent to the server. Who has typed
/// them behind a comma does not mean that; who has put them into quotes does.
fn refuse_blanks(
    raw: &[u8],
    columns: &[&'static Column],
    record: &StringRecord,
) -> Result<(), LineFault> {
    for (column, text) in columns.iter().zip(record) {
        let is_sent = [&LOGIN, &PASSWORD].contains(column);
        let quoted = format!("\"{}\"", text.replace('"', "\"\""));
        let is_quoted = || raw.windows(quoted.len()).any(|part| part == quoted.as_bytes());
        if is_sent && text.trim() != text && !is_quoted() {
            return Err(LineFault::Blanks(column.name));
        }
    }
    Ok(())
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

fn columns(names: &StringRecord) -> Result<Vec<&'static Column>, LineFault> {
    let mut columns: Vec<&Column> = Vec::new();
    for (number, name) in (1..).zip(names) {
        let column = Column::named(name.trim());
        let column = column.ok_or_else(|| LineFault::unknown_column(number, names))?;
        if columns.contains(&column) {
            return Err(LineFault::ColumnTwice(name.to_owned()));
        }
        columns.push(column);
    }
    let is_missing = |column: &&Column| column.is_needed_of_new() && !columns.contains(column);
    match COLUMNS.into_iter().find(is_missing) {
        Some(column) => Err(LineFault::NoColumn(column.name)),
        None => Ok(columns),
    }
}

fn imported(
    line: u64,
    columns: &[&'static Column],
    record: &StringRecord,
) -> Result<Imported, LineFault> {
    let mut node = Imported { line, id: None, fields: Fields::of_new() };
    for (&column, text) in columns.iter().zip(record) {
        if text.trim().is_empty() && !column.is_needed_of_new() {
            continue;
        }
        match &column.edited {
            Edited::Id => {
                let id = crate::desired::node_id(text);
                node.id = Some(id.ok_or_else(|| LineFault::BadId(text.to_owned()))?);
            }
            Edited::Secret => node.fields.set_password(Secret::parse(text)?),
            Edited::Value(choice) => {
                node.fields.set(column, (choice.judge)(text)?);
            }
        }
    }
    Ok(node)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::{fuzz, is_shown_safely};

    #[test]
    fn a_list_of_nodes_is_read_or_refused_with_words_whatever_it_is() {
        fuzz("tests/fuzz/corpus/csv", |bytes| {
            if let Err(error) = parse(Path::new("nodes.csv"), bytes) {
                is_shown_safely(&error.to_string());
            }
        });
    }
}
