//! What follows a call that failed: a wait, a quarantine, or nothing where the host is at fault.

use connexa::core::failure::FailureKind;

use super::{Verdict, broken};
use crate::ledger::{Call, Ledger, Time};
use crate::wire::{Did, Exit, Told, View};

pub(super) fn check(ledger: &mut Ledger, did: &Did) -> Verdict {
    match did {
        Did::Told(Told::Retrying { node, wait }) => {
            let curve = ledger.policy().backoff;
            let jitter = u32::from(curve.jitter_permille);
            let least = curve.min * (1000 - jitter) / 1000;
            let now = ledger.now;
            // A second pppd takes the place of the one that failed.
            let is_replaced = ledger.calls_of(*node).next().is_some();
            let tally = ledger.tallies.entry(*node).or_default();
            // Of what was waited last time the full length is known but for its jitter.
            let doubled = tally.wait.filter(|_| !tally.is_fresh).map_or(least, |(last, _)| {
                (last * 2 * 1000 / (1000 + jitter)).min(curve.max) * (1000 - jitter) / 1000
            });
            tally.wait = Some((*wait, now + wait.as_millis() as u64));
            (tally.is_excused, tally.is_fresh) = (is_replaced, false);
            let slack = std::time::Duration::from_millis(2);
            if *wait + slack < doubled.max(least.min(curve.max)) || *wait > curve.max {
                let what =
                    format!("node {node} waits {wait:?} and not {doubled:?} to {:?}", curve.max);
                return broken("waits_grow_to_their_longest", what);
            }
            Ok(())
        }
        Did::Told(Told::Quarantined(node)) => {
            let least = ledger.least_quarantine;
            let last = ledger.ended.as_ref().is_some_and(|(call, exit)| is_refused(call, *exit));
            let rest = ledger.policy().quarantine_rest.as_millis() as u64;
            let until = if rest == 0 { Time::MAX } else { ledger.now + rest };
            let tally = ledger.tallies.entry(*node).or_default();
            // Told again as its row comes back, it goes on as it was.
            tally.rests_until =
                tally.rests_until.filter(|until| *until > ledger.now).or(Some(until));
            let refusals = tally.refusals + u32::from(last);
            if refusals < least {
                let what = format!("node {node} after {refusals} refusals");
                return broken("no_quarantine_before_its_time", what);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_refused(call: &Call, exit: Option<Exit>) -> bool {
    exit == Some(Exit::Code(19)) || call.words == Some(FailureKind::AuthRefused)
}

/// What the end of a call means, where the daemon has not ended it itself.
fn failed(ledger: &Ledger) -> Option<(&Call, Option<Exit>)> {
    let (call, exit) = ledger.ended.as_ref()?;
    let is_own = !call.is_found() && call.last_signal.is_none();
    let was_current = ["dialing", "negotiating", "up"].contains(&ledger.before.state(call.node));
    let is_alone = ledger.calls_of(call.node).next().is_none();
    (is_own && was_current && is_alone && ledger.wants(call.node) && !ledger.stopping)
        .then_some((call, *exit))
}

pub(super) fn check_all(ledger: &mut Ledger, did: &[Did], after: &View) -> Verdict {
    // A call that somebody else made has its own wait after it.
    if let Some(node) = ledger.ended.as_ref().map(|(call, _)| call.node)
        && !did.contains(&Did::Told(Told::Quarantined(node)))
    {
        ledger.tallies.entry(node).or_default().rests_until = None;
    }
    let Some((call, exit)) = failed(ledger) else {
        if let Some((call, exit)) = &ledger.ended {
            let (node, is_refused) = (call.node, is_refused(call, *exit));
            let tally = ledger.tallies.entry(node).or_default();
            // Whether it counts depends on who ended it.
            tally.refusals += u32::from(is_refused);
            tally.sure_refusals = 0;
        }
        return Ok(());
    };
    let (id, state) = (call.node, after.state(call.node));
    if exit == Some(Exit::Code(4)) {
        let blamed = ["backoff", "quarantined"].contains(&state);
        let what = format!("node {id} is {state} since the host has no PPP");
        return if blamed { broken("the_host_s_fault_is_no_node_s", what) } else { Ok(()) };
    }
    let is_told = did.iter().any(|did| match did {
        Did::Told(Told::Retrying { node, .. } | Told::Quarantined(node)) => *node == id,
        _ => false,
    });
    if !is_told {
        return broken("a_failure_is_told", format!("that of node {id} is not, it is {state}"));
    }
    let (is_refused, is_surely) = (is_refused(call, exit), exit == Some(Exit::Code(19)));
    let most = ledger.most_quarantine;
    let tally = ledger.tallies.entry(id).or_default();
    tally.refusals = if is_refused { tally.refusals + 1 } else { 0 };
    tally.sure_refusals = if is_surely { tally.sure_refusals + 1 } else { 0 };
    // One that has worked is given time.
    let is_due = tally.sure_refusals >= most && !tally.has_worked;
    if is_due && !did.contains(&Did::Told(Told::Quarantined(id))) {
        let what = format!("node {id} was refused {} times", tally.sure_refusals);
        return broken("refusals_end_in_quarantine", what);
    }
    Ok(())
}
