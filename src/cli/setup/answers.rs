//! Questions to the operator, on stderr, and the answers, from standard input.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use super::SetupError;
use crate::printable::printable;

/// Longer answers are none, bytes.
const LONGEST: u64 = 8192;

/// Where the answers come from.
pub(super) struct Answers(Box<dyn BufRead>);

impl Answers {
    pub(super) fn of_stdin() -> Self {
        Answers(Box::new(BufReader::new(io::stdin())))
    }

    #[cfg(test)]
    pub(super) fn given(text: &'static str) -> Self {
        Answers(Box::new(text.as_bytes()))
    }

    /// A line, or what holds when nothing is typed.
    ///
    /// # Errors
    /// When there is no line left.
    pub(super) fn text(&mut self, question: &str, usual: &str) -> Result<String, SetupError> {
        ask(&format!("{question} [{}] ", printable(usual)));
        let mut line = String::new();
        let read = self.0.by_ref().take(LONGEST).read_line(&mut line);
        match read {
            Ok(0) => Err(SetupError::NoAnswer(ErrorKind::UnexpectedEof.into())),
            Ok(_) if line.trim().is_empty() => Ok(usual.to_owned()),
            Ok(_) => Ok(line.trim().to_owned()),
            Err(error) => Err(SetupError::NoAnswer(error)),
        }
    }

    /// Yes or no; asked again until it is one of them.
    ///
    /// # Errors
    /// When there is no line left.
    pub(super) fn yes(&mut self, question: &str, usual: bool) -> Result<bool, SetupError> {
        loop {
            let answer = self.text(question, if usual { "Y/n" } else { "y/N" })?;
            match &*answer.to_lowercase() {
                "y/n" => return Ok(usual),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => tell("type y for yes or n for no"),
            }
        }
    }
}

/// A line for who answers. Nothing is left to be done where stderr is closed.
pub(super) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line));
}

fn ask(text: &str) {
    let _ = write!(io::stderr(), "{}", printable(text)).and_then(|()| io::stderr().flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_is_what_holds_without_an_answer_and_the_end_is_no_answer() {
        let mut answers = Answers::given("\n /x \nno\n\nwhat\ny");
        assert_eq!(answers.text("?", "/usual").unwrap(), "/usual");
        assert_eq!(answers.text("?", "/usual").unwrap(), "/x");
        assert!(!answers.yes("?", true).unwrap());
        assert!(answers.yes("?", true).unwrap());
        assert!(answers.yes("?", false).unwrap(), "it is asked again until it is yes or no");
        assert!(matches!(answers.yes("?", true), Err(SetupError::NoAnswer(_))));
    }
}
