//! What follows a call that ended though it was wanted: its failures are counted, and its node is dialled
//! again after a wait, or rests in quarantine.

use std::time::Duration;

use super::failure::{Failure, FailureKind};
use super::notice::Notice;
use super::policy::Policy;
use super::state::Rest;
use super::time::Monotonic;
use super::tunnel::Phase;
use super::{Core, Turn};
use crate::node::NodeId;

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
    told: Option<(Duration, Failure)>,
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

    /// A failure is told, with the wait after it at full length. Whether that says the same as the last time.
    fn repeats(&mut self, wait: Duration, failure: &Failure) -> bool {
        let now = Some((wait, failure.clone()));
        let repeats = self.told == now;
        self.told = now;
        repeats
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

impl Core {
    /// A call ended that was wanted: decides when the next one is due, if any.
    pub(super) fn failed(&mut self, id: NodeId, failure: Failure, began: u64, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.retries.last = Some(failure.clone());
        let held = self.stopping || self.stopped.contains(&id);
        let Some(node) = tunnel.want.node().filter(|_| !held) else { return };
        let curve = &self.policy.backoff;
        let dice = turn.now.dice ^ u64::from(id.0);
        if failure.kind.is_of_the_host() {
            if self.host.failed(&failure, began, curve, turn.at(), dice) {
                turn.tell(Notice::HostUnfit(failure));
            }
            return;
        }
        if failure.kind.is_past_the_host() {
            self.host.works(self.inputs);
        }
        if let Some(answered) = failure.kind.answered() {
            self.dialing.heard_of(node.server, answered);
        }
        let away = tunnel.is_away();
        let retries = &mut tunnel.retries;
        retries.failures = retries.failures.saturating_add(1);
        if retries.count_refusal(&failure, turn.at(), &self.policy) {
            let until = self.policy.rest_until(turn.at());
            let repeated = retries.repeats(Duration::MAX, &failure);
            let refusals = retries.refusals;
            tunnel.phase = Phase::Resting(Rest::Quarantined { until });
            turn.tell(Notice::Quarantined { node: id, failure, refusals, repeated });
            return;
        }
        let wait = curve.wait(retries.failures, dice);
        let repeated = retries.repeats(curve.full(retries.failures), &failure);
        let attempt = retries.attempts + 1;
        tunnel.phase = Phase::Resting(Rest::Backoff { until: turn.at() + wait });
        turn.tell(Notice::Retrying { node: id, wait, attempt, failure, repeated, away });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::core::State;
    use crate::core::event::Event;
    use crate::core::notice::Level;
    use crate::core::stage::{Stage, candidate};

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

    /// A node whose tunnel was up is refused so often, after its waits.
    fn refused_after_it_was_up(times: u32) -> Stage {
        let mut stage = Stage::in_state(State::Up);
        stage.end(stage.call, FailureKind::Hangup);
        for _ in 0..times {
            stage.wait_for_deadline();
            stage.end(stage.call, FailureKind::AuthRefused);
        }
        stage
    }

    #[test]
    fn a_login_that_has_worked_is_not_quarantined_while_a_server_may_hold_its_old_session() {
        assert_eq!(refused_after_it_was_up(4).state(), "backoff");
    }

    #[test]
    fn a_login_that_has_worked_and_is_refused_for_long_is_quarantined() {
        assert_eq!(refused_after_it_was_up(12).state(), "quarantined");
    }

    fn refuse_thrice(stage: &mut Stage) {
        stage.end(stage.call, FailureKind::AuthRefused);
        for _ in 0..2 {
            stage.wait_for_deadline();
            stage.end(stage.call, FailureKind::AuthRefused);
        }
    }

    #[test]
    fn a_password_that_is_changed_has_not_worked_yet() {
        let mut stage = Stage::in_state(State::Up);
        stage.desire(Some(candidate("another")));
        stage.end(stage.call, FailureKind::Killed);
        refuse_thrice(&mut stage);
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn a_tunnel_that_was_taken_over_has_not_shown_that_another_password_works() {
        let mut stage = Stage::adopting_before_the_rows(Some("old"));
        stage.link(true, true);
        stage.desire(Some(candidate("another")));
        stage.end(stage.call, FailureKind::Killed);
        refuse_thrice(&mut stage);
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn a_quarantined_node_is_dialled_once_after_its_rest_and_rests_again_when_refused() {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.wait(Duration::from_secs(3600));
        assert_eq!(stage.state(), "dialing");
        stage.end(stage.call, FailureKind::AuthRefused);
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn without_a_rest_a_quarantine_does_not_end_by_itself() {
        let mut stage = Stage::in_state(State::Dialing);
        stage.configure(|policy| policy.quarantine_rest = Duration::ZERO);
        for _ in 0..3 {
            stage.end(stage.call, FailureKind::AuthRefused);
            stage.wait_for_deadline();
        }
        stage.wait(Duration::from_secs(100_000));
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn a_dial_that_fails_by_its_files_says_nothing_good_of_the_host() {
        let mut stage = Stage::in_state(State::Dialing);
        let failure = Failure::new(FailureKind::NoPppSupport, "no PPP");
        stage.feed(Event::Ended { call: stage.call, failure });
        stage.wait(Duration::from_secs(60));
        let failure = Failure::new(FailureKind::Files, "can't write");
        stage.feed(Event::Ended { call: stage.call, failure });
        assert!(stage.core.report().host_fault.is_some(), "{:?}", stage.told);
    }

    #[test]
    fn a_failure_that_repeats_the_last_one_at_the_longest_wait_is_told_at_debug() {
        let mut stage = Stage::in_state(State::Dialing);
        let policy = Policy::from(&Config::default());
        let level = |stage: &mut Stage| {
            stage.wait_for_deadline();
            stage.exit(FailureKind::Hangup);
            stage.levels.last().copied()
        };
        let mut waits = 0;
        while policy.backoff.full(waits) < policy.backoff.max {
            assert_eq!(level(&mut stage), Some(Level::Info), "{:?}", stage.told);
            waits += 1;
        }
        level(&mut stage);
        assert_eq!(level(&mut stage), Some(Level::Debug), "{:?}", stage.told);
    }

    #[test]
    fn a_quarantine_that_is_repeated_is_told_at_debug() {
        let mut stage = Stage::in_state(State::Quarantined);
        assert_eq!(stage.levels.last(), Some(&Level::Error), "{:?}", stage.told);
        stage.wait_for_deadline();
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.levels.last(), Some(&Level::Debug), "{:?}", stage.told);
    }
}
