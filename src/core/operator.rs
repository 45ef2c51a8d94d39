//! What the operator asks of a node: start, stop, retry.

use super::effect::Effect;
use super::event::Ask;
use super::notice::Notice;
use super::tunnel::{Phase, Want};
use super::{Core, Turn};
use crate::node::NodeId;

use std::collections::BTreeSet;

impl Core {
    /// Whether there is something to ask of this node.
    pub fn knows(&self, id: NodeId) -> bool {
        self.tunnels.contains_key(&id) || self.stopped.contains(&id) || self.pool.lets_wait(id)
    }

    /// Whether the operator has stopped this node.
    pub fn has_stopped(&self, id: NodeId) -> bool {
        self.stopped.contains(&id)
    }

    /// An earlier daemon left these nodes stopped.
    pub(super) fn stopped_before(&mut self, stopped: BTreeSet<NodeId>, turn: &mut Turn) {
        self.stopped = stopped;
        let ids: Vec<NodeId> = self.tunnels.keys().copied().collect();
        for id in ids {
            self.reconcile(id, turn);
        }
    }

    /// Whether asking this of the node would change anything.
    pub fn would_change(&self, id: NodeId, ask: Ask) -> bool {
        match ask {
            Ask::Stop => !self.stopped.contains(&id),
            Ask::Start => self.stopped.contains(&id) || self.can_retry(id),
            Ask::Retry => self.can_retry(id),
        }
    }

    /// Whether there is a wait to cut short, or a failure to forget.
    fn can_retry(&self, id: NodeId) -> bool {
        // One that waits for a place may have a refused login.
        let Some(tunnel) = self.tunnels.get(&id) else { return self.refused.has(id) };
        let has_failed = tunnel.retries.failures > 0 || self.host.fault().is_some();
        match &tunnel.phase {
            Phase::Resting(rest) => !self.stopped.contains(&id) && rest.can_retry(has_failed),
            Phase::Calling(call) => call.up().is_none() && has_failed,
            Phase::Stopping(stopping) => stopping.can_retry(has_failed),
        }
    }

    pub(super) fn asked(&mut self, id: NodeId, ask: Ask, turn: &mut Turn) {
        if !self.knows(id) {
            return;
        }
        if self.would_change(id, ask) {
            // Its row may wait for a place while a pppd of an earlier row leaves.
            if let Some((node, rank)) = self.pool.take_row(id) {
                self.want(id, Want::Tunnel(node), rank, turn);
            }
            self.change(id, ask, turn);
        }
        self.reconcile(id, turn);
    }

    fn change(&mut self, id: NodeId, ask: Ask, turn: &mut Turn) {
        let differs = match ask {
            Ask::Start => self.stopped.remove(&id),
            Ask::Stop => self.stopped.insert(id),
            Ask::Retry => false,
        };
        turn.tell(Notice::Asked { node: id, ask });
        if differs {
            turn.effects.push(Effect::KeepStopped(self.stopped.clone()));
        }
        match ask {
            Ask::Start | Ask::Retry => {
                self.refused.forget(id);
                self.forget_failures(id);
            }
            Ask::Stop => {}
        }
    }

    /// What failed before counts no more, and is not waited for.
    fn forget_failures(&mut self, id: NodeId) {
        self.host.changed();
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.retries.forget();
        match &mut tunnel.phase {
            Phase::Resting(rest) => *rest = rest.retry(),
            Phase::Calling(_) => {}
            Phase::Stopping(stopping) => stopping.retry(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::State;
    use crate::core::failure::FailureKind;
    use crate::core::stage::{NODE, Stage, candidate};

    #[test]
    fn what_changes_nothing_is_not_told_and_costs_no_tries() {
        let mut stage = Stage::in_state(State::Up);
        stage.told.clear();
        stage.ask(Ask::Retry);
        stage.ask(Ask::Start);
        assert_eq!((stage.told.len(), stage.attempts()), (0, 1), "{:?}", stage.told);
    }

    #[test]
    fn a_second_stop_is_not_told() {
        let mut stage = Stage::in_state(State::Stopped);
        stage.told.clear();
        stage.ask(Ask::Stop);
        assert!(stage.told.is_empty(), "{:?}", stage.told);
    }

    #[test]
    fn a_node_stopped_while_its_row_waits_for_a_place_and_its_pppd_leaves_is_shown_as_stopped() {
        let mut stage = Stage::in_state(State::Up);
        stage.prefer_rival(None);
        stage.prefer_rival(Some(candidate("secret")));
        stage.ask(Ask::Stop);
        stage.exit(FailureKind::Killed);
        assert_eq!(stage.state(), "stopped", "{:?}", stage.told);
    }

    #[test]
    fn what_cuts_a_wait_short_is_told() {
        let mut stage = Stage::in_state(State::Backoff);
        stage.ask(Ask::Retry);
        assert!(stage.was_told("its failures are forgotten"), "{:?}", stage.told);
    }

    #[test]
    fn a_retry_would_change_what_waits_or_has_failed_and_is_not_stopped_or_up() {
        for (state, would) in [
            (State::Backoff, true),
            (State::Quarantined, true),
            (State::Waiting, false),
            (State::Dialing, false),
            (State::Up, false),
            (State::Stopped, false),
        ] {
            let core = Stage::in_state(state).core;
            assert_eq!(core.would_change(NODE, Ask::Retry), would, "{state:?}");
            assert_eq!(core.has_stopped(NODE), state == State::Stopped, "{state:?}");
        }
    }

    #[test]
    fn a_retry_would_change_a_dial_that_has_failed_before_and_nothing_once_it_is_up() {
        let mut stage = Stage::in_state(State::Backoff);
        stage.wait_for_deadline();
        assert_eq!(stage.state(), "dialing");
        assert!(stage.core.would_change(NODE, Ask::Retry));
        stage.link(true, true);
        assert!(!stage.core.would_change(NODE, Ask::Retry));
    }
}
