//! pppd: its files, its processes, its words.
//!
//! One task takes requests in order: it writes the files that a batch of requests changes, then
//! starts and signals what the batch asks for. File work and the start of a process may block,
//! so they run beside the loop.

mod callers;
mod calls;
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
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use calls::Calls;
pub use found::LookError;
use spawn::Programs;
use wanted::{Problems, Wanted};

use crate::config::Paths;
use crate::core::effect::Order;
use crate::core::event::{CallId, Event, FoundCall};
use crate::core::failure::{Failure, FailureKind};
use crate::node::NodeId;
use crate::watch::{Interest, Watch};

/// Each of our own dials changes pid files too; so many changes are looked at together.
const LOOK_AFTER: Duration = Duration::from_millis(50);

/// Carries out requests until their senders are gone, and reports what becomes of them.
///
/// The first event is [`Event::Found`] with the calls that run already. Every
/// [`Order::Dial`] is answered by [`Event::Spawned`] and in the end [`Event::Exited`], or by
/// [`Event::NotSpawned`]. The processes outlive this.
pub async fn run(
    paths: Paths,
    mut requests: mpsc::UnboundedReceiver<Order>,
    events: mpsc::Sender<Event>,
) {
    let mut watch = Watch::new(vec![Interest::matching(&paths.run_dir, found::is_pid_file)]);
    let mut actor = Actor::new(paths, events);
    if let Err(error) = actor.calls.first_look(&actor.paths).await {
        return tracing::error!("connexad gives up: {error}");
    }
    let mut look_at = None;
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(request) = request else { return };
                let mut batch = vec![request];
                while let Ok(request) = requests.try_recv() {
                    batch.push(request);
                }
                actor.carry_out(batch).await;
            }
            ended = actor.calls.ended() => actor.ended(ended).await,
            () = watch.changed(), if look_at.is_none() => {
                look_at = Some(Instant::now() + LOOK_AFTER);
            }
            () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                look_at = None;
                actor.calls.look(&actor.paths).await;
            }
        }
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

struct Actor {
    paths: Paths,
    wanted: Wanted,
    calls: Calls,
    /// Told when there may be something to clear up, or a call manager to watch.
    stirred: Arc<Notify>,
    /// Whether anything was asked for yet. In a dry run nothing ever is, and nothing may be changed.
    asked: bool,
    /// Ends with this.
    _clearing: JoinSet<()>,
}

impl Actor {
    fn new(paths: Paths, events: mpsc::Sender<Event>) -> Self {
        let stirred = Arc::new(Notify::new());
        let mut clearing = JoinSet::new();
        clearing.spawn(leftovers::keep_clear(paths.clone(), stirred.clone()));
        let (wanted, calls) = (Wanted::new(paths.ppp_dir.clone()), Calls::new(events));
        Actor { paths, wanted, calls, stirred, asked: false, _clearing: clearing }
    }

    async fn ended(&mut self, ended: follow::Ended) {
        self.calls.forget(ended).await;
        if self.asked {
            self.stirred.notify_one();
        }
    }

    /// Ends calls that run, then does the files, then dials. Files that were written before their
    /// old call was told to end would make a daemon that dies in between, or rather the next one,
    /// take that call for a new one.
    async fn carry_out(&mut self, batch: Vec<Order>) {
        if !self.asked {
            // Calls may have ended while no daemon ran.
            self.asked = true;
            self.stirred.notify_one();
        }
        for request in &batch {
            self.wanted.note(request);
            if let Order::Signal { call, signal } = request {
                self.calls.signal(*call, *signal);
            }
        }
        // Signals to calls that this very batch dials come after the dial.
        let is_left = |request: &Order| match request {
            Order::Signal { call, .. } => !self.calls.holds(*call),
            Order::Dial { .. } => true,
            Order::WriteFiles { .. } | Order::RemoveFiles(_) | Order::SweepFiles(_) => false,
        };
        let batch: Vec<Order> = batch.into_iter().filter(is_left).collect();
        let problems = self.work_on_files().await;
        for request in batch {
            match request {
                Order::Dial { call, node } => self.dial(call, node, &problems).await,
                Order::Signal { call, signal } => self.calls.signal(call, signal),
                Order::WriteFiles { .. } | Order::RemoveFiles(_) | Order::SweepFiles(_) => {}
            }
        }
    }

    async fn work_on_files(&mut self) -> Problems {
        let Some(round) = self.wanted.next_round() else { return Problems::default() };
        match spawn_blocking(move || round.work()).await {
            Ok(problems) => {
                for problem in problems.untold() {
                    tracing::warn!("something of a removed node is left: {problem}");
                }
                problems
            }
            Err(error) => {
                tracing::error!("file work has failed: {error}");
                Problems::default()
            }
        }
    }

    async fn dial(&mut self, call: CallId, node: NodeId, problems: &Problems) {
        if let Some(problem) = problems.of(node) {
            let failure = Failure::new(FailureKind::Files, problem.to_string());
            self.calls.not_spawned(call, failure).await;
            return;
        }
        if let Some(name) = self.wanted.link_name(node).filter(|name| is_taken(name)) {
            let message =
                format!("{name}, the name of its link, is another link's; rename that one");
            self.calls.not_spawned(call, Failure::new(FailureKind::NameTaken, message)).await;
            return;
        }
        let pptp = self.wanted.pptp(node).unwrap_or(&self.paths.pptp).to_owned();
        let programs = Programs { pppd: self.paths.pppd.clone(), pptp };
        self.calls.dial(call, node, programs).await;
        self.stirred.notify_one();
    }
}

/// Whether a link of any kind has this name. Where that can't be asked, pppd will find out.
fn is_taken(name: &str) -> bool {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None);
    socket.is_ok_and(|socket| name_to_index(socket, name).is_ok())
}

#[cfg(test)]
mod tests;
