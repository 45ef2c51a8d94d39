//! Talking to systemd (sd_notify(3)), by a thread of its own: a service manager that does not read
//! stalls no tunnel. Without systemd every call does nothing.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use crate::printable::printable;

/// Notices that may wait; what is more is given up, as a later one says it again.
const QUEUE: usize = 64;
/// Between two lines of the whole state.
const PAUSE: Duration = Duration::from_secs(1);
/// In characters: systemd takes no message of more than 4,096 bytes, and a character may have four.
const LONGEST: usize = 1000;
/// How long the end of the program waits for what is not told yet.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Notice {
    States(Vec<NotifyState<'static>>),
    /// A line for people.
    Status(String),
}

/// The service manager, and when it wants to see that the loop turns: twice per `WatchdogSec=`.
#[derive(Debug)]
pub(crate) struct Manager {
    notices: Option<SyncSender<Notice>>,
    /// Ends with the thread.
    thread: Option<Receiver<()>>,
    every: Option<Duration>,
    next: Instant,
    /// The line of the whole state that was told last.
    told: String,
    /// When the next one is to be made; `None` while nothing has changed.
    state_due: Option<Instant>,
    /// Before then no line is made.
    rests_until: Instant,
    /// Nothing but the watchdog's due is told once the daemon stops.
    stopping: bool,
}

impl Manager {
    /// Reads from the environment whether there is one, and whether it watches.
    pub(crate) fn start() -> Self {
        let started = std::env::var_os("NOTIFY_SOCKET").and_then(start_thread);
        let (notices, thread) = started.unzip();
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Manager { thread, every, ..Self::with(notices) }
    }

    fn with(notices: Option<SyncSender<Notice>>) -> Self {
        let (told, now) = (String::new(), Instant::now());
        Manager {
            notices,
            thread: None,
            every: None,
            next: now,
            told,
            state_due: None,
            rests_until: now,
            stopping: false,
        }
    }

    /// The daemon works, or works by its new configuration.
    pub(crate) fn ready(&self) {
        if !self.stopping {
            self.notify(Notice::States(vec![NotifyState::Ready]));
        }
    }

    /// The configuration is being read again.
    pub(crate) fn reloading(&self) {
        if self.stopping {
            return;
        }
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(Notice::States(vec![NotifyState::Reloading, now])),
            Err(error) => tracing::warn!("can't tell systemd of the reload: {error}"),
        }
    }

    /// Something has changed that the line of the whole state may tell. Where changes come fast, a
    /// line is made once a second.
    pub(crate) fn state_changed(&mut self) {
        if self.notices.is_some() && self.state_due.is_none() {
            self.state_due = Some(self.rests_until);
        }
    }

    /// Resolves when the line of the whole state is to be made; never while nothing changes.
    pub(crate) async fn state_due(&self) {
        match self.state_due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// The whole state in one line, shown as the unit's status.
    pub(crate) fn show_state(&mut self, line: &str) {
        self.state_due = None;
        self.rests_until = Instant::now() + PAUSE;
        let line = shown(line);
        if line == self.told {
            return;
        }
        if self.is_taken(Notice::Status(line.clone())) {
            self.told = line;
        } else {
            self.state_changed();
        }
    }

    /// The last line, for the end of the program, which waits a moment until it is told.
    pub(crate) fn finish(&mut self, line: &str) {
        self.notify(Notice::Status(shown(line)));
        self.notices = None;
        if let Some(thread) = self.thread.take() {
            // An error is the thread's end.
            let _ = thread.recv_timeout(FINISH_WITHIN);
        }
    }

    /// The daemon stops.
    pub(crate) fn stopping(&mut self) {
        self.stopping = true;
        self.notify(Notice::States(vec![NotifyState::Stopping]));
    }

    /// Resolves when the loop is to be shown to turn; never without a watchdog.
    pub(crate) async fn due(&self) {
        match self.every {
            Some(_) => tokio::time::sleep_until(self.next).await,
            None => std::future::pending().await,
        }
    }

    /// Shows that the loop turns.
    pub(crate) fn pat(&mut self) {
        self.notify(Notice::States(vec![NotifyState::Watchdog]));
        if let Some(every) = self.every {
            self.next = Instant::now() + every;
        }
    }

    fn notify(&self, notice: Notice) {
        // Where nobody reads, there is nobody to tell.
        let _ = self.is_taken(notice);
    }

    /// Whether the thread takes it: where the manager does not read, it may not.
    fn is_taken(&self, notice: Notice) -> bool {
        self.notices.as_ref().is_some_and(|notices| notices.try_send(notice).is_ok())
    }
}

/// Tells why the daemon does not start, or has ended; shown as the unit's status.
pub fn show_end(why: &[String]) {
    Manager::start().finish(&why.join(" | "));
}

/// A line that is no other message to systemd and not too long for one.
fn shown(line: &str) -> String {
    let line = printable(line);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// `manager` is the path of systemd's socket.
fn start_thread(manager: OsString) -> Option<(SyncSender<Notice>, Receiver<()>)> {
    // Opened once: a daemon that may open no more files lives, and has to show it.
    let socket = UnixDatagram::unbound();
    let socket =
        socket.inspect_err(|error| tracing::warn!("can't notify systemd: {error}")).ok()?;
    let (notices, theirs) = mpsc::sync_channel::<Notice>(QUEUE);
    let (ends, thread) = mpsc::channel::<()>();
    let run = move || {
        let _ends = ends;
        for notice in theirs {
            let sent = match &notice {
                Notice::States(states) => send(&socket, &manager, states),
                Notice::Status(line) => send(&socket, &manager, &[NotifyState::Status(line)]),
            };
            if let Err(error) = sent {
                tracing::warn!("can't notify systemd: {error}");
            }
        }
    };
    match std::thread::Builder::new().name("systemd".to_owned()).spawn(run) {
        Ok(_) => Some((notices, thread)),
        Err(error) => {
            tracing::warn!("can't notify systemd: {error}");
            None
        }
    }
}

fn send(socket: &UnixDatagram, manager: &OsStr, states: &[NotifyState<'_>]) -> io::Result<()> {
    let lines: String = states.iter().map(|state| format!("{state}\n")).collect();
    socket.send_to(lines.as_bytes(), manager).map(drop)
}

#[cfg(test)]
impl Manager {
    /// One whose notices are kept, and what gives all of them so far.
    pub(crate) fn kept() -> (Self, impl Fn() -> Vec<String>) {
        let (notices, theirs) = mpsc::sync_channel(QUEUE);
        let manager = Manager::with(Some(notices));
        let name = |notice: Notice| match notice {
            Notice::States(states) => format!("{:?}", states.first()),
            Notice::Status(line) => line,
        };
        (manager, move || theirs.try_iter().map(name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_others_words_is_one_message_that_systemd_takes() {
        assert_eq!(shown("bad\nMAINPID=1"), "bad\\nMAINPID=1");
        assert!(shown(&"\u{1f504}".repeat(5000)).len() < 4096 - "STATUS=".len());
    }

    #[test]
    fn changes_that_come_fast_wait_for_one_line_a_second_later() {
        let (mut manager, told) = Manager::kept();
        manager.state_changed();
        let first = manager.state_due.unwrap();
        manager.show_state("0 up");
        assert_eq!(manager.state_due, None);
        (0..1000).for_each(|_| manager.state_changed());
        assert!(manager.state_due.unwrap() >= first + PAUSE);
        assert_eq!(told(), ["0 up"]);
    }

    #[test]
    fn a_line_that_says_the_same_is_not_told_again() {
        let (mut manager, told) = Manager::kept();
        manager.show_state("2 up");
        manager.show_state("2 up");
        assert_eq!(told(), ["2 up"]);
    }
}
