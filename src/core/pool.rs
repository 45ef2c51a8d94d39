//! Who holds a place, where the database has more candidates than tunnels are wanted.
//!
//! A node keeps its place while it is up, comes up, or fails now and then. One that keeps failing
//! yields it as soon as another candidate could dial at once, and after its wait it queues for a
//! place again, behind all that have not failed. Without a limit everybody holds a place.
//!
//! A quarantined node is dialled once per `tunnel.quarantine_rest`, for its account may be locked by
//! more tries. One that has yielded its place meanwhile waits for another first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::backoff::Curve;
use super::notice::{HangUp, Notice};
use super::stopping::Why;
use super::tunnel::{Phase, Tunnel, Want};
use super::{Core, Turn};
use crate::node::{Node, NodeId};

/// What a node has to do with places just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It is not to be dialled.
    Nothing,
    /// A call of it goes on, which takes a place whoever began it.
    Runs,
    /// Its call is on its way out: what place it has it keeps, and what it lost it does not get back by that.
    Leaves,
    /// It could dial at once.
    Ready {
        /// How much it is wanted: the lowest is wanted most, and of one rank the lowest id.
        rank: u32,
        /// Whether its last dials have failed.
        has_failed: bool,
    },
    /// It waits after a failure, or for its row.
    Waits,
    /// It keeps failing: its wait is the longest there is, or it is quarantined.
    KeepsFailing {
        /// How much it is wanted: the lowest is wanted most, and of one rank the lowest id.
        rank: u32,
    },
}

impl Need {
    pub(super) fn of(tunnel: &Tunnel, is_stopped: bool, curve: &Curve) -> Self {
        match (&tunnel.phase, &tunnel.want) {
            _ if is_stopped => Need::Nothing,
            (_, Want::Nothing | Want::Invalid(_)) => Need::Nothing,
            (Phase::Calling(_), Want::Tunnel(_) | Want::Unknown) => Need::Runs,
            (Phase::Stopping(_), Want::Tunnel(_) | Want::Unknown) => Need::Leaves,
            (Phase::Resting(_), Want::Unknown) => Need::Nothing,
            (Phase::Resting(rest), Want::Tunnel(_)) => {
                let need = rest.need(tunnel.rank, tunnel.retries.failures, curve);
                let waits_for_its_row = tunnel.is_away() && matches!(need, Need::Ready { .. });
                if waits_for_its_row { Need::Waits } else { need }
            }
        }
    }
}

/// A place changes hands.
#[derive(Clone, Debug, PartialEq)]
struct Handover {
    /// Who gets it.
    to: NodeId,
    rank: u32,
    has_failed: bool,
    /// Its row, where it has no tunnel yet.
    node: Option<Arc<Node>>,
    /// Who yields it; `None` for one that was free.
    from: Option<NodeId>,
}

/// The places, who holds them, and who waits for one.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    /// How many there are; `None` is no limit.
    places: Option<usize>,
    holders: BTreeSet<NodeId>,
    /// Holders that keep failing, with their ranks.
    failing: BTreeMap<NodeId, u32>,
    /// Who could dial at once and has no place: those that have not failed by rank, the others in
    /// turn behind them.
    queue: BTreeSet<(u64, u32, NodeId)>,
    queued: BTreeMap<NodeId, (u64, u32)>,
    /// Rows of those in the queue that have no tunnel.
    rows: BTreeMap<NodeId, Arc<Node>>,
    turns: u64,
}

impl Pool {
    /// So many places; 0 is no limit.
    pub(super) fn new(places: u32) -> Self {
        let places = usize::try_from(places).ok().filter(|&places| places > 0);
        Pool {
            places,
            holders: BTreeSet::new(),
            failing: BTreeMap::new(),
            queue: BTreeSet::new(),
            queued: BTreeMap::new(),
            rows: BTreeMap::new(),
            turns: 0,
        }
    }

    pub(super) fn resize(&mut self, places: u32) {
        self.places = Pool::new(places).places;
    }

    pub(super) fn holds(&self, id: NodeId) -> bool {
        self.holders.contains(&id)
    }

    /// Whether it could be dialled, had it a place.
    pub(super) fn lets_wait(&self, id: NodeId) -> bool {
        self.queued.contains_key(&id)
    }

    /// Who is to be held up now.
    pub(super) fn holders(&self) -> impl Iterator<Item = &NodeId> {
        self.holders.iter()
    }

    /// The places there are for so many nodes.
    pub(super) fn room_for(&self, nodes: usize) -> usize {
        self.places.map_or(nodes, |places| places.min(nodes))
    }

    fn excess(&self) -> usize {
        self.places.map_or(0, |places| self.holders.len().saturating_sub(places))
    }

    /// Takes in where a node stands.
    pub(super) fn note(&mut self, id: NodeId, need: Need) {
        self.failing.remove(&id);
        match need {
            Need::Nothing => {
                self.holders.remove(&id);
                // Where its call still leaves, its row may wait for a place already.
                if !self.rows.contains_key(&id) {
                    self.leave_queue(id);
                }
            }
            Need::Runs => {
                self.holders.insert(id);
                self.leave_queue(id);
            }
            Need::Leaves => {}
            Need::Ready { .. } if self.holds(id) => {}
            Need::Ready { rank, has_failed } => self.wait(id, rank, has_failed),
            Need::Waits => drop(self.leave_queue(id)),
            Need::KeepsFailing { rank } => {
                self.leave_queue(id);
                if self.holds(id) {
                    self.failing.insert(id, rank);
                }
            }
        }
    }

    /// A candidate without a tunnel waits for a place.
    pub(super) fn add_row(&mut self, node: Arc<Node>, rank: u32) {
        self.wait(node.id, rank, false);
        self.rows.insert(node.id, node);
    }

    /// A candidate without a tunnel.
    pub(super) fn row(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.rows.get(&id)
    }

    /// Candidates without a tunnel.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Node> {
        self.rows.values().map(Arc::as_ref)
    }

    /// Takes a candidate without a tunnel off the rows: its row and rank.
    pub(super) fn take_row(&mut self, id: NodeId) -> Option<(Arc<Node>, u32)> {
        let node = self.rows.remove(&id)?;
        let (_, rank) = self.leave_queue(id)?;
        Some((node, rank))
    }

    fn wait(&mut self, id: NodeId, rank: u32, has_failed: bool) {
        let turn = match self.leave_queue(id) {
            _ if !has_failed => 0,
            Some((turn, _)) if turn > 0 => turn,
            _ => {
                self.turns += 1;
                self.turns
            }
        };
        self.queue.insert((turn, rank, id));
        self.queued.insert(id, (turn, rank));
    }

    fn leave_queue(&mut self, id: NodeId) -> Option<(u64, u32)> {
        let (turn, rank) = self.queued.remove(&id)?;
        self.queue.remove(&(turn, rank, id));
        Some((turn, rank))
    }

    fn worst_that_fails(&self) -> Option<NodeId> {
        self.failing.iter().max_by_key(|(id, rank)| (**rank, **id)).map(|(id, _)| *id)
    }

    fn take_place(&mut self, from: NodeId) {
        self.holders.remove(&from);
        self.failing.remove(&from);
    }

    /// Gives the next place away, if there is one and somebody waits for it.
    fn next(&mut self) -> Option<Handover> {
        let &(turn, rank, to) = self.queue.first()?;
        let is_full = self.places.is_some_and(|places| self.holders.len() >= places);
        let from = if is_full { Some(self.worst_that_fails()?) } else { None };
        if let Some(from) = from {
            self.take_place(from);
        }
        self.leave_queue(to);
        self.holders.insert(to);
        Some(Handover { to, rank, has_failed: turn > 0, node: self.rows.remove(&to), from })
    }
}

impl Core {
    /// Gives free places, and those of nodes that keep failing, to candidates that wait for one.
    pub(super) fn fill_pool(&mut self, turn: &mut Turn) {
        // What already runs comes first, and is not known yet.
        if self.pool.places.is_some() && !self.known.running {
            return;
        }
        while let Some(change) = self.pool.next() {
            if let Some(from) = change.from {
                self.tell_yield(from, &change, turn);
                self.note(from, turn);
            }
            match change.node {
                Some(node) => self.want(change.to, Want::Tunnel(node), change.rank, turn),
                None => self.note(change.to, turn),
            }
        }
    }

    /// Once when a place is yielded; not while those that fail take turns.
    fn tell_yield(&self, from: NodeId, change: &Handover, turn: &mut Turn) {
        if let Some(tunnel) = self.tunnels.get(&from).filter(|_| !change.has_failed) {
            let failures = tunnel.retries.failures;
            turn.tell(Notice::Yields { node: from, to: change.to, failures });
        }
    }

    /// More hold a place than there are: those that are not up lose theirs first, then the last in
    /// the order of candidates. They queue for another, with their failures.
    pub(super) fn trim_pool(&mut self, turn: &mut Turn) {
        let excess = self.pool.excess();
        if excess == 0 || !self.known.database {
            return;
        }
        let mut holders: Vec<(bool, u32, NodeId)> = (self.pool.holders.iter())
            .filter_map(|id| {
                let tunnel = self.tunnels.get(id)?;
                let may_be_up = self.up.contains(id) || tunnel.is_out_of_sight();
                Some((!may_be_up, tunnel.rank, *id))
            })
            .collect();
        holders.sort_unstable();
        for (_, _, id) in holders.into_iter().rev().take(excess) {
            self.hang_up(id, Why::Unwanted(HangUp::NoPlace), turn);
            self.pool.take_place(id);
            self.note(id, turn);
        }
    }
}

#[cfg(test)]
mod tests;
