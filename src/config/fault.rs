//! What is wrong with a configuration, told of all its faults at once.

use std::fmt;
use std::path::PathBuf;

use crate::printable::printable;

/// So many faults are told; a file with more of them is no configuration, and not looked at further.
pub(super) const MOST_TOLD: usize = 100;

/// Why a configuration can't be used. Each message names the file, the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: can't read the configuration: {source}; put a plain file there that can be read, of at most 1 MiB, or name another with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What it says can't be used.
    #[error("{}", self.lines().join(" | "))]
    Faulty {
        /// The file.
        path: PathBuf,
        /// All that is wrong, one at least, in the order of the file.
        faults: Vec<Fault>,
    },
}

impl ConfigError {
    /// What is to be told, a line for each fault.
    pub fn lines(&self) -> Vec<String> {
        let (path, faults) = match self {
            ConfigError::Unreadable { .. } => return vec![self.to_string()],
            ConfigError::Faulty { path, faults } => (path.display(), faults),
        };
        let told = faults.iter().take(MOST_TOLD).map(|fault| format!("{path}: {fault}"));
        let rest = (faults.len() > MOST_TOLD)
            .then(|| format!("{path}: and more faults than these {MOST_TOLD}; mend these first"));
        told.chain(rest).collect()
    }
}

/// One thing that is wrong, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the value stands; `None` where the file does not set it.
    pub place: Option<Place>,
    /// The key, what is wrong with it, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&printable(&self.message))
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What stands in the line, cut short.
    pub text: String,
}

/// So much of a line is shown, in characters.
const LONGEST_SHOWN: usize = 80;

impl Place {
    /// The place of a byte of the text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let whole = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        Place {
            line: before.matches('\n').count() + 1,
            column: before.get(start..).map_or(0, |line| line.chars().count()) + 1,
            text: shortened(whole.trim(), LONGEST_SHOWN),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, text } = self;
        write!(f, "line {line}, column {column} (`{}`)", printable(text))
    }
}

/// The text, or its beginning and `…`.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
