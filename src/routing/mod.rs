//! Traffic by tunnel: a table with a default route for each tunnel that is up, and rules that lead
//! to it by output interface, by mark and by source address.
//!
//! Every look ends in comparing what is wanted with what the kernel has, so lost events, a restart
//! and somebody who deletes our rules end in the same place. What is ours carries our protocol
//! number in the kernel itself; nothing has to be remembered for the next daemon.

mod kernel;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use kernel::Socket;

use crate::core::event::IfIndex;
use crate::core::notice::Notice;
use crate::node::NodeId;

/// Changes of rules and routes by others come in crowds; they are looked at together.
const SETTLE: Duration = Duration::from_millis(100);
/// After a look that went wrong. A link that goes in the middle of it is such a case.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A tunnel that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Passage {
    index: IfIndex,
    interface: String,
    local: Ipv4Addr,
}

/// What the routes are to serve.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// `routing.table_base`.
    table_base: Option<u32>,
    /// Whether running tunnels were looked for: before that, routes may be those of a tunnel that
    /// is up.
    known: bool,
    passages: BTreeMap<NodeId, Passage>,
}

/// Tells the routing task which tunnels are up. Never waits, and only the newest counts.
#[derive(Debug)]
pub struct Router(watch::Sender<Wanted>);

impl Router {
    /// A router, and the task that does its work.
    pub fn new(table_base: Option<u32>) -> (Self, impl Future<Output = ()> + Send) {
        let (router, wanted) = watch::channel(Wanted { table_base, ..Wanted::default() });
        (Router(router), run(wanted))
    }

    /// The configuration was read again.
    pub fn configure(&self, table_base: Option<u32>) {
        self.0.send_if_modified(|wanted| {
            std::mem::replace(&mut wanted.table_base, table_base) != table_base
        });
    }

    /// Running tunnels are known from here on.
    pub fn begin(&self) {
        self.0.send_modify(|wanted| wanted.known = true);
    }

    /// Takes in that a tunnel came up or went down.
    pub fn note(&self, notice: &Notice) {
        #[allow(
            clippy::wildcard_enum_match_arm,
            reason = "the other notices are about other things"
        )]
        match notice {
            Notice::Up { node, index, interface, local, .. } => {
                let passage =
                    Passage { index: *index, interface: interface.clone(), local: *local };
                self.0.send_modify(|wanted| drop(wanted.passages.insert(*node, passage)));
            }
            Notice::Down { node, .. } => {
                self.0.send_if_modified(|wanted| wanted.passages.remove(node).is_some());
            }
            _ => {}
        }
    }
}

/// Keeps the kernel's rules and routes as wanted, until the router is gone.
async fn run(mut wanted: watch::Receiver<Wanted>) {
    if wanted.wait_for(|wanted| wanted.known).await.is_err() {
        return;
    }
    let mut socket = None;
    let mut problems = Problems::default();
    loop {
        let (plan, is_on) = {
            let wanted = wanted.borrow_and_update();
            (plan::make(&wanted), wanted.table_base.is_some())
        };
        let outcome = match &mut socket {
            Some(socket) => kernel::reconcile(socket, &plan).await,
            None => match Socket::open() {
                Ok(opened) => kernel::reconcile(socket.insert(opened), &plan).await,
                Err(error) => Err(error),
            },
        };
        let failed = outcome.is_err();
        problems.tell(plan.refused.iter().cloned(), outcome.err().map(|error| error.to_string()));
        if failed || !is_on {
            // A new one knows nothing of an old one's trouble; none is needed without routes.
            socket = None;
        }
        if !failed && !is_on {
            // What an earlier daemon left is gone; tunnels that come and go change nothing now.
            if wanted.wait_for(|wanted| wanted.table_base.is_some()).await.is_err() {
                return;
            }
            continue;
        }
        let tables = plan.tables();
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = disturbed(&mut socket, &tables), if socket.is_some() => {}
            () = sleep(TRY_AGAIN), if failed => {}
        }
    }
}

/// Returns a moment after somebody has changed rules or routes that matter here.
async fn disturbed(socket: &mut Option<Socket>, tables: &BTreeSet<u32>) {
    let Some(open) = socket else { return std::future::pending().await };
    let alive = open.disturbed(tables).await;
    if !alive {
        *socket = None;
    }
    sleep(SETTLE).await;
    if let Some(open) = socket {
        open.skip();
    }
}

/// What was told already, so that it is told once.
#[derive(Debug, Default)]
struct Problems {
    refused: BTreeSet<String>,
    /// The last look's error, and whether it was told.
    last: Option<(String, bool)>,
}

impl Problems {
    /// A failure that does not come twice in a row is a link that went at that moment.
    fn tell(&mut self, refused: impl Iterator<Item = String>, failure: Option<String>) {
        let refused: BTreeSet<String> = refused.collect();
        for problem in refused.difference(&self.refused) {
            tracing::error!("{problem}");
        }
        self.refused = refused;
        self.last = match (failure, self.last.take()) {
            (None, last) => {
                if last.is_some_and(|(_, told)| told) {
                    tracing::info!("Routes of tunnels are as wanted again");
                }
                None
            }
            (Some(now), Some((before, told))) if now == before => {
                if !told {
                    tracing::error!("{now}");
                }
                Some((now, true))
            }
            (Some(now), _) => Some((now, false)),
        };
    }
}
