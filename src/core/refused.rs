//! Whether servers have taken or refused a login, remembered while nobody wants it. A row that goes and comes back
//! is no reason to try a refused login three times more: its account may be locked by that.

use std::collections::BTreeMap;

use super::failure::FailureKind;
use super::notice::Notice;
use super::retries::Retries;
use super::state::Rest;
use super::time::Monotonic;
use super::tunnel::{Phase, Want};
use super::{Core, Turn};
use crate::node::{Fingerprint, Node, NodeId};

/// As many are remembered, so that a table whose ids change for ever fills no memory.
const MOST: usize = 10_000;

/// Of nodes that have no row now, or one that can't be dialled.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused(BTreeMap<NodeId, Login>);

/// What is known of a login.
#[derive(Clone, Debug)]
struct Login {
    which: Fingerprint,
    retries: Retries,
    /// How its node waited for the next dial.
    rest: Rest,
}

impl Refused {
    /// The operator wants it forgotten.
    pub(super) fn forget(&mut self, id: NodeId) {
        self.0.remove(&id);
    }

    /// Whether the node's login was refused when it had a row last.
    pub(super) fn has(&self, id: NodeId) -> bool {
        self.0.get(&id).is_some_and(|login| login.retries.refusals > 0)
    }

    /// Quarantined nodes rest until then.
    pub(super) fn rest_until(&mut self, until: Option<Monotonic>) {
        for login in self.0.values_mut() {
            login.rest = login.rest.rest_until(until);
        }
    }

    fn remember(&mut self, id: NodeId, login: Login) {
        if self.0.len() >= MOST {
            let least = self.0.iter().find(|(_, login)| login.retries.refusals == 0);
            let least = least.or(self.0.first_key_value()).map(|(id, _)| *id);
            least.map(|id| self.0.remove(&id));
        }
        self.0.insert(id, login);
    }
}

impl Core {
    /// A node's row is gone, or can't be dialled any more.
    pub(super) fn remember_refusals(&mut self, id: NodeId, row: &Node, turn: &Turn) {
        self.refused.forget(id);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let mut retries = tunnel.retries.clone();
        let recalled = match &mut tunnel.phase {
            Phase::Resting(_) | Phase::Calling(_) => None,
            Phase::Stopping(stopping) => stopping.take_rest(),
        };
        // A refusal that ends a call which goes on is heard of before its end, and counted once.
        let said = tunnel.run().filter(|_| recalled.is_none()).and_then(|run| run.said.best());
        let is_spent = match said {
            Some(failure) if failure.kind == FailureKind::AuthRefused => {
                retries.count_refusal(failure, turn.at(), &self.policy)
            }
            Some(_) | None => retries.is_spent(turn.at(), &self.policy),
        };
        let rest = match (&tunnel.phase, recalled) {
            (Phase::Resting(rest), _) => *rest,
            (Phase::Calling(_) | Phase::Stopping(_), Some(rest)) => rest,
            (Phase::Calling(_) | Phase::Stopping(_), None) if is_spent => {
                Rest::Quarantined { until: self.policy.rest_until(turn.at()) }
            }
            (Phase::Calling(_) | Phase::Stopping(_), None) => Rest::Waiting,
        };
        if let Some(retries) = retries.of_the_login() {
            let rest = if retries.refusals > 0 { rest } else { Rest::Waiting };
            self.refused.remember(id, Login { which: row.fingerprint(), retries, rest });
        }
    }

    /// A node has a row again: if it logs in as before, its refusals count and its wait goes on, once no call of
    /// it does.
    pub(super) fn recall_refusals(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(Login { which, retries, rest }) = self.refused.0.remove(&id) else { return };
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if !matches!(&tunnel.want, Want::Tunnel(row) if row.fingerprint() == which) {
            return;
        }
        tunnel.retries = retries;
        match &mut tunnel.phase {
            Phase::Resting(_) => self.rest_on(id, rest, turn),
            Phase::Calling(_) => {}
            Phase::Stopping(stopping) => stopping.rest_then(rest),
        }
    }

    /// No call of the node goes on: it rests as it did when its row went.
    pub(super) fn rest_on(&mut self, id: NodeId, rest: Rest, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Phase::Resting(now) = &mut tunnel.phase else { return };
        *now = rest.expire(turn.at());
        let (refusals, last) = (tunnel.retries.refusals, tunnel.retries.last.clone());
        let is_held = self.stopping || self.stopped.contains(&id);
        if let (Rest::Quarantined { .. }, Some(failure), false) = (*now, last, is_held) {
            turn.tell(Notice::Quarantined { node: id, failure, refusals, repeated: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::State;
    use crate::core::event::Ask;
    use crate::core::failure::Failure;
    use crate::core::stage::{GRACE, Stage, candidate, invalid, node};

    /// The row goes for longer than it may be away, and comes back with this password.
    fn back_with(stage: &mut Stage, password: &str) {
        stage.desire(None);
        stage.wait(GRACE);
        assert_eq!(stage.state(), "forgotten");
        stage.told.clear();
        stage.desire(Some(candidate(password)));
    }

    /// Its call has heard a refusal and goes on; a row that goes is gone at once.
    fn refused(mut stage: Stage) -> Stage {
        stage.say(Failure::new(FailureKind::AuthRefused, "refused"), false);
        stage.configure(|policy| policy.absence_grace = Duration::ZERO);
        stage
    }

    fn refused_after_its_rest() -> Stage {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.wait_for_deadline();
        refused(stage)
    }

    #[test]
    fn a_quarantine_outlasts_the_absence_of_its_row_and_is_told_again() {
        let mut stage = Stage::in_state(State::Quarantined);
        back_with(&mut stage, "secret");
        assert_eq!(stage.state(), "quarantined");
        assert!(stage.was_told("3 times in a row"), "{:?}", stage.told);
    }

    #[test]
    fn a_quarantine_that_would_have_ended_meanwhile_allows_one_dial() {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.desire(None);
        stage.wait(Duration::from_secs(3600));
        stage.desire(Some(candidate("secret")));
        assert_eq!(stage.state(), "dialing");
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn a_quarantine_outlasts_a_row_that_could_not_be_dialled() {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.desire(Some(invalid()));
        stage.wait(GRACE);
        assert_eq!(stage.state(), "invalid");
        stage.desire(Some(candidate("secret")));
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn refusals_before_an_absence_count_and_their_wait_goes_on() {
        let mut stage = Stage::in_state(State::Dialing);
        stage.exit(FailureKind::AuthRefused);
        stage.wait_for_deadline();
        stage.exit(FailureKind::AuthRefused);
        stage.configure(|policy| policy.absence_grace = Duration::ZERO);
        stage.desire(None);
        stage.desire(Some(candidate("secret")));
        assert_eq!(stage.state(), "backoff");
        stage.wait_for_deadline();
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn another_login_is_tried_at_once() {
        let mut stage = Stage::in_state(State::Quarantined);
        back_with(&mut stage, "another");
        assert_eq!((stage.state().as_str(), stage.attempts()), ("dialing", 1));
    }

    #[test]
    fn failures_that_say_nothing_of_a_login_are_forgotten_with_its_row() {
        let mut stage = Stage::in_state(State::Backoff);
        back_with(&mut stage, "secret");
        assert_eq!((stage.state().as_str(), stage.attempts()), ("dialing", 1));
    }

    #[test]
    fn a_refusal_that_is_heard_while_the_row_goes_counts() {
        let mut stage = refused_after_its_rest();
        stage.desire(None);
        stage.exit(FailureKind::AuthRefused);
        stage.desire(Some(candidate("secret")));
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn a_quarantine_outlasts_a_row_that_is_back_before_the_refused_call_has_ended() {
        let mut stage = refused_after_its_rest();
        stage.desire(None);
        stage.desire(Some(candidate("secret")));
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.state(), "quarantined");
    }

    #[test]
    fn a_refusal_counts_once_however_often_its_row_goes_and_comes_before_its_call_has_ended() {
        let mut stage = refused(Stage::in_state(State::Dialing));
        for _ in 0..3 {
            stage.desire(None);
            stage.desire(Some(candidate("secret")));
        }
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.state(), "dialing");
    }

    #[test]
    fn a_quarantine_whose_row_went_again_before_its_call_has_ended_is_not_told() {
        let mut stage = refused_after_its_rest();
        stage.desire(None);
        stage.desire(Some(candidate("secret")));
        stage.desire(None);
        stage.told.clear();
        stage.exit(FailureKind::AuthRefused);
        assert_eq!((stage.state().as_str(), stage.was_told("quarantined")), ("forgotten", false));
    }

    #[test]
    fn a_retry_before_the_refused_call_has_ended_forgets_what_its_row_had_before_it_went() {
        let mut stage = refused_after_its_rest();
        stage.desire(None);
        stage.desire(Some(candidate("secret")));
        stage.ask(Ask::Retry);
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.state(), "dialing");
    }

    #[test]
    fn a_login_that_has_worked_is_given_time_also_when_its_row_was_away() {
        let mut stage = Stage::in_state(State::Up);
        stage.desire(None);
        stage.wait(GRACE);
        stage.exit(FailureKind::Killed);
        stage.desire(Some(candidate("secret")));
        for _ in 0..3 {
            stage.exit(FailureKind::AuthRefused);
            assert_eq!(stage.state(), "backoff");
            stage.wait_for_deadline();
        }
    }

    #[test]
    fn a_new_rest_holds_for_a_quarantine_whose_row_is_away() {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.configure(|policy| policy.quarantine_rest = Duration::ZERO);
        stage.desire(None);
        stage.wait(GRACE);
        stage.configure(|_| {});
        stage.desire(Some(candidate("secret")));
        assert_eq!(stage.state(), "quarantined");
        stage.wait_for_deadline();
        assert_eq!(stage.state(), "dialing");
    }

    #[test]
    fn as_many_logins_are_remembered_as_there_is_room_for_and_refused_ones_first() {
        let login = |refusals| {
            let mut retries = Retries::default();
            retries.refusals = refusals;
            Login { which: node("secret").fingerprint(), retries, rest: Rest::Waiting }
        };
        let mut refused = Refused::default();
        refused.remember(NodeId(1), login(1));
        refused.remember(NodeId(2), login(0));
        for id in 3..=u32::try_from(MOST).unwrap() + 1 {
            refused.remember(NodeId(id), login(1));
        }
        assert_eq!((refused.0.len(), refused.has(NodeId(1))), (MOST, true));
        assert!(!refused.0.contains_key(&NodeId(2)));
    }

    #[test]
    fn a_retry_forgets_what_was_remembered() {
        let mut stage = Stage::in_state(State::Quarantined);
        back_with(&mut stage, "secret");
        stage.ask(Ask::Retry);
        assert_eq!(stage.state(), "dialing");
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.state(), "backoff");
    }
}
