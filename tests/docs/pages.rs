//! The pages, taken apart: fenced blocks, tables, and words set as code.

use std::fs;

use crate::{project, text_of};

/// Every page for people.
pub(crate) fn all() -> Vec<Page> {
    let folder = fs::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = folder.map(|name| format!("docs/{}", name.to_string_lossy()));
    let mut pages: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages.iter().map(|name| Page::read(name)).collect()
}

/// A page.
pub(crate) struct Page {
    pub(crate) name: String,
    /// The lines outside of blocks, with their numbers.
    pub(crate) prose: Vec<(usize, String)>,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The line of its fence.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// What stands behind the language.
    info: String,
    indent: String,
    pub(crate) lines: Vec<String>,
}

/// A line of a block for the shell.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// `page:line`.
    pub(crate) place: String,
    pub(crate) command: String,
    /// Why no test runs it, where none does.
    pub(crate) not_run: Option<String>,
}

impl Page {
    pub(crate) fn read(name: &str) -> Self {
        let mut page = Page { name: name.to_owned(), prose: Vec::new(), blocks: Vec::new() };
        let mut open: Option<Block> = None;
        for (line, text) in (1..).zip(text_of(name).lines().map(str::to_owned)) {
            // A block may stand in a list.
            match (text.trim_start().strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => page.blocks.extend(open.take()),
                (Some(fence), None) => {
                    let (language, info) = fence.split_once(' ').unwrap_or((fence, ""));
                    let (language, info) = (language.to_owned(), info.to_owned());
                    let indent = text.split("```").next().unwrap_or_default().to_owned();
                    open = Some(Block { line, language, info, indent, lines: Vec::new() });
                }
                (None, Some(block)) => {
                    block.lines.push(text.strip_prefix(&block.indent).unwrap_or(&text).to_owned())
                }
                (None, None) => page.prose.push((line, text)),
            }
        }
        assert!(open.is_none(), "{name}: a block is not closed");
        page
    }

    /// Words set as code outside of blocks, with the number of their line.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.prose.iter().flat_map(|(line, text)| code_in(text).map(move |word| (*line, word)))
    }

    /// The first cell of each row, of the tables whose first column has this head.
    pub(crate) fn column(&self, head: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut inside = false;
        for (line, text) in &self.prose {
            let row = text.strip_prefix("| ").map(|row| row.trim_end_matches(" |"));
            let cell = row.and_then(|row| row.split(" | ").next());
            match cell {
                None => inside = false,
                Some(cell) if cell == head => inside = true,
                Some(cell) if inside && !cell.starts_with("---") => {
                    found.push((*line, cell.trim_matches('`').to_owned()));
                }
                Some(_) => {}
            }
        }
        found
    }

    /// What the page shows for the shell.
    pub(crate) fn commands(&self) -> Vec<Shown> {
        let shell = self.blocks.iter().filter(|block| block.language == "sh");
        shell.flat_map(|block| block.commands(&self.name)).collect()
    }
}

impl Block {
    /// A command a line; comments and empty lines are none. Behind `sh`, `not-run -- WHY` takes all
    /// of them from the test, and `not-run make editor -- WHY` those that begin with these words.
    pub(crate) fn commands(&self, page: &str) -> Vec<Shown> {
        let mark = self.info.strip_prefix("not-run").map(|rest| {
            let (words, why) = rest.split_once("-- ").unwrap_or((rest, ""));
            assert!(!why.is_empty(), "{page}:{}: not run, and does not say why", self.line);
            (words.split_whitespace().collect::<Vec<_>>(), why.to_owned())
        });
        let numbered = (self.line + 1..).zip(&self.lines);
        let real = numbered.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let shown = real.map(|(line, command)| {
            let first = command.split_whitespace().next().unwrap_or_default();
            let not_run = mark.as_ref().and_then(|(words, why)| {
                (words.is_empty() || words.contains(&first)).then(|| why.clone())
            });
            Shown { place: format!("{page}:{line}"), command: command.clone(), not_run }
        });
        shown.collect()
    }
}

/// What stands between backticks.
pub(crate) fn code_in(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
