//! What the model makes of each event.

use std::collections::{BTreeMap, BTreeSet};

use connexa::core::effect::Signal;
use connexa::core::event::{Ask, CallId, Candidate, Event, FoundCall, Probed, Ranked, Word};
use connexa::core::failure::{FailureKind, PppdExit};
use connexa::node::{NodeId, ServerAddr};

use super::{Call, Model, Trouble, Why};

impl Model {
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Desired { candidates, .. } => self.take_rows(candidates),
            Event::Links { changes, .. } => {
                self.links_known = true;
                changes.iter().for_each(|change| self.take_link(change));
            }
            Event::Found(found) => {
                found.iter().for_each(|found| self.take_found(found));
                self.running_known = true;
            }
            Event::NotSpawned { call, failure } => self.end(*call, |_| failure.kind),
            Event::Exited { call, exit } => self.end(*call, |call| judge(*exit, call)),
            Event::Said { call, word } => self.take_word(*call, word),
            Event::Probed { call, probed } => self.take_probe(*call, probed),
            Event::HostChanged => self.host.probe_from = None,
            Event::Stopped(stopped) => {
                self.stopped.clone_from(stopped);
                self.look_at_all();
            }
            Event::Asked { node, ask } => self.take_ask(*node, *ask),
            Event::Policy(policy) => self.policy = (**policy).clone(),
            Event::Stop => {
                self.stopping = true;
                self.look_at_all();
            }
            Event::DesiredUnavailable(_)
            | Event::Spawned { .. }
            | Event::BackendJudged { .. }
            | Event::BackendRestarted { .. }
            | Event::Tick => {}
        }
    }

    fn look_at_all(&mut self) {
        let ids: Vec<NodeId> = self.calls.keys().copied().collect();
        ids.into_iter().for_each(|id| self.look(id));
    }

    fn take_rows(&mut self, rows: &[Ranked]) {
        let row = |row: &Ranked| (row.candidate.id(), (row.rank, row.candidate.clone()));
        let new = rows.iter().map(row).collect();
        let old = self.rows.replace(new);
        let first = old.is_none();
        let old = old.unwrap_or_default();
        let rows = self.rows.as_ref();
        let row = |id: &NodeId| rows.and_then(|rows| rows.get(id));
        let ids: BTreeSet<NodeId> =
            rows.into_iter().flat_map(BTreeMap::keys).chain(old.keys()).copied().collect();
        // A row that only moves in the order changes nothing of what was seen of its node.
        let content = |row: Option<&(u32, Candidate)>| row.map(|(_, candidate)| candidate.clone());
        let is_changed = |id: &NodeId| content(row(id)) != content(old.get(id));
        let changed: Vec<NodeId> = ids.into_iter().filter(is_changed).collect();
        let afresh: Vec<NodeId> = changed
            .iter()
            .filter(|id| match (row(id), old.get(id)) {
                (Some((_, Candidate::Node(new))), Some((_, Candidate::Node(old)))) => {
                    !new.dials_like(old)
                }
                _ => !first,
            })
            .copied()
            .collect();
        for id in afresh {
            self.trouble.remove(&id);
            self.carried.remove(&id);
            match self.calls.get_mut(&id).map(|call| call.ending.as_mut()) {
                Some(Some(ending)) => ending.why = Why::Unwanted,
                Some(None) => self.hang_up(id, Why::Unwanted),
                None => {}
            }
        }
        let servers: BTreeSet<_> = self.nodes().map(|node| node.server).collect();
        self.doubted.retain(|server| servers.contains(server));
        if first {
            self.look_at_all();
        }
        changed.into_iter().for_each(|id| self.look(id));
    }

    fn take_found(&mut self, found: &FoundCall) {
        let id = found.node;
        match self.calls.get(&id) {
            None => self.adopt(found),
            Some(call) if call.id == found.call => self.name_link(id, found),
            Some(call) => {
                let kept = call.up.is_some() || self.ends_all();
                let second = self.seconds.entry(found.call).or_insert((found.clone(), None));
                second.0 = found.clone();
                if kept {
                    self.part_with_seconds(id);
                } else {
                    self.hang_up(id, Why::Unwanted);
                }
            }
        }
    }

    fn adopt(&mut self, found: &FoundCall) {
        let mut call = Call::new(found.call, self.inputs);
        call.dialled.clone_from(&found.dialled);
        call.slot = found.dialled.as_ref().and_then(|dialled| ServerAddr::new(dialled.server).ok());
        call.give_up = Some(self.now + self.policy.dial_timeout.as_millis() as u64);
        let trouble = self.trouble.entry(found.node).or_default();
        (trouble.wait_until, trouble.quarantined) = (None, false);
        self.calls.insert(found.node, call);
        self.name_link(found.node, found);
    }

    fn name_link(&mut self, id: NodeId, found: &FoundCall) {
        if let Some(name) = &found.interface {
            self.calls.entry(id).and_modify(|call| call.has_named = true);
            self.claim(id, name);
        }
        self.look(id);
    }

    pub(super) fn part_with_seconds(&mut self, id: NodeId) {
        let kill_at = self.now + self.grace();
        for (call, (found, at)) in &mut self.seconds {
            if found.node == id && at.is_none() {
                *at = Some(kill_at);
                self.due.signals.push((*call, Signal::Terminate));
            }
        }
    }

    fn take_word(&mut self, id: CallId, word: &Word) {
        let Some((&node, call)) = self.calls.iter_mut().find(|(_, call)| call.id == id) else {
            return;
        };
        match word {
            Word::Interface(name) => {
                self.claim(node, name);
                self.look(node);
            }
            Word::Explains { failure, vague } => {
                let place = if *vague { &mut call.vague } else { &mut call.plain };
                place.get_or_insert(failure.kind);
            }
        }
    }

    fn take_probe(&mut self, id: CallId, probed: &Probed) {
        // Whatever became of the call.
        if let Probed::Lost { answered: true, .. } = probed {
            self.trial = false;
        }
        let up = |call: &Call| call.id == id && call.up.is_some() && call.ending.is_none();
        let Some(node) = self.calls.iter().find(|(_, call)| up(call)).map(|(id, _)| *id) else {
            return;
        };
        match probed {
            Probed::Answered { .. } => drop(self.carried.insert(node)),
            Probed::Lost { elsewhere, .. } => {
                // Nobody knows what one that was found has carried.
                let proven = *elsewhere && matches!(id, CallId::Found(_));
                if proven || self.carried.contains(&node) && (*elsewhere || !self.trial) {
                    self.trial |= !elsewhere;
                    self.hang_up(node, Why::GivenUp(FailureKind::ProbeFailed));
                }
            }
        }
    }

    fn take_ask(&mut self, id: NodeId, ask: Ask) {
        let wanted = self.rows.as_ref().is_some_and(|rows| rows.contains_key(&id));
        if !wanted && !self.calls.contains_key(&id) && !self.stopped.contains(&id) {
            return;
        }
        // A tunnel that is up has nothing to forget, and one that rests stopped has nothing to dial.
        let is_moot = match self.calls.get(&id) {
            Some(call) => call.up.is_some(),
            None => ask == Ask::Retry && self.stopped.contains(&id),
        };
        match ask {
            Ask::Start => drop(self.stopped.remove(&id)),
            Ask::Stop => drop(self.stopped.insert(id)),
            Ask::Retry => {}
        }
        if ask != Ask::Stop && !is_moot {
            self.trouble.remove(&id);
            self.host.probe_from = None;
            if let Some(ending) = self.calls.get_mut(&id).and_then(|call| call.ending.as_mut()) {
                ending.why = Why::Unwanted;
            }
        }
        self.look(id);
    }

    fn end(&mut self, id: CallId, kind: impl FnOnce(&Call) -> FailureKind) {
        if self.seconds.remove(&id).is_some() {
            return;
        }
        let Some(node) = self.calls.iter().find(|(_, call)| call.id == id).map(|(id, _)| *id)
        else {
            return;
        };
        self.fall(node);
        let Some(call) = self.calls.remove(&node) else { return };
        if call.owed.is_some() {
            self.due.downs.insert(node);
        }
        match call.ending.map_or(Why::Itself, |ending| ending.why) {
            Why::Unwanted => {}
            Why::GivenUp(kind) => self.fail(node, kind, call.began),
            // The exit does not tell why its link went, when it had to be signalled for that.
            Why::Itself if call.ending.is_some_and(|ending| ending.signal == Signal::Kill) => {
                let kind = call.plain.or(call.vague).unwrap_or(FailureKind::LinkLost);
                self.fail(node, kind, call.began);
            }
            Why::Itself => self.fail(node, kind(&call), call.began),
        }
        let next = self.seconds.iter().find(|(_, (found, _))| found.node == node);
        if let Some((id, (found, kill_at))) = next.map(|(id, second)| (*id, second.clone())) {
            self.seconds.remove(&id);
            self.due.retries.remove(&node);
            self.due.quarantines.remove(&node);
            self.adopt(&found);
            if kill_at.is_some() {
                self.hang_up(node, Why::Unwanted);
            }
        }
        if self.node(node).is_none() && !self.calls.contains_key(&node) {
            self.trouble.remove(&node);
            self.carried.remove(&node);
        }
    }

    /// A call failed that was wanted.
    fn fail(&mut self, id: NodeId, kind: FailureKind, began: u64) {
        if self.stopping || self.stopped.contains(&id) {
            return;
        }
        let Some(server) = self.node(id).map(|node| node.server) else { return };
        if kind.is_of_the_host() {
            if began < self.host.fit {
                return;
            }
            let wait = self.shortest_wait(1);
            self.host.fault = true;
            self.host.probe_from.get_or_insert(self.now + wait);
            return;
        }
        self.host = super::Host { fit: self.inputs, ..super::Host::default() };
        match kind {
            FailureKind::Unreachable | FailureKind::Timeout => drop(self.doubted.insert(server)),
            FailureKind::AuthRefused | FailureKind::Refused | FailureKind::PeerClosed => {
                self.doubted.remove(&server);
            }
            _ => {}
        }
        let trouble: &mut Trouble = self.trouble.entry(id).or_default();
        trouble.failures += 1;
        trouble.refusals = if kind == FailureKind::AuthRefused { trouble.refusals + 1 } else { 0 };
        if trouble.refusals >= self.policy.quarantine_after {
            trouble.quarantined = true;
            self.due.quarantines.insert(id);
        } else {
            self.due.retries.insert(id);
        }
    }

    pub(super) fn shortest_wait(&self, failures: u32) -> u64 {
        let curve = &self.policy.backoff;
        curve.full(failures).as_millis() as u64 * u64::from(1000 - curve.jitter_permille) / 1000
    }
}

fn judge(exit: PppdExit, call: &Call) -> FailureKind {
    let said = call.plain;
    match exit {
        PppdExit::Signal(_) => FailureKind::Killed,
        PppdExit::Code(4) => FailureKind::NoPppSupport,
        PppdExit::Code(19) => FailureKind::AuthRefused,
        PppdExit::Code(16) => said.or(call.vague).unwrap_or(FailureKind::Hangup),
        PppdExit::Code(_) | PppdExit::Unseen => said.unwrap_or(FailureKind::Unexplained),
    }
}
