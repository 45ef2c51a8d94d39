//! What values a key takes, found by trying them on the program's own check.

use std::path::Path;

use connexa::config::{Config, Span, parse};
use toml::{Table, Value};

/// The longest duration that can be written, in milliseconds: a year.
const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

/// The default value of a key; none when it is unset.
pub(crate) fn default_of(key: &str) -> Option<Value> {
    let mut value = Value::Table(Table::try_from(Config::default()).unwrap());
    for part in key.split('.') {
        value = value.as_table()?.get(part)?.clone();
    }
    Some(value)
}

/// Whether the program takes this value for the key, all other keys being at their defaults.
pub(crate) fn takes(key: &str, value: Value) -> bool {
    let nested = key
        .rsplit('.')
        .fold(value, |inner, part| Value::Table(Table::from_iter([(part.to_owned(), inner)])));
    parse(Path::new("c.toml"), &toml::to_string(&nested).unwrap()).is_ok()
}

/// The range of a key, for people; empty where its type says all.
pub(crate) fn range(key: &str, kind: &str) -> String {
    let default = default_of(key);
    match kind {
        "u16" | "u32" | "u64" => {
            let take = |number: u64| {
                i64::try_from(number).is_ok_and(|number| takes(key, Value::Integer(number)))
            };
            let start =
                default.and_then(|value| value.as_integer()).map_or(1000, i64::cast_unsigned);
            let (least, most) = (edge(start, 0, take), edge(start, u32::MAX.into(), take));
            format!("{least} to {most}")
        }
        "Span" => {
            let take = |millis: u64| takes(key, Value::String(format!("{millis}ms")));
            let written = default.unwrap().as_str().unwrap().parse::<Span>().unwrap();
            let start = u64::try_from(written.get().as_millis()).unwrap();
            let step = if take(start + 1) || (start > 0 && take(start - 1)) { 1 } else { 1000 };
            let take = |steps: u64| take(steps * step);
            let (least, most) =
                (edge(start / step, 0, take), edge(start / step, YEAR / step, take));
            let whole = if step == 1 { "" } else { ", whole seconds" };
            format!("{} to {}{whole}", shown(least * step), shown(most * step))
        }
        "f64" => {
            let bounds = [0.0, 1.0].map(|bound| takes(key, Value::Float(bound)));
            let beyond = [-0.01, 1.01].map(|value| takes(key, Value::Float(value)));
            assert_eq!((bounds, beyond), ([true; 2], [false; 2]), "say here what {key} takes");
            "0.0 to 1.0".to_owned()
        }
        "String" if !takes(key, Value::String(String::new())) => "not empty".to_owned(),
        "Vec<String>" if !takes(key, Value::Array(Vec::new())) => "not empty".to_owned(),
        _ => String::new(),
    }
}

/// The value farthest from `inside` towards `outside` that is taken; those between are taken too.
fn edge(mut inside: u64, mut outside: u64, take: impl Fn(u64) -> bool) -> u64 {
    assert!(take(inside), "the default is taken");
    if take(outside) {
        return outside;
    }
    while inside.abs_diff(outside) > 1 {
        let middle = inside.midpoint(outside);
        if take(middle) { inside = middle } else { outside = middle }
    }
    inside
}

fn shown(millis: u64) -> String {
    if millis == YEAR {
        return "365d".to_owned();
    }
    format!("{millis}ms").parse::<Span>().unwrap().to_string()
}
