//! The keys of the configuration, read from the source of its types.

use std::collections::BTreeMap;
use std::fs;

use crate::project;
use crate::types::{Kind, bare, read_kinds};

/// A key of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Dotted, as in `tunnel.backoff.min`.
    pub(crate) name: String,
    /// Of Rust, without `Option`.
    pub(crate) kind: String,
    /// What the source says about it.
    pub(crate) meaning: String,
    /// The words that it takes and what they mean, where it takes words.
    pub(crate) words: Vec<(String, String)>,
}

/// A section of the file.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) keys: Vec<Key>,
}

/// The sections, in the order of the source.
pub(crate) fn sections() -> Vec<Section> {
    let kinds = kinds();
    let fields = &kinds["Config"].members;
    let section = |(name, kind, _): &(String, String, String)| {
        let mut keys = Vec::new();
        collect(&kinds, name, kind, &mut keys);
        Section { name: name.clone(), about: kinds[kind].about.clone(), keys }
    };
    fields.iter().map(section).collect()
}

/// Every key.
pub(crate) fn all() -> Vec<Key> {
    sections().into_iter().flat_map(|section| section.keys).collect()
}

fn collect(kinds: &BTreeMap<String, Kind>, prefix: &str, kind: &str, keys: &mut Vec<Key>) {
    for (field, kind, about) in &kinds[kind].members {
        let name = format!("{prefix}.{field}");
        let kind = bare(kind);
        match kinds.get(kind) {
            Some(inner) if !inner.is_enum => collect(kinds, &name, kind, keys),
            found => {
                let word = |(name, _, about): &(String, String, String)| {
                    (name.to_lowercase(), about.clone())
                };
                let words = found.map_or_else(Vec::new, |e| e.members.iter().map(word).collect());
                keys.push(Key { name, kind: kind.to_owned(), meaning: about.clone(), words });
            }
        }
    }
}

fn kinds() -> BTreeMap<String, Kind> {
    let mut kinds = BTreeMap::new();
    let folder = fs::read_dir(project("src/config")).unwrap().map(|entry| entry.unwrap().path());
    for file in folder.chain([project("src/node.rs")]) {
        read_kinds(&fs::read_to_string(file).unwrap(), &mut kinds);
    }
    kinds
}
