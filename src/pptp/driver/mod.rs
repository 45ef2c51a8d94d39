//! The engine that makes calls by itself: it owns sockets and `/dev/ppp`, and the protocols say what
//! is to be done with them.
//!
//! One task, the keeper, takes requests in order; each call is a task of its own. What takes the
//! kernel a while is done by threads that may wait. A call that is up is handed to the holder, so
//! that the next daemon can go on with it.

mod blocking;
#[cfg(test)]
mod calling;
mod connect;
mod control;
mod data;
mod dial;
mod echo;
mod end;
mod found;
mod hold;
mod keeping;
mod link;
mod options;
pub(crate) mod resolver;
#[cfg(test)]
mod serving;
mod state;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use blocking::Threads;
use dial::{Dial, Nodes, Reins, Wish};
use echo::Echo;
use found::Whole;
use keeping::Keeping;
pub(crate) use options::Options;

use super::holder::{self, Connection, HolderError};
use crate::config::Paths;
use crate::core::effect::Order;
use crate::core::event::{CallId, Event, FoundCall};
use crate::core::failure::{Failure, FailureKind};
use crate::engines::{Request, Requests};
use crate::node::NodeId;

/// After a look at what the holder keeps that has failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So long; then the daemon does its work without those tunnels.
const LOOK_FOR: Duration = Duration::from_secs(60);

/// The engine that makes calls by itself. Those that are up outlive it, by the holder.
pub(crate) type Engine = Requests<Options>;

/// What is to be done with calls of an earlier daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// They are gone on with.
    TakeOver,
    /// They are told, and nothing is changed.
    Tell,
}

/// An engine, and its work: that goes on until the engine is dropped and all calls have ended. Calls
/// of an earlier daemon are told to `found`, once.
pub(crate) fn engine(
    paths: &Paths,
    options: Options,
    events: mpsc::Sender<Event>,
    (mode, found): (Found, oneshot::Sender<Vec<FoundCall>>),
) -> (Engine, impl Future<Output = ()> + use<>) {
    let (engine, requests) = Requests::channel();
    let place = holder::socket(paths);
    let work = async move {
        let threads = Threads::new();
        let (connection, whole) = match mode {
            Found::TakeOver => look_until_seen(&place, &threads).await,
            Found::Tell => look_once(&place, &threads).await,
        };
        // Where nobody listens any more the daemon is about to end.
        let _ = found.send(found::calls(&whole));
        let numbers = (0..).map(CallId::Found).zip(whole.iter().map(|whole| whole.state.link));
        let keeping = Keeping::new(place, connection, numbers.collect(), threads.clone());
        let mut keeper = Keeper::new(options, events, threads, keeping);
        match mode {
            Found::TakeOver => keeper.take_over(whole),
            Found::Tell => drop(whole),
        }
        keep(keeper, requests).await;
    };
    (engine, work)
}

/// What can't be seen for a moment is not taken for gone: its nodes would be dialled a second time.
async fn look_until_seen(place: &Path, threads: &Threads) -> (Option<Connection>, Vec<Whole>) {
    let until = Instant::now() + LOOK_FOR;
    let mut told = false;
    loop {
        match found::look(place, threads, Found::TakeOver).await {
            Ok(seen) => return seen,
            Err(error) if error.may_pass() && Instant::now() < until => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(
                        "What connexad --hold keeps at {} can't be seen: {error}; looking again each \
                         second for {} s, and dialling nothing",
                        place.display(),
                        LOOK_FOR.as_secs()
                    );
                }
                sleep(LOOK_AGAIN).await;
            }
            Err(error) => return nothing_seen(place, &error),
        }
    }
}

fn nothing_seen(place: &Path, error: &HolderError) -> (Option<Connection>, Vec<Whole>) {
    let place = place.display();
    let remedy = match error {
        HolderError::Elsewhere(_) | HolderError::Taken(_) => "",
        HolderError::Start { .. }
        | HolderError::Stranger(_)
        | HolderError::Silent
        | HolderError::Wire(_)
        | HolderError::Unseen(_)
        | HolderError::Refused(_) => "; end that process, and its tunnels with it",
    };
    tracing::error!("What connexad --hold keeps at {place} can't be taken over: {error}{remedy}");
    (None, Vec::new())
}

async fn look_once(place: &Path, threads: &Threads) -> (Option<Connection>, Vec<Whole>) {
    found::look(place, threads, Found::Tell)
        .await
        .unwrap_or_else(|error| nothing_seen(place, &error))
}

/// The calls of our nodes that are kept beyond the life of a daemon.
pub(crate) async fn running(paths: &Paths) -> Vec<FoundCall> {
    let (_, whole) = look_once(&holder::socket(paths), &Threads::new()).await;
    found::calls(&whole)
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
            Some(Err(failed)) = keeper.helpers.join_next() => {
                // A panic of this part, too.
                if let Ok(panic) = failed.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
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
    /// Has the holder keep what is up; ends with this.
    helpers: JoinSet<()>,
    keeping: Keeping,
    nodes: watch::Sender<Nodes>,
    calls: BTreeMap<CallId, watch::Sender<Wish>>,
    tasks: JoinSet<(CallId, Failure)>,
}

impl Keeper {
    fn new(
        options: Options,
        events: mpsc::Sender<Event>,
        threads: Threads,
        (keeping, work): (Keeping, impl Future<Output = ()> + Send + 'static),
    ) -> Self {
        let mut helpers = JoinSet::new();
        helpers.spawn(work);
        Keeper {
            options: Arc::new(options),
            events,
            echo: Echo::new(threads.clone()),
            threads,
            rounds: JoinSet::new(),
            helpers,
            keeping,
            nodes: watch::Sender::default(),
            calls: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Goes on with calls of an earlier daemon, each by the number that was told.
    fn take_over(&mut self, whole: Vec<Whole>) {
        for (call, whole) in (0..).map(CallId::Found).zip(whole) {
            let reins = self.reins(call, whole.state.made.node);
            let (options, threads) = (self.options.clone(), self.threads.clone());
            self.tasks.spawn(dial::go_on(reins, options, threads, whole));
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
            Order::Keep(node) => self.nodes.send_modify(|nodes| {
                nodes.insert(node.id, node);
            }),
            Order::Forget(id) => self.nodes.send_modify(|nodes| {
                nodes.remove(&id);
            }),
            Order::KeepOnly(ids) => {
                self.nodes.send_modify(|nodes| nodes.retain(|id, _| ids.contains(id)));
            }
            Order::Dial { call, node, engine: _ } => self.dial(call, node).await,
            Order::HangUp { call } => self.wish(call, Wish::HangUp),
            Order::End { call } => self.wish(call, Wish::End),
        }
    }

    async fn dial(&mut self, call: CallId, id: NodeId) {
        let node = self.nodes.borrow().get(&id).cloned();
        let Some(node) = node else {
            let message = "its row was not told before: a fault of connexad, report it";
            let failure = Failure::new(FailureKind::Unexplained, message);
            return self.tell_end(call, failure).await;
        };
        let reins = self.reins(call, id);
        let (options, threads) = (self.options.clone(), self.threads.clone());
        self.tasks.spawn(dial::run(Dial { reins, node, options, threads }));
    }

    fn reins(&mut self, call: CallId, node: NodeId) -> Reins {
        let (wish_in, wish) = watch::channel(Wish::GoOn);
        self.calls.insert(call, wish_in);
        Reins {
            call,
            node,
            events: self.events.clone(),
            wish,
            carried: self.echo.follow(),
            nodes: self.nodes.subscribe(),
            keeping: self.keeping.clone(),
        }
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
