//! The engine that makes calls by itself: it owns sockets and `/dev/ppp`, and the protocols say what
//! is to be done with them.
//!
//! One task, the keeper, takes requests in order; each call is a task of its own. What takes the
//! kernel a while is done by threads that may wait.

mod blocking;
mod connect;
mod data;
mod dial;
mod echo;
mod end;
mod hold;
mod link;
mod options;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use blocking::Threads;
use dial::{Dial, Wish};
use echo::Echo;
pub(crate) use options::Options;

use crate::core::effect::Order;
use crate::core::event::{CallId, Event};
use crate::core::failure::{Failure, FailureKind};
use crate::engines::{Request, Requests};
use crate::node::{Node, NodeId};

/// The engine that makes calls by itself. They end with it.
pub(crate) type Engine = Requests<Options>;

/// An engine, and its work: that goes on until the engine is dropped and all calls have ended.
pub(crate) fn engine(
    options: Options,
    events: mpsc::Sender<Event>,
) -> (Engine, impl Future<Output = ()>) {
    let (engine, requests) = Requests::channel();
    (engine, keep(Keeper::new(options, events), requests))
}

/// Whether the kernel has what this engine needs of it beside `/dev/ppp`.
///
/// # Errors
/// When it has not.
pub(crate) fn is_in_kernel() -> std::io::Result<()> {
    Ok(super::sys::call_socket().map(drop)?)
}

async fn keep(mut keeper: Keeper, mut requests: mpsc::UnboundedReceiver<Request<Options>>) {
    let mut asked_for_more = true;
    while asked_for_more || !keeper.calls.is_empty() {
        tokio::select! {
            request = requests.recv(), if asked_for_more => match request {
                Some(request) => keeper.take(request).await,
                None => asked_for_more = false,
            },
            Some(ended) = keeper.tasks.join_next() => match ended {
                Ok((call, failure)) => keeper.ended(call, failure).await,
                // It tells of its own faults, so this is the end of the runtime.
                Err(error) => tracing::debug!("a call is held no more: {error}"),
            },
            () = keeper.echo.due(keeper.options.echo_interval), if keeper.rounds.is_empty() => {
                keeper.rounds.spawn(keeper.echo.round());
            }
            Some(_) = keeper.rounds.join_next() => {}
        }
    }
}

struct Keeper {
    options: Arc<Options>,
    events: mpsc::Sender<Event>,
    threads: Threads,
    echo: Echo,
    /// A round of the echo timer that is under way.
    rounds: JoinSet<()>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    calls: BTreeMap<CallId, watch::Sender<Wish>>,
    tasks: JoinSet<(CallId, Failure)>,
}

impl Keeper {
    fn new(options: Options, events: mpsc::Sender<Event>) -> Self {
        let threads = Threads::new();
        Keeper {
            options: Arc::new(options),
            events,
            echo: Echo::new(threads.clone()),
            threads,
            rounds: JoinSet::new(),
            nodes: BTreeMap::new(),
            calls: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    async fn take(&mut self, request: Request<Options>) {
        match request {
            Request::Order(order) => self.obey(order).await,
            Request::Configure(options) => self.options = Arc::new(options),
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Keep(node) => drop(self.nodes.insert(node.id, node)),
            Order::Forget(id) => drop(self.nodes.remove(&id)),
            Order::KeepOnly(ids) => self.nodes.retain(|id, _| ids.contains(id)),
            Order::Dial { call, node, engine: _ } => self.dial(call, node).await,
            Order::HangUp { call } => self.wish(call, Wish::HangUp),
            Order::End { call } => self.wish(call, Wish::End),
        }
    }

    async fn dial(&mut self, call: CallId, id: NodeId) {
        let Some(node) = self.nodes.get(&id).cloned() else {
            let message = "its row was not told before: a fault of connexad, report it";
            let failure = Failure::new(FailureKind::Unexplained, message);
            return self.tell_end(call, failure).await;
        };
        let (wish_in, wish) = watch::channel(Wish::GoOn);
        self.calls.insert(call, wish_in);
        self.tasks.spawn(dial::run(Dial {
            call,
            node,
            options: self.options.clone(),
            events: self.events.clone(),
            threads: self.threads.clone(),
            wish,
            carried: self.echo.follow(),
        }));
    }

    fn wish(&self, call: CallId, wish: Wish) {
        if let Some(known) = self.calls.get(&call) {
            want(known, wish);
        }
    }

    async fn ended(&mut self, call: CallId, failure: Failure) {
        self.calls.remove(&call);
        self.tell_end(call, failure).await;
    }

    async fn tell_end(&self, call: CallId, failure: Failure) {
        // When nobody listens any more the daemon is about to end.
        let _ = self.events.send(Event::Ended { call, failure }).await;
    }
}

/// A call that is to end at once is not to go on after all.
fn want(known: &watch::Sender<Wish>, wish: Wish) {
    known.send_if_modified(|old| {
        let is_more = wish > *old;
        *old = wish.max(*old);
        is_more
    });
}
