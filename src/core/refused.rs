//! Logins that servers have refused, remembered while nobody wants them. A row that goes and comes back
//! is no reason to try a refused login three times more: its account may be locked by that.

use std::collections::BTreeMap;

use super::notice::Notice;
use super::state::Rest;
use super::tunnel::{Phase, Retries, Want};
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
}

impl Core {
    /// A node's row is gone, or can't be dialled any more.
    pub(super) fn remember_refusals(&mut self, id: NodeId, row: &Node) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        if tunnel.retries.refusals == 0 {
            return;
        }
        let rest = match tunnel.phase {
            Phase::Resting(rest) => rest,
            Phase::Calling(_) | Phase::Stopping(_) => Rest::Waiting,
        };
        if self.refused.0.len() >= MOST {
            self.refused.0.pop_first();
        }
        let login = Login { which: row.fingerprint(), retries: tunnel.retries.clone(), rest };
        self.refused.0.insert(id, login);
    }

    /// A node has a row again: if it logs in as before, its refusals count and its wait goes on.
    pub(super) fn recall_refusals(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(Login { which, retries, rest }) = self.refused.0.remove(&id) else { return };
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if !matches!(&tunnel.want, Want::Tunnel(row) if row.fingerprint() == which) {
            return;
        }
        let (refusals, last) = (retries.refusals, retries.last.clone());
        tunnel.retries = retries;
        let Phase::Resting(now) = &mut tunnel.phase else { return };
        *now = rest.expire(turn.at());
        if let (Rest::Quarantined { .. }, Some(failure)) = (*now, last) {
            turn.tell(Notice::Quarantined { node: id, failure, refusals, repeated: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::core::State;
    use crate::core::event::Ask;
    use crate::core::failure::FailureKind;
    use crate::core::stage::{GRACE, Stage, candidate, invalid};

    /// The row goes for longer than it may be away, and comes back with this password.
    fn back_with(stage: &mut Stage, password: &str) {
        stage.desire(None);
        stage.wait(GRACE);
        assert_eq!(stage.state(), "forgotten");
        stage.told.clear();
        stage.desire(Some(candidate(password)));
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
    fn a_retry_forgets_what_was_remembered() {
        let mut stage = Stage::in_state(State::Quarantined);
        back_with(&mut stage, "secret");
        stage.ask(Ask::Retry);
        assert_eq!(stage.state(), "dialing");
        stage.exit(FailureKind::AuthRefused);
        assert_eq!(stage.state(), "backoff");
    }
}
