//! Traffic by tunnel: a table with a default route for each tunnel that is up, and rules that lead
//! to it by output interface, by mark and by source address. Where the operator wants it so, one that
//! leads nowhere for each node that is wanted, up or not. And no other traffic by a tunnel, whatever
//! its server says: [`peer_route`], [`settings`].
//!
//! Every look ends in comparing what is wanted with what the kernel has, so lost events, a restart
//! and somebody who deletes our rules end in the same place. What is ours carries our protocol
//! number in the kernel itself; nothing has to be remembered for the next daemon.

mod address;
mod kernel;
mod listen;
mod peer_route;
mod plan;
pub(crate) mod server_route;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub(crate) use address::Ends;
pub(crate) use kernel::{RoutingError, is_one_of, rules_before_ours, tables_of_ours};
use listen::{Interest, Listener};

use crate::config::{self, WhenDown};
use crate::core::change::{Change, UpTunnel, Way};
use crate::core::event::{CallId, IfIndex};
use crate::node::NodeId;

/// Changes come in crowds; they are looked at together.
const SETTLE: Duration = Duration::from_millis(100);
/// After a look that went wrong. A link that goes in the middle of it is such a case; what lasts is
/// looked at ever more rarely.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What the routes are to serve.
#[derive(Clone, Debug)]
struct Wanted {
    /// `routing.table_base`.
    table_base: Option<u32>,
    /// `routing.when_down`.
    when_down: WhenDown,
    /// `routing.peer_route`.
    peer_route: bool,
    /// Whether running tunnels were looked for: before that, routes may be those of a tunnel that
    /// is up.
    known: bool,
    /// The daemon ends: one more look, and no other.
    ending: bool,
    /// The nodes that a tunnel is wanted of, each with the local address that its last one had.
    nodes: BTreeMap<NodeId, Option<Ipv4Addr>>,
    /// Whether every wanted node is among them.
    all_told: bool,
    tunnels: BTreeMap<NodeId, UpTunnel>,
    /// The link of its last call, from when it is known.
    links: BTreeMap<NodeId, (IfIndex, CallId)>,
    /// The address of our end that was refused last, of a call that is being hung up.
    refused: BTreeMap<NodeId, (IfIndex, Ipv4Addr)>,
}

impl Wanted {
    /// Nothing yet, by these settings.
    fn by(routing: &config::Routing) -> Self {
        let config::Routing { table_base, when_down, peer_route } = *routing;
        Wanted {
            table_base,
            when_down,
            peer_route,
            known: false,
            ending: false,
            nodes: BTreeMap::new(),
            all_told: false,
            tunnels: BTreeMap::new(),
            links: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    fn routing(&self) -> config::Routing {
        let Wanted { table_base, when_down, peer_route, .. } = *self;
        config::Routing { table_base, when_down, peer_route }
    }

    /// A tunnel is up no more. Whether it was.
    fn fell(&mut self, node: NodeId) -> bool {
        let Some(tunnel) = self.tunnels.remove(&node) else { return false };
        if let Some(last) = self.nodes.get_mut(&node) {
            *last = Some(tunnel.local);
        }
        true
    }

    /// A call is over, and its link with it. Whether anything was kept of it.
    fn ended(&mut self, node: NodeId, call: CallId) -> bool {
        let is_its = self.links.get(&node).is_some_and(|(_, last)| *last == call);
        if is_its {
            self.links.remove(&node);
            self.refused.remove(&node);
        }
        is_its
    }
}

/// Tells the routing task which tunnels are up. Never waits, and only the newest counts.
#[derive(Debug)]
pub(crate) struct Router(watch::Sender<Wanted>);

impl Router {
    /// A router, and the task that does its work.
    pub(crate) fn new(
        routing: &config::Routing,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (router, wanted) = watch::channel(Wanted::by(routing));
        let (addresses, peer_routes, settings) = (
            address::run(wanted.clone()),
            peer_route::run(wanted.clone()),
            settings::run(wanted.clone()),
        );
        let route = run(wanted);
        (Router(router), async { _ = tokio::join!(addresses, peer_routes, settings, route) })
    }

    /// The configuration was read again.
    pub(crate) fn configure(&self, routing: &config::Routing) {
        self.0.send_if_modified(|wanted| {
            let old = wanted.routing();
            let config::Routing { table_base, when_down, peer_route } = *routing;
            (wanted.table_base, wanted.when_down, wanted.peer_route) =
                (table_base, when_down, peer_route);
            old != *routing
        });
    }

    /// Running tunnels are known from here on.
    pub(crate) fn begin(&self) {
        self.0.send_modify(|wanted| wanted.known = true);
    }

    /// Returns once the kernel has what was wanted last, or a look has failed, within `limit`.
    pub(crate) async fn finish(&self, limit: Duration) {
        self.0.send_modify(|wanted| wanted.ending = true);
        let _ = timeout(limit, self.0.closed()).await;
    }

    /// Follows what became of a tunnel.
    pub(crate) fn follow(&self, change: &Change) {
        match change {
            Change::Rose(up) | Change::Readdressed(up) => {
                self.0.send_modify(|wanted| drop(wanted.tunnels.insert(up.node, up.clone())));
            }
            Change::Renamed { node, interface } => self.0.send_modify(|wanted| {
                if let Some(up) = wanted.tunnels.get_mut(node) {
                    up.interface.clone_from(interface);
                }
            }),
            Change::Fell { node } => {
                self.0.send_if_modified(|wanted| wanted.fell(*node));
            }
            Change::Explained { .. } => {}
        }
    }

    /// Follows what else the ways of packets depend on.
    pub(crate) fn follow_way(&self, way: &Way) {
        match *way {
            Way::Wanted { node } => {
                self.0.send_modify(|wanted| _ = wanted.nodes.insert(node, None));
            }
            Way::Unwanted { node } => {
                self.0.send_modify(|wanted| _ = wanted.nodes.remove(&node));
            }
            Way::AllTold => self.0.send_modify(|wanted| wanted.all_told = true),
            Way::Linked { node, call, index } => {
                self.0.send_modify(|wanted| _ = wanted.links.insert(node, (index, call)));
            }
            Way::Unlinked { node, call } => {
                self.0.send_if_modified(|wanted| wanted.ended(node, call));
            }
            Way::Refused { node, index, local } => {
                self.0.send_modify(|wanted| _ = wanted.refused.insert(node, (index, local)));
            }
        }
    }
}

/// Keeps the kernel's rules and routes as wanted, until the end.
async fn run(mut wanted: watch::Receiver<Wanted>) {
    let known = wanted.wait_for(|wanted| wanted.known || wanted.ending).await;
    if !known.is_ok_and(|wanted| wanted.known) {
        return;
    }
    let mut listener = None;
    let mut problems = Problems::default();
    let mut pause = FIRST_PAUSE;
    let mut again = false;
    loop {
        let (plan, is_on, is_last) = {
            let wanted = wanted.borrow_and_update();
            (plan::make(&wanted), wanted.table_base.is_some(), wanted.ending)
        };
        let outcome = look(&mut listener, &plan, is_on).await;
        let looked = Instant::now();
        let failures = outcome.unwrap_or_else(|error| vec![error]);
        let failed = !failures.is_empty();
        let failures = failures.iter().map(ToString::to_string);
        problems.tell(plan.refused.iter().cloned(), failures, again);
        if is_last {
            return;
        }
        if !failed && !is_on {
            // What an earlier daemon left is gone; tunnels that come and go change nothing now.
            let on = wanted.wait_for(|wanted| wanted.table_base.is_some() || wanted.ending).await;
            if on.is_err() {
                return;
            }
            again = false;
            continue;
        }
        let interest = Interest::of(&plan);
        again = tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                // Nothing may leave of a node that is wanted from now on.
                if !plan::make(&wanted.borrow()).guards_more_than(&plan) {
                    sleep_until(looked + SETTLE).await;
                }
                false
            }
            () = disturbed(&mut listener, &interest) => {
                sleep(SETTLE).await;
                false
            }
            () = sleep(pause), if failed => true,
        };
        pause = if again { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
    }
}

/// Listens before it looks: what changes later is heard.
async fn look(
    listener: &mut Option<Listener>,
    plan: &plan::Plan,
    is_on: bool,
) -> Result<Vec<RoutingError>, RoutingError> {
    match listener {
        _ if !is_on => *listener = None,
        Some(open) => open.skip(),
        None => *listener = Some(Listener::open()?),
    }
    kernel::reconcile(plan).await
}

/// Returns when somebody has changed what matters here.
async fn disturbed(listener: &mut Option<Listener>, interest: &Interest) {
    let Some(open) = listener else { return std::future::pending().await };
    if open.disturbed(interest).await.is_err() {
        // The next look opens another.
        *listener = None;
    }
}

/// What was told already, so that it is told once.
#[derive(Debug, Default)]
struct Problems {
    refused: BTreeSet<String>,
    /// The last look's failures, and whether each was told.
    failures: BTreeMap<String, bool>,
    /// A failure was told since all was as wanted.
    told: bool,
}

impl Problems {
    /// A failure that is not there `again` when it was waited for is a link that went at that moment.
    fn tell(
        &mut self,
        refused: impl Iterator<Item = String>,
        failures: impl Iterator<Item = String>,
        again: bool,
    ) {
        let refused: BTreeSet<String> = refused.collect();
        for problem in refused.difference(&self.refused) {
            tracing::error!("{problem}");
        }
        self.refused = refused;
        let before = std::mem::take(&mut self.failures);
        for failure in failures {
            let told = before.get(&failure).copied();
            if again && told == Some(false) {
                tracing::error!("{failure}");
                self.told = true;
            }
            self.failures.insert(failure, told.is_some_and(|told| told || again));
        }
        if self.failures.is_empty() && std::mem::take(&mut self.told) {
            tracing::info!("Routes of tunnels are as wanted again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_calls_that_are_over_nothing_is_kept() {
        let (router, _task) = Router::new(&config::Routing::default());
        let (node, index) = (NodeId(2), IfIndex(7));
        let [old, new] = [1, 2].map(CallId::Dialled);
        router.follow_way(&Way::Linked { node, call: old, index });
        router.follow_way(&Way::Refused { node, index, local: [10, 9, 0, 2].into() });
        router.follow_way(&Way::Unlinked { node, call: old });
        assert!(router.0.borrow().links.is_empty() && router.0.borrow().refused.is_empty());
        // The next call has taken the link before the last one was over.
        router.follow_way(&Way::Linked { node, call: new, index });
        router.follow_way(&Way::Unlinked { node, call: old });
        assert_eq!(router.0.borrow().links.get(&node), Some(&(index, new)));
    }
}
