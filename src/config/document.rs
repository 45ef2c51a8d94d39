//! The file's text, key by key: what can be taken, and what is wrong with the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::Config;
use super::fault::{Fault, MOST_TOLD, Place};
use super::wording;

/// What a text says.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// By its keys that could be taken; the others are at their defaults.
    pub(super) config: Config,
    /// Where the values of those stand, by dotted key.
    pub(super) places: BTreeMap<String, Place>,
    /// `database.path` is not the file's.
    pub(super) database_by_environment: bool,
    /// Keys that could not be taken, dotted.
    pub(super) refused: BTreeSet<String>,
    /// What is wrong with them.
    pub(super) faults: Vec<Fault>,
}

type Entry<'t> = (Spanned<DeString<'t>>, Spanned<DeValue<'t>>);

impl Document {
    /// Reads a text. A fault of TOML's grammar is told alone: what comes after it is not known.
    pub(super) fn read(text: &str) -> Self {
        let mut document = Document::default();
        match DeTable::parse(text) {
            Ok(root) => {
                let root = document.sift(text, &[], root.into_inner());
                match config_of(root) {
                    Ok(config) => document.config = config,
                    Err(error) => document.blame(text, error.span(), error.message().to_owned()),
                }
            }
            Err(error) => document.blame(text, error.span(), wording::of_grammar(error.message())),
        }
        document
    }

    /// The entries of a section that can be taken. Every key may be left out, so each value is
    /// judged as if it were the only one of the file.
    fn sift<'t>(
        &mut self,
        text: &str,
        section: &[Spanned<DeString<'t>>],
        table: DeTable<'t>,
    ) -> DeTable<'t> {
        let mut taken = DeTable::new();
        for (key, value) in table {
            if self.is_cut_short() {
                break;
            }
            let mut path = section.to_vec();
            path.push(key.clone());
            let name = dotted(&path);
            let (span, value) = (value.span(), value.into_inner());
            let value = match (wording::is_section(&name), value) {
                (true, DeValue::Table(table)) => DeValue::Table(self.sift(text, &path, table)),
                (true, other) => {
                    self.refuse(text, &name, Some(span), wording::no_section(&name, &other));
                    continue;
                }
                (false, value) => {
                    let value = Spanned::new(span.clone(), value);
                    if let Some(error) = why_not(&path, &value) {
                        let at = error.span().unwrap_or(span);
                        let message = wording::of_value(&name, &value, &at, error.message());
                        self.refuse(text, &name, Some(at), message);
                        continue;
                    }
                    self.places.insert(name, Place::of(text, span.start));
                    value.into_inner()
                }
            };
            taken.insert(key, Spanned::new(span, value));
        }
        taken
    }

    /// There are so many faults that not all of the text was looked at.
    pub(super) fn is_cut_short(&self) -> bool {
        self.faults.len() > MOST_TOLD
    }

    fn refuse(&mut self, text: &str, key: &str, at: Option<Range<usize>>, message: String) {
        self.refused.insert(key.to_owned());
        self.blame(text, at, message);
    }

    fn blame(&mut self, text: &str, at: Option<Range<usize>>, message: String) {
        let place = at.map(|at| Place::of(text, at.start));
        self.faults.push(Fault { place, message });
    }
}

fn dotted(path: &[Spanned<DeString<'_>>]) -> String {
    let names: Vec<&str> = path.iter().map(|key| key.get_ref().as_ref()).collect();
    names.join(".")
}

/// A file that holds this value and nothing else.
fn alone<'t>(path: &[Spanned<DeString<'t>>], value: Spanned<DeValue<'t>>) -> DeTable<'t> {
    let nested = |(key, value): Entry<'t>| DeTable::from_iter([(key, value)]);
    let mut keys = path.iter().rev().cloned();
    let Some(last) = keys.next() else { return DeTable::new() };
    keys.fold(nested((last, value)), |inner, key| {
        nested((key.clone(), Spanned::new(key.span(), DeValue::Table(inner))))
    })
}

/// Why a value can't be taken, if so.
fn why_not<'t>(
    path: &[Spanned<DeString<'t>>],
    value: &Spanned<DeValue<'t>>,
) -> Option<toml::de::Error> {
    let error = config_of(alone(path, value.clone())).err()?;
    if error.message() != "wanted string or table" {
        return Some(error);
    }
    // What words a key takes is said only of a text.
    let text = Spanned::new(value.span(), DeValue::String(DeString::default()));
    config_of(alone(path, text)).err().or(Some(error))
}

fn config_of(table: DeTable<'_>) -> Result<Config, toml::de::Error> {
    Config::deserialize(Deserializer::from(Spanned::new(0..0, table)))
}
