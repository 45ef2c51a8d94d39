//! pppd: its files, its processes, its words.
//!
//! One task, the keeper, takes requests in order and waits for nothing but the next thing to
//! happen: signals are sent at once, while files are written and processes started beside it.

mod callers;
mod calls;
mod errands;
mod files;
mod follow;
mod found;
mod leftovers;
mod lines;
mod managers;
mod peer_file;
mod quoting;
mod scene;
mod secrets;
mod spawn;
mod stale;
mod wanted;
mod words;

use std::sync::Arc;
use std::time::Duration;

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use calls::Calls;
use errands::{Dial, Done, Errands, Met};
use files::{Disk, Files};
pub use found::LookError;
use spawn::Programs;

use crate::config::Paths;
use crate::core::effect::{Order, Signal};
use crate::core::event::{CallId, Event, FoundCall};
use crate::core::failure::{Failure, FailureKind};
use crate::node::NodeId;
use crate::watch::{Interest, Watch};

/// Each of our own dials changes pid files too; so many changes are looked at together.
const LOOK_AFTER: Duration = Duration::from_millis(50);

/// Carries out requests until their senders are gone and all is done, and reports what becomes of
/// them.
///
/// The first event is [`Event::Found`] with the calls that run already. Every
/// [`Order::Dial`] is answered by [`Event::Spawned`] and in the end [`Event::Exited`], or by
/// [`Event::NotSpawned`]. The processes outlive this.
pub async fn run(
    paths: Paths,
    requests: mpsc::UnboundedReceiver<Order>,
    events: mpsc::Sender<Event>,
) {
    keep(paths, requests, events, Arc::new(wanted::Round::work)).await;
}

async fn keep(
    paths: Paths,
    mut requests: mpsc::UnboundedReceiver<Order>,
    events: mpsc::Sender<Event>,
    disk: Disk,
) {
    let mut watch = Watch::new(vec![Interest::matching(&paths.run_dir, found::is_pid_file)]);
    let mut keeper = Keeper::new(paths, events, disk);
    if let Err(error) = keeper.calls.first_look(&keeper.paths).await {
        return tracing::error!("connexad gives up: {error}");
    }
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
            (done, signal) = keeper.errands.done() => keeper.done(done, signal).await,
            () = watch.changed(), if look_at.is_none() => {
                look_at = Some(Instant::now() + LOOK_AFTER);
            }
            () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                look_at = None;
                keeper.errands.look();
            }
        }
        keeper.go_on().await;
    }
}

/// Ends what is left of calls that have all ended, and their pid files, within `within` or a little
/// more: for a daemon that is about to end and leaves no tunnel. Changes the host: not for a dry
/// run.
pub async fn clear_at_the_end(paths: &Paths, within: Duration) {
    leftovers::clear_at_the_end(paths, within).await;
}

/// The pppds of our nodes that run just now.
///
/// # Errors
/// When that can't be told.
pub fn running(paths: &Paths) -> Result<Vec<FoundCall>, LookError> {
    let sightings = found::first_look(paths)?;
    let calls = (0..).zip(sightings).map(|(number, sighting)| FoundCall {
        call: CallId::Found(number),
        node: sighting.node,
        pid: sighting.pid,
        interface: sighting.interface,
        renamed: sighting.renamed,
        dialled: sighting.dialled,
    });
    Ok(calls.collect())
}

struct Keeper {
    paths: Paths,
    files: Files,
    errands: Errands,
    calls: Calls,
    /// Told when there may be something to clear up, or a call manager to watch.
    stirred: Arc<Notify>,
    /// Whether anything was asked for yet. In a dry run nothing ever is, and nothing may be changed.
    asked: bool,
    /// Ends with this.
    _clearing: JoinSet<()>,
}

impl Keeper {
    fn new(paths: Paths, events: mpsc::Sender<Event>, disk: Disk) -> Self {
        let stirred = Arc::new(Notify::new());
        let mut clearing = JoinSet::new();
        clearing.spawn(leftovers::keep_clear(paths.clone(), stirred.clone()));
        let (files, calls) = (Files::new(paths.ppp_dir.clone(), disk), Calls::new(events));
        let errands = Errands::default();
        Keeper { paths, files, errands, calls, stirred, asked: false, _clearing: clearing }
    }

    /// Takes an order in. A signal is sent at once, and files are written after: were it the other
    /// way round, a daemon that dies in between, or rather the next one, would take the old call for
    /// a new one.
    async fn take(&mut self, order: Order) {
        if !self.asked {
            // Calls may have ended while no daemon ran.
            self.asked = true;
            self.stirred.notify_one();
        }
        match order {
            Order::WriteFiles { .. } | Order::RemoveFiles(_) | Order::SweepFiles(_) => {
                self.files.wanted.note(&order);
            }
            Order::Dial { call, node } => self.files.await_for(call, node),
            Order::Signal { call, signal } => self.signal(call, signal).await,
        }
    }

    async fn signal(&mut self, call: CallId, signal: Signal) {
        let is_withdrawn = !self.calls.signal(call, signal)
            && (self.files.withdraw(call) || self.errands.signal(call, signal) == Met::Withdrawn);
        if is_withdrawn {
            let failure =
                Failure::new(FailureKind::Killed, "it was hung up before pppd was started");
            self.calls.not_spawned(call, failure).await;
        }
    }

    async fn ended(&mut self, ended: follow::Ended) {
        self.calls.forget(ended).await;
        if self.asked {
            self.stirred.notify_one();
        }
    }

    async fn done(&mut self, done: Done, signal: Option<Signal>) {
        match done {
            Done::Started { call, node, started: Ok(started) } => {
                self.calls.follow(call, node, started);
                if let Some(signal) = signal {
                    self.calls.signal(call, signal);
                }
                self.stirred.notify_one();
            }
            Done::Started { call, started: Err(failure), .. } => {
                self.calls.not_spawned(call, failure).await;
            }
            Done::Looked(sightings) => self.calls.seen(sightings).await,
        }
    }

    /// Begins whatever is next.
    async fn go_on(&mut self) {
        self.files.begin();
        for (call, node, files) in self.files.ready() {
            match files.and_then(|()| self.check_name(node)) {
                Ok(()) => {
                    let pptp = self.files.wanted.pptp(node).unwrap_or(&self.paths.pptp).to_owned();
                    let programs = Programs { pppd: self.paths.pppd.clone(), pptp };
                    self.errands.dial(Dial { call, node, programs });
                }
                Err(failure) => self.calls.not_spawned(call, failure).await,
            }
        }
        self.errands.begin(&self.paths, || self.calls.pids());
    }

    /// Whether the name that the node's link is to have is free.
    fn check_name(&self, node: NodeId) -> Result<(), Failure> {
        let Some(name) = self.files.wanted.link_name(node).filter(|name| is_taken(name)) else {
            return Ok(());
        };
        let message = format!("{name}, the name of its link, is another link's; rename that one");
        Err(Failure::new(FailureKind::NameTaken, message))
    }

    fn is_idle(&self) -> bool {
        self.files.is_idle() && self.errands.is_idle()
    }
}

/// Whether a link of any kind has this name. Where that can't be asked, pppd will find out.
fn is_taken(name: &str) -> bool {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None);
    socket.is_ok_and(|socket| name_to_index(socket, name).is_ok())
}

#[cfg(test)]
mod tests;
