//! Rows that are away: what had a tunnel goes on as it was for the grace.

use std::collections::{BTreeMap, BTreeSet};

use connexa::core::event::Candidate;
use connexa::node::NodeId;

use super::{Ledger, Time};

type Rows = BTreeMap<NodeId, (u32, Candidate)>;

/// A row that is away.
#[derive(Debug)]
pub struct Away {
    /// When that is for good; `None` while the database can't be read.
    until: Option<Time>,
    /// What is told in its place.
    then: Option<(u32, Candidate)>,
}

impl Ledger {
    pub fn is_away(&self, id: NodeId) -> bool {
        self.away.contains_key(&id)
    }

    fn away_until(&self) -> Option<Time> {
        (!self.is_unreadable).then(|| self.now + self.policy().absence_grace.as_millis() as Time)
    }

    /// The database was read; `reselected`: by another configuration.
    pub(super) fn take_rows(&mut self, mut rows: Rows, reselected: bool) {
        if std::mem::take(&mut self.is_unreadable) {
            let until = self.away_until();
            self.away.values_mut().for_each(|away| away.until = until);
        }
        let is_node =
            |rows: &Rows, id: &NodeId| rows.get(id).is_some_and(|row| row.1.node().is_some());
        self.away.retain(|id, _| !reselected && !is_node(&rows, id));
        if !reselected && !self.policy().absence_grace.is_zero() {
            let (until, old) = (self.away_until(), self.rows.clone());
            // What was found before the first read may be of a row that is away.
            let found = self.calls.values().map(|call| call.node).filter(|_| old.is_none());
            let mut kept: BTreeSet<NodeId> = found.chain(self.away.keys().copied()).collect();
            let old = old.unwrap_or_default();
            kept.extend(old.keys().filter(|id| is_node(&old, id)));
            kept.retain(|id| !is_node(&rows, id));
            for id in kept {
                let then = rows.remove(&id);
                self.away.entry(id).or_insert(Away { until, then: None }).then = then;
                if let Some(row) = old.get(&id).filter(|row| row.1.node().is_some()) {
                    rows.insert(id, row.clone());
                }
            }
        }
        self.rows_changed(&rows);
        self.rows = Some(rows);
    }

    /// A call was found, and no other is known, of a node without a row.
    pub(super) fn miss_row(&mut self, id: NodeId) {
        let is_alone = self.calls_of(id).next().is_none();
        let has_grace = !self.policy().absence_grace.is_zero();
        if self.rows.is_some() && self.row(id).is_none() && is_alone && has_grace {
            let away = Away { until: self.away_until(), then: None };
            self.away.entry(id).or_insert(away);
        }
    }

    pub(super) fn unreadable(&mut self) {
        self.is_unreadable = true;
        self.away.values_mut().for_each(|away| away.until = None);
    }

    /// Rows that are away for good are gone, and so are those of which nothing is left but a row that
    /// can't be dialled, or a stop.
    pub(super) fn end_absences(&mut self) {
        if self.away.is_empty() {
            return;
        }
        let Some(mut rows) = self.rows.clone() else { return };
        let is_over = |id: &NodeId, away: &Away| {
            let is_decided = away.then.is_some() || self.stopped.contains(id);
            let has_ended =
                is_decided && !rows.contains_key(id) && self.calls_of(*id).next().is_none();
            has_ended || away.until.is_some_and(|until| until <= self.now)
        };
        let over: Vec<NodeId> =
            self.away.iter().filter(|(id, away)| is_over(id, away)).map(|(id, _)| *id).collect();
        if over.is_empty() {
            return;
        }
        for id in over {
            rows.remove(&id);
            if let Some(then) = self.away.remove(&id).and_then(|away| away.then) {
                rows.insert(id, then);
            }
        }
        self.rows_changed(&rows);
        self.rows = Some(rows);
    }
}
