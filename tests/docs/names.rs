//! What the pages name exists in the program.

use std::collections::BTreeSet;

use connexa::core::failure::FailureKind;
use connexa::exit::Exit;

use crate::pages::{self, Page, code_in};
use crate::programs::Programs;
use crate::source::{fields_of_status, kinds_of_failures, source};
use crate::{keys, project, text_of};

/// Lists what is wrong, all at once.
fn none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<String> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Looks at each word of each page that is set as code.
fn look_at_code(judge: impl Fn(&str) -> Option<String>) {
    let pages = pages::all();
    none(pages.iter().flat_map(|page| {
        let told = |line, what| format!("{}:{line}: {what}", page.name);
        page.code().filter_map(|(line, word)| Some(told(line, judge(word)?))).collect::<Vec<_>>()
    }));
}

#[test]
fn every_command_and_option_is_one_of_the_programs() {
    let programs = Programs::ask();
    look_at_code(|code| {
        let option = code.split([' ', '=']).next().filter(|word| word.starts_with("--"));
        match option {
            Some(option) if !programs.have_option(option) => Some(format!("no option {option}")),
            _ => programs.refuse(code),
        }
    });
    let shown = pages::all().into_iter().flat_map(|page| page.commands());
    none(shown.filter_map(|s| Some(format!("{}: {}", s.place, programs.refuse(&s.command)?))));
}

#[test]
fn every_dotted_name_is_a_key_of_the_configuration_or_a_field_of_the_status() {
    let sections: BTreeSet<String> = keys::sections().into_iter().map(|s| s.name).collect();
    let keys = keys::all().into_iter().map(|key| key.name);
    let known: BTreeSet<String> = keys.chain(fields_of_status()).collect();
    look_at_code(|code| {
        let name = code.split([' ', '=']).next().unwrap_or_default();
        let section = name.split('.').next().unwrap_or_default();
        let is_name = name.contains('.')
            && sections.contains(section)
            && name.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b));
        let table = format!("{name}.");
        let there = || known.contains(name) || known.iter().any(|key| key.starts_with(&table));
        // `database.rs` is a file.
        (is_name && !name.ends_with(".rs") && !there()).then(|| format!("there is no {name}"))
    });
}

#[test]
fn every_example_of_a_configuration_is_taken() {
    let mut examples = vec![("docs/connexad.example.toml".to_owned(), uncommented())];
    for page in pages::all() {
        for block in page.blocks.iter().filter(|block| block.language == "toml") {
            examples.push((format!("{}:{}", page.name, block.line), block.lines.join("\n")));
        }
    }
    none(examples.into_iter().filter_map(|(place, text)| {
        let refused = connexa::config::parse(std::path::Path::new(&place), &text).err()?;
        Some(refused.to_string())
    }));
}

/// The example with its suggestions put in force: `# key = …`.
fn uncommented() -> String {
    let text = text_of("docs/connexad.example.toml");
    let lines = text.lines().map(|line| {
        line.strip_prefix("# ").filter(|rest| rest.split(' ').nth(1) == Some("=")).unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_path_leads_somewhere() {
    let ours = ["src/", "tests/", "docs/", "systemd/"];
    look_at_code(|code| {
        let path = code.split([' ', '#']).next().unwrap_or_default();
        let is_path = ours.iter().any(|folder| path.starts_with(folder));
        (is_path && !project(path).exists()).then(|| format!("there is no {path}"))
    });
}

#[test]
fn every_link_leads_somewhere() {
    none(pages::all().iter().flat_map(|page| {
        let links = page.prose.iter().flat_map(|(line, text)| {
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            targets.filter_map(move |target| {
                Some(format!("{}:{line}: {}", page.name, broken(page, target)?))
            })
        });
        links.collect::<Vec<_>>()
    }));
}

/// What is wrong with a link, if it leads into the project.
fn broken(page: &Page, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let file = if path.is_empty() { page.name.clone() } else { format!("{folder}/{path}") };
    let file = file.trim_start_matches('/');
    if !project(file).exists() {
        return Some(format!("there is no {file}"));
    }
    let wanted = |title: &str| {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    let titles = || {
        text_of(file)
            .lines()
            .any(|l| l.starts_with('#') && wanted(l.trim_start_matches(['#', ' '])) == anchor)
    };
    (!anchor.is_empty() && !titles()).then(|| format!("{file} has no heading for #{anchor}"))
}

#[test]
fn every_name_with_underscores_is_in_the_source_and_every_sentence_of_them_is_a_test() {
    let source = source();
    let kinds = kinds_of_failures();
    let words: BTreeSet<&str> = source.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    look_at_code(|code| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !code.bytes().all(plain) || !code.trim_matches('_').contains('_') {
            return None;
        }
        let test = code.matches('_').count() > 3 && code.bytes().all(|b| !b.is_ascii_uppercase());
        let there = kinds.contains(code)
            || words.contains(code) && (!test || source.contains(&format!("fn {code}(")));
        (!there).then(|| format!("there is no {code}"))
    });
}

#[test]
fn every_module_has_its_line_in_the_architecture() {
    let page = text_of("docs/architecture.md");
    let entries =
        std::fs::read_dir(project("src")).unwrap().map(|entry| entry.unwrap().file_name());
    none(entries.filter_map(|name| {
        let name = name.to_string_lossy().into_owned();
        let module = name.trim_end_matches(".rs");
        // A folder may stand for the file beside it.
        let named = [format!("`src/{module}/"), format!("`src/{module}.rs`")];
        let told = module == "lib" || named.iter().any(|name| page.contains(name));
        (!told).then(|| format!("docs/architecture.md does not say what src/{name} is about"))
    }));
}

#[test]
fn every_dependency_has_its_reason_and_no_other_crate() {
    let manifest: toml::Table = text_of("Cargo.toml").parse().unwrap();
    let crates = ["dependencies", "dev-dependencies"].map(|table| manifest[table].as_table());
    let real: BTreeSet<String> =
        crates.into_iter().flatten().flat_map(|table| table.keys().cloned()).collect();
    let cells = listed("crate");
    let told = cells.iter().flat_map(|cell| cell.split(", ")).map(str::to_owned).collect();
    assert_eq!(real, told);
}

#[test]
fn every_lab_scenario_that_is_named_exists() {
    let lines = pages::all().into_iter().flat_map(|page| {
        page.prose.into_iter().map(move |(line, text)| (format!("{}:{line}", page.name), text))
    });
    none(lines.flat_map(|(place, text)| {
        let after = text.split("scenario").skip(1);
        let named =
            after.flat_map(|rest| code_in(rest.split(['|', '.', ';']).next().unwrap_or("")));
        let is_name = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let path = |word: &str| format!("tests/lab/scenarios/{word}.sh");
        let missing = named.filter(is_name).filter(|word| !project(&path(word)).exists());
        missing.map(|word| format!("{place}: no scenario {word}")).collect::<Vec<_>>()
    }));
}

#[test]
fn whatever_stands_for_a_command_that_is_not_run_exists() {
    let source = source();
    let shown = pages::all().into_iter().flat_map(|page| page.commands());
    none(shown.filter_map(|shown| {
        let why = shown.not_run?;
        let scenario = why.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let scenario = scenario.map(|(name, _)| format!("tests/lab/scenarios/{name}.sh"));
        let words = why.split([' ', ',', ';']);
        let paths = words.clone().filter(|word| word.contains('/')).map(str::to_owned);
        let mut paths = paths.chain(scenario).filter(|path| !project(path).exists());
        let mut tests = words
            .filter(|word| word.contains('_') && !word.contains('/'))
            .filter(|name| !source.contains(&format!("fn {name}(")))
            .map(str::to_owned);
        let missing = paths.next().or_else(|| tests.next())?;
        Some(format!("{}: there is no {missing}", shown.place))
    }));
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = text_of("Makefile");
    let refuse = |line: &str| {
        let target = line.strip_prefix("make ")?.split_whitespace().next()?;
        let there = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
        (!there).then(|| format!("no target {target}"))
    };
    look_at_code(refuse);
    let shown = pages::all().into_iter().flat_map(|page| page.commands());
    none(shown.filter_map(|s| Some(format!("{}: {}", s.place, refuse(&s.command)?))));
}

#[test]
fn every_message_that_is_promised_stands_in_the_source() {
    let source = source();
    none(pages::all().iter().flat_map(|page| {
        let missing = page.column("message").into_iter().filter_map(|(line, message)| {
            let piece = pieces(&message).into_iter().find(|piece| !source.contains(piece))?;
            Some(format!("{}:{line}: nothing says {piece:?}", page.name))
        });
        missing.collect::<Vec<_>>()
    }));
}

/// The fixed parts of a message: what stands between `{…}`.
fn pieces(message: &str) -> Vec<String> {
    let fixed = message.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    let pieces = fixed.map(|piece| piece.trim().to_owned());
    pieces.filter(|piece| piece.chars().any(char::is_alphabetic)).collect()
}

#[test]
fn the_kinds_of_failures_are_all_listed_and_no_other() {
    assert_eq!(listed("kind"), kinds_of_failures());
}

#[test]
fn each_kind_of_failure_is_listed_with_the_remedy_that_the_daemon_shows() {
    let bare = |text: &str| text.replace('`', "");
    let page = bare(&text_of("docs/operations.md"));
    none(listed("kind").into_iter().filter_map(|name| {
        let kind: FailureKind = serde_json::from_value(name.as_str().into()).ok()?;
        let row = page.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let told = row.is_some_and(|row| row.contains(&bare(kind.remedy())));
        (!told).then(|| format!("the row of {name} does not say: {}", kind.remedy()))
    }));
}

#[test]
fn the_exit_codes_are_all_listed_and_no_other() {
    let all =
        [Exit::Done, Exit::No, Exit::Usage, Exit::Unreachable, Exit::Permission, Exit::Config];
    assert_eq!(listed("code"), all.map(|exit| exit.code().to_string()).into_iter().collect());
}

#[test]
fn the_fields_of_the_status_are_all_listed_and_no_other() {
    assert_eq!(listed("field"), fields_of_status());
}

/// The first column of tables with this head, over all pages.
fn listed(head: &str) -> BTreeSet<String> {
    let pages = pages::all();
    pages.iter().flat_map(|page| page.column(head)).map(|(_, cell)| cell).collect()
}
