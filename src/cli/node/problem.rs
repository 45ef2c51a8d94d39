//! Why a node command was not done, and the exit code that says so.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::import::Faults;
use crate::cli::JsonError;
use crate::config::ConfigError;
use crate::desired::{CreateError, EditError, Problem};
use crate::exit::{Exit, Fatal};
use crate::node::Invalid;

/// Why a node command was not done. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be used.
    #[error(transparent)]
    Unusable(#[from] Problem),
    /// The rows can't be changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// No database can be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// A value of the command line that would make the row invalid.
    #[error("{0}")]
    Value(Invalid),
    /// What was named is no id.
    #[error("{0}")]
    NoId(String),
    /// A password that would make the row invalid.
    #[error("{0}")]
    Password(Invalid),
    /// No password at all.
    #[error("no password given: type one, or use --password-file")]
    Nothing,
    /// The password can't be had.
    #[error("can't read the password from {from}: {source}; {remedy}")]
    NoPassword {
        /// Where it was to come from.
        from: String,
        /// Why not.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The CSV file can't be read.
    #[error("can't read {}: {source}; name a file that can be read, or - for standard input", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The CSV file has faults.
    #[error("{}: nothing imported: {faults}", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// What is wrong in which line.
        faults: Faults,
    },
    /// It can't be put as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl Fatal for NodeError {
    fn exit(&self) -> Exit {
        match self {
            NodeError::Config(error) => error.exit(),
            NodeError::Unusable(problem) | NodeError::Edit(EditError::Unusable(problem)) => {
                problem.exit()
            }
            NodeError::Edit(
                EditError::Locked { .. }
                | EditError::Unknown { .. }
                | EditError::Exists(_)
                | EditError::Several { .. }
                | EditError::NoColumn { .. }
                | EditError::NoId(_)
                | EditError::Mangled { .. }
                | EditError::Refused { .. },
            )
            | NodeError::Faults { .. }
            | NodeError::Json(_) => Exit::No,
            NodeError::Create(error) => error.exit(),
            NodeError::Value(_)
            | NodeError::NoId(_)
            | NodeError::Password(_)
            | NodeError::Nothing => Exit::Usage,
            NodeError::NoPassword { source, .. } | NodeError::NoFile { source, .. } => {
                if source.kind() == ErrorKind::PermissionDenied {
                    Exit::Permission
                } else {
                    Exit::No
                }
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        if let NodeError::Config(error) = self {
            return error.lines();
        }
        vec![self.to_string()]
    }
}
