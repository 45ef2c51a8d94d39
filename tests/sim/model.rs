//! A second, plain description of what the core should show. It knows only what the core was told
//! and what the core ordered, and after every input says which signals were due, which state each
//! node is in and which dials were allowed.

mod effects;
mod events;
mod seen;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use connexa::core::effect::Signal;
use connexa::core::event::{CallId, Candidate, Dialled, FoundCall, Input, Link};
use connexa::core::failure::FailureKind;
use connexa::core::policy::Policy;
use connexa::node::{Node, NodeId, ServerAddr};

/// Milliseconds on the daemon's clock.
type Time = u64;

/// How long a half-set or vanished address is given.
const SETTLE: Time = 250;
/// How long the cause of a fall is waited for.
const TELL_WITHIN: Time = 1000;

#[derive(Debug)]
pub struct Model {
    policy: Policy,
    now: Time,
    inputs: u64,
    links_known: bool,
    running_known: bool,
    /// The selected rows with their ranks, once the database was read.
    rows: Option<BTreeMap<NodeId, (u32, Candidate)>>,
    stopped: BTreeSet<NodeId>,
    stopping: bool,
    trouble: BTreeMap<NodeId, Trouble>,
    /// The call that each node goes by.
    calls: BTreeMap<NodeId, Call>,
    seconds: BTreeMap<CallId, (FoundCall, Option<Time>)>,
    links: BTreeMap<u32, Told>,
    doubted: BTreeSet<ServerAddr>,
    host: Host,
    last_up: Option<Time>,
    /// Nodes through which a probe was answered.
    carried: BTreeSet<NodeId>,
    /// A tunnel was given up though the probes' target answered nowhere, and no loss came after an
    /// answer since.
    trial: bool,
    /// Due in this turn.
    due: Due,
}

/// What a turn must bring about.
#[derive(Debug, Default)]
struct Due {
    signals: Vec<(CallId, Signal)>,
    ups: BTreeSet<NodeId>,
    retries: BTreeSet<NodeId>,
    quarantines: BTreeSet<NodeId>,
    /// Falls of calls that ended in this turn.
    downs: BTreeSet<NodeId>,
}

/// Failures in a row.
#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    refusals: u32,
    wait_until: Option<Time>,
    quarantined: bool,
}

#[derive(Debug, Default)]
struct Host {
    fault: bool,
    /// No probe before this.
    probe_from: Option<Time>,
    /// Calls that began before this input say nothing against it.
    fit: u64,
}

/// A link as it was last told.
#[derive(Debug)]
struct Told {
    link: Link,
    since: u64,
    owner: Option<CallId>,
}

type Addresses = (Ipv4Addr, Option<Ipv4Addr>);

#[derive(Debug)]
struct Call {
    id: CallId,
    began: u64,
    dialled: Option<Dialled>,
    /// The server whose only dial this is.
    slot: Option<ServerAddr>,
    claim: Option<String>,
    /// Its pid file has told of a link.
    has_named: bool,
    /// Its link should have been seen by this input: later ones are not its own.
    missed: Option<u64>,
    link: Option<u32>,
    up: Option<(Addresses, Time)>,
    was_up: bool,
    settle: Option<Time>,
    give_up: Option<Time>,
    ending: Option<Ending>,
    /// A fall that must be told by then.
    owed: Option<Time>,
    plain: Option<FailureKind>,
    vague: Option<FailureKind>,
}

#[derive(Clone, Copy, Debug)]
struct Ending {
    why: Why,
    next: Time,
    signal: Signal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Itself,
    GivenUp(FailureKind),
    Unwanted,
}

impl Model {
    pub fn new(policy: Policy) -> Self {
        Model {
            policy,
            now: 0,
            inputs: 0,
            links_known: false,
            running_known: false,
            rows: None,
            stopped: BTreeSet::new(),
            stopping: false,
            trouble: BTreeMap::new(),
            calls: BTreeMap::new(),
            seconds: BTreeMap::new(),
            links: BTreeMap::new(),
            doubted: BTreeSet::new(),
            host: Host::default(),
            last_up: None,
            carried: BTreeSet::new(),
            trial: false,
            due: Due::default(),
        }
    }

    /// The core is about to be told this.
    pub fn told(&mut self, input: &Input) {
        self.now = input.now.at.0;
        self.inputs += 1;
        self.due = Due::default();
        self.take(&input.event);
        self.serve_deadlines();
        if self.calls.values().any(|call| call.up.is_some()) {
            self.last_up = Some(self.now);
        }
    }

    fn grace(&self) -> Time {
        self.policy.stop_grace.as_millis() as u64
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        match self.rows.as_ref()?.get(&id) {
            Some((_, Candidate::Node(node))) => Some(node),
            Some((_, Candidate::Invalid(_))) | None => None,
        }
    }

    fn ends_all(&self) -> bool {
        self.stopping && !self.policy.keep_on_exit
    }

    /// Whether the node's call has no reason to be any more.
    fn unwanted(&self, id: NodeId, call: &Call) -> bool {
        if self.ends_all() || self.stopped.contains(&id) {
            return true;
        }
        match self.node(id) {
            Some(node) => call.dialled.as_ref().is_some_and(|dialled| self.differs(dialled, node)),
            None => self.rows.is_some(),
        }
    }

    /// Whether a call that was found is not what a dial would be now, as far as that is known.
    fn differs(&self, dialled: &Dialled, node: &Node) -> bool {
        let mppe = node.mppe.unwrap_or(self.policy.peer.mppe);
        dialled.server != node.server.ip()
            || dialled.login != node.login.as_str()
            || dialled.password.as_ref().is_some_and(|password| *password != node.password)
            || dialled.mppe.is_some_and(|dialled| dialled != mppe)
    }

    /// TERM now, KILL after the grace.
    fn hang_up(&mut self, id: NodeId, why: Why) {
        let next = self.now + self.grace();
        self.fall(id);
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.ending.is_none()) else {
            return;
        };
        call.ending = Some(Ending { why, next, signal: Signal::Kill });
        self.due.signals.push((call.id, Signal::Terminate));
    }

    fn serve_deadlines(&mut self) {
        let (now, grace) = (self.now, self.grace());
        let dial_timeout = self.policy.dial_timeout.as_millis() as u64;
        let ids: Vec<NodeId> = self.calls.keys().copied().collect();
        for id in ids {
            let Some(call) = self.calls.get_mut(&id) else { continue };
            if let Some(ending) = &mut call.ending {
                if ending.next <= now {
                    self.due.signals.push((call.id, ending.signal));
                    *ending = Ending { next: now + grace, signal: Signal::Kill, ..*ending };
                }
            } else if call.give_up.is_some_and(|at| at <= now)
                && call.is_out_of_sight()
                && !self.links_known
            {
                call.give_up = Some(now + dial_timeout);
            } else if call.give_up.is_some_and(|at| at <= now)
                && call.is_out_of_sight()
                && self.links.values().any(|told| {
                    told.owner.is_none() && told.since <= call.missed.unwrap_or(self.inputs)
                })
            {
                call.missed.get_or_insert(self.inputs);
                (call.give_up, call.slot) = (Some(now + dial_timeout), None);
            } else if call.give_up.is_some_and(|at| at <= now) {
                let was_up = call.was_up;
                let kind = if was_up { FailureKind::LinkLost } else { FailureKind::Timeout };
                self.hang_up(id, Why::GivenUp(kind));
            } else if call.settle.is_some_and(|at| at <= now) {
                self.look(id);
            }
        }
        for trouble in self.trouble.values_mut() {
            trouble.wait_until = trouble.wait_until.filter(|at| *at > now);
        }
        for (call, (_, kill_at)) in &mut self.seconds {
            if kill_at.is_some_and(|at| at <= now) {
                *kill_at = Some(now + grace);
                self.due.signals.push((*call, Signal::Kill));
            }
        }
    }

    /// The servers of dials under way.
    fn dials(&self) -> impl Iterator<Item = ServerAddr> {
        self.calls.values().filter_map(|call| call.slot)
    }
}
