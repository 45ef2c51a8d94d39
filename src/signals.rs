//! What signals ask of the daemon.

use std::io;

use futures::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    ShowState,
}

/// The signals that the daemon catches.
pub(crate) struct Signals(signal_hook_tokio::Signals);

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// When the handlers can't be set.
    pub(crate) fn catch() -> io::Result<Self> {
        signal_hook_tokio::Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1]).map(Signals)
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Request {
        match self.0.next().await {
            Some(SIGHUP) => Request::Reload,
            Some(SIGUSR1) => Request::ShowState,
            // The stream ends only when its handle is closed, and nobody holds one.
            Some(_) | None => Request::Stop,
        }
    }
}
