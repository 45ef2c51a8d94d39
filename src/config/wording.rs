//! What is wrong with a key, in the words of an operator instead of those of Rust's types.

use std::ops::Range;
use std::sync::LazyLock;

use toml::de::DeValue;
use toml::{Spanned, Table, Value};

use super::Config;
use super::fault::shortened;
use super::judge;

/// So much of a value is shown, in characters.
const LONGEST_SHOWN: usize = 60;

/// Every section, dotted.
static SECTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut sections = Vec::new();
    gather(&Table::try_from(Config::default()).unwrap_or_default(), "", &mut sections);
    sections
});

fn gather(table: &Table, prefix: &str, sections: &mut Vec<String>) {
    for (key, value) in table {
        if let Value::Table(inner) = value {
            let name = format!("{prefix}{key}");
            gather(inner, &format!("{name}."), sections);
            sections.push(name);
        }
    }
}

pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section == name)
}

/// Of something else where a section has to be.
pub(super) fn no_section(name: &str, value: &DeValue<'_>) -> String {
    format!("{name} is {}, not a section; write [{name}] once, and its keys below it", shown(value))
}

/// Of a text that is not TOML.
pub(super) fn of_grammar(message: &str) -> String {
    match message {
        "duplicate key" => "this key is there already; leave one out".to_owned(),
        other => other.to_owned(),
    }
}

/// Of the value of a key, from what serde says of the place `at` within it.
pub(super) fn of_value(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    at: &Range<usize>,
    message: &str,
) -> String {
    let (said, wanted) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    if let Some(unknown) = said.strip_prefix("unknown field `") {
        return unknown_key(unknown.trim_end_matches('`'), wanted);
    }
    if said.starts_with("unknown variant `") {
        let words: Vec<String> = quoted(wanted).map(|word| format!("{word:?}")).collect();
        return format!("{key} is {}; give {}", shown(value.get_ref()), any_of(&words));
    }
    if !said.starts_with("invalid ") {
        return format!("{key}: {message}");
    }
    let list = value.get_ref().as_array();
    match list.and_then(|list| list.iter().find(|element| element.span() == *at)) {
        Some(element) => {
            let element = shown(element.get_ref());
            format!("{key} has {element} in it; give a list of texts in quotes")
        }
        None => format!("{key} is {}; give {}", shown(value.get_ref()), right(key, wanted)),
    }
}

/// What serde expects, for people.
fn right(key: &str, wanted: &str) -> String {
    match wanted {
        "a boolean" => "true or false, without quotes".to_owned(),
        "u16" => judge::whole_number(key, u16::MAX.into()),
        "u32" => judge::whole_number(key, u32::MAX),
        "f64" => "a number such as 0.2, without quotes".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        "path string" => "an absolute path in quotes".to_owned(),
        "a sequence" => "a list of texts such as [\"a\", \"b\"]".to_owned(),
        other => other.to_owned(),
    }
}

fn unknown_key(unknown: &str, known: &str) -> String {
    let near = quoted(known)
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(2))
        .min();
    let elsewhere: Vec<String> = SECTIONS
        .iter()
        .filter(|section| knows(section, unknown))
        .map(|section| format!("[{section}]"))
        .collect();
    match near {
        Some((_, name)) => format!("unknown key `{unknown}`; did you mean `{name}`?"),
        None if elsewhere.is_empty() => format!("unknown key `{unknown}`, expected {known}"),
        None => format!("unknown key `{unknown}` here; it belongs into {}", any_of(&elsewhere)),
    }
}

/// Whether a section has such a key.
fn knows(section: &str, key: &str) -> bool {
    let names = section.split('.').chain([key]).rev();
    let nothing = Value::Table(Table::new());
    let file = names
        .fold(nothing, |inner, name| Value::Table(Table::from_iter([(name.to_owned(), inner)])));
    let taken = file.try_into::<Config>();
    taken.err().is_none_or(|error| !error.message().starts_with("unknown field"))
}

/// Words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn any_of(words: &[String]) -> String {
    match words {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        words => words.concat(),
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", shortened(text, LONGEST_SHOWN)),
        DeValue::Integer(number) => shortened(&number.to_string(), LONGEST_SHOWN),
        DeValue::Float(number) => shortened(&number.to_string(), LONGEST_SHOWN),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}
