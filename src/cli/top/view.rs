//! What `connexactl top` draws: the whole in two lines, what is wrong, a line for each node, the pane
//! of the selected one, and what the keys do.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::model::{Mode, Model};
use super::rates::{Rate, per_second};
use super::{keys, pane};
use crate::cli::status::{short, with_remedy};
use crate::cli::summary::{counts, windows};
use crate::cli::table::{dash, fitted, next, reason, shown};
use crate::cli::terminal::Tone;
use crate::control::api::Node;
use crate::printable::printable;

/// Columns, and what is between two of them.
const STATE: usize = 11;
const FOR: usize = 7;
const NEXT: usize = 7;
const LINK: usize = 7;
const RATE: usize = 9;
const GAP: usize = 2;
/// The longest address; what else stands there is cut.
const SERVER: usize = 15;
/// Where there is less room than this, states come before servers, which are left out.
const NARROW: u16 = 50;

/// Which colours there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// False: only bold, dim and reversed.
    pub(super) has_colours: bool,
}

impl Palette {
    fn of(self, tone: Tone) -> Style {
        let colour = match tone {
            Tone::Good => Color::Green,
            Tone::Bad => Color::Red,
            Tone::Still => return Style::new().add_modifier(Modifier::DIM),
            Tone::Busy => Color::Yellow,
        };
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// What is wrong with the whole.
    fn alarm(self) -> Style {
        self.of(Tone::Bad).add_modifier(Modifier::BOLD)
    }
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);
const PLAIN: Style = Style::new();

/// Draws all of it, in whatever room there is.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, palette: Palette) {
    let troubles = troubles(model);
    let of_troubles = u16::try_from(troubles.len()).unwrap_or(u16::MAX);
    // The selected line is to be seen beside the pane.
    let of_pane = if model.pane { Constraint::Max(pane::HEIGHT) } else { Constraint::Length(0) };
    let rows = [
        Constraint::Length(2),
        Constraint::Length(of_troubles),
        Constraint::Length(1),
        Constraint::Min(3),
        of_pane,
        Constraint::Length(1),
    ];
    let [top, wrong, heads, list, pane, foot] = Layout::vertical(rows).areas(frame.area());
    let buffer = frame.buffer_mut();
    whole(buffer, top, model, palette);
    for (row, trouble) in wrong.rows().zip(&troubles) {
        put(buffer, row, trouble, palette.alarm());
    }
    if model.mode == Mode::Help {
        put(buffer, heads, "Keys", BOLD);
        help(buffer, list.union(pane));
    } else {
        lines(buffer, heads, list, model, palette);
        if let Some(node) = model.selected().filter(|_| model.pane) {
            pane::draw(buffer, pane, model, node);
        }
    }
    footer(buffer, foot, model);
}

/// One line of text, cut where it is too long.
pub(super) fn put(buffer: &mut Buffer, row: Rect, text: &str, style: Style) {
    if row.height > 0 {
        let text = fitted(text, row.width.into());
        buffer.set_stringn(row.x, row.y, text, row.width.into(), style);
    }
}

/// The same at the right end.
fn put_right(buffer: &mut Buffer, row: Rect, text: &str, style: Style) {
    let width = u16::try_from(text.chars().count()).unwrap_or(u16::MAX).min(row.width);
    let left = row.right().saturating_sub(width);
    put(buffer, Rect { x: left, width, ..row }, text, style);
}

/// What is wrong with the whole, a line each.
fn troubles(model: &Model) -> Vec<String> {
    let status = &model.status;
    let mut troubles = Vec::new();
    if let Some(why) = &model.lost {
        troubles.push(format!("NO ANSWER, asked again each second; this is from before: {why}"));
    }
    if let Some(fault) = &status.host_fault {
        troubles.push(format!("No tunnel can be dialled: {}", with_remedy(fault)));
    }
    if let Some(problem) = &status.database.problem {
        troubles.push(format!("The node database can't be used: {}", printable(problem)));
    } else if !status.database.was_read {
        troubles.push("The node database was not read yet".to_owned());
    }
    troubles
}

fn whole(buffer: &mut Buffer, area: Rect, model: &Model, palette: Palette) {
    let mut rows = area.rows();
    let status = &model.status;
    if let Some(row) = rows.next() {
        put(buffer, row, &counts(status), BOLD);
        let Rate { incoming, outgoing } = model.rates.total();
        let total = format!(" in {}  out {}", per_second(incoming), per_second(outgoing));
        put_right(buffer, row, &total, PLAIN);
    }
    if let Some(row) = rows.next() {
        let style = if status.outage.is_healthy { PLAIN } else { palette.alarm() };
        put(buffer, row, &format!("outage: {}", windows(&status.outage)), style);
    }
}

fn lines(buffer: &mut Buffer, heads: Rect, list: Rect, model: &mut Model, palette: Palette) {
    let columns = Columns::of(model, list.width);
    put(buffer, heads, &columns.heads(), BOLD);
    if model.count() == 0 {
        let what = if model.status.nodes.is_empty() {
            "no node yet: no row of the database is selected"
        } else {
            "no node has this text; Esc takes the filter away"
        };
        return put(buffer, list, what, PLAIN);
    }
    let window = model.window(list.height.into());
    for (row, (node, is_selected)) in list.rows().zip(model.nodes(window)) {
        columns.line(buffer, row, node, model.rates.of(node.id), palette);
        if is_selected {
            buffer.set_style(row, REVERSED);
        }
    }
}

/// How wide the columns are whose width depends on what stands there.
struct Columns {
    id: usize,
    /// None where there is no room for it.
    server: Option<usize>,
}

impl Columns {
    fn of(model: &Model, width: u16) -> Self {
        let widest = |cell: fn(&Node) -> String, head: &str| {
            let nodes = model.nodes(0..model.count());
            let cells = nodes.map(|(node, _)| cell(node).chars().count());
            cells.max().unwrap_or_default().max(head.len())
        };
        let server = || widest(|node| shown(node.ip.as_deref()), "SERVER").min(SERVER);
        Columns {
            id: widest(|node| node.id.to_string(), "NODE"),
            server: (width >= NARROW).then(server),
        }
    }

    fn heads(&self) -> String {
        let of = [fitted("LINK", LINK), format!("{:>RATE$}{:>RATE$}", "IN", "OUT")].concat();
        let cells = ["NODE".into(), "SERVER".into(), "STATE".into(), "FOR".into(), "NEXT".into()];
        self.fit(cells).concat() + &of
    }

    /// Each cell in its width, with the gap behind it.
    fn fit(&self, [id, server, state, time, next]: [String; 5]) -> [String; 5] {
        let cell = |text: &str, width: usize| fitted(text, width) + &" ".repeat(GAP);
        [
            cell(&id, self.id),
            self.server.map_or_else(String::new, |width| cell(&server, width)),
            cell(&state, STATE),
            cell(&time, FOR),
            cell(&next, NEXT),
        ]
    }

    fn line(
        &self,
        buffer: &mut Buffer,
        row: Rect,
        node: &Node,
        rate: Option<Rate>,
        palette: Palette,
    ) {
        let cells = [
            node.id.to_string(),
            shown(node.ip.as_deref()),
            printable(&node.state),
            short(node.state_seconds),
            next(node),
        ];
        let [id, server, state, time, next] = self.fit(cells);
        let before = [Span::raw(id), Span::raw(server)];
        let state = Span::styled(state, palette.of(Tone::of(&node.state)));
        let spans = before.into_iter().chain([state, Span::raw(time), Span::raw(next)]);
        let line = Line::from_iter(spans);
        let (x, _) = buffer.set_line(row.x, row.y, &line, row.width);
        let rest = Rect { x, width: row.right().saturating_sub(x), ..row };
        put(buffer, rest, &link_or_reason(node, rate), PLAIN);
    }
}

/// Of a tunnel that is up its link and what it carries; else why it is not.
fn link_or_reason(node: &Node, rate: Option<Rate>) -> String {
    if node.state != "up" || node.leaves_at.is_some() {
        return reason(node);
    }
    let cell = |bytes: fn(Rate) -> u64| rate.map_or_else(dash, |rate| per_second(bytes(rate)));
    let link = fitted(&shown(node.interface.as_deref()), LINK);
    let [incoming, outgoing] = [cell(|rate| rate.incoming), cell(|rate| rate.outgoing)];
    format!("{link}{incoming:>RATE$}{outgoing:>RATE$}")
}

fn help(buffer: &mut Buffer, area: Rect) {
    for (row, (key, what)) in area.rows().zip(keys::HELP) {
        put(buffer, row, &format!("{key:<14}{what}"), PLAIN);
    }
}

/// The key that may bring a node up; that one alone is offered. What hangs up stands in the help.
fn what_helps(node: &Node) -> &'static str {
    match node.state.as_str() {
        "backoff" | "quarantined" => "  r retry",
        "stopped" => "  s start",
        _ => "",
    }
}

fn footer(buffer: &mut Buffer, row: Rect, model: &Model) {
    match model.mode {
        Mode::Asking { stop } => {
            let what = format!("Hang up node {stop} and leave it down until it is started? y: yes");
            return put(buffer, row, &format!("{what}, any other key: no"), REVERSED);
        }
        Mode::Filtering => {
            let text = printable(&model.filter);
            return put(buffer, row, &format!("/{text}_  Enter: done, Esc: no filter"), PLAIN);
        }
        Mode::Help => return put(buffer, row, "any key: back", PLAIN),
        Mode::Looking => {}
    }
    if let Some(told) = &model.told {
        return put(buffer, row, told, BOLD);
    }
    let helps = model.selected().map_or("", what_helps);
    put(buffer, row, &format!("? help  q quit  / filter  Enter why{helps}"), PLAIN);
    let turned = if model.reversed { ", turned" } else { "" };
    let mut right = format!("  by {}{turned}", model.order.name());
    if !model.filter.is_empty() {
        let (count, of) = (model.count(), model.status.nodes.len());
        right = format!("  \"{}\": {count} of {of}{right}", printable(&model.filter));
    }
    put_right(buffer, row, &right, PLAIN);
}
