//! The engines of the house: each order goes to the one that it is for.
//!
//! What a node needs is kept by its own engine alone, so that with the kernel's no file has its
//! password. When the configuration names another engine for all, a call that runs goes on, and
//! what its engine keeps for it stays until the node's next dial.

mod requests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use requests::{Request, Requests};

use crate::config::{Config, Paths};
use crate::core::effect::Order;
use crate::core::event::{Event, FoundCall};
use crate::node::{Engine, Node, NodeId};
use crate::pppd::{self, LookError, Others};
use crate::pptp::driver::{self, Found};

/// All engines.
pub(crate) struct Engines {
    pppd: pppd::Engine,
    kernel: driver::Engine,
    /// What dials rows that say nothing.
    default: Engine,
    nodes: BTreeMap<NodeId, Kept>,
    /// Of the nodes that the kernel's engine keeps.
    servers_by_kernel: watch::Sender<BTreeMap<NodeId, Ipv4Addr>>,
}

/// A node, and the engine that keeps what a dial of it needs.
struct Kept {
    node: Arc<Node>,
    by: Engine,
}

/// What an engine does until it is dropped.
type Work = BoxFuture<'static, ()>;

impl Engines {
    /// All engines, and the work of each: pppd's, then the kernel's. The first event is
    /// [`Event::Found`] with the calls of all that run already.
    pub(crate) fn new(
        config: &Config,
        events: &mpsc::Sender<Event>,
        found: Found,
    ) -> (Self, [Work; 2]) {
        let (found_in, found_by_kernel) = oneshot::channel();
        let options = driver::Options::from(config);
        let found = (found, found_in);
        let (kernel, by_kernel) = driver::engine(&config.paths, options, events.clone(), found);
        // One that has ended before it could tell ends the daemon.
        let found = async { found_by_kernel.await.unwrap_or_default() };
        let servers_by_kernel = watch::Sender::default();
        let others = Others { found, servers: servers_by_kernel.subscribe() };
        let options = pppd::Options::from(config);
        let (pppd, by_pppd) = pppd::engine(config.paths.clone(), options, events.clone(), others);
        let default = config.tunnel.engine;
        let nodes = BTreeMap::new();
        let engines = Engines { pppd, kernel, default, nodes, servers_by_kernel };
        (engines, [Box::pin(by_pppd), Box::pin(by_kernel)])
    }

    /// Has an order carried out.
    pub(crate) fn order(&mut self, order: Order) {
        match order {
            Order::Keep(node) => {
                let by = node.engine.unwrap_or(self.default);
                self.keep(node, by);
            }
            Order::Forget(id) => {
                self.nodes.remove(&id);
                self.servers_by_kernel.send_modify(|servers| _ = servers.remove(&id));
                self.both(Order::Forget(id));
            }
            Order::KeepOnly(ids) => {
                self.nodes.retain(|id, _| ids.contains(id));
                self.servers_by_kernel.send_modify(|of| of.retain(|id, _| ids.contains(id)));
                // A node that is not known may have a pppd that was found.
                let is_of_pppd = |id: &NodeId| self.kept_by(*id) != Some(Engine::Kernel);
                let of_pppd = ids.iter().copied().filter(is_of_pppd).collect();
                self.pppd.order(Order::KeepOnly(of_pppd));
                self.kernel.order(Order::KeepOnly(ids));
            }
            Order::Dial { call, node: id, engine } => {
                if let Some(Kept { node, by }) = self.nodes.get(&id)
                    && *by != engine
                {
                    self.keep(node.clone(), engine);
                }
                let dial = Order::Dial { call, node: id, engine };
                match engine {
                    Engine::Pppd => self.pppd.order(dial),
                    Engine::Kernel => self.kernel.order(dial),
                }
            }
            // Each knows its own calls.
            Order::HangUp { call } => self.both(Order::HangUp { call }),
            Order::End { call } => self.both(Order::End { call }),
        }
    }

    /// Has later dials go by this configuration.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.default = config.tunnel.engine;
        self.pppd.configure(pppd::Options::from(config));
        self.kernel.configure(driver::Options::from(config));
    }

    fn kept_by(&self, id: NodeId) -> Option<Engine> {
        self.nodes.get(&id).map(|kept| kept.by)
    }

    /// What a dial of a node by this engine needs, and nothing for the other.
    fn keep(&mut self, node: Arc<Node>, by: Engine) {
        let id = node.id;
        self.nodes.insert(id, Kept { node: node.clone(), by });
        // Before pppd's engine forgets the node, which then looks whose routes may go.
        self.servers_by_kernel.send_modify(|servers| match by {
            Engine::Kernel => _ = servers.insert(id, node.server.ip()),
            Engine::Pppd => _ = servers.remove(&id),
        });
        match by {
            Engine::Pppd => {
                self.kernel.order(Order::Forget(id));
                self.pppd.order(Order::Keep(node));
            }
            Engine::Kernel => {
                self.pppd.order(Order::Forget(id));
                self.kernel.order(Order::Keep(node));
            }
        }
    }

    fn both(&self, order: Order) {
        self.pppd.order(order.clone());
        self.kernel.order(order);
    }
}

/// The calls of our nodes that run just now, whatever made them. Nothing is changed.
///
/// # Errors
/// When it can't be told which pppds run.
pub(crate) async fn running(paths: &Paths) -> Result<Vec<FoundCall>, LookError> {
    let mut calls = driver::running(paths).await;
    calls.extend(pppd::running(paths, calls.len())?);
    Ok(calls)
}

/// What an order would do, for a daemon that only tells.
pub(crate) fn would(order: &Order) -> String {
    match order {
        Order::Keep(node) => format!("keep what a dial of node {} needs", node.id),
        Order::Forget(id) => format!("keep nothing of node {id}"),
        Order::KeepOnly(keep) => format!("keep nothing of any node but these {}", keep.len()),
        Order::Dial { node, engine: Engine::Pppd, .. } => format!("run pppd for node {node}"),
        Order::Dial { node, engine: Engine::Kernel, .. } => {
            format!("dial node {node} by the kernel engine")
        }
        Order::HangUp { call } => format!("hang up call {call}"),
        Order::End { call } => format!("end call {call} at once"),
    }
}
