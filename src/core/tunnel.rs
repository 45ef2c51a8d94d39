//! One node's tunnel: what is wanted of it and where it stands.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::absence::Away;
use super::call::{Call, Fall, Run, Standing, Up};
use super::event::{CallId, IfIndex, InvalidRow};
use super::failure::{Failure, FailureKind};
use super::policy::Policy;
use super::state::{Rest, State, Wanted};
use super::stopping::{Stage, Stopping, Why};
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

/// Failures so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Retries {
    /// Dials since the tunnel was last stable.
    pub(super) attempts: u32,
    /// Failures since the tunnel was last stable.
    pub(super) failures: u32,
    /// Authentication refusals in a row.
    pub(super) refusals: u32,
    /// The first refusal since it was up.
    refused_since: Option<Monotonic>,
    /// It was up with this login at this server.
    has_worked: bool,
    pub(super) last: Option<Failure>,
    /// What the last notice of a failure said: the wait at full length, and the failure.
    pub(super) told: Option<(Duration, Failure)>,
}

impl Retries {
    /// Forgets failures; the last one stays to be seen.
    pub(super) fn reset(&mut self) {
        let has_worked = self.has_worked;
        *self = Retries { last: self.last.take(), has_worked, ..Retries::default() };
    }

    /// Forgets failures, and the last one too, but not since when its login is refused.
    pub(super) fn forget(&mut self) {
        let Retries { refused_since, has_worked, .. } = *self;
        *self = Retries { refused_since, has_worked, ..Retries::default() };
    }

    /// The tunnel is up: its login is right.
    pub(super) fn worked(&mut self) {
        (self.refusals, self.refused_since, self.has_worked) = (0, None, true);
    }

    /// A call has failed. Whether it was refused so often that only a quarantine is left: a login
    /// that has worked is given time, for a server may hold its old session for a while.
    pub(super) fn count_refusal(
        &mut self,
        failure: &Failure,
        at: Monotonic,
        policy: &Policy,
    ) -> bool {
        if failure.kind != FailureKind::AuthRefused {
            self.refusals = 0;
            return false;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.refused_since.get_or_insert(at);
        self.is_spent(at, policy)
    }

    /// Whether its login was refused so often that only a quarantine is left.
    pub(super) fn is_spent(&self, at: Monotonic, policy: &Policy) -> bool {
        let since = self.refused_since.unwrap_or(at);
        let is_long = !self.has_worked || at.since(since) >= policy.quarantine_grace;
        self.refusals >= policy.quarantine_after && is_long
    }

    /// What is to be known of its login when its row is back; `None` where that is nothing. Where it was
    /// not refused, the other failures say nothing of it.
    pub(super) fn of_the_login(&self) -> Option<Retries> {
        let Retries { refused_since, has_worked, .. } = *self;
        match self.refusals {
            0 if !has_worked => None,
            0 => Some(Retries { refused_since, has_worked, ..Retries::default() }),
            _ => Some(self.clone()),
        }
    }
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
    pub(super) fn stop(&mut self, why: Why, stage: Stage, until: Monotonic) {
        *self = match std::mem::replace(self, Phase::Resting(Rest::Waiting)) {
            Phase::Calling(call) => {
                Phase::Stopping(Box::new(Stopping::new(*call, why, stage, until)))
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
    use crate::config::Config;
    use crate::core::State;
    use crate::core::stage::{NODE, Stage};

    const GRACE: Duration = Duration::from_secs(60);
    const FIRST: Monotonic = Monotonic(1000);

    /// Whether a refusal at this time is one too many.
    fn is_refused(retries: &mut Retries, at: Monotonic) -> bool {
        let mut policy = Policy::from(&Config::default());
        (policy.quarantine_after, policy.quarantine_grace) = (1, GRACE);
        retries.count_refusal(&Failure::new(FailureKind::AuthRefused, "refused"), at, &policy)
    }

    /// Those of a login that has worked, and was refused at [`FIRST`].
    fn refused_after_it_worked() -> Retries {
        let mut retries = Retries::default();
        retries.worked();
        assert!(!is_refused(&mut retries, FIRST));
        retries
    }

    #[test]
    fn a_login_that_has_worked_is_given_time_also_after_its_failures_are_forgotten() {
        let mut retries = Retries::default();
        retries.worked();
        retries.forget();
        assert!(!is_refused(&mut retries, FIRST));
    }

    #[test]
    fn its_time_begins_with_the_first_refusal_also_where_that_is_forgotten() {
        let mut retries = refused_after_it_worked();
        retries.forget();
        assert!(is_refused(&mut retries, FIRST + GRACE));
    }

    #[test]
    fn the_last_failure_is_still_seen_when_the_tunnel_is_stable() {
        let last = Some(Failure::new(FailureKind::Unreachable, "no answer"));
        let mut retries = Retries { last: last.clone(), ..Retries::default() };
        retries.reset();
        assert_eq!(retries.last, last);
    }

    #[test]
    fn failures_that_are_forgotten_are_neither_counted_nor_seen() {
        let last = Some(Failure::new(FailureKind::Unreachable, "no answer"));
        let mut retries = Retries { attempts: 3, failures: 2, last, ..Retries::default() };
        retries.forget();
        assert_eq!((retries.attempts, retries.failures, retries.last), (0, 0, None));
    }

    #[test]
    fn a_login_that_is_stable_again_has_its_time_anew() {
        let mut retries = refused_after_it_worked();
        retries.reset();
        assert!(!is_refused(&mut retries, FIRST + GRACE));
    }

    #[test]
    fn a_login_that_has_never_worked_is_given_none() {
        assert!(is_refused(&mut Retries::default(), FIRST));
    }

    #[test]
    fn a_call_is_found_by_its_own_id_alone() {
        let mut stage = Stage::in_state(State::Up);
        let own = stage.call;
        let tunnel = stage.core.tunnels.get_mut(&NODE).unwrap();
        assert!(tunnel.calling(own).is_some());
        assert!(tunnel.calling(CallId::Found(77)).is_none());
    }
}
