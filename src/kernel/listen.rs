//! The task that keeps the table and tells the core.

use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::session::{Heard, Session};
use super::table::Table;
use super::{KernelError, RECEIVE_BUFFER, dump};
use crate::core::event::{Event, Hearing};

/// Waits between tries to hear again: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// From one event to the next, so that a storm costs by its time and not by its changes. What is
/// unread meanwhile waits in the kernel's buffer, which holds a hundred times as much.
const BREATH: Duration = Duration::from_millis(1);

/// Tells the core of point-to-point links for as long as it listens. The first event is the whole
/// table; each later one tells what differs from what was told before, and how well the kernel is
/// heard.
pub async fn listen(events: mpsc::Sender<Event>) {
    listen_with(events, RECEIVE_BUFFER).await;
}

/// As [`listen`], with this many bytes asked for as receive buffer.
pub(super) async fn listen_with(events: mpsc::Sender<Event>, receive_buffer: usize) {
    let mut listener = Listener {
        receive_buffer,
        table: Table::default(),
        hearing: Hearing::default(),
        told: None,
        pause: FIRST_PAUSE,
        problem: None,
    };
    while let Err(error) = listener.run(&events).await {
        listener.note(&error);
        listener.hearing.reopened += 1;
        sleep(listener.pause).await;
        listener.pause = (listener.pause * 2).min(LONGEST_PAUSE);
    }
}

struct Listener {
    receive_buffer: usize,
    table: Table,
    hearing: Hearing,
    /// The hearing that the core knows.
    told: Option<Hearing>,
    pause: Duration,
    /// The problem that stands in the log.
    problem: Option<String>,
}

/// Whether all changes so far are in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Whole,
    Broken,
}

impl Listener {
    /// Hears the kernel through one socket. Ends well when the core listens no more.
    async fn run(&mut self, events: &mpsc::Sender<Event>) -> Result<(), KernelError> {
        let mut session = Session::open(self.receive_buffer)?;
        self.hearing.receive_buffer = session.receive_buffer();
        self.resync(&mut session).await?;
        let mut rested = Instant::now();
        loop {
            if self.has_more() {
                sleep_until(rested).await;
            }
            let trust = tokio::select! {
                heard = session.hear() => self.take(heard?),
                permit = events.reserve(), if self.has_more() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    let trust = self.drain(&mut session)?;
                    if trust == Trust::Whole && let Some(event) = self.event() {
                        permit.send(event);
                        rested = Instant::now() + BREATH;
                    }
                    trust
                }
            };
            if trust == Trust::Broken {
                self.resync(&mut session).await?;
            }
        }
    }

    async fn resync(&mut self, session: &mut Session) -> Result<(), KernelError> {
        let list = dump::read(session, &mut self.hearing).await?;
        self.table.replace(list);
        self.hearing.resyncs += 1;
        self.pause = FIRST_PAUSE;
        if self.problem.take().is_some() {
            tracing::info!("rtnetlink: the kernel's links are heard again");
        }
        Ok(())
    }

    /// Takes in all that can be read without waiting. At the latest, tokio's budget for one turn
    /// of a task ends it.
    fn drain(&mut self, session: &mut Session) -> Result<Trust, KernelError> {
        let mut trust = Trust::Whole;
        while let Some(heard) = session.hear().now_or_never() {
            if self.take(heard?) == Trust::Broken {
                trust = Trust::Broken;
            }
        }
        Ok(trust)
    }

    fn take(&mut self, heard: Heard) -> Trust {
        match heard {
            Heard::Lost => {
                self.hearing.overruns += 1;
                Trust::Broken
            }
            Heard::Undecodable => {
                self.hearing.undecodable += 1;
                Trust::Broken
            }
            Heard::Change(news) => {
                self.table.apply(news);
                Trust::Whole
            }
            Heard::Item { .. } | Heard::End { .. } => Trust::Whole,
        }
    }

    fn has_more(&self) -> bool {
        self.table.is_dirty() || self.told != Some(self.hearing)
    }

    /// What the core does not know yet.
    fn event(&mut self) -> Option<Event> {
        let changes = self.table.take_changes();
        self.hearing.links = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
        let hearing = self.hearing;
        let told = self.told.unwrap_or_default();
        if hearing.overruns > 0 && told.overruns == 0 {
            note_overrun(hearing.receive_buffer);
        }
        if hearing.undecodable > 0 && told.undecodable == 0 {
            note_undecodable();
        }
        let is_news = !changes.is_empty() || self.told != Some(hearing);
        self.told = Some(hearing);
        is_news.then_some(Event::Links { changes, hearing })
    }

    fn note(&mut self, error: &KernelError) {
        let text = error.to_string();
        if self.problem.as_ref() != Some(&text) {
            tracing::warn!("{text}");
            self.problem = Some(text);
        }
    }
}

/// For the first one only, as below; the rest are counted where the hearing is shown.
fn note_overrun(receive_buffer: u32) {
    tracing::warn!(
        "rtnetlink: the kernel dropped link changes that were not read in time, so all links are read again; the receive buffer has {receive_buffer} bytes, running as root makes it 32 MiB"
    );
}

fn note_undecodable() {
    tracing::warn!(
        "rtnetlink: the kernel told of links what can't be understood, so all links are read again; if the count of `connexactl status --json` grows (kernel.undecodable), connexad is too old for this kernel"
    );
}
