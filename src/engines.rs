//! The engines of the house: each order goes to the one that it is for.
//!
//! What a node needs is kept by its own engine alone, so that with the kernel's no file has its
//! password. When the configuration names another engine for all, a call that runs goes on, and
//! what its engine keeps for it stays until the node's next dial.

mod requests;

use std::collections::BTreeMap;
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
    nodes: watch::Sender<Nodes>,
}

/// All nodes.
pub(crate) type Nodes = BTreeMap<NodeId, Kept>;

/// A node, and the engine that keeps what a dial of it needs.
pub(crate) struct Kept {
    pub(crate) node: Arc<Node>,
    pub(crate) by: Engine,
}

/// What an engine does until it is dropped, after its name: "the part that … has failed".
type Work = (&'static str, BoxFuture<'static, ()>);

impl Engines {
    /// All engines, and the work of each. The first event is [`Event::Found`] with the calls of all
    /// that run already.
    pub(crate) fn new(
        config: &Config,
        events: &mpsc::Sender<Event>,
        found: Found,
    ) -> (Self, Vec<Work>) {
        let (found_in, found_by_kernel) = oneshot::channel();
        let options = driver::Options::from(config);
        let found = (found, found_in);
        let (kernel, by_kernel) = driver::engine(&config.paths, options, events.clone(), found);
        // One that has ended before it could tell ends the daemon.
        let found = async { found_by_kernel.await.unwrap_or_default() };
        let nodes = watch::Sender::default();
        let others = Others { found, nodes: nodes.subscribe() };
        let options = pppd::Options::from(config);
        let (pppd, by_pppd) = pppd::engine(config.paths.clone(), options, events.clone(), others);
        let default = config.tunnel.engine;
        let engines = Engines { pppd, kernel, default, nodes };
        let works: Vec<Work> = vec![
            ("keeps pppd", Box::pin(by_pppd)),
            ("makes calls by the kernel", Box::pin(by_kernel)),
        ];
        (engines, works)
    }

    /// Has an order carried out.
    pub(crate) fn order(&mut self, order: Order) {
        match order {
            Order::Keep(node) => {
                let by = node.engine.unwrap_or(self.default);
                self.keep(node, by);
            }
            Order::Forget(id) => {
                self.nodes.send_modify(|nodes| _ = nodes.remove(&id));
                self.ask_all(&Order::Forget(id));
            }
            Order::KeepOnly(ids) => {
                self.nodes.send_modify(|nodes| nodes.retain(|id, _| ids.contains(id)));
                for engine in Engine::ALL {
                    // A node that is not known may have a call that was found.
                    let is_its = |id: &NodeId| self.kept_by(*id).is_none_or(|by| by == engine);
                    let its = ids.iter().copied().filter(is_its).collect();
                    self.ask(engine, Order::KeepOnly(its));
                }
            }
            Order::Dial { call, node: id, engine } => {
                if let Some(node) = self.kept_by_another(id, engine) {
                    self.keep(node, engine);
                }
                self.ask(engine, Order::Dial { call, node: id, engine });
            }
            // Each knows its own calls.
            Order::HangUp { call } => self.ask_all(&Order::HangUp { call }),
            Order::End { call } => self.ask_all(&Order::End { call }),
        }
    }

    /// Has later dials go by this configuration.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.default = config.tunnel.engine;
        self.pppd.configure(pppd::Options::from(config));
        self.kernel.configure(driver::Options::from(config));
    }

    fn kept_by(&self, id: NodeId) -> Option<Engine> {
        self.nodes.borrow().get(&id).map(|kept| kept.by)
    }

    fn kept_by_another(&self, id: NodeId, engine: Engine) -> Option<Arc<Node>> {
        self.nodes.borrow().get(&id).filter(|kept| kept.by != engine).map(|kept| kept.node.clone())
    }

    /// What a dial of a node by this engine needs, and nothing for others.
    fn keep(&mut self, node: Arc<Node>, by: Engine) {
        let id = node.id;
        // Before pppd's engine forgets the node, which then looks whose routes may go.
        self.nodes.send_modify(|nodes| _ = nodes.insert(id, Kept { node: node.clone(), by }));
        for other in Engine::ALL.into_iter().filter(|other| *other != by) {
            self.ask(other, Order::Forget(id));
        }
        self.ask(by, Order::Keep(node));
    }

    fn ask(&self, engine: Engine, order: Order) {
        match engine {
            Engine::Pppd => self.pppd.order(order),
            Engine::Kernel => self.kernel.order(order),
        }
    }

    fn ask_all(&self, order: &Order) {
        for engine in Engine::ALL {
            self.ask(engine, order.clone());
        }
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
