//! The pages of the manual, `docs/man`: of each command from the same source as its help, of the
//! configuration from the same as `docs/configuration.md`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command as Program;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use connexa::command_line::{connexactl, connexad};
use connexa::config::Config;
use connexa::exit::Exit;

use crate::configuration::{ABOUT, default, kind, values};
use crate::keys::{Key, sections};
use crate::types::read_kinds;
use crate::{project, text_of};

const FOLDER: &str = "docs/man";
const MANUAL: &str = "connexa";
/// The day of the last release that has changed what they say.
const DATE: &str = "2026-11-27";
/// What a page has at its top, and each piece of it that is made alone.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
const PAGES: [(&str, &str); 5] =
    [("connexad", "8"), ("connexactl", "1"), ("connexad.toml", "5"), ("pppd", "8"), ("pptp", "8")];

#[test]
fn the_pages_of_the_manual_are_what_the_source_says() {
    let pages = pages();
    if std::env::var_os("CONNEXA_WRITE_DOCS").is_some() {
        let _ = fs::remove_dir_all(project(FOLDER));
        fs::create_dir_all(project(FOLDER)).unwrap();
        for (name, text) in &pages {
            fs::write(project(FOLDER).join(name), text).unwrap();
        }
    }
    let files = fs::read_dir(project(FOLDER)).unwrap().map(|file| file.unwrap().file_name());
    let name = |name: std::ffi::OsString| name.to_string_lossy().into_owned();
    let committed: BTreeMap<String, String> =
        files.map(name).map(|name| (name.clone(), text_of(&format!("{FOLDER}/{name}")))).collect();
    let is_stale = |name: &&String| pages.get(*name) != committed.get(*name);
    let mut stale: Vec<&String> = pages.keys().chain(committed.keys()).filter(is_stale).collect();
    stale.dedup();
    assert!(stale.is_empty(), "{stale:?} of {FOLDER} are stale; write them anew by `make docs`");
}

#[test]
fn man_and_mandoc_find_nothing_wrong_with_the_pages_of_the_manual() {
    let mut problems = Vec::new();
    for name in pages().keys() {
        let page = project(FOLDER).join(name);
        let mut man = Program::new("man");
        // As lintian(1) asks.
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page);
        man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        let mut mandoc = Program::new("mandoc");
        mandoc.args(["-T", "lint"]).arg(&page);
        for (tool, asks_stdout) in [(&mut man, false), (&mut mandoc, true)] {
            let asked = tool.output();
            let seen = asked.unwrap_or_else(|error| {
                panic!(
                    "{tool:?}: {error}; tests/lab/need man=man-db,groff mandoc=mandoc installs it"
                )
            });
            let said = if asks_stdout { [seen.stdout, seen.stderr].concat() } else { seen.stderr };
            if !seen.status.success() || !said.is_empty() {
                let said = String::from_utf8_lossy(&said).into_owned();
                problems.push(format!("{name}: {:?}: {said}", tool.get_program()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The pages by the names of their files.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    add(&mut pages, connexad::Arguments::command(), "8");
    add(&mut pages, connexactl::Arguments::command(), "1");
    pages.insert("connexad.toml.5".to_owned(), of_configuration());
    pages
}

/// A program and its commands, a page each.
fn add(pages: &mut BTreeMap<String, String>, program: Command, section: &str) {
    // Which build this is, is for `--version`.
    let mut program = program.disable_help_subcommand(true).version(env!("CARGO_PKG_VERSION"));
    program.build();
    add_built(pages, &program, section);
}

fn add_built(pages: &mut BTreeMap<String, String>, command: &Command, section: &str) {
    for inner in command.get_subcommands() {
        add_built(pages, inner, section);
    }
    let man = Man::new(command.clone()).section(section).manual(MANUAL).source(source()).date(DATE);
    let name = man.get_filename();
    let man = man.title(command.get_display_name().unwrap_or(command.get_name()).to_uppercase());
    let mut page = Vec::new();
    man.render(&mut page).unwrap();
    let mut more = Roff::default();
    exit_status(&mut more);
    if command.get_name() == "connexad" {
        files(&mut more);
    }
    let above = name.rsplit_once('-').map(|(above, _)| (above.to_owned(), section.to_owned()));
    see_also(&mut more, &name, above);
    let page = String::from_utf8(page).unwrap() + more.render().trim_start_matches(PREAMBLE);
    pages.insert(name, clean(&page));
}

fn source() -> String {
    format!("connexa {}", env!("CARGO_PKG_VERSION"))
}

/// Without marks that a terminal shows as others, blanks at the ends of lines, line breaks that
/// mandoc calls empty, and words that fill a line.
fn clean(page: &str) -> String {
    let lines = page.lines().map(|line| folded(&line.trim_end().replace('`', "\\(ga")));
    let page = lines.collect::<String>().replace(".br\n\n.br\n", ".sp\n");
    // A line of a synopsis has few blanks to be stretched, or none.
    page.replace("\\fR|\\fB", "\\fR|\\:\\fB")
        .replace(".SH SYNOPSIS\n", ".SH SYNOPSIS\n.na\n")
        .replace(".SH DESCRIPTION\n", ".ad\n.SH DESCRIPTION\n")
}

/// Text in lines as mandoc wants them: none longer than 80 bytes, and a new one for each sentence.
fn folded(line: &str) -> String {
    if line.starts_with(['.', '\'']) {
        return line.to_owned() + "\n";
    }
    let mut text = String::new();
    let mut length = 0;
    let mut ends = false;
    for word in line.split(' ') {
        // A request begins so.
        let may_begin = !word.starts_with(['.', '\'']) && !word.is_empty();
        if length > 0 && may_begin && (ends || length + word.len() >= 80) {
            text.push('\n');
            length = 0;
        } else if length > 0 {
            text.push(' ');
        }
        text.push_str(word);
        length += word.len() + 1;
        ends = word.ends_with(['.', '?', '!']);
    }
    text + "\n"
}

fn exit_status(page: &mut Roff) {
    let mut kinds = BTreeMap::new();
    read_kinds(&text_of("src/exit.rs"), &mut kinds);
    page.control("SH", ["EXIT STATUS"]);
    for exit in
        [Exit::Done, Exit::No, Exit::Usage, Exit::Unreachable, Exit::Permission, Exit::Config]
    {
        let named = |(name, _, _): &&(String, String, String)| *name == format!("{exit:?}");
        let (_, _, about) = kinds["Exit"].members.iter().find(named).unwrap();
        page.control("TP", []).text([bold(exit.code().to_string())]).text(words(about));
    }
}

fn files(page: &mut Roff) {
    let config = Config::default();
    let shown = |path: &std::path::Path| path.display().to_string();
    page.control("SH", ["FILES"]);
    for (path, about) in [
        ("/etc/connexa/connexad.toml".to_owned(), "The configuration, see connexad.toml(5)."),
        (shown(&config.database.path), "The database of the nodes."),
        (shown(&config.control.socket), "The socket that connexactl(1) speaks to."),
        (
            shown(&config.paths.ppp_dir.join("peers/connexa-node-ID")),
            "What pppd is told of a node; `pppd call connexa-node-ID` by hand makes the same tunnel.",
        ),
        (
            shown(&config.paths.ppp_dir.join("chap-secrets")),
            "The passwords of the nodes stand in a block of their own here.",
        ),
        (shown(&config.paths.state_dir), "Which nodes the operator has stopped."),
    ] {
        page.control("TP", []).text([italic(path)]).text(words(about));
    }
}

/// The other pages; of a command, that of what it is a command of too.
fn see_also(page: &mut Roff, own: &str, above: Option<(String, String)>) {
    let known = PAGES.map(|(name, section)| (name.to_owned(), section.to_owned()));
    let mut all: Vec<(String, String)> = known.into_iter().chain(above).collect();
    all.retain(|(name, section)| format!("{name}.{section}") != own);
    all.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    all.dedup();
    page.control("SH", ["SEE ALSO"]);
    let last = all.len() - 1;
    for (place, (name, section)) in all.iter().enumerate() {
        let end = if place == last { "" } else { "," };
        page.control("BR", [name.as_str(), &format!("({section}){end}")]);
    }
}

fn of_configuration() -> String {
    let mut page = Roff::default();
    page.control("TH", ["CONNEXAD.TOML", "5", DATE, &source(), MANUAL]);
    page.control("SH", ["NAME"]).text([roman("connexad.toml - configuration of connexad")]);
    page.control("SH", ["SYNOPSIS"]).text([italic("/etc/connexa/connexad.toml")]);
    page.control("SH", ["DESCRIPTION"]);
    for (place, paragraph) in ABOUT.trim().split("\n\n").enumerate() {
        if place > 0 {
            page.control("PP", []);
        }
        page.text(words(&paragraph.replace('\n', " ")));
    }
    for section in sections() {
        page.control("SH", [format!("[{}]", section.name).as_str()]).text(words(&section.about));
        for key in &section.keys {
            page.control("TP", []).text([bold(key.name.as_str())]).text(words(&meaning(key)));
            for (word, about) in &key.words {
                let word = format!("\"{word}\"");
                page.control("RS", []).control("TP", []).text([bold(word)]).text(words(about));
                page.control("RE", []);
            }
        }
    }
    see_also(&mut page, "connexad.toml.5", None);
    clean(&page.render())
}

/// What a key means and takes, but for its words.
fn meaning(key: &Key) -> String {
    let takes = if key.words.is_empty() { values(key) } else { String::new() };
    let takes = if takes.is_empty() { takes } else { format!(", {takes}") };
    format!("{} ({}{takes}; default: {})", key.meaning, kind(key), default(key))
}

/// Text with code between backquotes, which stands out.
fn words(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { bold(part) } else { roman(part) }).collect()
}
