//! The one timer of all calls: when it comes round, each call is told how much its link has
//! received, and asks its server only where that is no more than before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::blocking::Threads;
use crate::core::event::IfIndex;
use crate::kernel::traffic::{self, Counters, Traffic};

/// What each link has carried in its life.
pub(super) type Carried = Arc<BTreeMap<IfIndex, Counters>>;

/// The timer.
pub(super) struct Echo {
    told: watch::Sender<Carried>,
    next: Option<Instant>,
    threads: Threads,
}

impl Echo {
    pub(super) fn new(threads: Threads) -> Self {
        let (told, _) = watch::channel(Carried::default());
        Echo { told, next: None, threads }
    }

    /// For a call: each change is a round.
    pub(super) fn follow(&self) -> watch::Receiver<Carried> {
        self.told.subscribe()
    }

    /// Returns when it has come round; never while no call follows it, or where none is to ask.
    pub(super) async fn due(&mut self, interval: Duration) {
        if interval.is_zero() || self.told.receiver_count() == 0 {
            self.next = None;
            return std::future::pending().await;
        }
        let next = *self.next.get_or_insert_with(|| Instant::now() + interval);
        sleep_until(next).await;
        self.next = None;
    }

    /// The work of a round.
    pub(super) fn round(&self) -> impl Future<Output = ()> + use<> {
        let (told, threads) = (self.told.clone(), self.threads.clone());
        async move {
            let carried = threads.run(traffic::read).await.unwrap_or_else(|error| {
                tracing::debug!("How much links have received can't be told: {error}");
                Traffic::default()
            });
            told.send_replace(carried.links.into());
        }
    }
}
