//! One node's tunnel: what is wanted of it and where it stands.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{CallId, Dialled, IfIndex, InvalidRow, Pid};
use super::failure::{Explanation, Failure};
use super::links::Addresses;
use super::notice::HangUp;
use super::time::{Monotonic, Wall};
use crate::node::{Mppe, Node};

/// The states that the world sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Wants a dial slot.
    Waiting,
    /// A call runs, no link yet.
    Dialing,
    /// The link is there, no address yet.
    Negotiating,
    /// The kernel says so.
    Up,
    /// A call is on its way out.
    Stopping,
    /// Waits before the next dial.
    Backoff,
    /// Refused too often; waits for a change, or for an hour where it has yielded its place.
    Quarantined,
    /// By the operator, until the operator starts it.
    Stopped,
    /// The row can't be dialled.
    Invalid,
}

impl State {
    /// Every state, in the order of a tunnel's life.
    pub const ALL: [State; 9] = [
        State::Waiting,
        State::Dialing,
        State::Negotiating,
        State::Up,
        State::Stopping,
        State::Backoff,
        State::Quarantined,
        State::Stopped,
        State::Invalid,
    ];

    /// Its name in the API and in tables.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Dialing => "dialing",
            State::Negotiating => "negotiating",
            State::Up => "up",
            State::Stopping => "stopping",
            State::Backoff => "backoff",
            State::Quarantined => "quarantined",
            State::Stopped => "stopped",
            State::Invalid => "invalid",
        }
    }
}

/// What the database wants of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Want {
    /// Nobody knows yet: found running before the database was read.
    Unknown,
    /// A tunnel.
    Tunnel(Arc<Node>),
    /// A tunnel, and the row can't be dialled.
    Invalid(Arc<InvalidRow>),
    /// Nothing any more.
    Nothing,
}

impl Want {
    /// The row, where a tunnel is wanted and can be dialled.
    pub(super) fn node(&self) -> Option<&Node> {
        match self {
            Want::Tunnel(node) => Some(node),
            Want::Unknown | Want::Invalid(_) | Want::Nothing => None,
        }
    }
}

/// One node's tunnel.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) want: Want,
    /// How much it is wanted: low goes first, and of one rank the lowest id.
    pub(super) rank: u32,
    pub(super) phase: Phase,
    /// The state last shown and when it began.
    pub(super) shown: (State, Wall),
    pub(super) retries: Retries,
    /// The target that was last seen to answer through one of its calls.
    pub(super) carried: Option<String>,
}

/// Failures so far.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// Dials since the tunnel was last stable.
    pub(super) attempts: u32,
    /// Failures since the tunnel was last stable.
    pub(super) failures: u32,
    /// Authentication refusals in a row.
    pub(super) refusals: u32,
    pub(super) last: Option<Failure>,
    /// What the last notice of a failure said: the wait at full length, and the failure.
    pub(super) told: Option<(Duration, Failure)>,
}

impl Retries {
    /// Forgets failures; the last one stays to be seen.
    pub(super) fn reset(&mut self) {
        *self = Retries { last: self.last.take(), ..Retries::default() };
    }
}

/// Where a tunnel stands. Every phase leaves by an event or by its deadline.
#[derive(Debug)]
pub(super) enum Phase {
    Waiting,
    Calling(Call),
    Stopping {
        call: Call,
        why: Why,
        stage: Stage,
        until: Monotonic,
    },
    Backoff {
        until: Monotonic,
    },
    /// `until` is set once it has yielded its place.
    Quarantined {
        until: Option<Monotonic>,
    },
    Stopped,
    Invalid,
}

/// Why a call is on its way out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Why {
    /// By itself; it will tell why.
    Itself,
    /// The daemon gave it up.
    GivenUp(Failure),
    /// The daemon no longer wants it.
    Unwanted(HangUp),
}

/// How far the stopping has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It ends by itself.
    Leaving,
    /// It was hung up.
    HungUp,
    /// It was to be ended at once.
    Ended,
}

/// A call to the node's server.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    /// Its process, where it has one.
    pub(super) pid: Option<Pid>,
    /// Its dial is under way, or was, and nothing is waited for before it.
    pub(super) is_started: bool,
    /// Whom an adopted call was made to, where that is known.
    pub(super) dialled: Option<Dialled>,
    pub(super) standing: Standing,
    /// It had a link when it was found.
    pub(super) had_link: bool,
    /// Number of the input that began it: older links aren't its own.
    pub(super) began: u64,
    /// Number of the input by which its link should have been seen, and was not: later ones aren't
    /// its own.
    pub(super) missed: Option<u64>,
    /// Give up then, or tell that it is not started yet; `None` once that is told, and while
    /// up.
    pub(super) deadline: Option<Monotonic>,
    /// Judge a half-set or vanished address then.
    pub(super) settle: Option<Monotonic>,
    /// Since when, while up.
    pub(super) up_since: Option<Monotonic>,
    /// Its link's name, as last seen.
    pub(super) interface: Option<String>,
    /// Whether it was up at some time.
    pub(super) was_up: bool,
    /// Whether people were told that its probes are lost.
    pub(super) silence_told: bool,
    /// A fall that nobody was told of yet.
    pub(super) untold: Option<Fall>,
    pub(super) said: Explanation,
}

/// What the kernel shows of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    NoLink,
    Link(IfIndex),
    Up(IfIndex, Addresses),
}

/// A tunnel was up and fell; its cause is given a moment to become known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fall {
    pub(super) index: IfIndex,
    pub(super) interface: String,
    pub(super) tell_by: Monotonic,
}

impl Call {
    pub(super) fn new(id: CallId, began: u64, deadline: Monotonic) -> Self {
        Call {
            id,
            pid: None,
            is_started: false,
            dialled: None,
            standing: Standing::NoLink,
            had_link: false,
            began,
            missed: None,
            deadline: Some(deadline),
            settle: None,
            up_since: None,
            interface: None,
            was_up: false,
            untold: None,
            silence_told: false,
            said: Explanation::default(),
        }
    }

    pub(super) fn is_adopted(&self) -> bool {
        matches!(self.id, CallId::Found(_))
    }

    /// Whether it is not started yet, as far as is known.
    pub(super) fn is_unstarted(&self) -> bool {
        !self.is_started && !self.was_up
    }

    /// Whether it was adopted and goes elsewhere than the row says by now.
    pub(super) fn is_for_another(&self, node: &Node, mppe: Mppe) -> bool {
        self.dialled.as_ref().is_some_and(|dialled| !dialled.is_for(node, mppe))
    }

    /// Whether it is a tunnel, as far as is known, whose link is not to be found.
    pub(super) fn is_out_of_sight(&self) -> bool {
        self.had_link && self.standing == Standing::NoLink
    }

    /// The inputs that may have shown its link first. One of an adopted call is older than the call.
    pub(super) fn link_seen(&self) -> RangeInclusive<u64> {
        let first = if self.is_adopted() { 0 } else { self.began + 1 };
        first..=self.missed.unwrap_or(u64::MAX)
    }

    pub(super) fn link(&self) -> Option<IfIndex> {
        match self.standing {
            Standing::NoLink => None,
            Standing::Link(index) | Standing::Up(index, _) => Some(index),
        }
    }

    fn tell_by(&self) -> Option<Monotonic> {
        self.untold.as_ref().map(|fall| fall.tell_by)
    }
}

impl Tunnel {
    pub(super) fn new(want: Want, rank: u32, phase: Phase, wall: Wall) -> Self {
        let state = phase.state();
        let shown = (state, wall);
        Tunnel { want, rank, phase, shown, retries: Retries::default(), carried: None }
    }

    /// The call that goes on, in whatever phase.
    pub(super) fn call(&self) -> Option<&Call> {
        match &self.phase {
            Phase::Calling(call) | Phase::Stopping { call, .. } => Some(call),
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Quarantined { .. }
            | Phase::Stopped
            | Phase::Invalid => None,
        }
    }

    pub(super) fn call_mut(&mut self) -> Option<&mut Call> {
        self.phase.call_mut()
    }

    /// When this tunnel must be looked at without an event.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match &self.phase {
            Phase::Waiting | Phase::Stopped | Phase::Invalid => None,
            Phase::Backoff { until } => Some(*until),
            Phase::Quarantined { until } => *until,
            Phase::Calling(call) => {
                [call.deadline, call.settle, call.tell_by()].into_iter().flatten().min()
            }
            Phase::Stopping { call, until, .. } => {
                Some(call.tell_by().map_or(*until, |tell_by| tell_by.min(*until)))
            }
        }
    }
}

impl Phase {
    pub(super) fn call_mut(&mut self) -> Option<&mut Call> {
        match self {
            Phase::Calling(call) | Phase::Stopping { call, .. } => Some(call),
            Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Quarantined { .. }
            | Phase::Stopped
            | Phase::Invalid => None,
        }
    }

    /// A calling phase becomes a stopping one; others stay as they are.
    pub(super) fn stop(&mut self, why: Why, stage: Stage, until: Monotonic) {
        *self = match std::mem::replace(self, Phase::Waiting) {
            Phase::Calling(call) => Phase::Stopping { call, why, stage, until },
            other @ (Phase::Waiting
            | Phase::Stopping { .. }
            | Phase::Backoff { .. }
            | Phase::Quarantined { .. }
            | Phase::Stopped
            | Phase::Invalid) => other,
        };
    }

    /// Whether the daemon has hung it up.
    pub(super) fn is_ended_by_us(&self) -> bool {
        match self {
            Phase::Stopping { stage: Stage::HungUp | Stage::Ended, .. } => true,
            Phase::Stopping { stage: Stage::Leaving, .. }
            | Phase::Waiting
            | Phase::Calling(_)
            | Phase::Backoff { .. }
            | Phase::Quarantined { .. }
            | Phase::Stopped
            | Phase::Invalid => false,
        }
    }

    pub(super) fn state(&self) -> State {
        match self {
            Phase::Waiting => State::Waiting,
            Phase::Calling(call) => match call.standing {
                Standing::NoLink => State::Dialing,
                Standing::Link(_) => State::Negotiating,
                Standing::Up(..) => State::Up,
            },
            Phase::Stopping { .. } => State::Stopping,
            Phase::Backoff { .. } => State::Backoff,
            Phase::Quarantined { .. } => State::Quarantined,
            Phase::Stopped => State::Stopped,
            Phase::Invalid => State::Invalid,
        }
    }
}
