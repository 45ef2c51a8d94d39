//! What is wrong in which line of a CSV file.

use std::fmt;
use std::path::Path;

use csv::StringRecord;

use super::{NodeError, known_columns};
use crate::desired::EditError;
use crate::node::{Invalid, NodeId};

/// So many faults are told; more of them would be one and the same.
const MOST_TOLD: usize = 10;

/// What is wrong with a line, or would be with its row.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli::node) enum LineFault {
    #[error("is missing: the file is empty")]
    EmptyFile,
    /// Its name is not shown: where the header is missing, it may be a password.
    #[error("has an unknown name in column {0}; {known}", known = known())]
    UnknownColumn(usize),
    #[error("has {0} between its fields where commas have to be; {known}", known = known())]
    Separator(&'static str),
    #[error(
        "its {0} begins or ends with a blank; take that away, or put the {0} in quotes if the blank belongs to it"
    )]
    Blanks(&'static str),
    #[error("column {0:?} is there twice; {known}", known = known())]
    ColumnTwice(String),
    #[error("column {0} is missing; {known}", known = known())]
    NoColumn(&'static str),
    #[error(
        "has {there} fields where the first line has {wanted}; put fields with commas in quotes"
    )]
    Fields { there: u64, wanted: u64 },
    #[error("is not UTF-8 text; save the file as UTF-8")]
    NoText,
    #[error("is not CSV")]
    NoCsv,
    #[error("id {0:?} is no whole number from 0 to {max}", max = u32::MAX)]
    BadId(String),
    #[error(transparent)]
    Value(#[from] Invalid),
    #[error("node {node} is in line {line} already; leave one out")]
    InLine { node: NodeId, line: u64 },
    #[error("node {0} is there already; leave the line out")]
    IsThere(NodeId),
    #[error(transparent)]
    Edit(#[from] EditError),
}

fn known() -> String {
    format!("it names the columns, separated by commas: {}", known_columns())
}

impl LineFault {
    /// Of a first line of which this field names no column.
    pub(super) fn unknown_column(number: usize, names: &StringRecord) -> Self {
        let all = names.iter().collect::<String>();
        match names.len() {
            1 if all.contains(';') => LineFault::Separator("semicolons"),
            1 if all.contains('\t') => LineFault::Separator("tabs"),
            _ => LineFault::UnknownColumn(number),
        }
    }
}

impl From<&csv::Error> for LineFault {
    fn from(error: &csv::Error) -> Self {
        match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                LineFault::Fields { there: *len, wanted: *expected_len }
            }
            csv::ErrorKind::Utf8 { .. } => LineFault::NoText,
            // Ours are read from memory only, and read as they are.
            csv::ErrorKind::Io(_)
            | csv::ErrorKind::Seek
            | csv::ErrorKind::Serialize(_)
            | csv::ErrorKind::Deserialize { .. }
            | _ => LineFault::NoCsv,
        }
    }
}

/// The faults of a file, in the order in which they were found.
#[derive(Debug, Default)]
pub struct Faults {
    told: Vec<(u64, LineFault)>,
    untold: usize,
}

impl Faults {
    pub(super) fn add(&mut self, line: u64, fault: impl Into<LineFault>) {
        if self.told.len() < MOST_TOLD {
            self.told.push((line, fault.into()));
        } else {
            self.untold += 1;
        }
    }

    /// The error of a file that can't be read on after this fault.
    pub(super) fn only(path: &Path, line: u64, fault: impl Into<LineFault>) -> NodeError {
        let mut faults = Faults::default();
        faults.add(line, fault);
        NodeError::Faults { path: path.to_owned(), faults }
    }

    /// `found`, if there are none.
    pub(super) fn end<T>(self, path: &Path, found: T) -> Result<T, NodeError> {
        if self.told.is_empty() {
            return Ok(found);
        }
        Err(NodeError::Faults { path: path.to_owned(), faults: self })
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut joint = "";
        for (line, fault) in &self.told {
            write!(f, "{joint}line {line}: {fault}")?;
            joint = " | ";
        }
        if self.untold > 0 {
            write!(f, " | and {} lines more", self.untold)?;
        }
        Ok(())
    }
}
