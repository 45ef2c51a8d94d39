//! What each key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Mode, Model, Order};
use crate::core::event::Ask;

/// The longest filter, in characters.
const LONGEST_FILTER: usize = 60;

/// What a key asks of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To end.
    Quit,
    /// To give the terminal back to the shell for a while.
    Suspend,
    /// To draw the whole screen again, for something else has written on it.
    Redraw,
    /// To change a node.
    Change(u32, Ask),
}

/// The keys, for the page of help.
pub(super) const HELP: &[(&str, &str)] = &[
    ("Up Down, j k", "select a node; PgUp PgDn by pages, Home End to the ends"),
    ("Enter", "show why the selected node is in its state, and its traffic"),
    ("1 2 3 4 5", "order by state, id, server, time in the state, rate"),
    ("", "the same key again turns the order round"),
    ("/", "show only nodes with some text: id, server, login, state, reason"),
    ("r", "retry: forget the node's failures and dial it now"),
    ("s", "start: allow the node to be dialled, and dial it"),
    ("x", "stop: hang the node up and leave it down; asks first"),
    ("Esc", "close the pane, then take the filter away"),
    ("Ctrl-L", "draw the screen again; Ctrl-Z: back to the shell, `fg` returns"),
    ("q, Ctrl-C", "quit"),
];

/// What a key changes on the screen is done; what it asks of the world is given back.
#[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum; most keys do nothing")]
pub(super) fn press(model: &mut Model, key: KeyEvent) -> Option<Wish> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Wish::Quit),
            KeyCode::Char('z') => Some(Wish::Suspend),
            KeyCode::Char('l') => Some(Wish::Redraw),
            _ => None,
        };
    }
    match model.mode {
        Mode::Looking => look(model, key.code),
        Mode::Filtering => {
            filter(model, key.code);
            None
        }
        Mode::Asking { stop } => {
            model.mode = Mode::Looking;
            (key.code == KeyCode::Char('y')).then_some(Wish::Change(stop, Ask::Stop))
        }
        Mode::Help => {
            model.mode = Mode::Looking;
            None
        }
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum; most keys do nothing")]
fn look(model: &mut Model, key: KeyCode) -> Option<Wish> {
    model.told = None;
    let selected = model.selected().map(|node| node.id);
    match key {
        KeyCode::Char('q') => return Some(Wish::Quit),
        KeyCode::Char('r') => return selected.map(|id| Wish::Change(id, Ask::Retry)),
        KeyCode::Char('s') => return selected.map(|id| Wish::Change(id, Ask::Start)),
        KeyCode::Char('x') => {
            if let Some(node) = model.selected().filter(|node| node.state == "stopped") {
                model.told = Some(format!("node {} is stopped already; s starts it", node.id));
            } else {
                model.mode = selected.map_or(Mode::Looking, |stop| Mode::Asking { stop });
            }
        }
        KeyCode::Up | KeyCode::Char('k') => model.up(1),
        KeyCode::Down | KeyCode::Char('j') => model.down(1),
        KeyCode::PageUp => model.up(model.page()),
        KeyCode::PageDown => model.down(model.page()),
        KeyCode::Home | KeyCode::Char('g') => model.select(0),
        KeyCode::End | KeyCode::Char('G') => model.select(usize::MAX),
        KeyCode::Enter => model.pane = !model.pane,
        KeyCode::Esc if model.pane => model.pane = false,
        KeyCode::Esc => model.set_filter(String::new()),
        KeyCode::Char('/') => model.mode = Mode::Filtering,
        KeyCode::Char('?') | KeyCode::Char('h') => model.mode = Mode::Help,
        KeyCode::Char('1') => model.order_by(Order::State),
        KeyCode::Char('2') => model.order_by(Order::Id),
        KeyCode::Char('3') => model.order_by(Order::Server),
        KeyCode::Char('4') => model.order_by(Order::Since),
        KeyCode::Char('5') => model.order_by(Order::Rate),
        _ => {}
    }
    None
}

#[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum; most keys do nothing")]
fn filter(model: &mut Model, key: KeyCode) {
    let mut text = model.filter.clone();
    match key {
        KeyCode::Enter => return model.mode = Mode::Looking,
        KeyCode::Esc => {
            model.mode = Mode::Looking;
            text.clear();
        }
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char(c) if text.chars().count() < LONGEST_FILTER => text.push(c),
        _ => return,
    }
    model.set_filter(text);
}
