//! When routes to servers are swept: one sweep at a time, and one more for all that was asked for
//! meanwhile. No pppd is started beside a sweep, for it could find its route there and lose it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use tokio::task::JoinSet;

use crate::routing::server_route;

/// The sweep that is due, and the one that is under way.
#[derive(Default)]
pub(super) struct Sweeps {
    due: bool,
    /// At most one.
    tasks: JoinSet<()>,
}

impl Sweeps {
    /// A server may have lost its last row or call.
    pub(super) fn ask(&mut self) {
        self.due = true;
    }

    /// Whether one is due and none is under way.
    pub(super) fn is_due(&self) -> bool {
        self.due && self.is_idle()
    }

    /// Begins one. While it can't be told which servers are needed, it stays due.
    pub(super) fn begin(&mut self, needed: Option<BTreeSet<Ipv4Addr>>) {
        if let Some(servers) = needed {
            self.due = false;
            self.tasks.spawn(server_route::sweep(servers));
        }
    }

    /// Returns when a sweep is done; never while there is none.
    pub(super) async fn done(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::error!("Sweeping routes to servers has failed: {error}; report it");
            }
            None => std::future::pending().await,
        }
    }

    /// Whether none is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }
}
