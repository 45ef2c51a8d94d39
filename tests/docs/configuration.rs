//! `docs/configuration.md`, made from the types of the configuration.

use std::fmt::Write;
use std::fs;

use crate::keys::{Key, sections};
use crate::ranges::{default_of, range};
use crate::{project, text_of};

const PAGE: &str = "docs/configuration.md";

const HEAD: &str = "# Configuration

Made from the source by `make docs`, which overwrites every change; `make test` fails when it is stale.

";

/// What holds for all keys.
pub(crate) const ABOUT: &str = "The file is `/etc/connexa/connexad.toml`, or the one that `--config` names. It is TOML. Every key may be left out;
where there is no default file, all keys have their defaults. `connexad --check-config` checks the file and prints every
key with its value, or all faults, one a line, with the place, the key and the remedy; for an unknown key it names the one
that you may have meant. After an error in TOML's syntax it can't look for others. The file is a regular file of at most
1 MiB, in UTF-8.

`systemctl reload connexad` reads the file again. Where it has a fault, or is gone, the reload fails, the journal names
each fault, and the old configuration stays in force. A change of `paths`, `control`, `metrics` or `log` needs a restart;
`connexactl reload` says which changes do.

A duration is a text such as `\"250ms\"`, `\"90s\"`, `\"5m\"` or `\"1h\"`; digits without a unit are seconds. It is at most
365 days, in whole milliseconds. A LIKE pattern is one of SQL: `%` stands for any text, `_` for any one character, and
small and capital letters of ASCII are the same. A program is a list of texts, the program and its arguments; it is run
without a shell. Where a range depends on other keys, it is shown with those at their defaults.
";

#[test]
fn the_page_of_the_configuration_is_what_the_source_says() {
    let page = page();
    if std::env::var_os("CONNEXA_WRITE_DOCS").is_some() {
        fs::write(project(PAGE), &page).unwrap();
    }
    assert!(text_of(PAGE) == page, "{PAGE} is stale; write it anew by `make docs`");
}

fn page() -> String {
    let mut page = HEAD.to_owned() + ABOUT;
    for section in sections() {
        let _ = write!(page, "\n## [{}]\n\n{}\n", section.name, section.about);
        page.push_str(
            "\n| key | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n",
        );
        for key in &section.keys {
            let cells = [code(&key.name), kind(key), default(key), values(key), meaning(key)];
            let _ =
                writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    page
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

pub(crate) fn kind(key: &Key) -> String {
    if !key.words.is_empty() {
        return "word".to_owned();
    }
    match &*key.kind {
        "bool" => "`true` or `false`",
        "u16" | "u32" | "u64" => "whole number",
        "f64" => "number",
        "Span" => "duration",
        "PathBuf" => "absolute path",
        "String" => "text",
        "Listen" => "`\"ADDRESS:PORT\"`",
        "Target" => "`\"icmp:ADDRESS\"` or `\"tcp:ADDRESS:PORT\"`",
        "Vec<String>" => "list of texts",
        other => panic!("{}: say here what a {other} is for people", key.name),
    }
    .to_owned()
}

pub(crate) fn default(key: &Key) -> String {
    default_of(&key.name).map_or_else(|| "unset".to_owned(), |value| code(&value.to_string()))
}

pub(crate) fn values(key: &Key) -> String {
    if key.words.is_empty() {
        return range(&key.name, &key.kind);
    }
    let words: Vec<String> = key.words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
    words.join(", ")
}

fn meaning(key: &Key) -> String {
    let mut text = key.meaning.clone();
    for (word, about) in &key.words {
        let _ = write!(text, " `\"{word}\"`: {about}");
    }
    text
}
