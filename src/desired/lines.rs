//! What was read, row by row, and what differs between two reads. This is the one place that
//! compares them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use zeroize::Zeroizing;

use super::columns::COUNT;
use super::rows::{self, Judgement, Row};
use crate::core::event::{Candidate, Ranked};
use crate::node::{Invalid, NodeId};

/// The rows of one read, as SQLite found them: a line of JSON each, and what it came to. A row that
/// reads as before is not judged again.
pub(super) struct Lines {
    /// Statuses that come first, in this order.
    priority: Vec<String>,
    /// The lines, each with its end.
    text: Zeroizing<Vec<u8>>,
    judgements: Vec<Judgement>,
    /// Nodes whose rows differ from those in `candidates`.
    touched: BTreeSet<NodeId>,
    /// What the rows came to when [`Lines::changes`] was asked last.
    candidates: BTreeMap<NodeId, Ranked>,
    /// Those of them that have several rows.
    several: BTreeSet<NodeId>,
    /// Those of them that have no address.
    without_address: BTreeSet<NodeId>,
}

/// What differs from the candidates that were known before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// New ones, and those that differ; most wanted first.
    pub(super) rows: Vec<Ranked>,
    /// No candidates any more.
    pub(super) gone: Vec<NodeId>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.gone.is_empty()
    }
}

impl Lines {
    pub(super) fn new(priority: &[String]) -> Self {
        Lines {
            priority: priority.to_vec(),
            text: Zeroizing::default(),
            judgements: Vec::new(),
            touched: BTreeSet::new(),
            candidates: BTreeMap::new(),
            several: BTreeSet::new(),
            without_address: BTreeSet::new(),
        }
    }

    /// Takes in the text of another read. Only lines that are new are judged.
    ///
    /// # Errors
    /// When a line is no array of as many texts as there are columns.
    pub(super) fn take_in(&mut self, read: Vec<u8>) -> Result<(), serde_json::Error> {
        let read = Zeroizing::new(read);
        let mut text = Zeroizing::new(Vec::with_capacity(read.len() + 1));
        text.extend_from_slice(&read);
        if !text.is_empty() {
            text.push(END);
        }
        drop(read);
        let (same_before, old, new) = differing(&self.text, &text);
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        let first = count_lines(same_before);
        let range = first..first + count_lines(old);
        // Of each line, how many more there are than before.
        let mut lines: BTreeMap<&[u8], (Judgement, i64)> = BTreeMap::new();
        let known = self.judgements.get(range.clone()).unwrap_or_default();
        for (line, judgement) in each_line(old).zip(known) {
            lines.entry(line).or_insert_with(|| (judgement.clone(), 0)).1 -= 1;
        }
        let mut judged = Vec::new();
        for line in each_line(new) {
            let (judgement, more) = match lines.entry(line) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert((judge(line, &self.priority)?, 0)),
            };
            *more += 1;
            judged.push(judgement.clone());
        }
        let touched = lines.into_values().filter(|(_, more)| *more != 0);
        self.touched.extend(touched.filter_map(|(judgement, _)| judgement.id()));
        // Their first row counts, which may be another by now.
        self.touched.extend(&self.several);
        self.judgements.splice(range, judged);
        self.text = text;
        Ok(())
    }

    /// What differs from the candidates that were told by this before.
    pub(super) fn changes(&mut self) -> Changes {
        let touched = mem::take(&mut self.touched);
        let mut changes = Changes::default();
        if touched.is_empty() {
            return changes;
        }
        let mut rows: BTreeMap<NodeId, Vec<&Ranked>> = BTreeMap::new();
        for judgement in &self.judgements {
            if let Judgement::Candidate(row) = judgement
                && touched.contains(&row.candidate.id())
            {
                rows.entry(row.candidate.id()).or_default().push(row);
            }
        }
        for id in touched {
            let rows = rows.remove(&id).unwrap_or_default();
            if rows.len() > 1 {
                self.several.insert(id)
            } else {
                self.several.remove(&id)
            };
            let together = rows::together(&rows);
            if together.as_ref().is_some_and(has_no_address) {
                self.without_address.insert(id)
            } else {
                self.without_address.remove(&id)
            };
            match together {
                Some(row) if self.candidates.get(&id) == Some(&row) => {}
                Some(row) => {
                    self.candidates.insert(id, row.clone());
                    changes.rows.push(row);
                }
                None if self.candidates.remove(&id).is_some() => changes.gone.push(id),
                None => {}
            }
        }
        sort(&mut changes.rows);
        changes
    }

    /// All candidates as of the last [`Lines::changes`], most wanted first.
    pub(super) fn candidates(&self) -> Vec<Ranked> {
        let mut candidates: Vec<Ranked> = self.candidates.values().cloned().collect();
        sort(&mut candidates);
        candidates
    }

    /// Ids, as far as they can be shown, of rows that no node can be made of: no number from 0 to
    /// 4294967295.
    pub(super) fn unusable_ids(&self) -> impl Iterator<Item = &str> {
        self.judgements.iter().filter_map(|judgement| match judgement {
            Judgement::NoId(shown) => Some(shown.as_str()),
            Judgement::Candidate(_) => None,
        })
    }

    /// Candidates that have no address, as of the last [`Lines::changes`].
    pub(super) fn without_address(&self) -> &BTreeSet<NodeId> {
        &self.without_address
    }

    /// Whether there are rows, and not one that a node can be made of.
    pub(super) fn are_all_unusable(&self) -> bool {
        !self.judgements.is_empty() && self.judgements.iter().all(|row| row.id().is_none())
    }
}

fn has_no_address(row: &Ranked) -> bool {
    matches!(&row.candidate, Candidate::Invalid(row) if row.reason == Invalid::no_address())
}

fn sort(rows: &mut [Ranked]) {
    rows.sort_by_key(|row| (row.rank, row.candidate.id()));
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

fn each_line(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == END)
}

fn count_lines(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == END).count()
}

fn judge(line: &[u8], priority: &[String]) -> Result<Judgement, serde_json::Error> {
    let columns = serde_json::from_slice::<[Option<Bytes>; COUNT]>(line)?;
    let row = Row(columns.map(|column| column.map(|Bytes(bytes)| bytes.into())));
    Ok(rows::judge(&row, priority))
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

    /// As SQLite writes it, of a login in JSON; columns beyond the five that must be are NULL.
    fn line(id: u32, login: &str) -> String {
        let more = ",null".repeat(COUNT - 5);
        format!(r#"["{id}","10.9.0.2","{login}","secret","online"{more}]"#)
    }

    fn nodes(lines: &Lines) -> Vec<Arc<Node>> {
        let node = |row: Ranked| match row.candidate {
            Candidate::Node(node) => node,
            Candidate::Invalid(row) => panic!("{}", row.reason),
        };
        lines.candidates().into_iter().map(node).collect()
    }

    fn take_in(known: &mut Lines, all: &[String]) -> Changes {
        known.take_in(all.join("\n").into_bytes()).unwrap();
        known.changes()
    }

    fn ids(rows: &[Ranked]) -> Vec<u32> {
        rows.iter().map(|row| row.candidate.id().0).collect()
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
        for wanted in [&[2, 3][..], &[1, 2, 3, 4], &[1, 4], &[], &[7], &[7, 7, 8], &[8]] {
            let all: Vec<_> = wanted.iter().map(|&id| line(id, "admin")).collect();
            take_in(&mut known, &all);
            let mut wanted = wanted.to_vec();
            wanted.dedup();
            assert_eq!(ids(&known.candidates()), wanted);
        }
    }

    #[test]
    fn rows_that_differ_are_told_and_no_others() {
        let mut known = Lines::new(&[]);
        take_in(&mut known, &[1, 2, 3, 4].map(|id| line(id, "admin")));
        let rows = [line(1, "other"), line(2, "admin"), line(4, "other"), line(5, "admin")];
        let changes = take_in(&mut known, &rows);
        assert_eq!((ids(&changes.rows), changes.gone), (vec![1, 4, 5], vec![NodeId(3)]));
        assert!(take_in(&mut known, &rows).is_empty());
    }

    #[test]
    fn a_row_between_two_that_differ_is_not_judged_again() {
        let mut known = Lines::new(&[]);
        take_in(&mut known, &[1, 2, 3].map(|id| line(id, "admin")));
        let before = nodes(&known);
        take_in(&mut known, &[0, 1, 2].map(|id| line(id, "admin")));
        assert!(Arc::ptr_eq(&before[1], &nodes(&known)[2]));
    }

    #[test]
    fn rows_that_were_taken_in_and_not_told_are_told_with_the_next() {
        let mut known = Lines::new(&[]);
        take_in(&mut known, &[1, 2].map(|id| line(id, "admin")));
        known.take_in(line(2, "admin").into_bytes()).unwrap();
        let changes = take_in(&mut known, &[line(2, "other")]);
        assert_eq!((ids(&changes.rows), changes.gone), (vec![2], vec![NodeId(1)]));
    }

    #[test]
    fn what_differs_between_two_reads_leads_from_the_first_to_the_second() {
        // Ids that several rows have are among them.
        let rows: Vec<String> =
            (0..6).map(|n| line(n / 2, if n % 3 == 0 { "admin" } else { "other" })).collect();
        let some = |mask: u32| -> Vec<String> {
            let chosen = (0..).zip(&rows).filter(|(bit, _)| mask & 1 << bit != 0);
            chosen.map(|(_, row)| row.clone()).collect()
        };
        for (first, second) in (0..64).flat_map(|first| (0..64).map(move |second| (first, second)))
        {
            let (mut known, mut fresh) = (Lines::new(&[]), Lines::new(&[]));
            take_in(&mut known, &some(first));
            let mut told: BTreeMap<_, _> =
                known.candidates().into_iter().map(|row| (row.candidate.id(), row)).collect();
            let changes = take_in(&mut known, &some(second));
            changes.gone.iter().for_each(|id| assert!(told.remove(id).is_some()));
            told.extend(changes.rows.into_iter().map(|row| (row.candidate.id(), row)));
            take_in(&mut fresh, &some(second));
            let told: Vec<_> = told.into_values().collect();
            assert_eq!(told, fresh.candidates(), "{first:b}, then {second:b}");
        }
    }

    #[test]
    fn what_is_escaped_is_read_as_it_was() {
        let mut known = Lines::new(&[]);
        known.take_in(line(7, r#"a\"b\\\u0009\u00e9"#).into_bytes()).unwrap();
        let Candidate::Invalid(row) = known.changes().rows.remove(0).candidate else { panic!() };
        assert_eq!(row.login, "a\"b\\\té");
    }
}
