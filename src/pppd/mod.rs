//! pppd: its files, its processes, its words.
//!
//! One task, the keeper, takes requests in order: signals are sent at once, while files are written
//! and processes started beside it. It waits for the next thing to happen, and for the loop where that
//! does not take its events.

mod callers;
mod calls;
mod ending;
mod files;
mod follow;
mod found;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod getword;
pub(crate) mod host_options;
mod jobs;
mod leftovers;
mod lines;
mod log_socket;
mod managers;
mod options;
mod overrides;
mod peer_file;
mod quoting;
mod round;
mod scene;
mod secrets;
mod server_routes;
mod signal;
mod spawn;
mod stale;
mod stamp;
mod wanted;
mod words;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use calls::Calls;
use files::{Disk, Files};
pub(crate) use found::LookError;
use jobs::{Dial, Done, Jobs, Met};
pub(crate) use options::Options;
pub(crate) use secrets::all_secrets;
use server_routes::Sweeps;
use signal::Signal;
use spawn::Programs;
use wanted::Wanted;

use crate::config::Paths;
use crate::core::effect::Order;
use crate::core::event::{CallId, Event, FoundCall};
use crate::core::failure::{Failure, FailureKind};
use crate::engines::{Nodes, Request, Requests};
use crate::link_name;
use crate::node;
use crate::watch::{Changed, Interest, Watch};

/// Each of our own dials changes pid files too; so many changes are looked at together.
const LOOK_AFTER: Duration = Duration::from_millis(50);

/// After a look that has failed, for want of descriptors or memory mostly.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The engine that makes calls by pppd and pptp.
///
/// Its first event is [`Event::Found`] with the calls that run already. Calls outlive it.
pub(crate) type Engine = Requests<Options>;

/// What this engine has to know of others.
pub(crate) struct Others<F> {
    /// The calls that they have found, which are told with its own.
    pub(crate) found: F,
    /// All nodes. Routes to the servers of those that they dial stay.
    pub(crate) nodes: watch::Receiver<Nodes>,
}

/// An engine, and its work: that goes on until the engine is dropped and all is done.
pub(crate) fn engine(
    paths: Paths,
    options: Options,
    events: mpsc::Sender<Event>,
    others: Others<impl Future<Output = Vec<FoundCall>>>,
) -> (Engine, impl Future<Output = ()>) {
    engine_on(paths, options, events, Arc::new(round::Round::work), others)
}

fn engine_on(
    paths: Paths,
    options: Options,
    events: mpsc::Sender<Event>,
    disk: Disk,
    others: Others<impl Future<Output = Vec<FoundCall>>>,
) -> (Engine, impl Future<Output = ()>) {
    let (engine, requests) = Requests::channel();
    let keeper = Keeper::new(paths, options, events, disk, others.nodes);
    (engine, keep(keeper, requests, others.found))
}

async fn keep(
    mut keeper: Keeper,
    mut requests: mpsc::UnboundedReceiver<Request<Options>>,
    others: impl Future<Output = Vec<FoundCall>>,
) {
    let run_dir = Interest::matching(&keeper.paths.run_dir, found::is_pid_file);
    let mut watch = Watch::new(vec![run_dir]);
    keeper.first_look(others.await).await;
    let mut look_at = None;
    let mut asked_for_more = true;
    while asked_for_more || !keeper.is_idle() {
        tokio::select! {
            request = requests.recv(), if asked_for_more => match request {
                Some(request) => {
                    keeper.take(request).await;
                    while let Ok(request) = requests.try_recv() {
                        keeper.take(request).await;
                    }
                }
                None => asked_for_more = false,
            },
            ended = keeper.calls.ended() => keeper.ended(ended).await,
            () = keeper.files.done() => {}
            () = keeper.sweeps.done() => {}
            Some(Err(failed)) = keeper.clearing.join_next() => {
                // A panic of this part, too.
                if let Ok(panic) = failed.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
            (done, signal) = keeper.jobs.done() => keeper.done(done, signal).await,
            changed = watch.changed(), if look_at.is_none() => {
                look_at = Some(Instant::now() + LOOK_AFTER);
                keeper.changed = Some(changed);
            }
            () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                look_at = None;
                keeper.look(watch.changed().now_or_never());
            }
        }
        if std::mem::take(&mut keeper.look_again) {
            look_at = Some(Instant::now() + LOOK_AGAIN);
            keeper.changed = Some(Changed::All);
        }
        keeper.go_on().await;
    }
}

/// Ends what is left of calls that have all ended, and their pid files, within `within` or a little
/// more: for a daemon that is about to end and leaves no tunnel. Changes the host: not for a dry
/// run.
pub(crate) async fn clear_at_the_end(paths: &Paths, within: Duration) {
    leftovers::clear_at_the_end(paths, within).await;
    log_socket::remove_left(&paths.run_dir);
}

/// The pppds of our nodes that run just now, numbered from `first` on.
///
/// # Errors
/// When that can't be told.
pub(crate) fn running(paths: &Paths, first: usize) -> Result<Vec<FoundCall>, LookError> {
    let sightings = found::first_look(paths)?;
    let first = u64::try_from(first).unwrap_or_default();
    let calls = (first..).zip(sightings).map(|(number, sighting)| FoundCall {
        call: CallId::Found(number),
        node: sighting.node,
        engine: node::Engine::Pppd,
        pid: Some(sighting.pid),
        interface: sighting.interface,
        renamed: sighting.renamed,
        dialled: sighting.dialled,
        age: sighting.age,
    });
    Ok(calls.collect())
}

struct Keeper {
    paths: Paths,
    files: Files,
    jobs: Jobs,
    calls: Calls,
    /// Told when there may be something to clear up, or a call manager to watch.
    stirred: Arc<Notify>,
    /// Whether anything was asked for yet. In a dry run nothing ever is, and nothing may be changed.
    asked: bool,
    /// What of the run folder is to be looked at soon.
    changed: Option<Changed>,
    /// The last look has failed.
    look_again: bool,
    /// Ends of processes whose calls may go on in others.
    ending: Vec<follow::Ended>,
    /// That looks fail was told.
    look_failed: bool,
    sweeps: Sweeps,
    nodes: watch::Receiver<Nodes>,
    /// Clears up what calls leave behind; ends with this.
    clearing: JoinSet<()>,
}

impl Keeper {
    fn new(
        paths: Paths,
        options: Options,
        events: mpsc::Sender<Event>,
        disk: Disk,
        nodes: watch::Receiver<Nodes>,
    ) -> Self {
        let stirred = Arc::new(Notify::new());
        let mut clearing = JoinSet::new();
        clearing.spawn(leftovers::keep_clear(paths.clone(), stirred.clone()));
        let files = Files::new(Wanted::new(&paths, options), disk);
        let calls = Calls::new(events);
        let jobs = Jobs::default();
        let sweeps = Sweeps::default();
        Keeper {
            paths,
            files,
            jobs,
            calls,
            stirred,
            asked: false,
            changed: None,
            look_again: false,
            ending: Vec::new(),
            look_failed: false,
            sweeps,
            nodes,
            clearing,
        }
    }

    /// The servers that routes of ours may lead to; `None` where that of a call is not known.
    fn servers(&self) -> Option<BTreeSet<Ipv4Addr>> {
        let mut servers = &self.files.wanted.servers() | &self.calls.servers()?;
        let nodes = self.nodes.borrow();
        let of_others = nodes.values().filter(|kept| kept.by != node::Engine::Pppd);
        servers.extend(of_others.map(|kept| kept.node.server.ip()));
        Some(servers)
    }

    /// Finds what runs already, and tells it with the calls of others. Until that is known nothing
    /// may be dialled.
    async fn first_look(&mut self, others: Vec<FoundCall>) {
        let mut told = false;
        while let Err(error) = self.calls.first_look(&self.paths, &others).await {
            if !told {
                tracing::error!("{error}; looking again each second, and dialling nothing");
            }
            told = true;
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Has what has changed looked at, and what has changed by now.
    fn look(&mut self, more: Option<Changed>) {
        for changed in self.changed.take().into_iter().chain(more) {
            self.jobs.look(changed);
        }
    }

    /// Takes a request in. A signal is sent at once, and files are written after: were it the other
    /// way round, a daemon that dies in between, or rather the next one, would take the old call for
    /// a new one.
    async fn take(&mut self, request: Request<Options>) {
        match request {
            Request::Order(order) => self.obey(order).await,
            Request::Configure(options) => self.files.wanted.configure(options),
        }
    }

    async fn obey(&mut self, order: Order) {
        if !self.asked {
            // Calls may have ended while no daemon ran.
            self.asked = true;
            self.stirred.notify_one();
        }
        match order {
            Order::Keep(node) => {
                if self.files.wanted.keep(node) {
                    self.sweeps.ask();
                }
            }
            Order::Forget(id) => {
                self.files.wanted.forget(id);
                self.sweeps.ask();
            }
            Order::KeepOnly(ids) => {
                self.files.wanted.keep_only(ids);
                self.sweeps.ask();
            }
            Order::Dial { call, node, engine: _ } => self.files.await_for(call, node),
            Order::HangUp { call } => self.signal(call, Signal::Terminate).await,
            Order::End { call } => self.signal(call, Signal::Kill).await,
        }
    }

    async fn signal(&mut self, call: CallId, signal: Signal) {
        let is_withdrawn = !self.calls.signal(call, signal)
            && (self.files.withdraw(call) || self.jobs.signal(call, signal) == Met::Withdrawn);
        if is_withdrawn {
            let failure =
                Failure::new(FailureKind::Killed, "it was hung up before pppd was started");
            self.calls.failed(call, failure).await;
        }
    }

    /// A process of a call has ended. Whether a call that was found goes on in another one is looked up
    /// before its end is told.
    async fn ended(&mut self, ended: follow::Ended) {
        match self.calls.pid_file(ended.0) {
            Some(name) => {
                self.ending.push(ended);
                self.jobs.look(Changed::Entries(BTreeSet::from([name.into()])));
            }
            None => self.over(ended).await,
        }
    }

    /// A look has ended that was begun after all that is to be looked at had changed.
    async fn settle(&mut self) {
        for ended in std::mem::take(&mut self.ending) {
            if !self.calls.lives(ended.0) {
                self.over(ended).await;
            }
        }
    }

    async fn over(&mut self, ended: follow::Ended) {
        let server = self.calls.forget(ended).await;
        if self.asked {
            self.stirred.notify_one();
            if !server.is_some_and(|server| self.files.wanted.has_server(server)) {
                self.sweeps.ask();
            }
        }
    }

    async fn done(&mut self, done: Done, signal: Option<Signal>) {
        match done {
            Done::Started { dial, started: Ok(started) } => {
                let call = dial.call;
                self.calls.follow(*dial, started);
                if let Some(signal) = signal {
                    self.calls.signal(call, signal);
                }
                self.stirred.notify_one();
            }
            Done::Started { dial, started: Err(failure) } => {
                self.calls.failed(dial.call, failure).await;
            }
            Done::Looked(Ok(sightings)) => {
                if std::mem::take(&mut self.look_failed) {
                    tracing::info!("running pppds are looked for again");
                }
                self.calls.seen(sightings).await;
            }
            Done::Looked(Err(error)) => {
                if !std::mem::replace(&mut self.look_failed, true) {
                    tracing::warn!(
                        "running pppds can't be looked for, so one that is started by hand is not taken over: {error}; looking again each second"
                    );
                }
                self.look_again = true;
            }
        }
        if !self.jobs.is_to_look() {
            self.settle().await;
        }
    }

    /// Begins whatever is next.
    async fn go_on(&mut self) {
        self.files.begin();
        for (call, node, files) in self.files.ready() {
            let link = self.files.wanted.link_name(node);
            match files.and_then(|()| link_name::check(link.as_deref())) {
                Ok(()) => {
                    let pptp = self.files.wanted.pptp().to_owned();
                    let programs = Programs { pppd: self.paths.pppd.clone(), pptp };
                    let is_odd = self.files.wanted.has_odd_password(node);
                    let server = self.files.wanted.server(node);
                    let Paths { ppp_dir, run_dir, .. } = self.paths.clone();
                    self.jobs.dial(Dial {
                        call,
                        node,
                        server,
                        link,
                        programs,
                        ppp_dir,
                        run_dir,
                        is_odd,
                    });
                }
                Err(failure) => self.calls.failed(call, failure).await,
            }
        }
        if self.sweeps.is_due() {
            self.sweeps.begin(self.servers());
        }
        if self.sweeps.is_idle() {
            self.jobs.begin(&self.paths, || self.calls.pids());
        }
    }

    fn is_idle(&self) -> bool {
        self.files.is_idle() && self.jobs.is_idle() && self.sweeps.is_idle()
    }
}

#[cfg(test)]
mod tests;
