//! What has befallen each node.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use connexa::core::event::{Ask, Candidate};
use connexa::node::{Node, NodeId};

use super::{Ledger, Time};

#[derive(Debug, Default)]
pub struct Tally {
    /// Logins refused in a row, and nothing else happened that counts.
    pub refusals: u32,
    /// Those of them that nothing else can be made of.
    pub sure_refusals: u32,
    /// The last wait that was told, and its end.
    pub wait: Option<(Duration, Time)>,
    /// Something happened since the last failure that cuts a wait short.
    pub is_excused: bool,
    /// Something happened since the last failure that makes the next wait a short one.
    pub is_fresh: bool,
    /// A rise was told, and no fall since.
    pub is_up_told: bool,
    /// When a fall was first shown that nobody was told of.
    pub untold_since: Option<Time>,
    /// It was up by the row that it has.
    pub has_worked: bool,
    /// The target that was seen to answer.
    pub carried: bool,
    /// The last row that could be dialled.
    row: Option<Node>,
    /// Its login is not tried before that by itself.
    pub rests_until: Option<Time>,
}

impl Tally {
    pub(super) fn rose(&mut self) {
        (self.refusals, self.sure_refusals) = (0, 0);
        (self.is_fresh, self.has_worked) = (true, true);
        self.rests_until = None;
    }

    /// What failed before counts no more.
    pub fn forgive(&mut self) {
        (self.refusals, self.sure_refusals) = (0, 0);
        self.rests_until = None;
        self.excuse();
    }

    /// What it waited for counts no more.
    fn excuse(&mut self) {
        (self.is_excused, self.is_fresh) = (true, true);
    }

    /// Its row goes, or comes, or is another one.
    fn row_changed(&mut self, old: Option<&Node>, new: Option<&Node>, was_away: bool) {
        self.row = old.cloned().or(self.row.take());
        self.carried &= was_away;
        let alike = |(old, new): (&Node, &Node)| old.logs_in_like(new);
        if new.is_none() || (old.is_none() && self.row.as_ref().zip(new).is_some_and(alike)) {
            // Its refusals are remembered, where the server has said nothing else since.
            self.sure_refusals = 0;
            return self.excuse();
        }
        self.forgive();
        self.has_worked &= was_away;
    }
}

impl Ledger {
    /// Whether two rows dial the same.
    fn dial_alike(old: Option<&Candidate>, new: Option<&Candidate>) -> bool {
        match (old.and_then(Candidate::node), new.and_then(Candidate::node)) {
            (Some(old), Some(new)) => old.dials_like(new),
            (None, None) => old.is_some() == new.is_some(),
            _ => false,
        }
    }

    pub(super) fn rows_changed(&mut self, new: &BTreeMap<NodeId, (u32, Candidate)>) {
        // Of what was found before the first read the files tell.
        let Some(old) = self.rows.take() else { return };
        let row = |id: &NodeId| old.get(id).map(|(_, candidate)| candidate);
        let differs =
            |(id, (_, new)): &(&NodeId, &(u32, Candidate))| !Ledger::dial_alike(row(id), Some(new));
        let changed: BTreeSet<NodeId> = new.iter().filter(differs).map(|(id, _)| *id).collect();
        let gone = old.keys().filter(|id| !new.contains_key(id));
        for id in gone.chain(&changed) {
            // A call that was found may be of a row that was away: then what it carried is known.
            let was_away = row(id).is_none() && self.calls_of(*id).any(|(_, call)| call.is_found());
            let (was, is) = (row(id), new.get(id).map(|(_, candidate)| candidate));
            let tally = self.tallies.entry(*id).or_default();
            let [was, is] = [was, is].map(|row| row.and_then(Candidate::node));
            tally.row_changed(was, is, was_away);
        }
        self.changed.extend(changed);
        let servers: Vec<_> =
            new.values().filter_map(|(_, row)| row.node()).map(|node| node.server).collect();
        self.silent.retain(|server| servers.contains(server));
    }

    pub(super) fn ask(&mut self, id: NodeId, ask: Ask) {
        if self.before.of(id).is_none() && !self.stopped.contains(&id) {
            return;
        }
        match ask {
            Ask::Start => self.stops_changed = self.stopped.remove(&id),
            Ask::Stop => self.stops_changed = self.stopped.insert(id),
            Ask::Retry => {}
        }
        if ask != Ask::Stop {
            self.tallies.entry(id).or_default().forgive();
        }
    }
}
