//! What the answer is printed on.

use std::io::IsTerminal;

use rustix::termios::tcgetwinsize;

/// How wide it is, and whether it shows colours.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// In columns; `None` is without a limit, as for a pipe.
    pub(super) width: Option<usize>,
    pub(super) has_colours: bool,
}

impl Terminal {
    /// That of standard output; `wide`: whatever its width is.
    pub fn of_stdout(wide: bool) -> Self {
        let out = std::io::stdout();
        let is_terminal = out.is_terminal();
        let columns = || tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
        let width = if is_terminal && !wide { columns() } else { None };
        let width = width.filter(|width| *width > 0);
        Terminal { width, has_colours: wants_colours(is_terminal, |name| std::env::var(name).ok()) }
    }

    /// The same without colours.
    pub(super) fn plain(self) -> Self {
        Terminal { has_colours: false, ..self }
    }

    /// Sentences, a line each, broken between words where a line is wider than the terminal. A word that
    /// is wider by itself, such as a path, stays whole, to be copied.
    pub(super) fn wrapped(self, text: &str) -> String {
        match self.width {
            Some(width) => text.lines().map(|line| broken(line, width)).collect(),
            None => text.to_owned(),
        }
    }

    /// A text in the colour of a state.
    pub(super) fn coloured(self, state: &str, text: &str) -> String {
        let colour = match Tone::of(state) {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Still => 2,
            Tone::Busy => 33,
        };
        if self.has_colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A sentence in lines of at most so many columns.
fn broken(sentence: &str, width: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text + "\n"
}

/// What a state is to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is to be.
    Good,
    /// It needs a person.
    Bad,
    /// Nothing happens, and it is wanted so.
    Still,
    /// On its way.
    Busy,
}

impl Tone {
    pub(super) fn of(state: &str) -> Self {
        match state {
            "up" => Tone::Good,
            "quarantined" | "invalid" => Tone::Bad,
            "stopped" => Tone::Still,
            _ => Tone::Busy,
        }
    }
}

/// Whether a terminal with this name (`TERM`) only takes plain text.
pub(super) fn is_dumb(term: Option<&str>) -> bool {
    term.is_none_or(|term| term.is_empty() || term == "dumb")
}

/// By the rules of no-color.org and bixense.com/clicolors.
fn wants_colours(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        return false;
    }
    if variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") {
        return true;
    }
    let is_dumb = is_dumb(variable("TERM").as_deref());
    is_terminal && !is_dumb && variable("CLICOLOR").as_deref() != Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(is_terminal: bool, set: &[(&str, &str)]) -> bool {
        wants_colours(is_terminal, |name| {
            let found = set.iter().chain(&[("TERM", "xterm")]).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_sentence_is_broken_between_words_and_none_of_them_is_cut() {
        let of = |width| Terminal { width, has_colours: false };
        let text = "4 nodes: 2 up\nsee /var/lib/connexa/nodes.db\n";
        assert_eq!(of(Some(10)).wrapped(text), "4 nodes: 2\nup\nsee\n/var/lib/connexa/nodes.db\n");
        assert_eq!(of(Some(80)).wrapped(text), text);
        assert_eq!(of(None).wrapped(text), text);
    }

    #[test]
    fn colours_follow_the_terminal_and_the_environment() {
        assert!(wants(true, &[]));
        assert!(!wants(false, &[]));
        assert!(!wants(true, &[("TERM", "dumb")]));
        assert!(!wants(true, &[("CLICOLOR", "0")]));
        assert!(wants(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!wants(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!wants(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(wants(true, &[("NO_COLOR", "")]));
    }
}
