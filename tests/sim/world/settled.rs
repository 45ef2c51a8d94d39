//! What must be so after every input, and once all has settled.

use std::collections::BTreeSet;

use connexa::node::Node;

use super::{Quirk, World};
use crate::wire::Did;

impl World {
    /// What must be so after every input, beside the rules.
    pub(super) fn check(&mut self, dids: &[Did]) -> Result<(), String> {
        let most = 20 + 12 * (self.rows.len() + self.processes.len());
        if dids.len() > most {
            return Err(format!("one_input_makes_no_flood: {} effects", dids.len()));
        }
        self.check_crowds()
    }

    /// A node that has two pppds has one again within a bound.
    fn check_crowds(&mut self) -> Result<(), String> {
        let mut nodes = BTreeSet::new();
        let twice: BTreeSet<u32> =
            self.processes.values().map(|p| p.node).filter(|node| !nodes.insert(*node)).collect();
        self.crowded.retain(|node, _| twice.contains(node));
        for node in twice {
            let since = *self.crowded.entry(node).or_insert(self.now);
            let many = self.pids_of(node).len() as u64;
            let bound = self.policy.dial_timeout.as_millis() as u64 + 30_000 * many;
            if self.now - since > bound {
                return Err(format!("two_pppds_become_one: node {node} has {many} since {since}"));
            }
        }
        Ok(())
    }

    /// All faults are over for long: everything that can be up is, and nothing else is left.
    pub fn check_settled(&self) -> Result<(), String> {
        self.verdict()?;
        let (wanted, up, running) = (self.wanted(), self.up(), self.running());
        let files: BTreeSet<u32> = self.keeper.files.keys().copied().collect();
        let valid: BTreeSet<u32> =
            self.rows.iter().filter(|(_, row)| row.valid).map(|(id, _)| *id).collect();
        let deadline = self.daemon.deadline();
        let dialled_with_another_row = self.processes.values().find(|process| {
            let row = self.rows.get(&process.node);
            let as_wanted = row.map(|row| super::rows::node(process.node, row));
            !process.unsure
                && process.quirk != Some(Quirk::IgnoresTerm)
                && !as_wanted.is_some_and(|row| self.is_as_good(&process.dialled, row))
        });
        if up != wanted {
            Err(format!("all_that_can_be_is_up: up are {up:?}, wanted are {wanted:?}"))
        } else if running != wanted || self.processes.len() != wanted.len() {
            Err(format!(
                "nothing_runs_that_nobody_wants: pppds run for {running:?}, wanted are {wanted:?}"
            ))
        } else if files != valid {
            Err(format!(
                "files_are_those_of_the_rows: files are there of {files:?}, and rows of {valid:?}"
            ))
        } else if let Some(deadline) = deadline {
            Err(format!("idle_is_silent: all is well, and the core wakes at {deadline:?}"))
        } else if let Some(process) = dialled_with_another_row {
            Err(format!(
                "tunnels_go_by_their_rows: node {} goes by an older row: {process:?}",
                process.node
            ))
        } else {
            Ok(())
        }
    }

    /// Every row is gone for a while, and nothing is stopped: nothing is remembered of any of them but
    /// which logins were refused.
    pub fn check_forgotten(&self) -> Result<(), String> {
        self.verdict()?;
        let rule = "nothing_is_kept_of_what_is_gone";
        if !self.view.nodes.is_empty() || !self.processes.is_empty() {
            return Err(format!("{rule}: shown are {:?}", self.view.nodes));
        }
        let memory = self.daemon.memory();
        let (before, after) = memory.split_once("refused: Refused(").unwrap();
        let (_refused, after) = after.split_once("), stopped: ").unwrap();
        let memory = [before, after].concat();
        for what in ["NodeId(", "Dialled(", "Found("] {
            if let Some(place) = memory.find(what) {
                let some: String =
                    memory.chars().skip(place.saturating_sub(200)).take(400).collect();
                return Err(format!("{rule}: {some}"));
            }
        }
        match self.daemon.deadline() {
            Some(deadline) => Err(format!("{rule}: the core wakes at {deadline}")),
            None => Ok(()),
        }
    }

    /// Whether a tunnel dialled with one row is as good as one dialled with the other.
    fn is_as_good(&self, one: &Node, mut other: Node) -> bool {
        let default = self.policy.mppe;
        if one.mppe.unwrap_or(default) == other.mppe.unwrap_or(default) {
            other.mppe = one.mppe;
        }
        one.dials_like(&other)
    }

    pub fn files(&self) -> BTreeSet<u32> {
        self.keeper.files.keys().copied().collect()
    }
}
