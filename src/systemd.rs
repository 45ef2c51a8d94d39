//! Talking to systemd (sd_notify(3)). Without it every call does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

/// The daemon works, or works by its new configuration.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The configuration is being read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("can't tell systemd of the reload: {error}"),
    }
}

/// The daemon stops.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("can't notify systemd: {error}");
    }
}

/// Shows systemd that the loop turns, twice per `WatchdogSec=`.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    next: Instant,
}

impl Watchdog {
    /// Reads from the environment whether systemd wants to see it.
    pub fn start() -> Self {
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Watchdog { every, next: Instant::now() }
    }

    /// Resolves when it is time; never without a watchdog.
    pub async fn due(&self) {
        match self.every {
            Some(_) => tokio::time::sleep_until(self.next).await,
            None => std::future::pending().await,
        }
    }

    /// Shows that the loop turns.
    pub fn pat(&mut self) {
        notify(&[NotifyState::Watchdog]);
        if let Some(every) = self.every {
            self.next = Instant::now() + every;
        }
    }
}
