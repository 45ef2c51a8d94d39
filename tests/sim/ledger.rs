//! What the daemon was told and what it ordered, written down as it came. No rule of the core is
//! in here: facts only, for the rules to go by.

mod absence;
mod node;
mod outage;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use connexa::core::event::{CallId, Candidate, Dialled, Link, LinkChange, Probed, Ranked};
use connexa::core::failure::FailureKind;
use connexa::core::policy::Policy;
use connexa::node::{Node, NodeId, ServerAddr};

use crate::wire::{Did, Exit, News, Signal, Told, View};
pub use absence::Away;
pub use node::Tally;
pub use outage::Windows;

/// Milliseconds on the daemon's clock.
pub type Time = u64;

#[derive(Debug, Default)]
pub struct Ledger {
    pub now: Time,
    /// How many news the daemon was told.
    pub told: u64,
    pub policy: Option<Policy>,
    pub links_told: bool,
    pub running_told: bool,
    /// The rows with their ranks, once the database was read; those that are away as they were.
    pub rows: Option<BTreeMap<NodeId, (u32, Candidate)>>,
    /// Nodes whose rows are away, and whether the database can't be read.
    pub away: BTreeMap<NodeId, Away>,
    pub is_unreadable: bool,
    pub stopped: BTreeSet<NodeId>,
    /// What the operator asked just now has changed which nodes are stopped.
    pub stops_changed: bool,
    pub stopping: bool,
    pub links: BTreeMap<u32, Seen>,
    /// Which link each call made, whether the daemon knows or not.
    pub own_links: BTreeMap<CallId, u32>,
    /// Calls that were dialled or found, and whose end was not told.
    pub calls: BTreeMap<CallId, Call>,
    /// The call whose end was told just now.
    pub ended: Option<(Call, Option<Exit>)>,
    pub tallies: BTreeMap<NodeId, Tally>,
    pub windows: Windows,
    /// What the files of each node were ordered to be of.
    pub files: BTreeMap<NodeId, Node>,
    /// Servers whose last call found nobody there, by the call's own words.
    pub silent: BTreeSet<ServerAddr>,
    /// Servers that may have answered: a call to them has ended, or was up.
    pub heard: BTreeSet<Ipv4Addr>,
    /// Servers to which a call ended, and none was up since.
    pub in_doubt: BTreeSet<Ipv4Addr>,
    /// Nodes whose rows dial otherwise since just now.
    pub changed: BTreeSet<NodeId>,
    /// What probes have shown just now.
    pub probed: Option<(CallId, Probed)>,
    /// The shortest time from TERM to KILL that was in force.
    pub least_grace: Time,
    /// Refusals that made a quarantine, at least and at most, by the policies that were in force.
    pub least_quarantine: u32,
    pub most_quarantine: u32,
    /// A trial was made of a target that answers nowhere.
    pub trial: bool,
    /// What was shown before the news.
    pub before: View,
}

/// A link as it was last told.
#[derive(Debug)]
pub struct Seen {
    pub link: Link,
    /// By which news it was told first.
    pub first: u64,
    /// Since when it is as it is.
    pub since: Time,
    /// Since when it is not up with the addresses of both ends.
    pub not_whole_since: Option<Time>,
    /// A name has led another call to it.
    pub is_confused: bool,
}

/// A run of pppd.
#[derive(Clone, Debug)]
pub struct Call {
    pub node: NodeId,
    /// When it is to be up.
    pub limit: Time,
    /// After which news it was dialled, if this daemon did.
    pub dialled_after: Option<u64>,
    /// The row that it was dialled with by this daemon.
    pub row: Option<Node>,
    /// What the files say that one that was found was dialled with.
    pub dialled: Option<Dialled>,
    /// The name that its link is said to have.
    pub name: Option<String>,
    /// The name leads to the link of another, or that of another to its own.
    pub is_confused: bool,
    pub last_signal: Option<(Signal, Time, Time)>,
    pub was_up: bool,
    /// When its link was told to be gone.
    pub gone_at: Option<Time>,
    pub words: Option<FailureKind>,
}

impl Call {
    /// Whom it was made to, as far as is known.
    pub fn server(&self) -> Option<Ipv4Addr> {
        let row = self.row.as_ref().map(|row| row.server.ip());
        row.or(self.dialled.as_ref().map(|dialled| dialled.server))
    }

    pub fn is_found(&self) -> bool {
        self.row.is_none()
    }
}

impl Ledger {
    pub fn new(policy: Policy) -> Self {
        let least_grace = policy.stop_grace.as_millis() as u64;
        let after = policy.quarantine_after;
        let (least_quarantine, most_quarantine) = (after, after);
        let policy = Some(policy);
        Ledger { policy, least_grace, least_quarantine, most_quarantine, ..Ledger::default() }
    }

    pub fn policy(&self) -> &Policy {
        self.policy.as_ref().unwrap()
    }

    pub fn grace(&self) -> Time {
        self.policy().stop_grace.as_millis() as u64
    }

    pub fn row(&self, id: NodeId) -> Option<&Candidate> {
        self.rows.as_ref()?.get(&id).map(|(_, candidate)| candidate)
    }

    /// The row of a node that can be dialled.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.row(id)?.node()
    }

    /// Whether a tunnel is wanted.
    pub fn wants(&self, id: NodeId) -> bool {
        self.node(id).is_some() && !self.stopped.contains(&id)
    }

    pub fn knows_enough(&self) -> bool {
        self.links_told && self.running_told && self.rows.is_some()
    }

    pub fn ends_all(&self) -> bool {
        self.stopping && !self.policy().keep_on_exit
    }

    pub fn calls_of(&self, id: NodeId) -> impl Iterator<Item = (&CallId, &Call)> {
        self.calls.iter().filter(move |(_, call)| call.node == id)
    }

    /// Dials of this daemon that were never up.
    pub fn dials(&self) -> impl Iterator<Item = &Call> {
        self.calls.values().filter(|call| !call.is_found() && !call.was_up)
    }

    /// The daemon is about to be told this.
    pub fn hear(&mut self, now: Time, news: &News, before: View) {
        self.now = now;
        self.told += 1;
        self.before = before;
        self.changed.clear();
        (self.ended, self.probed, self.stops_changed) = (None, None, false);
        match news {
            News::Rows { rows, reselected, .. } => {
                let row = |r: &Ranked| (r.candidate.id(), (r.rank, r.candidate.clone()));
                self.take_rows(rows.iter().map(row).collect(), *reselected);
            }
            News::RowsUnreadable => self.unreadable(),
            News::Links { changes, .. } => {
                self.links_told = true;
                changes.iter().for_each(|change| self.see(change));
            }
            News::Found(found) => {
                self.running_told = true;
                for found in found {
                    self.tallies.entry(found.node).or_default().is_excused = true;
                    let limit = now + self.policy().dial_timeout.as_millis() as u64;
                    self.miss_row(found.node);
                    let call = Call::new(found.node, limit);
                    let call = self.calls.entry(found.call).or_insert(call);
                    call.dialled.clone_from(&found.dialled);
                    if let Some(name) = found.interface.clone() {
                        self.name(found.call, name);
                    }
                }
            }
            News::Name { call, name } => self.name(*call, name.clone()),
            News::Words { call, words: (kind, vague, _) } => {
                if let Some(call) = self.calls.get_mut(call).filter(|_| !vague) {
                    call.words.get_or_insert(*kind);
                }
            }
            News::NotSpawned { call } => self.end(*call, None),
            News::Ended { call, exit } => self.end(*call, Some(*exit)),
            News::Stopped(stopped) => self.stopped.clone_from(stopped),
            News::Asked { node, ask } => self.ask(*node, *ask),
            News::Policy(policy) => {
                if policy.backoff != self.policy().backoff {
                    self.tallies.values_mut().for_each(|tally| tally.is_fresh = true);
                }
                if policy.quarantine_rest != self.policy().quarantine_rest {
                    self.tallies.values_mut().for_each(|tally| tally.rests_until = None);
                }
                self.policy = Some((**policy).clone());
                // One that was found beside another takes its place by the policy of then.
                let limit = now + policy.dial_timeout.as_millis() as u64;
                for call in self.calls.values_mut().filter(|call| call.is_found()) {
                    call.limit = call.limit.min(limit);
                }
                self.least_grace = self.least_grace.min(self.grace());
                let after = policy.quarantine_after;
                self.least_quarantine = self.least_quarantine.min(after);
                self.most_quarantine = self.most_quarantine.max(after);
            }
            News::Probed { call, probed } => self.probe(*call, probed),
            News::Stop => self.stopping = true,
            News::Spawned { call, .. } => {
                let limit = now + self.policy().dial_timeout.as_millis() as u64;
                self.calls.entry(*call).and_modify(|call| call.limit = limit);
            }
            News::HostChanged | News::Judged { .. } | News::Restarted { .. } | News::Tick => {}
        }
        self.end_absences();
        let limit = self.policy().outage.restart_limit.as_millis() as u64;
        self.windows.hear(now, news, self.before.has_up(), limit);
    }

    fn see(&mut self, change: &LinkChange) {
        let (index, now) = (change.index.0, self.now);
        let Some(link) = &change.link else {
            self.links.remove(&index);
            for (id, call) in &mut self.calls {
                if self.own_links.get(id) == Some(&index) {
                    call.gone_at.get_or_insert(now);
                }
            }
            return;
        };
        let is_whole = link.up && link.addresses.iter().any(|address| address.remote.is_some());
        let old = self.links.get(&index);
        let since = old.filter(|seen| seen.link == *link).map_or(now, |seen| seen.since);
        let not_whole = old.and_then(|seen| seen.not_whole_since);
        let not_whole_since = (!is_whole).then(|| not_whole.unwrap_or(now));
        let is_confused = old.is_some_and(|seen| seen.is_confused);
        let first = old.map_or(self.told, |seen| seen.first);
        let seen = Seen { link: link.clone(), first, since, not_whole_since, is_confused };
        self.links.insert(index, seen);
        self.tell_confused(&link.name);
    }

    /// Names lead to links. Where one leads a call to a link that is not its own, because the
    /// kernel gave a name again before the daemon heard of it, all who go by that name are at a
    /// loss, and so is who later goes by the name of such a link.
    fn tell_confused(&mut self, name: &str) {
        let own_links = &self.own_links;
        let mut links: Vec<_> =
            self.links.iter_mut().filter(|(_, seen)| seen.link.name == name).collect();
        let goes_wrong =
            |id: &CallId| links.iter().any(|(index, _)| own_links.get(id) != Some(*index));
        let mut calls: Vec<_> = (self.calls.iter_mut())
            .filter(|(_, call)| call.name.as_deref() == Some(name))
            .collect();
        let is_confused = links.iter().any(|(_, seen)| seen.is_confused)
            || calls.iter().any(|(id, _)| goes_wrong(id));
        if is_confused && !calls.is_empty() {
            links.iter_mut().for_each(|(_, seen)| seen.is_confused = true);
            calls.iter_mut().for_each(|(_, call)| call.is_confused = true);
        }
    }

    fn probe(&mut self, id: CallId, probed: &Probed) {
        self.probed = Some((id, probed.clone()));
        if let Probed::Lost { answered: true, .. } = probed {
            self.trial = false;
        }
        let node = self.calls.get(&id).map(|call| call.node);
        if let (Some(node), Probed::Answered { .. }) = (node, probed)
            && self.before.state(node) == "up"
        {
            self.tallies.entry(node).or_default().carried = true;
        }
    }

    fn name(&mut self, id: CallId, name: String) {
        // A call that tells its link's name is under way, though its start was not told yet.
        let limit = self.now + self.policy().dial_timeout.as_millis() as u64;
        if let Some(call) = self.calls.get_mut(&id) {
            call.name = Some(name.clone());
            call.limit = call.limit.min(limit);
        }
        self.tell_confused(&name);
    }

    fn end(&mut self, id: CallId, exit: Option<Exit>) {
        let Some(call) = self.calls.remove(&id) else { return };
        let row = self.node(call.node).map(|row| row.server);
        self.in_doubt.extend(call.server().into_iter().chain(row.map(|server| server.ip())));
        self.heard.extend(call.server().into_iter().chain(row.map(|server| server.ip())));
        if let Some(server) = call.row.as_ref().map(|row| row.server) {
            let unreachable = Some(FailureKind::Unreachable);
            let is_wanted = self.wants(call.node) && call.last_signal.is_none();
            if is_wanted && call.words == unreachable && exit == Some(Exit::Code(16)) {
                self.silent.insert(server);
            } else {
                self.silent.remove(&server);
            }
        }
        self.ended = Some((call, exit));
    }

    /// The daemon does this about it.
    pub fn order(&mut self, did: &Did) {
        match did {
            Did::Dial { call, node } => {
                let row = self.node(*node).cloned();
                // Its time runs from the start of its pppd.
                let dialled_after = Some(self.told);
                let call_to = Call { row, dialled_after, ..Call::new(*node, Time::MAX) };
                self.calls.insert(*call, call_to);
            }
            Did::Signal { call: id, signal } => {
                let (now, grace) = (self.now, self.grace());
                if let Some(call) = self.calls.get_mut(id) {
                    call.last_signal = Some((*signal, now, grace));
                    if let Some((of, Probed::Lost { elsewhere: false, .. })) = &self.probed {
                        self.trial |= of == id;
                    }
                }
            }
            Did::WriteFiles(node) => drop(self.files.insert(node.id, (**node).clone())),
            Did::RemoveFiles(id) => drop(self.files.remove(id)),
            Did::SweepFiles(keep) => self.files.retain(|id, _| keep.contains(id)),
            Did::Judge { .. } | Did::Restart { .. } | Did::KeepStopped(_) | Did::Told(_) => {}
        }
        if let Did::Told(Told::Up(node)) = did {
            self.rose(*node);
        }
        self.windows.order(self.now, did);
    }

    /// The daemon shows this after it.
    pub fn shown(&mut self, view: &View) {
        self.windows.shown(self.now, view);
    }

    fn rose(&mut self, id: NodeId) {
        self.tallies.entry(id).or_default().rose();
        for call in self.calls.values_mut().filter(|call| call.node == id) {
            call.was_up = true;
            self.heard.extend(call.server());
        }
        if let Some(server) = self.node(id).map(|row| row.server) {
            self.silent.remove(&server);
            self.in_doubt.remove(&server.ip());
            self.heard.insert(server.ip());
        }
    }
}

impl Call {
    fn new(node: NodeId, limit: Time) -> Self {
        Call {
            node,
            limit,
            dialled_after: None,
            row: None,
            dialled: None,
            name: None,
            is_confused: false,
            last_signal: None,
            was_up: false,
            gone_at: None,
            words: None,
        }
    }
}
