//! pppd: its files, its processes, its words.
//!
//! One task takes requests in order: it writes the files that a batch of requests changes, then
//! starts and signals what the batch asks for. File work and the start of a process may block,
//! so they run beside the loop.

mod calls;
mod files;
mod follow;
mod found;
mod lines;
mod peer_file;
mod process;
mod quoting;
mod secrets;
mod spawn;
mod wanted;
mod words;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use calls::Calls;
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
    let mut actor =
        Actor { wanted: Wanted::new(paths.ppp_dir.clone()), calls: Calls::new(events), paths };
    actor.look(true).await;
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
            call = actor.calls.ended() => actor.calls.forget(call).await,
            () = watch.changed(), if look_at.is_none() => {
                look_at = Some(Instant::now() + LOOK_AFTER);
            }
            () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                look_at = None;
                actor.look(false).await;
            }
        }
    }
}

/// The pppds of our nodes that run just now.
pub fn running(paths: &Paths) -> Vec<FoundCall> {
    let sightings = found::look(paths, &BTreeSet::new());
    let calls = (0..).zip(sightings).map(|(number, sighting)| FoundCall {
        call: CallId::Found(number),
        node: sighting.node,
        pid: sighting.pid,
        interface: sighting.interface,
        dialled: sighting.dialled,
    });
    calls.collect()
}

struct Actor {
    paths: Paths,
    wanted: Wanted,
    calls: Calls,
}

impl Actor {
    async fn look(&mut self, first: bool) {
        self.calls.look(&self.paths, first).await;
    }

    /// Files first, then processes in the order asked for.
    async fn carry_out(&mut self, batch: Vec<Order>) {
        for request in &batch {
            self.wanted.note(request);
        }
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
        let pptp = self.wanted.pptp(node).unwrap_or(&self.paths.pptp).to_owned();
        let programs = Programs { pppd: self.paths.pppd.clone(), pptp };
        self.calls.dial(call, node, programs).await;
    }
}

#[cfg(test)]
mod tests;
