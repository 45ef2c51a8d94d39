//! What was read, row by row, so that a row that reads as before is not judged again.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::rows::{self, Judged, Judgement, Row};

/// The rows of one read, as SQLite found them: a line of JSON each, and what it came to.
pub(super) struct Lines {
    /// Statuses that come first, in this order.
    priority: Vec<String>,
    /// The lines, each with its end.
    text: Vec<u8>,
    judgements: Vec<Judgement>,
}

impl Lines {
    pub(super) fn new(priority: &[String]) -> Self {
        Lines { priority: priority.to_vec(), text: Vec::new(), judgements: Vec::new() }
    }

    /// Takes in the text of another read. Only what is between the first and the last line that
    /// differ is judged, and at most a line beside.
    ///
    /// # Errors
    /// When a line is no array of six texts.
    pub(super) fn take_in(&mut self, mut text: Vec<u8>) -> Result<(), serde_json::Error> {
        if !text.is_empty() {
            text.push(END);
        }
        let (same_before, old, new) = differing(&self.text, &text);
        let first = count_lines(same_before);
        let judged = new.split_inclusive(|&byte| byte == END);
        let judged =
            judged.map(|line| judge(line, &self.priority)).collect::<Result<Vec<_>, _>>()?;
        self.judgements.splice(first..first + count_lines(old), judged);
        self.text = text;
        Ok(())
    }

    /// What the rows come to, together.
    pub(super) fn judged(&self) -> Judged {
        rows::together(&self.judgements)
    }
}

/// Of a line. JSON has no bare one within.
const END: u8 = b'\n';

/// The lines with which both texts begin, and the lines of each between those and the ones with
/// which both end.
fn differing<'a>(old: &'a [u8], new: &'a [u8]) -> (&'a [u8], &'a [u8], &'a [u8]) {
    let (same, _) = old.split_at(same_at_begin(old, new));
    let lines = same.iter().rposition(|&byte| byte == END).map_or(0, |end| end + 1);
    let (same, old) = old.split_at(lines);
    let (_, new) = new.split_at(lines);
    let (_, at_end) = old.split_at(old.len() - same_at_end(old, new));
    // It may begin within a line.
    let begins = at_end.iter().position(|&byte| byte == END).map_or(at_end.len(), |end| end + 1);
    let lines = at_end.len() - begins;
    (same, old.split_at(old.len() - lines).0, new.split_at(new.len() - lines).0)
}

/// Bytes that are compared at once.
const CHUNK: usize = 256;

fn same_at_begin(one: &[u8], other: &[u8]) -> usize {
    let chunks = one.chunks_exact(CHUNK).zip(other.chunks_exact(CHUNK));
    let same = chunks.take_while(|(one, other)| one == other).count() * CHUNK;
    let rest = one.split_at(same).1.iter().zip(other.split_at(same).1);
    same + rest.take_while(|(one, other)| one == other).count()
}

fn same_at_end(one: &[u8], other: &[u8]) -> usize {
    let chunks = one.rchunks_exact(CHUNK).zip(other.rchunks_exact(CHUNK));
    let same = chunks.take_while(|(one, other)| one == other).count() * CHUNK;
    let (one, other) = (one.split_at(one.len() - same).0, other.split_at(other.len() - same).0);
    let rest = one.iter().rev().zip(other.iter().rev());
    same + rest.take_while(|(one, other)| one == other).count()
}

fn count_lines(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == END).count()
}

fn judge(line: &[u8], priority: &[String]) -> Result<Judgement, serde_json::Error> {
    let [id, ip, login, password, status, mppe] =
        serde_json::from_slice::<[Option<Bytes>; 6]>(line)?;
    let bytes = |column: Option<Bytes>| column.map(|Bytes(bytes)| bytes);
    let (id, ip, login) = (bytes(id), bytes(ip), bytes(login));
    let (password, status, mppe) = (bytes(password), bytes(status), bytes(mppe));
    Ok(rows::judge(&Row { id, ip, login, password, status, mppe }, priority))
}

/// A text of JSON that need not be UTF-8: such bytes must fail their row alone.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::event::{Candidate, Ranked};
    use crate::node::Node;

    fn line(id: u32, login: &str) -> String {
        format!(r#"["{id}","10.9.0.2","{login}","secret","online",null]"#)
    }

    fn nodes(lines: &Lines) -> Vec<Arc<Node>> {
        let node = |row: Ranked| match row.candidate {
            Candidate::Node(node) => node,
            Candidate::Invalid(row) => panic!("{}", row.reason),
        };
        lines.judged().candidates.into_iter().map(node).collect()
    }

    fn take_in(known: &mut Lines, all: &[String]) {
        known.take_in(all.join("\n").into_bytes()).unwrap();
    }

    #[test]
    fn a_row_that_reads_as_before_is_the_same_node() {
        let mut known = Lines::new(&[]);
        take_in(&mut known, &[1, 2, 3].map(|id| line(id, "admin")));
        let before = nodes(&known);
        take_in(&mut known, &[line(1, "admin"), line(2, "other"), line(3, "admin")]);
        let after = nodes(&known);
        let same = before.iter().zip(&after).map(|(old, new)| Arc::ptr_eq(old, new));
        assert_eq!(same.collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(after[1].login.as_str(), "other");
    }

    #[test]
    fn rows_that_come_and_go_anywhere_leave_the_others() {
        let mut known = Lines::new(&[]);
        for ids in [&[2, 3][..], &[1, 2, 3, 4], &[1, 4], &[], &[7], &[7, 7, 8], &[8]] {
            let all: Vec<_> = ids.iter().map(|&id| line(id, "admin")).collect();
            take_in(&mut known, &all);
            let mut ids = ids.to_vec();
            ids.dedup();
            let found: Vec<_> =
                known.judged().candidates.iter().map(|row| row.candidate.id().0).collect();
            assert_eq!(found, ids);
        }
    }

    #[test]
    fn whatever_differs_between_two_reads_the_second_counts() {
        let rows: Vec<String> = (1..7).map(|id| line(id, &"x".repeat(100))).collect();
        let some = |mask: u32| -> Vec<String> {
            let chosen = (0..).zip(&rows).filter(|(bit, _)| mask & 1 << bit != 0);
            chosen.map(|(_, row)| row.clone()).collect()
        };
        for (first, second) in (0..64).flat_map(|first| (0..64).map(move |second| (first, second)))
        {
            let (mut known, mut fresh) = (Lines::new(&[]), Lines::new(&[]));
            take_in(&mut known, &some(first));
            take_in(&mut known, &some(second));
            take_in(&mut fresh, &some(second));
            assert_eq!(known.judged(), fresh.judged(), "{first:b}, then {second:b}");
        }
    }

    #[test]
    fn what_is_escaped_is_read_as_it_was() {
        let mut known = Lines::new(&[]);
        known
            .take_in(br#"["7","10.9.0.2","a\"b\\\u0009\u00e9","secret","online",null]"#.to_vec())
            .unwrap();
        let Candidate::Invalid(row) = known.judged().candidates.remove(0).candidate else {
            panic!()
        };
        assert_eq!(row.login, "a\"b\\\té");
    }
}
