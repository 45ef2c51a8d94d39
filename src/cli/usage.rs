//! Command lines: a wrong one is told in one line.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use super::output::written;
use crate::exit::{Exit, Refused};
use crate::printable::printable;

/// Commands that end or take away something: nobody is led to them by a slip of the finger.
const DANGEROUS: [&str; 2] = ["stop", "remove"];

/// Reads the command line of this program. Help and a wrong command line are told here; `Err` is
/// what the program ends with then.
///
/// # Errors
/// When there is nothing left to be done.
pub fn arguments<A: Parser>(program: &str) -> Result<A, ExitCode> {
    A::try_parse().map_err(|error| {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return match written(error.print().and_then(|()| std::io::stdout().flush())) {
                Ok(()) => Exit::Done.into(),
                Err(error) => fail(program, &error.into()),
            };
        }
        complain(program, &one_line(program, &error));
        Exit::Usage.into()
    })
}

/// A node's id, of a word of the command line.
///
/// # Errors
/// With what clap is to print, where it is none.
pub(super) fn node_id(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("a node's id is a number from 0 to {}", u32::MAX))
}

/// Tells why the program does not do what was asked, and gives what it ends with.
pub fn fail(program: &str, refused: &Refused) -> ExitCode {
    refused.lines.iter().for_each(|line| complain(program, line));
    refused.exit.into()
}

/// Tells of something that is done all the same.
pub(super) fn warn(message: &str) {
    complain("connexactl", &format!("warning: {message}"));
}

fn complain(program: &str, message: &str) {
    // Nothing is left to be done where stderr is closed.
    let _ = writeln!(std::io::stderr(), "{program}: {}", printable(message));
}

/// clap's message without its usage: that is for `--help`.
fn one_line(program: &str, error: &clap::Error) -> String {
    let mut what = String::new();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        what.push_str("a command is missing");
    } else {
        let text = error.render().to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        for line in lines.take_while(|line| !line.starts_with("Usage:")) {
            match line.strip_prefix("tip: ") {
                _ if line.starts_with("For more information") => {}
                Some(tip) if is_dangerous(tip) => {}
                Some(tip) => what = what + "; " + tip,
                None if what.is_empty() => what.push_str(line.trim_start_matches("error: ")),
                None => what = what + " " + line,
            }
        }
    }
    format!("{what}; see `{program} --help`")
}

/// Whether clap's tip leads to a command that does harm where another was meant.
fn is_dangerous(tip: &str) -> bool {
    DANGEROUS.iter().any(|command| tip.contains(&format!("'{command}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(subcommand_required = true, arg_required_else_help = true)]
    struct Arguments {
        #[command(subcommand)]
        _command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Retry {
            #[arg(value_name = "NODE")]
            _node: u32,
        },
        Stop,
    }

    fn told(words: &[&str]) -> String {
        let words = std::iter::once(&"x").chain(words);
        one_line("x", &Arguments::try_parse_from(words).unwrap_err())
    }

    #[test]
    fn a_slip_of_the_finger_leads_to_no_command_that_ends_something() {
        assert_eq!(told(&["top"]), "unrecognized subcommand 'top'; see `x --help`");
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line_with_what_was_meant() {
        assert_eq!(told(&[]), "a command is missing; see `x --help`");
        assert_eq!(
            told(&["retyr"]),
            "unrecognized subcommand 'retyr'; a similar subcommand exists: 'retry'; see `x --help`"
        );
        assert_eq!(
            told(&["retry"]),
            "the following required arguments were not provided: <NODE>; see `x --help`"
        );
        for words in [&["retry", "a\nb"][..], &["retry", "1", "2"], &["--what"]] {
            assert_eq!(told(words).lines().count(), 1, "{words:?}");
        }
    }
}
