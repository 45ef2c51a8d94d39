//! The text of the program and of its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::types::{Kind, bare, read_kinds};
use crate::{project, text_of};

/// All of it, with texts that go over several lines joined.
pub(crate) fn source() -> String {
    let mut text = String::new();
    for folder in ["src", "tests/sim", "tests/netns", "tests/lab", "systemd"] {
        gather(&project(folder), &mut text);
    }
    let joined: Vec<&str> = text.split("\\\n").map(str::trim_start).collect();
    joined.concat()
}

fn gather(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, text);
        } else if let Ok(content) = fs::read_to_string(&path) {
            text.push_str(&content);
        }
    }
}

/// The fields of `GET /v1/status`, dotted; those of a node are `nodes.…`.
pub(crate) fn fields_of_status() -> BTreeSet<String> {
    let mut kinds = BTreeMap::new();
    read_kinds(&text_of("src/control/api.rs"), &mut kinds);
    let mut fields = BTreeSet::new();
    collect(&kinds, "", "Status", &mut fields);
    fields
}

fn collect(
    kinds: &BTreeMap<String, Kind>,
    prefix: &str,
    kind: &str,
    fields: &mut BTreeSet<String>,
) {
    for (field, kind, _) in &kinds[kind].members {
        let name = format!("{prefix}{field}");
        let one = bare(kind);
        let one = one.strip_prefix("Vec<").and_then(|one| one.strip_suffix('>')).unwrap_or(one);
        if kinds.contains_key(one) {
            collect(kinds, &format!("{name}."), one, fields);
        } else {
            fields.insert(name);
        }
    }
}

/// What `last_error.kind` may be, as serde spells the variants.
pub(crate) fn kinds_of_failures() -> BTreeSet<String> {
    let mut kinds = BTreeMap::new();
    read_kinds(&text_of("src/core/failure.rs"), &mut kinds);
    let snake = |name: &str| {
        let small = |c: char| match c.is_uppercase() {
            true => format!("_{}", c.to_lowercase()),
            false => c.to_string(),
        };
        name.chars().map(small).collect::<String>().trim_start_matches('_').to_owned()
    };
    let failures = kinds["FailureKind"].members.iter().map(|(name, _, _)| snake(name));
    failures.chain(["invalid".to_owned()]).collect()
}
