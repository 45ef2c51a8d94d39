//! What became of each node that has or had a call: its last changes of state. It follows what the
//! core has moved, so what stands still costs nothing, and neither does a row that only waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::core::reason::Reason;
use crate::core::report::NodeReport;
use crate::core::time::{Monotonic, Now, Wall};
use crate::core::{Sort, State};
use crate::node::NodeId;

/// Changes kept of each node.
const LENGTH: usize = 32;
/// Nodes that the daemon let go whose history is kept.
const GONE: usize = 1024;

/// A change of a node's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) at: Wall,
    /// The same, to reckon with.
    pub(super) moment: Monotonic,
    /// `None`: the daemon let it go.
    pub(crate) state: Option<State>,
    pub(crate) interface: Option<Arc<str>>,
    /// Shared with other changes of the node where it is the same again.
    pub(crate) reason: Option<Arc<Reason>>,
}

/// The last changes of every node that has or had a call.
#[derive(Debug, Default)]
pub(super) struct History {
    nodes: BTreeMap<NodeId, VecDeque<Transition>>,
    /// Those that the daemon let go, the first of them first.
    gone: VecDeque<NodeId>,
}

impl History {
    /// What became of a node, the oldest first.
    pub(super) fn of(&self, id: NodeId) -> impl Iterator<Item = &Transition> {
        self.nodes.get(&id).into_iter().flatten()
    }

    /// The core has moved a node. The change of its state, where it is one that is kept.
    pub(super) fn follow(
        &mut self,
        id: NodeId,
        report: Option<&NodeReport>,
        now: Now,
    ) -> Option<&Transition> {
        let Some(report) = report else {
            self.let_go(id, now);
            return None;
        };
        let has_call = matches!(report.state.sort(), Sort::Calls | Sort::Up | Sort::Ends);
        if !has_call && !self.nodes.contains_key(&id) {
            return None;
        }
        let changes = self.nodes.entry(id).or_default();
        let last = changes.back();
        if last.is_some_and(|last| last.state == Some(report.state)) {
            return None;
        }
        let reason = report.reason.as_ref().map(|reason| {
            let known = changes
                .iter()
                .rev()
                .find_map(|change| change.reason.as_ref().filter(|known| ***known == *reason));
            known.cloned().unwrap_or_else(|| Arc::new(reason.clone()))
        });
        let interface = report.interface.as_deref().map(|name| {
            let known = changes
                .iter()
                .rev()
                .find_map(|change| change.interface.as_ref().filter(|known| ***known == *name));
            known.cloned().unwrap_or_else(|| name.into())
        });
        let (at, moment) = (now.wall, now.at);
        push(changes, Transition { at, moment, state: Some(report.state), interface, reason });
        changes.back()
    }

    /// How long ago the last dial of a node began.
    pub(super) fn dialled_for(&self, id: NodeId, now: Now) -> Option<Duration> {
        let changes = self.nodes.get(&id)?.iter().rev();
        let mut dials = changes.filter(|change| change.state == Some(State::Dialing));
        Some(now.at.since(dials.next()?.moment))
    }

    fn let_go(&mut self, id: NodeId, now: Now) {
        let Some(changes) = self.nodes.get_mut(&id) else { return };
        if changes.back().is_none_or(|last| last.state.is_none()) {
            return;
        }
        let (at, moment) = (now.wall, now.at);
        push(changes, Transition { at, moment, state: None, interface: None, reason: None });
        self.gone.push_back(id);
        if self.gone.len() > GONE {
            self.forget_the_first();
        }
    }

    /// One that has come back since is not gone.
    fn forget_the_first(&mut self) {
        let Some(first) = self.gone.pop_front() else { return };
        let is_gone =
            |changes: &VecDeque<Transition>| changes.back().is_none_or(|last| last.state.is_none());
        if self.nodes.get(&first).is_some_and(is_gone) && !self.gone.contains(&first) {
            self.nodes.remove(&first);
        }
    }
}

fn push(changes: &mut VecDeque<Transition>, change: Transition) {
    if changes.len() == LENGTH {
        changes.pop_front();
    }
    changes.push_back(change);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::failure::{Failure, FailureKind};
    use crate::core::report::Row;

    fn report(state: State, message: &str) -> NodeReport {
        let failure = Failure::new(FailureKind::Unreachable, message);
        NodeReport {
            leaves_at: None,
            id: NodeId(1),
            row: Row::Unknown,
            state,
            since: crate::core::time::Now::default(),
            engine: crate::node::Engine::Pppd,
            interface: None,
            index: None,
            local: None,
            remote: None,
            pid: None,
            adopted: false,
            attempts: 0,
            next_attempt: None,
            waits_for_place: false,
            last_failure: None,
            reason: Some(Reason::Failure(failure)),
            notes: Vec::new(),
        }
    }

    fn at(millis: u64) -> Now {
        Now { wall: Wall(millis), ..Now::default() }
    }

    fn states(history: &History, id: u32) -> Vec<Option<State>> {
        history.of(NodeId(id)).map(|change| change.state).collect()
    }

    #[test]
    fn a_row_that_only_waits_costs_nothing() {
        let mut history = History::default();
        for state in [State::Waiting, State::Invalid, State::Stopped] {
            history.follow(NodeId(1), Some(&report(state, "")), at(1));
        }
        history.follow(NodeId(1), None, at(2));
        assert!(history.nodes.is_empty() && history.gone.is_empty());
    }

    #[test]
    fn the_last_changes_are_kept_and_equal_reasons_are_kept_once() {
        let mut history = History::default();
        for millis in 0..100 {
            let state = if millis % 2 == 0 { State::Dialing } else { State::Backoff };
            history.follow(NodeId(1), Some(&report(state, "no route")), at(millis));
        }
        let changes: Vec<&Transition> = history.of(NodeId(1)).collect();
        assert_eq!((changes.len(), changes[0].at), (LENGTH, Wall(68)));
        let reasons: Vec<_> = changes.iter().filter_map(|change| change.reason.clone()).collect();
        assert!(reasons.iter().all(|reason| Arc::ptr_eq(reason, &reasons[0])));
    }

    #[test]
    fn a_state_that_stays_is_no_change() {
        let mut history = History::default();
        for _ in 0..2 {
            history.follow(NodeId(1), Some(&report(State::Up, "")), at(1));
        }
        assert_eq!(states(&history, 1), [Some(State::Up)]);
    }

    #[test]
    fn nodes_that_were_let_go_are_forgotten_in_turn_unless_they_came_back() {
        let mut history = History::default();
        history.follow(NodeId(0), Some(&report(State::Up, "")), at(0));
        history.follow(NodeId(0), None, at(1));
        history.follow(NodeId(0), Some(&report(State::Dialing, "")), at(2));
        let last = u32::try_from(GONE).unwrap() + 1;
        for id in 1..=last {
            history.follow(NodeId(id), Some(&report(State::Up, "")), at(3));
            history.follow(NodeId(id), None, at(4));
        }
        assert_eq!(states(&history, 0), [Some(State::Up), None, Some(State::Dialing)]);
        assert!(states(&history, 1).is_empty() && states(&history, last).len() == 2);
        assert!(history.nodes.len() <= GONE + 1);
    }
}
