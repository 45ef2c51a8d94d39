//! The table of `connexactl status`: all columns where nothing limits them, else the few that say
//! most, cut to the terminal's width.

use super::status::short;
use super::terminal::Terminal;
use crate::control::api::Node;
use crate::printable::printable;

/// Between two columns.
const GAP: usize = 2;
/// The column of states.
const STATE: &str = "STATE";

/// A line for each node, and one for the heads, to be printed on `terminal`.
pub(super) fn table(nodes: &[Node], terminal: Terminal) -> String {
    let wide = Columns::of(nodes, WIDE);
    let columns = match terminal.width {
        Some(width) if wide.width() > width => Columns::of(nodes, NARROW),
        Some(_) | None => wide,
    };
    columns.print(terminal)
}

type Cell = fn(&Node) -> String;

const WIDE: &[(&str, Cell)] = &[
    ("NODE", |node| node.id.to_string()),
    ("SERVER", |node| shown(node.ip.as_deref())),
    (STATE, |node| node.state.clone()),
    ("FOR", |node| short(node.state_seconds)),
    ("LINK", |node| shown(node.interface.as_deref())),
    ("LOCAL", |node| node.local_ip.map_or_else(dash, |ip| ip.to_string())),
    ("REMOTE", |node| node.remote_ip.map_or_else(dash, |ip| ip.to_string())),
    ("TRY", |node| node.attempts.to_string()),
    ("NEXT", next),
    ("REASON", |node| reason(node)),
];

const NARROW: &[(&str, Cell)] = &[
    ("NODE", |node| node.id.to_string()),
    ("SERVER", |node| shown(node.ip.as_deref())),
    (STATE, |node| node.state.clone()),
    ("FOR", |node| short(node.state_seconds)),
    ("NEXT", next),
    ("LINK OR REASON", |node| match (&node.interface, node.state.as_str()) {
        (Some(interface), "up") => printable(interface),
        (Some(_) | None, _) => reason(node),
    }),
];

pub(super) fn dash() -> String {
    "-".to_owned()
}

pub(super) fn shown(text: Option<&str>) -> String {
    text.map_or_else(dash, printable)
}

pub(super) fn next(node: &Node) -> String {
    match node.next_attempt_in {
        Some(seconds) => short(seconds),
        None if node.waits_for_place => "a place".to_owned(),
        None => dash(),
    }
}

pub(super) fn reason(node: &Node) -> String {
    if node.leaves_at.is_some() {
        return "its row is missing from the database".to_owned();
    }
    node.reason.as_ref().map_or_else(String::new, |reason| printable(&reason.message))
}

/// Cells, the heads first.
struct Columns {
    lines: Vec<Vec<String>>,
    widths: Vec<usize>,
    /// Which of them is of states.
    state: Option<usize>,
}

impl Columns {
    fn of(nodes: &[Node], columns: &[(&str, Cell)]) -> Self {
        let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
        let row = |node| columns.iter().map(|(_, cell)| cell(node)).collect();
        let lines: Vec<Vec<String>> = std::iter::once(heads).chain(nodes.iter().map(row)).collect();
        let mut widths = vec![0; columns.len()];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let state = columns.iter().position(|(head, _)| *head == STATE);
        Columns { lines, widths, state }
    }

    fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + GAP * self.widths.len().saturating_sub(1)
    }

    fn print(&self, terminal: Terminal) -> String {
        let mut text = String::new();
        for (row, line) in self.lines.iter().enumerate() {
            let mut room = terminal.width.unwrap_or(usize::MAX);
            let last = line.len().saturating_sub(1);
            for (at, (cell, width)) in line.iter().zip(&self.widths).enumerate() {
                let whole = if at == last { cell.chars().count() } else { width + GAP };
                let shown = fitted(cell, whole.min(room));
                room = room.saturating_sub(whole);
                let is_state = self.state == Some(at) && row > 0;
                text.push_str(&if is_state { terminal.coloured(cell, &shown) } else { shown });
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }
}

/// A text in so many columns: filled up with blanks, or cut by an ellipsis.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let length = text.chars().count();
    match width.checked_sub(length) {
        Some(blanks) => format!("{text}{}", " ".repeat(blanks)),
        None if width == 0 => String::new(),
        None => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::node;

    fn drawn(width: Option<usize>) -> String {
        let nodes = [
            node(4, "quarantined", "MS-CHAP authentication failed: Access denied by the server"),
            node(1, "up", ""),
        ];
        let terminal = Terminal { width, has_colours: false };
        table(&nodes, terminal)
    }

    #[test]
    fn on_a_terminal_no_line_is_wider_than_it_and_what_is_cut_says_so() {
        for width in [20, 40, 80, 100] {
            let text = drawn(Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
        }
        let text = drawn(Some(80));
        assert!(text.contains("ppp0") && text.contains('…'), "{text}");
    }

    #[test]
    fn without_a_limit_nothing_is_cut_or_coloured() {
        let text = drawn(None);
        assert!(text.contains("Access denied by the server") && text.contains("10.50.20.1"));
        assert!(!text.contains(['…', '\u{1b}']), "{text}");
    }
}
