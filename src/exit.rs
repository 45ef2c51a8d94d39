//! How the programs end: which error has which exit code. The codes are shared by both programs,
//! after `sysexits.h` where that has one; docs/operations.md has their table.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use crate::cli::{FirewallCommandError, JsonError, OutputError, ReplayError};
use crate::config::ConfigError;
use crate::control::client::ClientError;
use crate::control::socket::SocketError;
use crate::desired::{CreateError, Problem, What};
use crate::firewall::FirewallError;
use crate::once::OnceError;
use crate::process::is_want;
use crate::purge::PurgeError;
use crate::supervisor::SupervisorError;
use crate::telemetry::TelemetryError;

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

/// An error that a program ends with.
pub trait Fatal: Display {
    /// How the program ends.
    fn exit(&self) -> Exit;

    /// What is told on stderr, a line each: what happened, where, and what to do about it. Only
    /// where several faults are told together it is more than one line.
    fn lines(&self) -> Vec<String> {
        vec![self.to_string()]
    }
}

/// Why a program does not do what was asked: the lines for stderr, and the exit code.
#[derive(Debug)]
pub struct Refused {
    /// What happened, where, and what to do about it.
    pub lines: Vec<String>,
    /// How the program ends.
    pub exit: Exit,
}

impl Refused {
    /// With a code of the caller's choice, for what is no error of a type of its own.
    pub fn with(exit: Exit, message: impl Display) -> Self {
        Refused { lines: vec![message.to_string()], exit }
    }
}

impl<E: Fatal> From<E> for Refused {
    fn from(error: E) -> Self {
        Refused { exit: error.exit(), lines: error.lines() }
    }
}

/// Whether it may pass by itself: systemd is to start the daemon again, which its unit has it do for
/// no code that tells of what the operator has to mend.
fn may_pass(error: &io::Error) -> bool {
    is_want(error) || matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl Fatal for ConfigError {
    fn exit(&self) -> Exit {
        match self {
            ConfigError::Unreadable { source, .. }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            ConfigError::Unreadable { source, .. } if may_pass(source) => Exit::Unreachable,
            ConfigError::Unreadable { .. } | ConfigError::Faulty { .. } => Exit::Config,
        }
    }

    fn lines(&self) -> Vec<String> {
        ConfigError::lines(self)
    }
}

/// Of the database that the configuration names.
impl Fatal for Problem {
    fn exit(&self) -> Exit {
        match &self.what {
            What::Rights(_) => Exit::Permission,
            What::Missing
            | What::NotAFile
            | What::SideFile(_)
            | What::Empty { .. }
            | What::NotSqlite
            | What::Schema(_)
            | What::NoIds { .. }
            | What::TooMany { .. }
            | What::WalWithoutPlace => Exit::Config,
            What::Locked | What::Unfinished | What::Damaged(_) | What::Other(_) => Exit::No,
        }
    }
}

impl Fatal for CreateError {
    fn exit(&self) -> Exit {
        match self {
            CreateError::Rights(_) => Exit::Permission,
            CreateError::Exists(_) | CreateError::NoFolder(_) | CreateError::Failed { .. } => {
                Exit::No
            }
        }
    }
}

impl Fatal for SocketError {
    fn exit(&self) -> Exit {
        match self {
            SocketError::AlreadyRunning { .. } => Exit::No,
            SocketError::File { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            SocketError::File { source, .. } if may_pass(source) => Exit::Unreachable,
            SocketError::Taken { .. } | SocketError::NoLock { .. } | SocketError::File { .. } => {
                Exit::Config
            }
        }
    }
}

impl Fatal for TelemetryError {
    fn exit(&self) -> Exit {
        match self {
            TelemetryError::Journald(error) | TelemetryError::Thread(error) if may_pass(error) => {
                Exit::Unreachable
            }
            TelemetryError::Journald(_) | TelemetryError::Thread(_) | TelemetryError::Twice(_) => {
                Exit::Config
            }
        }
    }
}

impl Fatal for SupervisorError {
    fn exit(&self) -> Exit {
        match self {
            SupervisorError::Socket(error) => error.exit(),
            SupervisorError::Signals(error) if may_pass(error) => Exit::Unreachable,
            SupervisorError::Signals(_) | SupervisorError::Record(_) => Exit::No,
            // Another code than for a second daemon: systemd starts it again.
            SupervisorError::Part { .. } => Exit::Unreachable,
        }
    }
}

impl Fatal for OnceError {
    fn exit(&self) -> Exit {
        match self {
            OnceError::Kernel(_) | OnceError::Running(_) => Exit::No,
        }
    }
}

impl Fatal for PurgeError {
    fn exit(&self) -> Exit {
        match self {
            PurgeError::Lock(error) => error.exit(),
            PurgeError::DaemonRuns(_) | PurgeError::Running(_) | PurgeError::Left(_) => Exit::No,
        }
    }
}

impl Fatal for ClientError {
    fn exit(&self) -> Exit {
        match self {
            ClientError::Unreachable { .. }
            | ClientError::WentAway { .. }
            | ClientError::Late { .. }
            | ClientError::NotKnown { .. }
            | ClientError::Garbled { .. } => Exit::Unreachable,
            ClientError::Permission { .. } | ClientError::NotRoot { .. } => Exit::Permission,
            ClientError::Refused { problem, .. } => match problem.status {
                403 => Exit::Permission,
                422 => Exit::Config,
                503 => Exit::Unreachable,
                _ => Exit::No,
            },
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            ClientError::Refused { problem, .. } if !problem.faults.is_empty() => {
                problem.faults.clone()
            }
            ClientError::Refused { .. }
            | ClientError::Unreachable { .. }
            | ClientError::WentAway { .. }
            | ClientError::Late { .. }
            | ClientError::NotKnown { .. }
            | ClientError::Garbled { .. }
            | ClientError::Permission { .. }
            | ClientError::NotRoot { .. } => vec![self.to_string()],
        }
    }
}

impl Fatal for FirewallCommandError {
    fn exit(&self) -> Exit {
        match self {
            FirewallCommandError::Firewall(error) => error.exit(),
            FirewallCommandError::Config(error) => error.exit(),
            FirewallCommandError::Nodes(problem) => problem.exit(),
            FirewallCommandError::NoServer(_) | FirewallCommandError::Json(_) => Exit::No,
        }
    }

    fn lines(&self) -> Vec<String> {
        if let FirewallCommandError::Config(error) = self {
            return error.lines();
        }
        vec![self.to_string()]
    }
}

impl Fatal for FirewallError {
    fn exit(&self) -> Exit {
        match self {
            FirewallError::NotRoot => Exit::Permission,
            FirewallError::IntoOfIptables => Exit::Usage,
            FirewallError::NoFilter
            | FirewallError::Tool(_)
            | FirewallError::TooLong { .. }
            | FirewallError::Refused { .. }
            | FirewallError::Garbled(_)
            | FirewallError::Foreign { .. }
            | FirewallError::OfIptables { .. }
            | FirewallError::NotOurs
            | FirewallError::NoSuchChain(_) => Exit::No,
        }
    }
}

impl Fatal for ReplayError {
    fn exit(&self) -> Exit {
        match self {
            ReplayError::Unreadable { source, .. }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            ReplayError::Output(error) => error.exit(),
            ReplayError::Unreadable { .. }
            | ReplayError::NoStart
            | ReplayError::CutStart
            | ReplayError::NoFormat { .. }
            | ReplayError::OtherFormat { .. }
            | ReplayError::Garbled { .. } => Exit::No,
        }
    }
}

impl Fatal for JsonError {
    fn exit(&self) -> Exit {
        Exit::No
    }
}

impl Fatal for OutputError {
    fn exit(&self) -> Exit {
        Exit::No
    }
}
