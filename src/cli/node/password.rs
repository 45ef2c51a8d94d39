//! Where a password comes from: a prompt, standard input or a file, and never the command line.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::problem::NodeError;
use crate::cli::usage::warn;
use crate::node::{Invalid, Secret};

/// More than a password can have, in bytes: the rest need not be read.
const LONGEST: u64 = 4096;

/// Rights of others than a file's owner (inode(7)).
const OTHERS: u32 = 0o077;

/// Where the password comes from; a prompt unless something else is said.
#[derive(Debug, Args)]
#[command(next_help_heading = "Password")]
pub(super) struct PasswordFrom {
    /// Read the password from standard input
    #[arg(long, group = "change", conflicts_with = "password_file")]
    password_stdin: bool,
    /// Read the password from this file
    #[arg(long, group = "change", value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordFrom {
    /// Whether a source was named.
    pub(super) fn is_given(&self) -> bool {
        self.password_stdin || self.password_file.is_some()
    }

    /// Gets the password.
    pub(super) fn ask(&self) -> Result<Secret, NodeError> {
        let text = Zeroizing::new(match &self.password_file {
            Some(file) => from_file(file)?,
            None if self.password_stdin => from_stdin()?,
            None => prompt()?,
        });
        if text.is_empty() {
            return Err(NodeError::Nothing);
        }
        let secret = Secret::parse(&text).map_err(NodeError::Password)?;
        if !secret.is_ascii() {
            warn(ODD);
        }
        Ok(secret)
    }
}

/// What is said of a password that is not all ASCII.
const ODD: &str = "the password has characters beyond ASCII, which pppd hashes in another way than most \
                   servers; if it is refused, choose one of ASCII on both sides";

fn from_file(path: &Path) -> Result<String, NodeError> {
    let failed = |source| NodeError::NoPassword {
        from: path.display().to_string(),
        source,
        remedy: "name a file that can be read by --password-file",
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|there| there.is_file() && there.mode() & OTHERS != 0) {
        let path = path.display();
        warn(&format!("{path} holds a password, and others may read it; chmod 600 {path}"));
    }
    one_line(file).map_err(failed)?
}

fn from_stdin() -> Result<String, NodeError> {
    let failed = |source| NodeError::NoPassword {
        from: "standard input".to_owned(),
        source,
        remedy: "pipe it in, or leave --password-stdin out to be asked",
    };
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(failed(io::Error::other("it is a terminal, which would show it")));
    }
    one_line(stdin.lock()).map_err(failed)?
}

/// All of it, less the end of its last line.
fn one_line(source: impl Read) -> io::Result<Result<String, NodeError>> {
    let mut bytes = Vec::new();
    source.take(LONGEST).read_to_end(&mut bytes)?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    let no_text = |_| NodeError::Password(Invalid::NotText("password".to_owned()));
    Ok(String::from_utf8(bytes).map_err(no_text))
}

/// Asks at the terminal, which shows nothing of what is typed.
fn prompt() -> Result<String, NodeError> {
    let failed = |source| NodeError::NoPassword {
        from: "the terminal".to_owned(),
        source,
        remedy: "use --password-stdin or --password-file",
    };
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
    let bytes = Hidden::ask(&terminal).map_err(failed)?;
    String::from_utf8(bytes)
        .map_err(|_| NodeError::Password(Invalid::NotText("password".to_owned())))
}

/// A terminal that shows nothing, until this is dropped.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn ask(mut terminal: &'a File) -> io::Result<Vec<u8>> {
        let mut hidden = Hidden::start(terminal)?;
        terminal.write_all(b"Password: ")?;
        let typed = hidden.read();
        terminal.write_all(b"\n")?;
        typed
    }

    /// Keys that would end the program are read like others: it must not end with a terminal
    /// that goes on showing nothing.
    fn start(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        Ok(Hidden { terminal, before })
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut typed = Vec::new();
        let mut key = [0];
        loop {
            if self.terminal.read(&mut key)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match key {
                [b'\n' | b'\r'] => return Ok(typed),
                // Control-C, control-\, and control-D.
                [0x03 | 0x1c] => return Err(io::Error::other("given up")),
                [0x04] => return Err(ErrorKind::UnexpectedEof.into()),
                // Backspace takes a character, which may have several bytes; control-U takes all.
                [0x08 | 0x7f] => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
                [0x15] => typed.clear(),
                [other] => typed.push(other),
            }
        }
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_line_is_no_part_of_the_password() {
        for text in ["s p ", "s p \n", "s p \r\n"] {
            assert_eq!(one_line(text.as_bytes()).unwrap().unwrap(), "s p ");
        }
    }

    #[test]
    fn only_one_end_of_line_is_taken_off() {
        assert_eq!(one_line("a\n\n".as_bytes()).unwrap().unwrap(), "a\n");
    }
}
