//! Structures and enumerations, read from the text of the source.

use std::collections::BTreeMap;

/// A structure or an enumeration of the source.
#[derive(Debug, Default)]
pub(crate) struct Kind {
    pub(crate) about: String,
    pub(crate) is_enum: bool,
    /// Name, type and comment of each field or variant; a variant has no type.
    pub(crate) members: Vec<(String, String, String)>,
}

/// A type without `Option` around it.
pub(crate) fn bare(kind: &str) -> &str {
    kind.strip_prefix("Option<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind)
}

/// The formatter sees to it that a type's lines are `pub struct X {`, its members, and `}`.
pub(crate) fn read_kinds(source: &str, kinds: &mut BTreeMap<String, Kind>) {
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
                // A variant that holds something is no word of the file.
                if name.contains('(') {
                    continue;
                }
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
