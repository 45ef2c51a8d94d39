//! The supervisor core: one state machine per node, the dial queue, the outage rule.
//!
//! Pure: no clock, no I/O, no randomness. An [`event::Input`] goes in with its time and its dice,
//! [`effect::Effect`]s come out, and the same inputs always give the same effects. Every event
//! ends in comparing what is wanted of a node with what is seen of it, so a lost event that is
//! made good by a later look ends in the same place.

mod absence;
mod backend;
pub mod backoff;
mod call;
mod calls;
pub mod change;
mod deadlines;
mod desire;
mod dialing;
pub mod effect;
pub mod event;
pub mod failure;
mod host;
mod links;
pub mod notice;
mod observe;
mod operator;
pub mod outage;
pub mod policy;
mod pool;
mod probe;
mod reach;
pub mod reason;
mod refused;
pub mod report;
mod retries;
mod second_calls;
mod servers;
#[cfg(test)]
mod stage;
mod state;
#[cfg(test)]
mod states;
mod stopping;
pub mod surroundings;
pub mod time;
mod timers;
mod tunnel;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use backend::Backend;
use change::{Change, Way};
use dialing::Dialing;
use effect::{Effect, Order};
use event::{CallId, Event, Hearing, Input};
use host::Host;
use links::Links;
use notice::Notice;
use outage::Outage;
use policy::Policy;
use pool::{Need, Pool};
use reach::Reach;
use refused::Refused;
use second_calls::SecondCalls;
use servers::Servers;
use state::Rest;
pub use state::{Sort, State};
use time::{Monotonic, Now, Wall};
use timers::Timers;
use tunnel::{Phase, Tunnel, Want};

use crate::node::NodeId;

/// The state of everything, in memory.
#[derive(Clone, Debug)]
pub struct Core {
    policy: Policy,
    /// Boxed, for half of the places of such a map are empty.
    tunnels: BTreeMap<NodeId, Box<Tunnel>>,
    calls: BTreeMap<CallId, NodeId>,
    up: BTreeSet<NodeId>,
    /// Those whose rows are away.
    away: BTreeSet<NodeId>,
    links: Links,
    pool: Pool,
    dialing: Dialing,
    timers: Timers,
    outage: Outage,
    backend: Backend,
    host: Host,
    second_calls: SecondCalls,
    /// Calls that were found are being taken over: a link of nobody may be that of the next one.
    adopting: bool,
    reach: Reach,
    /// Nodes whose address another link has that may yet be that of a call.
    undecided: BTreeSet<NodeId>,
    /// Calls that have ended without a known link: by which inputs that may have been shown, and until when
    /// the kernel may still have it.
    left_links: Vec<(RangeInclusive<u64>, Monotonic)>,
    servers: Servers,
    refused: Refused,
    /// Nodes that the operator has stopped, whether the database wants them or not.
    stopped: BTreeSet<NodeId>,
    /// A tunnel was hung up for its probes though the target answered nowhere, and no loss was told
    /// since that came after an answer.
    trial: bool,
    known: Known,
    hearing: Hearing,
    heard_at: Option<Wall>,
    stopping: bool,
    /// Nodes whose row or shown state the last input has changed, or that it let go.
    moved: Vec<NodeId>,
    inputs: u64,
    dialled: u64,
}

/// What must be known before anything is dialled.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The kernel's table of links.
    links: bool,
    /// Which calls of our nodes already run.
    running: bool,
    /// The database's candidates.
    database: bool,
    /// Why the database can't be read just now.
    database_problem: Option<String>,
    /// The host's surroundings. Nothing waits for them: a host that can't tell still gets its tunnels.
    surroundings: bool,
    /// Whether that all of it is known was told.
    told: bool,
}

impl Known {
    fn enough(&self) -> bool {
        self.links && self.running && self.database
    }
}

/// One turn: the time of the input, and the effects so far.
struct Turn {
    now: Now,
    effects: Vec<Effect>,
}

impl Turn {
    fn tell(&mut self, notice: Notice) {
        self.effects.push(Effect::Tell(notice));
    }

    fn change(&mut self, change: Change) {
        self.effects.push(Effect::Change(change));
    }

    fn way(&mut self, way: Way) {
        self.effects.push(Effect::Way(way));
    }

    fn order(&mut self, order: Order) {
        self.effects.push(Effect::Order(order));
    }

    fn at(&self) -> Monotonic {
        self.now.at
    }
}

impl Core {
    /// A core that knows nothing yet.
    pub fn new(policy: Policy) -> Self {
        let outage = Outage::new(policy.outage);
        let per_server = policy.dial_concurrency_per_server;
        Core {
            policy,
            tunnels: BTreeMap::new(),
            calls: BTreeMap::new(),
            up: BTreeSet::new(),
            away: BTreeSet::new(),
            links: Links::default(),
            // Without a limit: the first read of the database tells it.
            pool: Pool::new(0),
            dialing: Dialing::new(per_server),
            timers: Timers::default(),
            outage,
            backend: Backend::default(),
            host: Host::default(),
            second_calls: SecondCalls::default(),
            adopting: false,
            reach: Reach::default(),
            undecided: BTreeSet::new(),
            left_links: Vec::new(),
            servers: Servers::default(),
            refused: Refused::default(),
            stopped: BTreeSet::new(),
            trial: false,
            known: Known::default(),
            hearing: Hearing::default(),
            heard_at: None,
            stopping: false,
            moved: Vec::new(),
            inputs: 0,
            dialled: 0,
        }
    }

    /// Takes in one event and says what is to be done. Deadlines that have come are served with
    /// any event, after it.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        self.inputs += 1;
        self.moved.clear();
        let mut turn = Turn { now: input.now, effects: Vec::new() };
        let turn = &mut turn;
        match input.event {
            Event::Desired { rows, places } => self.desire(rows, places, turn),
            Event::DesiredUnavailable(problem) => self.desire_unavailable(problem, turn),
            Event::Links { changes, hearing } => self.hear(changes, hearing, turn),
            Event::Found(found) => self.found(found, turn),
            Event::Started { call, pid, suspect } => self.started(call, pid, suspect, turn),
            Event::Link { call, name } => self.link_named(call, &name, turn),
            Event::Failing { call, cause, vague } => self.failing(call, cause, vague, turn),
            Event::Ended { call, failure } => self.ended(call, failure, turn),
            Event::Probed { call, probed } => self.probed(call, probed, turn),
            Event::HostChanged => self.host.changed(),
            Event::Surroundings(surroundings) => self.surrounded(surroundings, turn),
            Event::BackendJudged { question, judgement } => {
                self.backend_judged(question, judgement, turn);
            }
            Event::BackendRestarted { restart, outcome } => {
                self.backend_restarted(restart, outcome, turn);
            }
            Event::Stopped(stopped) => self.stopped_before(stopped, turn),
            Event::Asked { node, ask } => self.asked(node, ask, turn),
            Event::Policy(policy) => self.set_policy(*policy, turn),
            Event::Stop => self.stop(turn),
            Event::Tick => {}
        }
        self.serve_deadlines(turn);
        self.judge_undecided(turn);
        self.fill_pool(turn);
        self.tell_all_wanted(turn);
        self.start_dials(turn);
        self.watch_outage(turn.at());
        std::mem::take(&mut turn.effects)
    }

    /// When [`Core::handle`] wants a [`Event::Tick`] at the latest. `None` while all is well.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        [
            self.timers.next(),
            self.outage.deadline(),
            self.host.deadline(),
            self.second_calls.deadline(),
            self.undecided_until(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether the daemon may exit after [`Event::Stop`]: nothing is left to be stopped.
    pub fn is_drained(&self) -> bool {
        let nothing_runs =
            self.known.running && self.calls.is_empty() && self.second_calls.is_empty();
        self.stopping && (self.policy.keep_on_exit || nothing_runs)
    }

    /// Whether the daemon stops and takes its tunnels with it.
    fn ends_all(&self) -> bool {
        self.stopping && !self.policy.keep_on_exit
    }

    /// Whether the daemon knows its host: the kernel's links and the calls that already run.
    pub fn is_ready(&self) -> bool {
        self.known.links && self.known.running
    }

    /// The state of each node.
    pub fn states(&self) -> impl Iterator<Item = (NodeId, State)> + '_ {
        self.tunnels.iter().map(|(id, tunnel)| (*id, tunnel.phase.state()))
    }

    /// The state of one node.
    pub fn state(&self, id: NodeId) -> Option<State> {
        self.tunnels.get(&id).map(|tunnel| tunnel.phase.state())
    }

    /// Nodes whose row or shown state the last input has changed, or that it let go; some twice.
    pub fn take_moved(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.moved)
    }

    /// How many tunnels are up.
    pub fn up_count(&self) -> usize {
        self.up.len()
    }

    fn serve_deadlines(&mut self, turn: &mut Turn) {
        let due = self.timers.take_due(turn.at());
        let before: Vec<_> = due.iter().map(|&id| (id, self.server_of(id))).collect();
        for id in due {
            self.expire(id, turn);
        }
        self.follow_servers_of(before, turn);
        self.end_second_calls(turn);
        self.host.expire(turn.at());
        self.close_window(turn);
    }

    /// Once, when the first candidates have their places.
    fn tell_all_wanted(&mut self, turn: &mut Turn) {
        if self.known.enough() && !std::mem::replace(&mut self.known.told, true) {
            turn.way(Way::AllTold);
        }
    }

    fn stop(&mut self, turn: &mut Turn) {
        self.stopping = true;
        self.outage.stop();
        let ids: Vec<NodeId> = self.tunnels.keys().copied().collect();
        for id in ids {
            // The daemon may end before the cause is known, and whoever follows falls is to hear of it.
            self.tell_fall(id, turn);
            self.reconcile(id, turn);
        }
    }

    /// Brings the queue, the timers and the shown state in line with the node's phase.
    fn note(&mut self, id: NodeId, turn: &Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else {
            self.timers.set(id, None);
            self.pool.note(id, Need::Nothing);
            self.dialing.leave(id);
            self.moved.push(id);
            return;
        };
        let state = tunnel.phase.state();
        if state != tunnel.shown.0 {
            tunnel.shown = (state, turn.now);
            self.moved.push(id);
        }
        self.timers.set(id, tunnel.deadline());
        let is_stopped = self.stopped.contains(&id);
        self.pool.note(id, Need::of(tunnel, is_stopped, &self.policy.backoff));
        match (&tunnel.phase, &tunnel.want) {
            (Phase::Resting(Rest::Waiting), Want::Tunnel(node))
                if self.pool.holds(id) && !tunnel.is_away() =>
            {
                self.dialing.wait(id, tunnel.rank, node.server);
            }
            (
                Phase::Resting(_) | Phase::Calling(_) | Phase::Stopping(_),
                Want::Unknown | Want::Tunnel(_) | Want::Invalid(_) | Want::Nothing,
            ) => self.dialing.leave(id),
        }
    }
}
