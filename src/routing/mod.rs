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
mod links;
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
use links::Links;
use listen::{Interest, Listener};

use crate::config::{self, WhenDown};
use crate::core::change::{Change, UpTunnel, Way};
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
}

impl Wanted {
    /// Nothing yet, by these settings.
    fn by(routing: &config::Routing) -> Self {
        Wanted {
            table_base: routing.table_base,
            when_down: routing.when_down,
            known: false,
            ending: false,
            nodes: BTreeMap::new(),
            all_told: false,
            tunnels: BTreeMap::new(),
        }
    }

    /// Goes by these settings from now on. Whether they are others.
    fn configure(&mut self, routing: &config::Routing) -> bool {
        let before = (self.table_base, self.when_down);
        (self.table_base, self.when_down) = (routing.table_base, routing.when_down);
        before != (self.table_base, self.when_down)
    }

    /// Whether nothing may leave of a node whose tunnel is not up.
    fn guards(&self) -> bool {
        self.table_base.is_some() && self.when_down == WhenDown::Unreachable
    }

    /// A tunnel is up no more. Whether it was.
    fn fell(&mut self, node: NodeId) -> bool {
        let Some(tunnel) = self.tunnels.remove(&node) else { return false };
        if let Some(last) = self.nodes.get_mut(&node) {
            *last = Some(tunnel.local);
        }
        true
    }
}

/// Tells the tasks of routing which tunnels are up. Never waits, and only the newest counts.
#[derive(Debug)]
pub(crate) struct Router {
    wanted: watch::Sender<Wanted>,
    links: watch::Sender<Links>,
}

impl Router {
    /// A router, and the task that does its work.
    pub(crate) fn new(
        routing: &config::Routing,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (wanted_in, wanted) = watch::channel(Wanted::by(routing));
        let (links_in, links) = watch::channel(Links::none(routing.peer_route));
        let (addresses, peer_routes, settings) =
            (address::run(links.clone()), peer_route::run(links.clone()), settings::run(links));
        let route = run(wanted);
        let router = Router { wanted: wanted_in, links: links_in };
        (router, async { _ = tokio::join!(addresses, peer_routes, settings, route) })
    }

    /// The configuration was read again.
    pub(crate) fn configure(&self, routing: &config::Routing) {
        self.wanted.send_if_modified(|wanted| wanted.configure(routing));
        self.links.send_if_modified(|links| {
            std::mem::replace(&mut links.peer_route, routing.peer_route) != routing.peer_route
        });
    }

    /// Running tunnels are known from here on.
    pub(crate) fn begin(&self) {
        self.wanted.send_modify(|wanted| wanted.known = true);
    }

    /// Returns once the kernel has what was wanted last, or a look has failed, within `limit`.
    pub(crate) async fn finish(&self, limit: Duration) {
        self.wanted.send_modify(|wanted| wanted.ending = true);
        self.links.send_modify(|links| links.ending = true);
        let closed = async { tokio::join!(self.wanted.closed(), self.links.closed()) };
        let _ = timeout(limit, closed).await;
    }

    /// Follows what became of a tunnel.
    pub(crate) fn follow(&self, change: &Change) {
        match change {
            Change::Rose(up) | Change::Readdressed(up) => {
                self.links.send_if_modified(|links| links.rose(up));
                self.wanted.send_modify(|wanted| drop(wanted.tunnels.insert(up.node, up.clone())));
            }
            Change::Renamed { node, interface } => self.wanted.send_modify(|wanted| {
                if let Some(up) = wanted.tunnels.get_mut(node) {
                    up.interface.clone_from(interface);
                }
            }),
            Change::Fell { node } => {
                self.wanted.send_if_modified(|wanted| wanted.fell(*node));
            }
            Change::Explained { .. } => {}
        }
    }

    /// Follows what else the ways of packets depend on.
    pub(crate) fn follow_way(&self, way: &Way) {
        match *way {
            Way::Wanted { node } => {
                self.wanted.send_modify(|wanted| _ = wanted.nodes.insert(node, None));
            }
            Way::Unwanted { node } => {
                self.wanted.send_modify(|wanted| _ = wanted.nodes.remove(&node));
            }
            Way::AllTold => self.wanted.send_modify(|wanted| wanted.all_told = true),
            Way::Linked { node, call, index } => {
                self.links.send_modify(|links| links.linked(node, index, call));
            }
            Way::Unlinked { node, call } => {
                self.links.send_if_modified(|links| links.ended(node, call));
            }
            Way::Refused { node, index, local } => {
                self.links.send_modify(|links| _ = links.refused.insert(node, (index, local)));
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
                settled(&mut wanted, &plan, looked + SETTLE).await;
                false
            }
            () = disturbed(&mut listener, &interest) => {
                settled(&mut wanted, &plan, Instant::now() + SETTLE).await;
                false
            }
            () = sleep(pause), if failed => true,
        };
        pause = if again { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
    }
}

/// Returns at this time, or as soon as more nodes are to be guarded than the plan has: nothing may leave
/// of a node that is wanted from now on.
async fn settled(wanted: &mut watch::Receiver<Wanted>, plan: &plan::Plan, at: Instant) {
    loop {
        {
            let wanted = wanted.borrow_and_update();
            if wanted.guards() && plan::make(&wanted).guards_more_than(plan) {
                return;
            }
        }
        tokio::select! {
            () = sleep_until(at) => return,
            changed = wanted.changed() => if changed.is_err() { return },
        }
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
