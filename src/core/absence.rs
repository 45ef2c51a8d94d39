//! Rows that are away. A backend that writes its table anew shows moments without a row, or without
//! any, so a node that a read no longer yields goes on as it is for `selection.absence_grace`:
//! only what stays away is gone. Nothing is dialled for it meanwhile.

use std::collections::BTreeSet;

use super::change::Way;
use super::notice::Notice;
use super::time::Monotonic;
use super::tunnel::{Phase, Tunnel, Want};
use super::{Core, Turn};
use crate::node::NodeId;

/// A node that a read no longer yields.
#[derive(Clone, Debug)]
pub(super) struct Away {
    /// When it is given up; `None` while the database can't be read, which is no absence.
    leaves_at: Option<Monotonic>,
    /// What is wanted of it from then on: nothing, or a row that can't be dialled.
    then: Want,
}

impl Tunnel {
    pub(super) fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// When it is given up because its row stays away.
    pub(super) fn leaves_at(&self) -> Option<Monotonic> {
        self.away.as_ref()?.leaves_at
    }

    /// Whether its row is gone and may be back in time.
    pub(super) fn may_be_back(&self) -> bool {
        matches!(&self.away, Some(Away { then: Want::Nothing, .. }))
    }

    fn is_calling(&self) -> bool {
        matches!(self.phase, Phase::Calling(_))
    }

    /// Whether there is something that an absence could take from it.
    fn can_be_away(&self) -> bool {
        match self.want {
            Want::Tunnel(_) | Want::Unknown => true,
            Want::Invalid(_) | Want::Nothing => false,
        }
    }
}

impl Core {
    /// A read no longer yields this node.
    pub(super) fn leave(&mut self, id: NodeId, then: Want, turn: &mut Turn) {
        let grace = self.policy.absence_grace;
        let leaves_at = self.known.database_problem.is_none().then(|| turn.at() + grace);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if grace.is_zero() || !tunnel.can_be_away() {
            let rank = tunnel.rank;
            return self.want(id, then, rank, turn);
        }
        match &mut tunnel.away {
            Some(away) => away.then = then,
            None => {
                // Of a call that was found nobody has said yet that it is wanted.
                if tunnel.want == Want::Unknown {
                    turn.way(Way::Wanted { node: id });
                }
                tunnel.away = Some(Away { leaves_at, then });
                self.away.insert(id);
            }
        }
        match tunnel.phase {
            // It may have waited for a row that could be dialled.
            Phase::Resting(_) => self.reconcile(id, turn),
            Phase::Calling(_) | Phase::Stopping(_) => self.note(id, turn),
        }
    }

    /// Its row has stayed away for the grace, or is left out by the configuration.
    pub(super) fn part(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        if let Some(Away { then, .. }) = &tunnel.away {
            let (then, rank) = (then.clone(), tunnel.rank);
            self.want(id, then, rank, turn);
        }
    }

    /// The database can't be read, or can be again: what was away is not known to have stayed so.
    pub(super) fn time_absences_anew(&mut self, turn: &Turn) {
        let is_readable = self.known.database_problem.is_none();
        let leaves_at = is_readable.then(|| turn.at() + self.policy.absence_grace);
        for id in self.away.clone() {
            if let Some(away) = self.tunnels.get_mut(&id).and_then(|tunnel| tunnel.away.as_mut()) {
                away.leaves_at = leaves_at;
            }
            self.note(id, turn);
        }
    }

    /// Nodes whose tunnel or dial goes on while their row is away.
    pub(super) fn kept_while_away(&self) -> BTreeSet<NodeId> {
        let is_kept = |id: &&NodeId| self.tunnels.get(id).is_some_and(|tunnel| tunnel.is_calling());
        self.away.iter().filter(is_kept).copied().collect()
    }

    /// Tells which tunnels are kept from now on while their rows are away, and which of those that
    /// were have their rows again.
    pub(super) fn tell_away_and_back(&self, were_away: &BTreeSet<NodeId>, turn: &mut Turn) {
        let are_away = self.kept_while_away();
        let (mut gone, mut spoiled) = (Vec::new(), Vec::new());
        for id in are_away.difference(were_away) {
            let away = self.tunnels.get(id).and_then(|tunnel| tunnel.away.as_ref());
            match away.map(|away| &away.then) {
                Some(Want::Invalid(row)) => spoiled.push(row.clone()),
                Some(Want::Nothing | Want::Unknown | Want::Tunnel(_)) | None => gone.push(*id),
            }
        }
        let within = self.policy.absence_grace;
        if !gone.is_empty() {
            turn.tell(Notice::RowsAway { nodes: gone, within });
        }
        for row in spoiled {
            turn.tell(Notice::RowSpoiled { node: row.id, reason: row.reason.clone(), within });
        }
        let goes_on = |id: &&NodeId| self.tunnels.get(id).is_some_and(|tunnel| tunnel.is_calling());
        let back: Vec<NodeId> = were_away.difference(&are_away).filter(goes_on).copied().collect();
        if !back.is_empty() {
            turn.tell(Notice::RowsBack { nodes: back });
        }
    }
}

#[cfg(test)]
mod tests;
