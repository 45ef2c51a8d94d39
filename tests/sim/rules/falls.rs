//! That a tunnel rose or fell is told, once.

use super::{Verdict, broken};
use crate::ledger::Ledger;
use crate::wire::{Did, Told, View};

/// A fall waits so long for its cause.
const TOLD_WITHIN: u64 = 1000;

pub(super) fn check(ledger: &mut Ledger, did: &Did) -> Verdict {
    match did {
        Did::Told(Told::Up(id)) => {
            ledger.tallies.entry(*id).or_default().is_up_told = true;
            Ok(())
        }
        Did::Told(Told::Down { node, .. }) => {
            let tally = ledger.tallies.entry(*node).or_default();
            tally.untold_since = None;
            if std::mem::take(&mut tally.is_up_told) {
                Ok(())
            } else {
                broken("a_fall_is_told_once", format!("node {node} is told down and was not up"))
            }
        }
        _ => Ok(()),
    }
}

pub(super) fn check_all(ledger: &mut Ledger, did: &[Did], after: &View) -> Verdict {
    let now = ledger.now;
    for node in &after.nodes {
        let is_up = node.state == "up";
        let rises = is_up && ledger.before.state(node.id) != "up";
        let tally = ledger.tallies.entry(node.id).or_default();
        if rises && !did.contains(&Did::Told(Told::Up(node.id))) {
            return broken("a_rise_is_told", format!("of node {} nobody is told", node.id));
        }
        if !is_up && tally.is_up_told {
            tally.untold_since.get_or_insert(now);
        }
    }
    for (id, tally) in &ledger.tallies {
        let is_late = tally.untold_since.is_some_and(|since| now >= since + TOLD_WITHIN);
        let is_gone = tally.is_up_told && after.of(*id).is_none();
        if is_late || is_gone {
            return broken("a_fall_is_told_in_time", format!("that of node {id} is not told"));
        }
    }
    Ok(())
}
