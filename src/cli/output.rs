//! What the programs print: an answer that does not arrive is an error.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

/// Why an answer did not reach who asked.
#[derive(Debug, thiserror::Error)]
#[error("the answer can't be written to standard output: {0}; see whether a disk is full")]
pub struct OutputError(#[from] io::Error);

/// Why an answer has no form as JSON.
#[derive(Debug, thiserror::Error)]
#[error("the answer can't be put as JSON: {0}; ask without --json")]
pub struct JsonError(#[from] serde_json::Error);

/// An answer as JSON, for people too.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, JsonError> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Prints an answer.
///
/// # Errors
/// When it can't be written. A closed pipe (`connexactl status | head`) is no failure.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of a write to standard output.
///
/// # Errors
/// When it failed for another reason than a closed pipe.
pub(super) fn written(outcome: io::Result<()>) -> Result<(), OutputError> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
