//! Lines out of a stream of bytes that may hold anything.

use crate::printable::printable;

/// The most of a line that is kept, in bytes.
const LONGEST: usize = 1024;

/// Cuts bytes into lines, in constant memory.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// Takes in bytes and hands on each line that is whole, as text that is fit to be shown: what
    /// is over-long is cut and ends in `…`, control characters are escaped, bytes that are not
    /// UTF-8 are replaced. Empty lines are left out.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let ended = piece.ends_with(b"\n");
            let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend(piece.iter().take(room));
            self.cut |= piece.len() > room;
            if ended {
                self.rest().into_iter().for_each(&mut each);
            }
        }
    }

    /// The line that has no end yet, when no more will come.
    pub(super) fn rest(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.cut);
        let mut text = printable(String::from_utf8_lossy(&line).trim_end());
        if cut {
            text.push('…');
        }
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| all.push(line));
        }
        all.extend(lines.rest());
        all
    }

    #[test]
    fn lines_are_whole_however_the_bytes_come() {
        assert_eq!(
            fed(&[b"one\ntw", b"o\n", b"\nthree\r\n", b"four"]),
            ["one", "two", "three", "four"]
        );
    }

    #[test]
    fn a_line_that_never_ends_takes_constant_memory() {
        let mut lines = Lines::default();
        for _ in 0..1024 {
            lines.feed(&[b'x'; 4096], |_| panic!("no line has ended"));
        }
        assert!(lines.line.capacity() <= 2 * LONGEST);
        assert_eq!(lines.rest(), Some("x".repeat(LONGEST) + "…"));
    }

    #[test]
    fn after_an_over_long_line_the_next_is_read_as_usual() {
        let long = [b'x'; 5000];
        assert_eq!(fed(&[&long, b"\nnext\n"]), ["x".repeat(LONGEST) + "…", "next".into()]);
    }

    #[test]
    fn a_line_of_just_the_longest_length_is_not_cut() {
        let long = [b'x'; LONGEST];
        assert_eq!(fed(&[&long, b"\n"]), ["x".repeat(LONGEST)]);
    }

    #[test]
    fn what_could_harm_a_terminal_is_escaped_and_bad_bytes_are_replaced() {
        assert_eq!(
            fed(&[b"a\x1b[2J\0\xff \"q\" \\ \xc3\xa9\n"]),
            ["a\\u{1b}[2J\\0\u{fffd} \"q\" \\ é"]
        );
    }
}
