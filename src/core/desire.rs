//! What the database wants, compared node by node with what was wanted before.

use std::collections::BTreeSet;

use super::effect::Order;
use super::event::{Candidate, InvalidRow, Ranked};
use super::notice::{HangUp, Notice};
use super::policy::Policy;
use super::tunnel::{Phase, Retries, Tunnel, Want, Why};
use super::{Core, Turn};
use crate::node::{Node, NodeId};

impl Core {
    /// The database was read. Only nodes whose row changed are touched.
    pub(super) fn desire(&mut self, candidates: Vec<Ranked>, places: u32, turn: &mut Turn) {
        self.pool.resize(places);
        let first = !self.known.database;
        if self.known.database_problem.take().is_some() || first {
            turn.tell(self.database_read(&candidates));
        }
        let (old, new) = differing(&self.desired, &candidates);
        let (old, new) = (old.to_vec(), new.to_vec());
        self.desired = candidates;
        self.part_with(&old, &new, turn);
        for Ranked { rank, candidate } in new {
            self.take_in(candidate, rank, turn);
        }
        let nodes = self.desired.iter().filter_map(|row| row.candidate.node());
        self.dialing.keep_servers(nodes.map(|node| node.server));
        self.known.database = true;
        self.trim_pool(turn);
    }

    /// Rows of `old` whose ids are not in `new` are no candidates any more. Of what was seen before
    /// the first read, all is gone that is in no row.
    fn part_with(&mut self, old: &[Ranked], new: &[Ranked], turn: &mut Turn) {
        let keep: BTreeSet<NodeId> = new.iter().map(|row| row.candidate.id()).collect();
        let gone: Vec<NodeId> = if self.known.database {
            old.iter().map(|row| row.candidate.id()).filter(|id| !keep.contains(id)).collect()
        } else {
            turn.order(Order::SweepFiles(keep.iter().copied().collect()));
            self.tunnels.keys().filter(|id| !keep.contains(id)).copied().collect()
        };
        for id in gone {
            if self.tunnels.contains_key(&id) {
                self.want(id, Want::Nothing, 0, turn);
            }
        }
        for row in old {
            self.pool.stand_up(row.candidate.id());
        }
    }

    fn take_in(&mut self, candidate: Candidate, rank: u32, turn: &mut Turn) {
        match candidate {
            Candidate::Node(node)
                if self.has_tunnel(node.id) || self.stopped.contains(&node.id) =>
            {
                self.want(node.id, Want::Tunnel(node), rank, turn);
            }
            Candidate::Node(node) => self.pool.sit(node, rank),
            Candidate::Invalid(row) => self.want(row.id, Want::Invalid(row), rank, turn),
        }
    }

    fn has_tunnel(&self, id: NodeId) -> bool {
        self.tunnels.get(&id).is_some_and(|tunnel| tunnel.want != Want::Nothing)
    }

    fn database_read(&self, candidates: &[Ranked]) -> Notice {
        let (mut nodes, mut stopped, mut invalid) = (0, 0, 0);
        for row in candidates {
            *match &row.candidate {
                Candidate::Node(node) if self.stopped.contains(&node.id) => &mut stopped,
                Candidate::Node(_) => &mut nodes,
                Candidate::Invalid(_) => &mut invalid,
            } += 1;
        }
        Notice::DatabaseRead { nodes: self.pool.room_for(nodes), stopped, invalid }
    }

    /// The database can't be read: what was wanted stays wanted.
    pub(super) fn desire_unavailable(&mut self, problem: String, turn: &mut Turn) {
        if self.known.database_problem.as_ref() != Some(&problem) {
            turn.tell(Notice::DatabaseUnavailable(problem.clone()));
            self.known.database_problem = Some(problem);
        }
    }

    pub(super) fn want(&mut self, id: NodeId, want: Want, rank: u32, turn: &mut Turn) {
        let tunnel = self
            .tunnels
            .entry(id)
            .or_insert_with(|| Tunnel::new(Want::Nothing, rank, Phase::Waiting, turn.now.wall));
        let moved = std::mem::replace(&mut tunnel.rank, rank) != rank;
        if tunnel.want == want {
            if moved {
                self.note(id, turn);
            }
            return;
        }
        let old = std::mem::replace(&mut tunnel.want, want);
        let mut write = None;
        let redial = match (&old, &tunnel.want) {
            (Want::Tunnel(old), Want::Tunnel(new)) if old.dials_like(new) => false,
            (old, Want::Tunnel(node)) => {
                // The stops that an earlier daemon left were told at the start.
                if self.known.database
                    && matches!(old, Want::Nothing | Want::Invalid(_))
                    && self.stopped.contains(&id)
                {
                    turn.tell(Notice::StillStopped { node: id });
                }
                write = Some(Self::write_files(node, &self.policy));
                !matches!(old, Want::Unknown)
            }
            (old, Want::Invalid(row)) => {
                if !matches!(old, Want::Invalid(old) if old.reason == row.reason) {
                    turn.tell(Notice::Invalid(InvalidRow::clone(row)));
                    turn.order(Order::RemoveFiles(id));
                }
                false
            }
            (_, Want::Nothing | Want::Unknown) => false,
        };
        if redial {
            self.start_afresh(id, turn);
        }
        self.reconcile(id, turn);
        // After a hang-up: the next daemon takes the files for what a running call was dialled with.
        write.into_iter().for_each(|write| turn.order(write));
    }

    /// The row changed in what is dialled: what failed before says nothing any more.
    fn start_afresh(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.retries = Retries::default();
        tunnel.carried = None;
        match tunnel.phase {
            Phase::Calling(_) => self.hang_up(id, Why::Unwanted(HangUp::Changed), turn),
            Phase::Stopping { ref mut why, .. } => *why = Why::Unwanted(HangUp::Changed),
            Phase::Quarantined { .. } => {
                tunnel.phase = Phase::Waiting;
                turn.tell(Notice::Released { node: id });
            }
            Phase::Waiting | Phase::Backoff { .. } | Phase::Stopped | Phase::Invalid => {
                tunnel.phase = Phase::Waiting;
            }
        }
    }

    pub(super) fn write_files(node: &Node, policy: &Policy) -> Order {
        Order::WriteFiles { node: Box::new(node.clone()), options: Box::new(policy.peer.clone()) }
    }

    /// Compares what is wanted of a node with what is seen of it, and acts.
    pub(super) fn reconcile(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        match (&tunnel.phase, self.unwanted(id, tunnel)) {
            (Phase::Calling(_), Some(why)) => self.hang_up(id, Why::Unwanted(why), turn),
            (Phase::Calling(_), None) => self.observe(id, turn),
            (Phase::Stopping { .. }, _) => {}
            (
                Phase::Waiting
                | Phase::Backoff { .. }
                | Phase::Quarantined { .. }
                | Phase::Stopped
                | Phase::Invalid,
                _,
            ) => self.rest(id, turn),
        }
        self.note(id, turn);
    }

    fn unwanted(&self, id: NodeId, tunnel: &Tunnel) -> Option<HangUp> {
        match &tunnel.want {
            _ if self.ends_all() => Some(HangUp::DaemonStops),
            Want::Tunnel(_) | Want::Unknown if self.stopped.contains(&id) => Some(HangUp::Stopped),
            Want::Tunnel(node)
                if tunnel
                    .call()
                    .is_some_and(|call| call.is_for_another(node, self.policy.peer.mppe)) =>
            {
                Some(HangUp::Changed)
            }
            Want::Unknown | Want::Tunnel(_) => None,
            Want::Invalid(_) => Some(HangUp::RowInvalid),
            Want::Nothing => Some(HangUp::Removed),
        }
    }

    /// No pppd runs for this node: what it does next follows from what is wanted.
    fn rest(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        match Next::of(&tunnel.want, self.stopped.contains(&id)) {
            Next::Dial if matches!(tunnel.phase, Phase::Stopped | Phase::Invalid) => {
                tunnel.phase = Phase::Waiting;
            }
            Next::Dial => {}
            Next::Hold => tunnel.phase = Phase::Stopped,
            Next::Refuse => tunnel.phase = Phase::Invalid,
            Next::Forget { files } => {
                self.tunnels.remove(&id);
                if files {
                    turn.order(Order::RemoveFiles(id));
                }
            }
        }
    }
}

/// What is left of two lists without the rows in which they begin and end alike.
fn differing<'a>(old: &'a [Ranked], new: &'a [Ranked]) -> (&'a [Ranked], &'a [Ranked]) {
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(same..).unwrap_or_default(), new.get(same..).unwrap_or_default());
    let from_the_end = old.iter().rev().zip(new.iter().rev());
    let same = from_the_end.take_while(|(old, new)| old == new).count();
    let before = |list: &'a [Ranked]| list.get(..list.len() - same).unwrap_or_default();
    (before(old), before(new))
}

/// What comes when a node has no pppd, or once the one it had is gone.
enum Next {
    /// A dial, in its turn.
    Dial,
    /// Nothing, until the operator starts it.
    Hold,
    /// Nothing, until its row can be dialled.
    Refuse,
    /// The node is nobody's any more; its files go, unless the database may still want it.
    Forget { files: bool },
}

impl Next {
    fn of(want: &Want, stopped: bool) -> Self {
        match want {
            Want::Tunnel(_) if stopped => Next::Hold,
            Want::Tunnel(_) => Next::Dial,
            Want::Invalid(_) => Next::Refuse,
            Want::Unknown => Next::Forget { files: false },
            Want::Nothing => Next::Forget { files: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::core::State;
    use crate::core::stage::{Stage, candidate};

    #[test]
    fn stopped_nodes_are_not_counted_as_held_up() {
        let stage = Stage::in_state(State::Stopped);
        assert!(
            stage.was_told("read: 0 to hold up, 1 stopped by the operator"),
            "{:?}",
            stage.told
        );
        assert!(!stage.was_told("its row is back"), "{:?}", stage.told);
    }

    #[test]
    fn a_stop_that_has_outlived_its_row_is_told_when_the_id_returns() {
        let mut stage = Stage::in_state(State::Stopped);
        stage.desire(None);
        stage.desire(Some(candidate("another")));
        assert!(stage.was_told("Node 1: its row is back"), "{:?}", stage.told);
    }

    #[test]
    fn a_changed_row_is_told_to_end_a_quarantine() {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.desire(Some(candidate("another")));
        assert!(stage.was_told("Node 1: its row changed; its quarantine is over"));
    }
}
