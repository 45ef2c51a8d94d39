//! What was read, row by row, so that a row that reads as before is not judged again.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::rows::{self, Judged, Judgement, Row};

/// The rows of one read: a line of JSON each, and what it came to.
#[derive(Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    judgements: Vec<Judgement>,
}

impl Lines {
    /// Takes in the text of another read. Only what is between the first and the last line that
    /// differ is judged.
    ///
    /// # Errors
    /// When a line is no array of six texts.
    pub(super) fn take_in(&mut self, text: Vec<u8>) -> Result<(), serde_json::Error> {
        let (old, new) = (lines(&self.text), lines(&text));
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let (old, new) = (old.get(same..).unwrap_or_default(), new.get(same..).unwrap_or_default());
        let both = old.iter().rev().zip(new.iter().rev());
        let same_at_end = both.take_while(|(old, new)| old == new).count();
        let differing = new.iter().take(new.len() - same_at_end);
        let judged = differing.map(|line| judge(line)).collect::<Result<Vec<_>, _>>()?;
        self.judgements.splice(same..self.judgements.len() - same_at_end, judged);
        self.text = text;
        Ok(())
    }

    /// What the rows come to, together.
    pub(super) fn judged(&self) -> Judged {
        rows::together(&self.judgements)
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    if text.is_empty() { Vec::new() } else { text.split(|&byte| byte == b'\n').collect() }
}

fn judge(line: &[u8]) -> Result<Judgement, serde_json::Error> {
    let [id, ip, login, password, status, mppe] =
        serde_json::from_slice::<[Option<Bytes>; 6]>(line)?;
    let bytes = |column: Option<Bytes>| column.map(|Bytes(bytes)| bytes);
    let (id, ip, login) = (bytes(id), bytes(ip), bytes(login));
    let (password, status, mppe) = (bytes(password), bytes(status), bytes(mppe));
    Ok(rows::judge(&Row { id, ip, login, password, status, mppe }))
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
    use crate::core::event::Candidate;
    use crate::node::Node;

    fn line(id: u32, login: &str) -> String {
        format!(r#"["{id}","10.9.0.2","{login}","secret","online",null]"#)
    }

    fn nodes(lines: &Lines) -> Vec<Arc<Node>> {
        let node = |candidate| match candidate {
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
        let mut known = Lines::default();
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
        let mut known = Lines::default();
        for ids in [&[2, 3][..], &[1, 2, 3, 4], &[1, 4], &[], &[7], &[7, 7, 8], &[8]] {
            let all: Vec<_> = ids.iter().map(|&id| line(id, "admin")).collect();
            take_in(&mut known, &all);
            let mut ids = ids.to_vec();
            ids.dedup();
            let found: Vec<_> = known.judged().candidates.iter().map(|row| row.id().0).collect();
            assert_eq!(found, ids);
        }
    }

    #[test]
    fn what_is_escaped_is_read_as_it_was() {
        let mut known = Lines::default();
        known
            .take_in(br#"["7","10.9.0.2","a\"b\\\u0009\u00e9","secret","online",null]"#.to_vec())
            .unwrap();
        let Candidate::Invalid(row) = known.judged().candidates.remove(0) else { panic!() };
        assert_eq!(row.login, "a\"b\\\té");
    }
}
