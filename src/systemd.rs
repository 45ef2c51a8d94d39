//! Talking to systemd (sd_notify(3)), by a thread of its own: a service manager that does not read
//! stalls no tunnel. Without systemd every call does nothing.

use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

/// Notices that may wait; what is more is given up, as a later one says it again.
const QUEUE: usize = 64;

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
    every: Option<Duration>,
    next: Instant,
    /// Nothing but the watchdog's due is told once the daemon stops.
    stopping: bool,
}

impl Manager {
    /// Reads from the environment whether there is one, and whether it watches.
    pub(crate) fn start() -> Self {
        let notices = std::env::var_os("NOTIFY_SOCKET").and_then(|_| start_thread());
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Manager { notices, every, next: Instant::now(), stopping: false }
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

    /// The new configuration is not taken; shown as the unit's status.
    pub(crate) fn reload_refused(&self, why: &str) {
        let line = format!("Reload refused, the old configuration stays: {why}");
        self.notify(Notice::Status(line));
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
        if let Some(notices) = &self.notices {
            // Where nobody reads, there is nobody to tell.
            let _ = notices.try_send(notice);
        }
    }
}

fn start_thread() -> Option<SyncSender<Notice>> {
    let (notices, theirs) = mpsc::sync_channel::<Notice>(QUEUE);
    let run = move || {
        for notice in theirs {
            let sent = match &notice {
                Notice::States(states) => sd_notify::notify(states),
                Notice::Status(line) => sd_notify::notify(&[NotifyState::Status(line)]),
            };
            if let Err(error) = sent {
                tracing::warn!("can't notify systemd: {error}");
            }
        }
    };
    match std::thread::Builder::new().name("systemd".to_owned()).spawn(run) {
        Ok(_) => Some(notices),
        Err(error) => {
            tracing::warn!("can't notify systemd: {error}");
            None
        }
    }
}

#[cfg(test)]
impl Manager {
    /// One whose notices are kept, and what gives all of them so far.
    pub(crate) fn kept() -> (Self, impl Fn() -> Vec<String>) {
        let (notices, theirs) = mpsc::sync_channel(QUEUE);
        let (every, next, stopping) = (None, Instant::now(), false);
        let manager = Manager { notices: Some(notices), every, next, stopping };
        let name = |notice: Notice| match notice {
            Notice::States(states) => format!("{:?}", states.first()),
            Notice::Status(line) => line,
        };
        (manager, move || theirs.try_iter().map(name).collect())
    }
}
