//! One node's tunnel: what is wanted of it and where it stands.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::absence::Away;
use super::call::{Call, Fall, Run, Standing, Up};
use super::event::{CallId, IfIndex, InvalidRow};
use super::retries::Retries;
use super::state::{Rest, State, Wanted};
use super::stopping::{Step, Stopping, Why};
use super::time::{Monotonic, Now};
use crate::node::Node;

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
    /// What is wanted of the node once it has no call; `None` is nothing any more.
    pub(super) fn at_rest(&self, is_stopped: bool) -> Option<Wanted> {
        match self {
            Want::Tunnel(_) if is_stopped => Some(Wanted::Stopped),
            Want::Tunnel(_) => Some(Wanted::Tunnel),
            Want::Invalid(_) => Some(Wanted::Invalid),
            Want::Unknown | Want::Nothing => None,
        }
    }

    /// Whether a tunnel is wanted that could be dialled.
    pub(super) fn is_wanted(&self) -> bool {
        match self {
            Want::Tunnel(_) => true,
            Want::Unknown | Want::Invalid(_) | Want::Nothing => false,
        }
    }

    /// The row, where a tunnel is wanted and can be dialled.
    pub(super) fn node(&self) -> Option<&Node> {
        match self {
            Want::Tunnel(node) => Some(node),
            Want::Unknown | Want::Invalid(_) | Want::Nothing => None,
        }
    }
}

/// One node's tunnel.
#[derive(Clone, Debug)]
pub(super) struct Tunnel {
    pub(super) want: Want,
    /// How much it is wanted: low goes first, and of one rank the lowest id.
    pub(super) rank: u32,
    pub(super) phase: Phase,
    /// The state last shown and when it began.
    pub(super) shown: (State, Now),
    pub(super) retries: Retries,
    /// The target that was last seen to answer through one of its calls.
    pub(super) carried: Option<String>,
    /// Its row is away, which it may be for a while.
    pub(super) away: Option<Away>,
}

/// Where a tunnel stands. Each of these says in one place what it does on each event.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// No call of it goes on.
    Resting(Rest),
    Calling(Box<Call>),
    Stopping(Box<Stopping>),
}

impl Tunnel {
    pub(super) fn new(want: Want, rank: u32, now: Now) -> Self {
        let phase = Phase::Resting(Rest::Waiting);
        let shown = (phase.state(), now);
        Tunnel { want, rank, phase, shown, retries: Retries::default(), carried: None, away: None }
    }

    /// The call that goes on.
    pub(super) fn run(&self) -> Option<&Run> {
        match &self.phase {
            Phase::Resting(_) => None,
            Phase::Calling(call) => Some(&call.run),
            Phase::Stopping(stopping) => Some(&stopping.run),
        }
    }

    pub(super) fn run_mut(&mut self) -> Option<&mut Run> {
        match &mut self.phase {
            Phase::Resting(_) => None,
            Phase::Calling(call) => Some(&mut call.run),
            Phase::Stopping(stopping) => Some(&mut stopping.run),
        }
    }

    /// When it must be looked at without an event.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        [self.phase.deadline(), self.leaves_at()].into_iter().flatten().min()
    }

    /// The link of its call: index and name.
    pub(super) fn link(&self) -> Option<(IfIndex, &str)> {
        match &self.phase {
            Phase::Resting(_) => None,
            Phase::Calling(call) => call.link(),
            Phase::Stopping(stopping) => {
                stopping.link.as_ref().map(|(index, name)| (*index, name.as_str()))
            }
        }
    }

    /// The inputs that may have shown its call's link first, while the call has none.
    pub(super) fn sought(&self) -> Option<RangeInclusive<u64>> {
        match &self.phase {
            Phase::Resting(_) => None,
            Phase::Calling(call) => call.sought(),
            Phase::Stopping(stopping) => stopping.sought(),
        }
    }

    pub(super) fn up(&self) -> Option<&Up> {
        match &self.phase {
            Phase::Resting(_) | Phase::Stopping(_) => None,
            Phase::Calling(call) => call.up(),
        }
    }

    /// It runs, and which link is its own is not known.
    pub(super) fn is_out_of_sight(&self) -> bool {
        match &self.phase {
            Phase::Resting(_) | Phase::Stopping(_) => false,
            Phase::Calling(call) => call.is_out_of_sight(),
        }
    }

    /// The call that is dialled or holds a tunnel, if it is this one.
    pub(super) fn calling(&mut self, id: CallId) -> Option<&mut Call> {
        match &mut self.phase {
            Phase::Calling(call) if call.run.id == id => Some(call),
            Phase::Calling(_) | Phase::Resting(_) | Phase::Stopping(_) => None,
        }
    }

    /// A fall that nobody was told of yet.
    pub(super) fn untold(&self) -> Option<&Fall> {
        match &self.phase {
            Phase::Resting(_) => None,
            Phase::Calling(call) => match &call.standing {
                Standing::Link(link) => link.past.untold(),
                Standing::Ordered { .. } | Standing::NoLink { .. } | Standing::Up(_) => None,
            },
            Phase::Stopping(stopping) => stopping.untold.as_ref(),
        }
    }

    pub(super) fn take_untold(&mut self) -> Option<Fall> {
        match &mut self.phase {
            Phase::Resting(_) => None,
            Phase::Calling(call) => match &mut call.standing {
                Standing::Link(link) => link.past.take_untold(),
                Standing::Ordered { .. } | Standing::NoLink { .. } | Standing::Up(_) => None,
            },
            Phase::Stopping(stopping) => stopping.untold.take(),
        }
    }
}

impl Phase {
    /// A call is on its way out; other phases stay as they are.
    pub(super) fn stop(&mut self, why: Why, step: Step, until: Monotonic) {
        *self = match std::mem::replace(self, Phase::Resting(Rest::Waiting)) {
            Phase::Calling(call) => {
                Phase::Stopping(Box::new(Stopping::new(*call, why, step, until)))
            }
            other @ (Phase::Resting(_) | Phase::Stopping(_)) => other,
        };
    }

    /// When it must be looked at without an event.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match self {
            Phase::Resting(rest) => rest.until(),
            Phase::Calling(call) => call.deadline(),
            Phase::Stopping(stopping) => Some(stopping.deadline()),
        }
    }

    pub(super) fn state(&self) -> State {
        match self {
            Phase::Resting(rest) => rest.state(),
            Phase::Calling(call) => call.state(),
            Phase::Stopping(_) => State::Stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::State;
    use crate::core::stage::{NODE, Stage};

    #[test]
    fn a_call_is_found_by_its_own_id_alone() {
        let mut stage = Stage::in_state(State::Up);
        let own = stage.call;
        let tunnel = stage.core.tunnels.get_mut(&NODE).unwrap();
        assert!(tunnel.calling(own).is_some());
        assert!(tunnel.calling(CallId::Found(77)).is_none());
    }
}
