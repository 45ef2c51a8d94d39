//! The task that keeps the table and tells the core.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::dump::Reading;
use super::session::{Heard, Session};
use super::table::Table;
use super::{KernelError, RECEIVE_BUFFER, dump};
use crate::core::event::{Event, Hearing};

/// Waits until the kernel is tried again, for a socket or a whole list: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// After a full read, the next one waits so long, or losses that go on would mean reads that go on.
const COOL_DOWN: Duration = Duration::from_millis(100);

/// In a storm, what changes within this time is told together, so that a storm costs by its time and not by its changes.
/// Tokio's timers make up to 1 ms more of it. What is unread meanwhile waits in the kernel's buffer. The quickest storm
/// measured makes some 40 changes in this time; the buffer holds hundreds of times as many, or 92 where it has the
/// kernel's usual size.
const BREATH: Duration = Duration::from_millis(2);

/// Events that follow each other within this are parts of a storm; longer than a breath, or each second one would end it.
const QUICK: Duration = Duration::from_millis(4);

/// Changes that are taken in before others have their turn.
const MOST_AT_ONCE: usize = 1024;

/// Tells the core of point-to-point links for as long as it listens. The first event is the whole
/// table; each later one tells what differs from what was told before, and how well the kernel is
/// heard.
pub(crate) async fn listen(events: mpsc::Sender<Event>) {
    listen_with(events, RECEIVE_BUFFER).await;
}

/// As [`listen`], with this many bytes asked for as receive buffer.
pub(super) async fn listen_with(events: mpsc::Sender<Event>, receive_buffer: usize) {
    let mut listener = Listener {
        receive_buffer,
        table: Table::default(),
        hearing: Hearing::default(),
        told: None,
        told_at: Instant::now(),
        wanted: None,
        read_at: Instant::now(),
        pause: FIRST_PAUSE,
        problem: None,
    };
    while let Err(error) = listener.run(&events).await {
        listener.note(&error);
        listener.hearing.reopened += 1;
        sleep(listener.next_pause()).await;
    }
}

struct Listener {
    receive_buffer: usize,
    table: Table,
    hearing: Hearing,
    /// The hearing that the core knows.
    told: Option<Hearing>,
    /// When it was told last.
    told_at: Instant,
    /// The full read that is to come.
    wanted: Option<Resync>,
    /// When the last one ended.
    read_at: Instant,
    pause: Duration,
    /// The problem that stands in the log.
    problem: Option<String>,
}

/// A full read of the kernel's links that is to come.
#[derive(Clone, Copy)]
struct Resync {
    at: Instant,
    /// Whether the core is told of changes meanwhile: all since the last try are in the table.
    may_tell: bool,
}

impl Listener {
    /// Hears the kernel through one socket. Ends well when the core listens no more.
    async fn run(&mut self, events: &mpsc::Sender<Event>) -> Result<(), KernelError> {
        let mut session = Session::open(self.receive_buffer)?;
        self.hearing.receive_buffer = session.receive_buffer();
        self.wanted = Some(Resync { at: Instant::now(), may_tell: false });
        loop {
            tokio::select! {
                () = due(self.wanted) => self.resync(&mut session).await?,
                heard = session.hear() => self.take(heard?),
                permit = events.reserve(), if self.has_more() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    self.drain(&mut session)?;
                    if let Some(event) = self.event() {
                        permit.send(event);
                        self.breathe(&mut session).await?;
                    }
                }
            }
        }
    }

    /// An event was told. One that follows another quickly is one of many.
    async fn breathe(&mut self, session: &mut Session) -> Result<(), KernelError> {
        let last = std::mem::replace(&mut self.told_at, Instant::now());
        if self.told_at - last <= QUICK {
            session.mute();
            sleep(BREATH).await;
            self.drain(session)?;
        }
        Ok(())
    }

    async fn resync(&mut self, session: &mut Session) -> Result<(), KernelError> {
        let reading = dump::read(session, &mut self.table, &mut self.hearing).await?;
        self.read_at = Instant::now();
        match reading {
            Reading::Whole => {
                self.wanted = None;
                self.hearing.resyncs += 1;
                self.pause = FIRST_PAUSE;
                if self.problem.take().is_some() {
                    tracing::info!("rtnetlink: the kernel's links are heard again");
                }
            }
            Reading::Torn => {
                self.note(&KernelError::Restless);
                let at = self.read_at + self.next_pause();
                // The first event is the whole table.
                self.wanted = Some(Resync { at, may_tell: self.told.is_some() });
            }
            Reading::Lossy => self.miss(),
        }
        Ok(())
    }

    /// Changes are missing.
    fn miss(&mut self) {
        let at = Instant::now().max(self.read_at + COOL_DOWN);
        self.wanted = Some(Resync { at, may_tell: false });
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// Takes in what can be read without waiting.
    fn drain(&mut self, session: &mut Session) -> Result<(), KernelError> {
        for _ in 0..MOST_AT_ONCE {
            let Some(heard) = session.hear_now()? else { break };
            self.take(heard);
        }
        Ok(())
    }

    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Lost => {
                self.hearing.overruns += 1;
                self.miss();
            }
            Heard::Undecodable => {
                self.hearing.undecodable += 1;
                self.miss();
            }
            Heard::Change(news) => self.table.apply(news),
            Heard::Item { .. } | Heard::End { .. } => {}
        }
    }

    fn has_more(&self) -> bool {
        self.wanted.is_none_or(|resync| resync.may_tell)
            && (self.table.is_dirty() || self.told != Some(self.hearing))
    }

    /// What the core does not know yet and may know.
    fn event(&mut self) -> Option<Event> {
        if !self.has_more() {
            return None;
        }
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

async fn due(wanted: Option<Resync>) {
    match wanted {
        Some(resync) => sleep_until(resync.at).await,
        None => std::future::pending().await,
    }
}

/// For the first one only, as below; the rest are counted where the hearing is shown.
fn note_overrun(receive_buffer: u32) {
    tracing::warn!(
        "rtnetlink: the kernel dropped link changes that were not read in time, so all links are read again; the receive buffer has {receive_buffer} bytes; CAP_NET_ADMIN, or net.core.rmem_max = 16777216, makes it 32 MiB"
    );
}

fn note_undecodable() {
    tracing::warn!(
        "rtnetlink: a message of the kernel about links can't be decoded, so all links are read again; if the count of `connexactl status --json` grows (kernel.undecodable), connexad is too old for this kernel"
    );
}
