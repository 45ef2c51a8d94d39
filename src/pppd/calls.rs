//! The calls that run, our own and those that were found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::follow::{self, Ended, Own};
use super::found::{self, LookError, Sighting};
use super::jobs::Dial;
use super::signal::Signal;
use super::spawn::Started;
use crate::config::Paths;
use crate::core::event::{CallId, Dialled, Event, FoundCall, Pid};
use crate::core::failure::Failure;
use crate::node::{Engine, NodeId};
use crate::process::{Proc, Process};

/// Every pppd that runs for a node.
pub(super) struct Calls {
    events: mpsc::Sender<Event>,
    held: BTreeMap<CallId, Held>,
    tasks: JoinSet<Ended>,
    found: u64,
}

struct Held {
    node: NodeId,
    pid: Pid,
    interface: Option<String>,
    renamed: bool,
    /// As far as it is known.
    server: Option<Ipv4Addr>,
    dialled: Option<Box<Dialled>>,
    process: Arc<Process>,
    /// The strongest signal that was meant for it.
    signal: Option<Signal>,
}

impl Calls {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Calls { events, held: BTreeMap::new(), tasks: JoinSet::new(), found: 0 }
    }

    /// Follows a pppd that was started for a node.
    pub(super) fn follow(&mut self, dial: Dial, started: Started) {
        let process = Arc::new(started.process);
        let Started { pid, output, log, suspect, .. } = started;
        let Dial { call, node, server, link, is_odd, .. } = dial;
        let own =
            Own { call, node, link, pid, process: process.clone(), output, log, suspect, is_odd };
        let (interface, renamed, dialled) = (None, false, None);
        let signal = None;
        let held = Held { node, pid, interface, renamed, server, dialled, process, signal };
        self.held.insert(call, held);
        self.tasks.spawn(follow::own(own, self.events.clone()));
    }

    /// Answers a dial that comes to nothing.
    pub(super) async fn failed(&self, call: CallId, failure: Failure) {
        let _ = self.events.send(Event::Ended { call, failure }).await;
    }

    /// Signals a call. Whether it runs, as far as is known.
    pub(super) fn signal(&mut self, call: CallId, signal: Signal) -> bool {
        let Some(held) = self.held.get_mut(&call) else { return false };
        held.signal = held.signal.max(Some(signal));
        held.process.signal(signal.into());
        true
    }

    /// Returns when a call has ended; never while none runs.
    pub(super) async fn ended(&mut self) -> Ended {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(ended)) => return ended,
                // Its follower tells of every end, so this is the end of the runtime.
                Some(Err(error)) => tracing::debug!("a call is followed no more: {error}"),
                None => std::future::pending().await,
            }
        }
    }

    /// Forgets a call that has ended, and reports it: in this order and here, so that no look
    /// reports a call as found after its end. Returns its server, as far as it is known.
    pub(super) async fn forget(&mut self, (call, failure): Ended) -> Option<Ipv4Addr> {
        let server = self.held.remove(&call).and_then(|held| held.server);
        let _ = self.events.send(Event::Ended { call, failure }).await;
        server
    }

    /// Looks for every running pppd and reports those there are, and be it none, after these others,
    /// which have the first numbers.
    ///
    /// # Errors
    /// When the look has failed. It is not known then what runs, so nothing may be dialled.
    pub(super) async fn first_look(
        &mut self,
        paths: &Paths,
        others: &[FoundCall],
    ) -> Result<(), LookError> {
        self.found = u64::try_from(others.len()).unwrap_or(u64::MAX);
        let paths = paths.clone();
        let sightings = spawn_blocking(move || found::first_look(&paths)).await;
        let sightings = sightings.unwrap_or_else(|error| Err(LookError::of_task(&error)))?;
        let mut found = others.to_vec();
        found.extend(sightings.into_iter().filter_map(|sighting| self.take(sighting)));
        let _ = self.events.send(Event::Found(found)).await;
        Ok(())
    }

    /// The pppds that are known.
    pub(super) fn pids(&self) -> BTreeSet<Pid> {
        self.held.values().map(|held| held.pid).collect()
    }

    /// Their servers; `None` where that of one is not known.
    pub(super) fn servers(&self) -> Option<BTreeSet<Ipv4Addr>> {
        self.held.values().map(|held| held.server).collect()
    }

    /// Reports what a look has brought up: pppds that are new, or whose link is.
    pub(super) async fn seen(&mut self, sightings: Vec<Sighting>) {
        let news: Vec<FoundCall> =
            sightings.into_iter().filter_map(|sighting| self.take(sighting)).collect();
        if !news.is_empty() {
            let _ = self.events.send(Event::Found(news)).await;
        }
    }

    /// Whether a call has a process that lives.
    pub(super) fn lives(&self, call: CallId) -> bool {
        self.held.get(&call).is_some_and(|held| held.process.lives())
    }

    /// The pid file that may name another process of a call whose process has ended: with its option
    /// updetach, pppd forks once the tunnel is up, and its files name the child from then on (`detach`
    /// in pppd/main.c).
    pub(super) fn pid_file(&self, call: CallId) -> Option<String> {
        let held = self.held.get(&call)?;
        matches!(call, CallId::Found(_)).then(|| found::pid_file(held.node))
    }

    /// The call that was found and goes on in this process, which has the call's link.
    fn continued_by(&self, sighting: &Sighting) -> Option<CallId> {
        let link = sighting.interface.as_deref()?;
        let parent = Proc::host().parent(sighting.pid).ok().flatten();
        let is_it = |call: &CallId, held: &Held| {
            matches!(call, CallId::Found(_))
                && held.node == sighting.node
                && held.interface.as_deref() == Some(link)
                && (parent == Some(held.pid) || !held.process.lives())
        };
        self.held.iter().find(|(call, held)| is_it(call, held)).map(|(call, _)| *call)
    }

    /// Takes a sighting in; what is news of it is returned.
    fn take(&mut self, sighting: Sighting) -> Option<FoundCall> {
        let is_held = |held: &Held| held.pid == sighting.pid && held.process.lives();
        if sighting.process.is_none() || self.held.values().any(is_held) {
            let Sighting { node, pid, interface, age, .. } = sighting;
            let (call, held) = self.held.iter_mut().find(|(_, held)| held.pid == pid)?;
            if interface.is_none() || held.interface == interface || held.node != node {
                return None;
            }
            held.interface = interface;
            return held.tell(*call, age);
        }
        let goes_on = self.continued_by(&sighting);
        let Sighting { node, pid, interface, renamed, dialled, age, process } = sighting;
        let process = Arc::new(process?);
        if let Some((call, held)) = goes_on.and_then(|call| Some((call, self.held.get_mut(&call)?)))
        {
            (held.pid, held.process) = (pid, process.clone());
            // Meant for the call, and sent to what has ended since.
            if let Some(signal) = held.signal {
                process.signal(signal.into());
            }
            let told = held.tell(call, age);
            self.tasks.spawn(follow::found(call, process));
            return told;
        }
        let call = CallId::Found(self.found);
        self.found += 1;
        self.tasks.spawn(follow::found(call, process.clone()));
        let server = dialled.as_ref().map(|dialled| dialled.server);
        let dialled = dialled.map(Box::new);
        let signal = None;
        let held = Held { node, pid, interface, renamed, server, dialled, process, signal };
        let told = held.tell(call, age);
        self.held.insert(call, held);
        told
    }
}

impl Held {
    /// The call as one that was found; nothing for our own.
    fn tell(&self, call: CallId, age: Duration) -> Option<FoundCall> {
        let Held { node, renamed, .. } = *self;
        let pid = Some(self.pid);
        match call {
            CallId::Found(_) => {
                let (interface, dialled) =
                    (self.interface.clone(), self.dialled.as_deref().cloned());
                let engine = Engine::Pppd;
                Some(FoundCall { call, node, engine, pid, interface, renamed, dialled, age })
            }
            CallId::Dialled(_) => None,
        }
    }
}
