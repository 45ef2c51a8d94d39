//! `connexactl top`: all nodes on the whole screen, as they are now.

mod keys;
mod model;
mod pane;
mod poll;
mod rates;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use std::io;
use std::path::Path;
use std::thread;

use futures::StreamExt;
use ratatui::crossterm::event::{self, Event};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook_tokio::Signals;
use tokio::sync::mpsc;

use super::terminal::Terminal;
use crate::exit::{Exit, Refused};
use keys::Wish;
use model::Model;
use poll::Poll;
use screen::Screen;
use view::Palette;

/// Keys that may wait; a terminal that sends more waits.
const QUEUE: usize = 64;

/// Shows all nodes until the operator has seen enough, or a signal ends it. A daemon that goes away
/// is waited for.
///
/// # Errors
/// When there is no terminal, the daemon can't be reached at first, or the terminal fails.
pub async fn top(socket: &Path, terminal: Terminal) -> Result<(), Refused> {
    screen::must_be_there()?;
    let (mut poll, first) = Poll::begin(socket).await?;
    let mut model = Model::new(first.status, first.traffic);
    let palette = Palette { has_colours: terminal.has_colours };
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGTSTP]).map_err(failed)?;
    let mut screen = Screen::enter().map_err(failed)?;
    let mut events = events().map_err(failed)?;
    loop {
        screen.draw(|frame| view::draw(frame, &mut model, palette)).map_err(failed)?;
        let wish = tokio::select! {
            signal = signals.next() => match signal {
                Some(SIGTSTP) => Some(Wish::Suspend),
                Some(_) | None => Some(Wish::Quit),
            },
            event = events.recv() => match event {
                Some(event) => happened(&mut model, event.map_err(failed)?),
                None => Some(Wish::Quit),
            },
            update = poll.next() => match update {
                Some(update) => {
                    model.take(update);
                    None
                }
                None => return Err(failed(io::Error::other("nobody asks the daemon any more"))),
            },
        };
        match wish {
            Some(Wish::Quit) => return Ok(()),
            Some(Wish::Suspend) => screen.suspend().map_err(failed)?,
            Some(Wish::Redraw) => screen.clear().map_err(failed)?,
            Some(Wish::Change(node, ask)) => model.told = Some(poll.change(node, ask)),
            None => {}
        }
        poll.look_at(model.looked_at());
    }
}

/// Another size needs nothing but the next draw, which looks for it.
fn happened(model: &mut Model, event: Event) -> Option<Wish> {
    match event {
        Event::Key(key) if key.is_press() => keys::press(model, key),
        Event::Key(_)
        | Event::Resize(..)
        | Event::FocusGained
        | Event::FocusLost
        | Event::Mouse(_)
        | Event::Paste(_) => None,
    }
}

/// What the terminal sends, read by a thread that ends with the program.
fn events() -> io::Result<mpsc::Receiver<io::Result<Event>>> {
    let (to, events) = mpsc::channel(QUEUE);
    thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if to.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(events)
}

fn failed(error: io::Error) -> Refused {
    Refused::with(Exit::No, format!("top can't go on: {error}; see `connexactl status`"))
}
