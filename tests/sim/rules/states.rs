//! The states that are shown, by the facts that they stand for.

use connexa::core::event::Candidate;

use super::{Verdict, broken};
use crate::ledger::Ledger;
use crate::wire::View;

/// There is a pppd in these, and in no other.
const CALLING: [&str; 4] = ["dialing", "negotiating", "up", "stopping"];

pub(super) fn check(ledger: &Ledger, after: &View) -> Verdict {
    for node in &after.nodes {
        let (id, state) = (node.id, node.state);
        let has_call = ledger.calls_of(id).next().is_some();
        if CALLING.contains(&state) != has_call {
            return broken("a_state_says_whether_a_pppd_runs", format!("node {id} is {state}"));
        }
        if has_call {
            continue;
        }
        let is_right = match ledger.row(id) {
            // It was found, and its row may be back in time.
            None => state == "waiting" && ledger.is_away(id),
            Some(Candidate::Invalid(_)) => state == "invalid",
            Some(Candidate::Node(_)) if ledger.stopped.contains(&id) => state == "stopped",
            Some(Candidate::Node(_)) => ["waiting", "backoff", "quarantined"].contains(&state),
        };
        if !is_right {
            let what = format!("node {id} is {state}, its row is {:?}", ledger.row(id));
            return broken("a_state_is_what_the_row_wants", what);
        }
        let wait = ledger.tallies.get(&id).and_then(|tally| tally.wait);
        if state == "backoff" && wait.is_none_or(|(_, until)| until <= ledger.now) {
            return broken("a_wait_comes_to_its_end", format!("node {id} waits since {wait:?}"));
        }
    }
    let rows = ledger.rows.iter().flat_map(|rows| rows.keys());
    let mut due = rows.chain(ledger.calls.values().map(|call| &call.node));
    if let Some(id) = due.find(|id| after.of(**id).is_none()) {
        return broken("every_row_and_every_pppd_is_shown", format!("node {id} is not"));
    }
    match after.deadline {
        Some(deadline) if deadline <= ledger.now => {
            broken("what_is_due_is_done", format!("what was due at {deadline} is not"))
        }
        _ => Ok(()),
    }
}
