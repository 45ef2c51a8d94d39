//! The keys of the configuration, read from the source of its types.

use std::collections::BTreeMap;
use std::fs;

use crate::project;

/// A structure or an enumeration of the source.
#[derive(Debug, Default)]
struct Kind {
    about: String,
    is_enum: bool,
    /// Name, type and comment of each field or variant; a variant has no type.
    members: Vec<(String, String, String)>,
}

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

/// A type without `Option` around it.
fn bare(kind: &str) -> &str {
    kind.strip_prefix("Option<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind)
}

fn kinds() -> BTreeMap<String, Kind> {
    let mut kinds = BTreeMap::new();
    let folder = fs::read_dir(project("src/config")).unwrap().map(|entry| entry.unwrap().path());
    for file in folder.chain([project("src/node.rs")]) {
        read_kinds(&fs::read_to_string(file).unwrap(), &mut kinds);
    }
    kinds
}

/// The formatter sees to it that a type's lines are `pub struct X {`, its members, and `}`.
fn read_kinds(source: &str, kinds: &mut BTreeMap<String, Kind>) {
    let mut about = String::new();
    let mut open: Option<(String, Kind)> = None;
    for line in source.lines() {
        let text = line.trim();
        if let Some(comment) = text.strip_prefix("///") {
            about = format!("{about} {}", comment.trim()).trim().to_owned();
            continue;
        }
        if text.starts_with("#[") {
            continue;
        }
        let about = std::mem::take(&mut about);
        if let Some((_, kind)) = &mut open {
            if line == "}" {
                kinds.extend(open.take());
            } else if let Some(member) = text.strip_suffix(',') {
                let (name, of) = member.split_once(": ").unwrap_or((member, ""));
                let name = name.strip_prefix("pub ").unwrap_or(name);
                kind.members.push((name.to_owned(), of.to_owned(), about));
            }
            continue;
        }
        let head = text.strip_suffix(" {");
        let named = |word| head.and_then(|head| head.strip_prefix(word));
        if let Some(name) = named("pub struct ").or(named("pub enum ")) {
            let is_enum = named("pub enum ").is_some();
            open = Some((name.to_owned(), Kind { about, is_enum, ..Kind::default() }));
        }
    }
}
