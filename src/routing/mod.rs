//! Traffic by tunnel: a table with a default route for each tunnel that is up, and rules that lead
//! to it by output interface, by mark and by source address. Where the operator wants it so, one that
//! leads nowhere for each node that is wanted, up or not. And no other traffic by a tunnel, whatever
//! its server says: [`peer_route`], [`settings`].
//!
//! Every look ends in comparing what is wanted with what the kernel has, so lost events, a restart
//! and somebody who deletes our rules end in the same place. What is ours carries our protocol
//! number in the kernel itself; nothing has to be remembered for the next daemon.

mod address;
mod keep;
mod kernel;
mod links;
mod listen;
mod peer_route;
mod plan;
pub(crate) mod server_route;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) use address::Ends;
pub(crate) use kernel::{RoutingError, is_one_of, rules_before_ours, tables_of_ours};
use links::Links;

use crate::config::{self, WhenDown};
use crate::core::change::{Change, UpTunnel, Way};
use crate::node::NodeId;

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
    tunnels: BTreeMap<NodeId, Arc<UpTunnel>>,
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
        let route = keep::run(wanted);
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
            Change::Renamed(up) => {
                self.wanted.send_modify(|wanted| drop(wanted.tunnels.insert(up.node, up.clone())));
            }
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
