//! Tells the core what the host has to reach beside its tunnels: the gateways of its routes, the
//! subnets of its links, its name servers; and has routes to servers follow the gateway.
//!
//! Each look lists all of it; what is heard meanwhile makes for another look. A gateway or subnet that
//! is new is looked for at once. One that went may have been the last of its kind or not, and nothing is
//! lost by a refusal too many: so that a routing daemon's changes cost little, it is looked for late. So is
//! a further route by a gateway that is known, which may be the way to a server.

mod filter;
mod kernel;
mod message;
mod resolvers;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use kernel::{Ear, Heard};

use crate::config::Paths;
use crate::core::event::Event;
use crate::core::surroundings::Surroundings;
use crate::pptp::driver::resolver;
use crate::routing::server_route;

/// Changes come in crowds; they are looked at together.
const SETTLE: Duration = Duration::from_millis(100);
/// What went away, or leads elsewhere, is looked for after this.
const LATE: Duration = Duration::from_secs(10);
/// After a look that went wrong.
const PAUSE: Duration = Duration::from_secs(5);
/// From one look to the next at least, in times of what a look takes.
const REST: u32 = 10;
/// Who waits for the first look waits no longer.
const FIRST: Duration = Duration::from_secs(5);

/// Why the surroundings are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurroundingsError {
    /// The kernel can't be asked.
    #[error(
        "The host's gateways and subnets: can't {what}: {source}; it needs AF_NETLINK sockets (in a unit \
         file: RestrictAddressFamilies); until then a server may give one of their addresses to our end \
         of a tunnel"
    )]
    Socket {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Watches the surroundings.
pub(crate) struct Watcher {
    ear: Option<Ear>,
    resolvers: resolvers::Watcher,
    /// The file of name servers that servers of tunnels have named.
    of_peers: PathBuf,
    told: Option<Surroundings>,
    /// The problem that stands in the log.
    problem: Option<String>,
    looked: Instant,
    took: Duration,
    /// Whether routes to servers are to follow the host's gateway.
    mends: bool,
}

impl Watcher {
    /// Starts to watch: what changes from here on is noticed.
    pub(crate) fn new(paths: &Paths, mends: bool) -> Self {
        Watcher {
            ear: None,
            resolvers: resolvers::Watcher::new(),
            of_peers: resolver::file(paths),
            told: None,
            problem: None,
            looked: Instant::now(),
            took: Duration::ZERO,
            mends,
        }
    }

    /// Tells the core for the first time: what the kernel shows of tunnels is judged by it, so that
    /// has to come later.
    pub(crate) async fn begin(&mut self, events: &mpsc::Sender<Event>) {
        self.begin_within(FIRST, events).await;
    }

    async fn begin_within(&mut self, limit: Duration, events: &mpsc::Sender<Event>) {
        if timeout(limit, self.look(events)).await.is_err() {
            // Answers that nobody waits for any more may be on their way.
            self.ear = None;
        }
    }

    /// Tells the core of every change, for as long as it listens.
    pub(crate) async fn follow(mut self, events: &mpsc::Sender<Event>) {
        if self.told.is_none() && self.problem.is_none() {
            // The first look was given up: there is time for it now.
            self.look(events).await;
        }
        self.mend().await;
        while !events.is_closed() {
            let next = self.disturbed().await;
            sleep_until(next.max(self.looked + self.took * REST)).await;
            self.look(events).await;
            self.mend().await;
        }
    }

    /// Routes to servers that lead by a gateway which has gone lead by the one of now.
    async fn mend(&self) {
        if self.mends {
            server_route::mend().await;
        }
    }

    async fn look(&mut self, events: &mpsc::Sender<Event>) {
        let begun = Instant::now();
        let seen = self.see().await;
        self.looked = Instant::now();
        self.took = self.looked - begun;
        match seen {
            Ok(surroundings) => {
                if self.problem.take().is_some() {
                    tracing::info!("The host's gateways and subnets are known again");
                }
                if self.told.as_ref() != Some(&surroundings) {
                    // Nobody listens once the daemon has stopped.
                    let _ = events.send(Event::Surroundings(surroundings.clone())).await;
                    self.told = Some(surroundings);
                }
            }
            Err(error) => {
                self.ear = None;
                let text = error.to_string();
                if self.problem.as_ref() != Some(&text) {
                    tracing::error!("{text}");
                    self.problem = Some(text);
                }
            }
        }
    }

    /// Listens before it looks.
    async fn see(&mut self) -> Result<Surroundings, SurroundingsError> {
        let ear = match self.ear.take() {
            Some(ear) => ear,
            None => Ear::open()?,
        };
        let ear = self.ear.insert(ear);
        let (gateways, subnets) = kernel::list(ear).await?;
        let resolvers = resolvers::read(self.of_peers.clone()).await;
        Ok(Surroundings { gateways, resolvers, subnets })
    }

    /// Returns when something may have changed: when to look.
    async fn disturbed(&mut self) -> Instant {
        let Some(ear) = &mut self.ear else { return Instant::now() + PAUSE };
        let known = self.told.as_ref();
        let is_known = |gateway| known.is_some_and(|told| told.gateways.contains(&gateway));
        let mut late = None;
        loop {
            tokio::select! {
                () = self.resolvers.changed() => return Instant::now() + SETTLE,
                () = due(late) => return Instant::now(),
                heard = ear.hear(is_known) => match heard {
                    Ok(Heard::New) => return Instant::now() + SETTLE,
                    Ok(Heard::Other) => _ = late.get_or_insert(Instant::now() + LATE),
                    Err(_) => {
                        self.ear = None;
                        return Instant::now() + PAUSE;
                    }
                },
            }
        }
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
