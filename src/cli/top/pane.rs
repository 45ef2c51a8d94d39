//! The pane of the selected node: why it is in its state, what it carries, what it went through.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Text;
use ratatui::widgets::{Paragraph, Sparkline, Widget, Wrap};

use super::model::Model;
use super::rates::{Rate, per_second};
use super::view::put;
use crate::cli::explain::{line, present};
use crate::control::api::Node;

/// With the line above it; a smaller screen gives it less.
pub(super) const HEIGHT: u16 = 13;
/// Of a rate in words.
const WORDS: u16 = 16;

/// One way of a rate.
type Way = fn(Rate) -> u64;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, model: &Model, node: &Node) {
    let carries = u16::from(node.state == "up") * 2;
    let rows = [Constraint::Length(1), Constraint::Length(carries), Constraint::Min(0)];
    let [above, rates, words] = Layout::vertical(rows).areas(area);
    put(buffer, above, &"─".repeat(above.width.into()), Style::new().add_modifier(Modifier::DIM));
    let ways: [(&str, Way); 2] = [("in", |rate| rate.incoming), ("out", |rate| rate.outgoing)];
    for (row, (name, bytes)) in rates.rows().zip(ways) {
        graph(buffer, row, name, model.rates.history(node.id).map(bytes));
    }
    let mut text = present(node);
    let history = model.selected_in_full().map(|full| &*full.history).unwrap_or_default();
    if !history.is_empty() {
        text.push_str("What it went through, the newest first (UTC):\n");
        history.iter().rev().for_each(|change| line(&mut text, change, None));
    }
    Paragraph::new(Text::raw(text)).wrap(Wrap { trim: false }).render(words, buffer);
}

/// A rate, and how it was in the last minute.
fn graph(buffer: &mut Buffer, row: Rect, name: &str, rates: impl DoubleEndedIterator<Item = u64>) {
    let [words, bars] =
        Layout::horizontal([Constraint::Length(WORDS), Constraint::Min(0)]).areas(row);
    let mut newest: Vec<u64> = rates.rev().take(bars.width.into()).collect();
    newest.reverse();
    let now = newest.last().map_or_else(|| "-".to_owned(), |rate| per_second(*rate));
    put(buffer, words, &format!("{name:>5} {now:>9}"), Style::new());
    Sparkline::default().data(newest).render(bars, buffer);
}
