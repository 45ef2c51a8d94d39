//! How the programs end: which error has which exit code. The codes are shared by both programs,
//! after `sysexits.h` where that has one; README.md has their table.

use std::fmt::Display;
use std::io::ErrorKind;
use std::process::ExitCode;

use crate::cli::{FirewallCommandError, NodeError, OutputError, ReplayError};
use crate::config::ConfigError;
use crate::control::client::ClientError;
use crate::control::socket::SocketError;
use crate::desired::{Problem, What};
use crate::firewall::FirewallError;
use crate::once::OnceError;
use crate::supervisor::SupervisorError;

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The answer is no: not up, a check failed, node unknown, already running.
    No,
    /// The command line holds a value that can't be.
    Usage,
    /// The daemon can't be reached, or can't go on (`EX_UNAVAILABLE`).
    Unreachable,
    /// Not allowed (`EX_NOPERM`).
    Permission,
    /// The configuration is wrong, or what it names can't serve (`EX_CONFIG`).
    Config,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 69,
            Exit::Permission => 77,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why a program does not do what was asked: the line for stderr, and the exit code.
#[derive(Debug)]
pub struct Refused {
    /// What happened, where, and what to do about it.
    pub message: String,
    /// How the program ends.
    pub exit: Exit,
}

impl Refused {
    /// With a code of the caller's choice, for what is no error of a type of its own.
    pub fn with(exit: Exit, message: impl Display) -> Self {
        Refused { message: message.to_string(), exit }
    }
}

impl<E: Display> From<E> for Refused
where
    for<'a> Exit: From<&'a E>,
{
    fn from(error: E) -> Self {
        Refused { exit: Exit::from(&error), message: error.to_string() }
    }
}

impl From<&ConfigError> for Exit {
    fn from(error: &ConfigError) -> Self {
        match error {
            ConfigError::Unreadable { source, .. }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            ConfigError::Unreadable { .. }
            | ConfigError::Malformed { .. }
            | ConfigError::Refused { .. } => Exit::Config,
        }
    }
}

/// Of the database that the configuration names.
impl From<&Problem> for Exit {
    fn from(problem: &Problem) -> Self {
        match &problem.what {
            What::Rights(_) => Exit::Permission,
            What::Missing
            | What::NotAFile
            | What::Empty { .. }
            | What::NotSqlite
            | What::Schema(_)
            | What::NoIds { .. }
            | What::TooMany { .. } => Exit::Config,
            What::Locked | What::Unfinished | What::Damaged(_) | What::Other(_) => Exit::No,
        }
    }
}

impl From<&SocketError> for Exit {
    fn from(error: &SocketError) -> Self {
        match error {
            SocketError::AlreadyRunning { .. } => Exit::No,
            SocketError::File { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            SocketError::Taken { .. } | SocketError::File { .. } => Exit::Config,
        }
    }
}

impl From<&SupervisorError> for Exit {
    fn from(error: &SupervisorError) -> Self {
        match error {
            SupervisorError::Socket(error) => error.into(),
            SupervisorError::Signals(_) | SupervisorError::Record(_) => Exit::No,
            // Another code than for a second daemon: systemd starts it again.
            SupervisorError::Part { .. } => Exit::Unreachable,
        }
    }
}

impl From<&OnceError> for Exit {
    fn from(error: &OnceError) -> Self {
        match error {
            OnceError::Kernel(_) | OnceError::Running(_) => Exit::No,
        }
    }
}

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. }
            | ClientError::WentAway { .. }
            | ClientError::Garbled { .. } => Exit::Unreachable,
            ClientError::Permission { .. } | ClientError::NotRoot { .. } => Exit::Permission,
            ClientError::Refused { problem, .. } => match problem.status {
                403 => Exit::Permission,
                503 => Exit::Unreachable,
                _ => Exit::No,
            },
        }
    }
}

impl From<&NodeError> for Exit {
    fn from(error: &NodeError) -> Self {
        error.exit()
    }
}

impl From<&FirewallCommandError> for Exit {
    fn from(error: &FirewallCommandError) -> Self {
        match error {
            FirewallCommandError::Firewall(error) => error.into(),
            FirewallCommandError::Config(error) => error.into(),
            FirewallCommandError::Nodes(problem) => problem.into(),
            FirewallCommandError::NoServer(_) | FirewallCommandError::Json(_) => Exit::No,
        }
    }
}

impl From<&FirewallError> for Exit {
    fn from(error: &FirewallError) -> Self {
        match error {
            FirewallError::NotRoot => Exit::Permission,
            FirewallError::IntoOfIptables => Exit::Usage,
            FirewallError::NoFilter
            | FirewallError::Missing { .. }
            | FirewallError::Refused { .. }
            | FirewallError::Garbled(_)
            | FirewallError::Foreign { .. }
            | FirewallError::OfIptables(_)
            | FirewallError::NotOurs
            | FirewallError::NoSuchChain(_) => Exit::No,
        }
    }
}

impl From<&ReplayError> for Exit {
    fn from(error: &ReplayError) -> Self {
        match error {
            ReplayError::Unreadable { source, .. }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            ReplayError::Output(error) => error.into(),
            ReplayError::Unreadable { .. }
            | ReplayError::NoStart
            | ReplayError::CutStart
            | ReplayError::NoFormat { .. }
            | ReplayError::OtherFormat { .. }
            | ReplayError::Garbled { .. } => Exit::No,
        }
    }
}

impl From<&OutputError> for Exit {
    fn from(_: &OutputError) -> Self {
        Exit::No
    }
}
