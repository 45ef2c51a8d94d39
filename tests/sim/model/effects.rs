//! Whether what the core does is what was due.

use std::collections::BTreeSet;
use std::time::Duration;

use connexa::core::effect::{Effect, Order};
use connexa::core::event::CallId;
use connexa::core::notice::Notice;
use connexa::node::{Node, NodeId};

use super::{Call, Model};

impl Model {
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        let rows = self.rows.iter().flat_map(|rows| rows.keys());
        rows.filter_map(|id| self.node(*id))
    }

    /// The core did this about what it was told last.
    pub fn did(&mut self, effects: &[Effect]) -> Result<(), String> {
        let mut signals = Vec::new();
        let mut ups = BTreeSet::new();
        let mut retries = BTreeSet::new();
        let mut quarantines = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::Pppd(Order::Signal { call, signal }) => signals.push((*call, *signal)),
                Effect::Pppd(Order::Dial { call, node }) => self.dialled(*call, *node)?,
                Effect::Tell(Notice::Up { node, .. }) => drop(ups.insert(*node)),
                Effect::Tell(Notice::Down { node, .. }) => self.fell(*node)?,
                Effect::Tell(Notice::Retrying { node, wait, .. }) => {
                    self.waits(*node, *wait)?;
                    retries.insert(*node);
                }
                Effect::Tell(Notice::Quarantined { node, .. }) => drop(quarantines.insert(*node)),
                Effect::RestartBackend { .. } => self.restarts()?,
                Effect::Pppd(_)
                | Effect::Tell(_)
                | Effect::JudgeBackend { .. }
                | Effect::KeepStopped(_) => {}
            }
        }
        let order = |(call, signal): &_| (*call, *signal as u8);
        signals.sort_by_key(order);
        self.due.signals.sort_by_key(order);
        same("signals", &signals, &self.due.signals)?;
        same("tunnels told up", &ups, &self.due.ups)?;
        // A pppd by hand may have taken over in the same turn.
        let unexpected: Vec<_> = retries
            .difference(&self.due.retries)
            .filter(|id| !self.calls.contains_key(id))
            .collect();
        same("needless retries", &unexpected, &vec![])?;
        let missing: Vec<_> = self.due.retries.difference(&retries).collect();
        same("retries not told", &missing, &vec![])?;
        let missing: Vec<_> = self.due.quarantines.difference(&quarantines).collect();
        same("quarantines not told", &missing, &vec![])?;
        same("falls never told", &self.due.downs, &BTreeSet::new())?;
        let owed = self.calls.iter().find(|(_, c)| c.owed.is_some_and(|by| by <= self.now));
        owed.map_or(Ok(()), |(id, _)| Err(format!("the fall of node {id} is told too late")))
    }

    fn fell(&mut self, id: NodeId) -> Result<(), String> {
        let owed = self.calls.get_mut(&id).and_then(|call| call.owed.take()).is_some();
        if owed || self.due.downs.remove(&id) {
            return Ok(());
        }
        Err(format!("node {id} is told down and was not up"))
    }

    fn waits(&mut self, id: NodeId, wait: Duration) -> Result<(), String> {
        let failures = self.trouble.get(&id).map_or(0, |trouble| trouble.failures);
        let curve = &self.policy.backoff;
        let full = curve.full(failures);
        let longest = (full + full * u32::from(curve.jitter_permille) / 1000).min(curve.max);
        let wait = wait.as_millis() as u64;
        if wait < self.shortest_wait(failures) || wait > longest.as_millis() as u64 {
            return Err(format!("node {id} waits {wait} ms after {failures} failures"));
        }
        if self.due.retries.contains(&id) {
            let until = (wait > 0).then_some(self.now + wait);
            self.trouble.entry(id).or_default().wait_until = until;
        }
        Ok(())
    }

    fn restarts(&self) -> Result<(), String> {
        let outage = &self.policy.outage;
        let quiet = (outage.interval * outage.windows).as_millis() as u64;
        match self.last_up {
            _ if self.stopping => Err("the backend is restarted by a daemon that stops".into()),
            Some(at) if self.now - at < quiet => {
                Err(format!("a restart {} ms after a tunnel was up", self.now - at))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn dialled(&mut self, id: CallId, node: NodeId) -> Result<(), String> {
        let state = self.state(node);
        if state != Some("waiting") {
            return Err(format!("node {node} is dialled while {state:?}"));
        }
        if !self.may_dial() {
            return Err(format!("node {node} is dialled by a core that may not dial"));
        }
        let Some(server) = self.node(node).map(|node| node.server) else {
            return Err(format!("node {node} is dialled and has no row"));
        };
        let (dials, doubted) = (self.dials().count(), self.doubted_dials());
        if dials >= self.cap() {
            return Err(format!("node {node} is dialled beside {dials} others"));
        }
        if self.dials().any(|other| other == server) {
            return Err(format!("server {server} is dialled twice at once"));
        }
        if self.doubted.contains(&server) && doubted >= self.doubted_cap() {
            return Err(format!("doubted servers have {doubted} slots and get another"));
        }
        if self.host.fault {
            if self.host.probe_from.is_some_and(|from| from > self.now) {
                return Err(format!("node {node} is dialled and the host is unfit"));
            }
            self.host.probe_from = None;
        }
        if let Some(better) = self.better(node) {
            return Err(format!("node {node} is dialled before node {better}"));
        }
        let mut call = Call::new(id, self.inputs);
        call.slot = Some(server);
        call.give_up = Some(self.now + self.policy.dial_timeout.as_millis() as u64);
        self.calls.insert(node, call);
        Ok(())
    }

    /// A node that should have gone first.
    fn better(&self, node: NodeId) -> Option<NodeId> {
        let rows = self.rows.as_ref()?;
        let place = (rows.get(&node)?.0, node);
        let doubted = |id| self.node(id).is_none_or(|node| self.doubted.contains(&node.server));
        let idle = |id| self.node(id).is_some_and(|n| !self.dials().any(|s| s == n.server));
        rows.iter()
            .filter(|(id, (rank, _))| (*rank, **id) < place || doubted(node) && !doubted(**id))
            .map(|(id, _)| *id)
            .find(|id| !doubted(*id) && idle(*id) && self.state(*id) == Some("waiting"))
    }

    pub(super) fn may_dial(&self) -> bool {
        self.links_known && self.running_known && self.rows.is_some() && !self.stopping
    }

    pub(super) fn cap(&self) -> usize {
        if self.host.fault { 1 } else { self.policy.dial_concurrency as usize }
    }

    pub(super) fn doubted_cap(&self) -> usize {
        (self.cap() / 2).max(1)
    }

    pub(super) fn doubted_dials(&self) -> usize {
        self.dials().filter(|server| self.doubted.contains(server)).count()
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, due: &T) -> Result<(), String> {
    if is == due { Ok(()) } else { Err(format!("{what}: {is:?}, and due are {due:?}")) }
}
