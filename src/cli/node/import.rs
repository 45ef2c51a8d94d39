//! `connexactl node import`: nodes from a CSV file (RFC 4180) with a header, all or none.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::arguments::DEFAULT_STATUS;
use super::problem::NodeError;
use crate::desired::{EditError, Editor, Fields, Settings};
use crate::node::{Login, NodeId, Secret, ServerAddr};

/// So many faults are told; more of them would be one and the same.
const MOST_TOLD: usize = 10;

/// A node of the file.
#[derive(Debug)]
pub(super) struct Imported {
    line: u64,
    id: Option<NodeId>,
    fields: Fields,
}

/// What a column of the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Id,
    Ip,
    Login,
    Password,
    Status,
    Mppe,
}

impl Column {
    fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "id" => Column::Id,
            "ip" => Column::Ip,
            "login" | "username" | "user" => Column::Login,
            "password" | "pass" => Column::Password,
            "status" => Column::Status,
            "mppe" => Column::Mppe,
            _ => return None,
        })
    }
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

fn columns(names: &StringRecord) -> Result<Vec<Column>, String> {
    const KNOWN: &str = "it names the columns ip, login, password, and where wanted id, status, \
                         mppe, separated by commas";
    let mut columns = Vec::new();
    for (number, name) in (1..).zip(names) {
        // Not shown: where the header is missing, it may be a password.
        let unknown = || format!("column {number} has no name that is known; {KNOWN}");
        let column = Column::named(name).ok_or_else(unknown)?;
        if columns.contains(&column) {
            return Err(format!("column {name:?} is there twice; {KNOWN}"));
        }
        columns.push(column);
    }
    for (column, name) in
        [(Column::Ip, "ip"), (Column::Login, "login"), (Column::Password, "password")]
    {
        if !columns.contains(&column) {
            return Err(format!("column {name} is missing; {KNOWN}"));
        }
    }
    Ok(columns)
}

fn imported(line: u64, columns: &[Column], record: &StringRecord) -> Result<Imported, String> {
    let mut node = Imported { line, id: None, fields: Fields::default() };
    let fields = &mut node.fields;
    fields.status = Some(DEFAULT_STATUS.to_owned());
    for (column, text) in columns.iter().zip(record) {
        let invalid = |reason: crate::node::Invalid| reason.to_string();
        match column {
            Column::Ip => fields.server = Some(ServerAddr::parse(text).map_err(invalid)?),
            Column::Login => fields.login = Some(Login::parse(text).map_err(invalid)?),
            Column::Password => fields.password = Some(Secret::parse(text).map_err(invalid)?),
            Column::Id if text.trim().is_empty() => {}
            Column::Id => {
                let id = crate::desired::node_id(text);
                node.id = Some(id.ok_or_else(|| {
                    format!("id {text:?} is no whole number from 0 to {}", u32::MAX)
                })?);
            }
            Column::Status if text.is_empty() => {}
            Column::Status => fields.status = Some(text.to_owned()),
            Column::Mppe if text.trim().is_empty() => {}
            Column::Mppe => fields.mppe = Some(text.trim().parse().map_err(invalid)?),
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
mod tests {
    use super::*;

    fn nodes(text: &str) -> Vec<Imported> {
        parse(Path::new("n.csv"), text.as_bytes()).unwrap()
    }

    fn fault(text: &str) -> String {
        let error = parse(Path::new("n.csv"), text.as_bytes()).unwrap_err().to_string();
        error.strip_prefix("n.csv: nothing imported: ").unwrap().to_owned()
    }

    #[test]
    fn columns_stand_in_any_order_and_under_older_names() {
        let nodes = nodes("pass,USER, ip ,id\nsecret,admin,10.9.0.1,7\n");
        let fields = &nodes[0].fields;
        assert_eq!(nodes[0].id, Some(NodeId(7)));
        assert_eq!(fields.login.as_ref().unwrap().as_str(), "admin");
        assert_eq!(fields.password.as_ref().unwrap().reveal(), "secret");
    }

    #[test]
    fn what_is_left_empty_has_its_default() {
        let nodes = nodes("id,ip,login,password,status,mppe\n,10.9.0.1,a,p,,\n");
        assert_eq!(nodes[0].id, None);
        assert_eq!(nodes[0].fields.status.as_deref(), Some("online"));
        assert_eq!(nodes[0].fields.mppe, None);
    }

    #[test]
    fn a_password_is_taken_as_it_stands() {
        let nodes = nodes("ip,login,password\n10.9.0.1,a,\" a,\"\"b\"\" \"\n");
        assert_eq!(nodes[0].fields.password.as_ref().unwrap().reveal(), " a,\"b\" ");
    }

    #[test]
    fn a_mark_of_byte_order_and_the_lines_of_windows_are_no_matter() {
        assert_eq!(nodes("\u{feff}ip,login,password\r\n10.9.0.1,a,p\r\n").len(), 1);
    }

    #[test]
    fn each_fault_is_told_with_its_line() {
        let text = "ip,login,password\n127.0.0.1,a,p\n10.9.0.1,a,p\n10.9.0.2,,p\n10.9.0.3,a\n";
        let fault = fault(text);
        let lines: Vec<&str> =
            fault.split(" | ").filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(lines, ["line 2", "line 4", "line 5"], "{fault}");
    }

    #[test]
    fn a_line_after_a_field_of_several_lines_has_its_true_number() {
        let text = "ip,login,password,status\n10.9.0.1,a,p,\"two\nlines\"\nx,a,p,s\n";
        assert!(fault(text).starts_with("line 4: "), "{}", fault(text));
    }

    #[test]
    fn lines_are_numbered_as_an_editor_numbers_them() {
        let lines = |text: &str| -> Vec<String> {
            let fault = fault(text);
            fault.split(" | ").map(|fault| fault.split(':').next().unwrap().to_owned()).collect()
        };
        for end in ["\n", "\r\n", "\r"] {
            for mark in ["", "\u{feff}"] {
                // Faults in lines 3, 6 and 7, the last without an end.
                let text = ["ip,login,password", "10.9.0.1,a,p", "x,a,p", "", "", "x,a,p", "y,b"];
                let text = format!("{mark}{}", text.join(end));
                assert_eq!(lines(&text), ["line 3", "line 6", "line 7"], "{text:?}");
                let late_header = format!("{end}{end}ip,login,password{end}x,a,p");
                assert_eq!(lines(&late_header), ["line 4"], "{late_header:?}");
            }
        }
    }

    #[test]
    fn a_file_of_nothing_lacks_its_first_line() {
        assert!(fault("").starts_with("line 1: is missing"));
    }

    #[test]
    fn no_fault_shows_a_password() {
        for text in [
            "10.9.0.1,admin,hunter2\n",
            "10.9.0.1;admin;hunter2\n",
            "ip,login,password\n10.9.0.1,a,@/hunter2\n",
            "ip,login,password\n10.9.0.1,a,\"hunter2\n\"\n",
            "ip,login,password\n10.9.0.1,a,hunter2,x\n",
        ] {
            assert!(!fault(text).contains("hunter2"), "{}", fault(text));
        }
    }

    #[test]
    fn a_header_that_does_not_name_the_columns_is_told_with_those_it_takes() {
        assert!(fault("ip,login\n").starts_with("line 1: column password is missing; "));
        let unknown = fault("ip;login\n");
        assert!(unknown.starts_with("line 1: column 1 has no name that is known; "), "{unknown}");
        assert!(fault("ip,ip\n").starts_with("line 1: column \"ip\" is there twice; "));
    }

    #[test]
    fn many_faults_are_cut_short() {
        let text = format!("ip,login,password\n{}", "x,a,p\n".repeat(50));
        assert!(fault(&text).ends_with(" | and 40 lines more"), "{}", fault(&text));
    }
}
