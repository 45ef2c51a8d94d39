//! Exit codes shared by both programs, after `sysexits.h` where that has one.

use std::process::ExitCode;

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
    /// The configuration is wrong (`EX_CONFIG`).
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
