//! Who is hung up, and why.

use connexa::core::event::{CallId, Candidate, Probed};

use super::{Verdict, broken};
use crate::ledger::{Call, Ledger};
use crate::wire::{Did, Signal, View};

pub(super) fn check(ledger: &Ledger, did: &Did) -> Verdict {
    let Did::Signal { call: id, signal } = did else { return Ok(()) };
    let Some(call) = ledger.calls.get(id) else {
        return broken("only_calls_are_signalled", format!("call {id} is no more"));
    };
    match (signal, call.last_signal) {
        (Signal::Kill, None) => broken("term_before_kill", format!("call {id} of {}", call.node)),
        (Signal::Kill, Some((_, at, grace))) if ledger.now < at + grace => {
            broken("kill_after_the_grace", format!("call {id} has had {}", ledger.now - at))
        }
        (Signal::Kill, Some(_)) | (Signal::Terminate, Some(_)) => Ok(()),
        (Signal::Terminate, None) => has_reason(ledger, *id, call),
    }
}

fn has_reason(ledger: &Ledger, id: CallId, call: &Call) -> Verdict {
    let is_changed = ledger.changed.contains(&call.node);
    let is_late = !call.was_up && ledger.now >= call.limit;
    if is_changed || is_late || is_unwanted(ledger, call) || is_lost(ledger, id, call) {
        return Ok(());
    }
    match &ledger.probed {
        Some((probed, Probed::Lost { elsewhere, .. })) if *probed == id => {
            probes_condemn(ledger, id, call, *elsewhere)
        }
        _ if is_second(ledger, id, call)? => Ok(()),
        _ if ledger.is_away(call.node) => {
            let what = format!("call {id} of node {} is hung up", call.node);
            broken("a_row_away_for_a_moment_was_not_gone", what)
        }
        _ => broken("no_needless_hang_up", format!("call {id} of node {}: {call:?}", call.node)),
    }
}

/// Losses condemn a tunnel that is up and has carried the target where that answers elsewhere;
/// where it answers nowhere they condemn one, as a trial. What a call that was found has carried
/// nobody knows.
fn probes_condemn(ledger: &Ledger, id: CallId, call: &Call, elsewhere: bool) -> Verdict {
    let node = call.node;
    if ledger.before.state(node) != "up" {
        return broken("probes_judge_what_is_up", format!("call {id} of node {node}"));
    }
    let has_carried = ledger.tallies.get(&node).is_some_and(|tally| tally.carried);
    if has_carried && !elsewhere && ledger.trial {
        return broken("one_trial_at_a_time", format!("call {id} of node {node}"));
    }
    let is_proven = elsewhere && call.is_found();
    if !has_carried && !is_proven {
        return broken("lost_probes_are_weighed", format!("call {id} of node {node}"));
    }
    Ok(())
}

/// Whether nobody wants it any more.
pub(super) fn is_unwanted(ledger: &Ledger, call: &Call) -> bool {
    if ledger.ends_all() || ledger.stopped.contains(&call.node) {
        return true;
    }
    match ledger.row(call.node) {
        Some(Candidate::Invalid(_)) => true,
        Some(Candidate::Node(node)) => {
            let mppe = ledger.policy().mppe;
            call.row.as_ref().is_some_and(|row| !row.dials_like(node))
                || call.dialled.as_ref().is_some_and(|dialled| !dialled.is_for(node, mppe))
        }
        None => ledger.rows.is_some() && !ledger.is_away(call.node),
    }
}

/// Whether the node has another. The one that is up is kept.
fn is_second(ledger: &Ledger, id: CallId, call: &Call) -> Result<bool, String> {
    let others = || ledger.calls_of(call.node).filter(|(other, _)| **other != id);
    if others().next().is_none() {
        return Ok(false);
    }
    let node = call.node;
    if !ledger.links_told {
        return broken("nobody_is_judged_before_links_are_known", format!("call {id} of {node}"));
    }
    let is_up = |id: CallId| is_whole(ledger, id);
    let was_shown = ledger.before.of(node).filter(|node| node.state == "up");
    let was_shown_up =
        was_shown.is_some_and(|node| node.index == ledger.own_links.get(&id).copied());
    if was_shown_up && is_up(id) && !call.is_confused && others().all(|(id, _)| !is_up(*id)) {
        return broken("the_live_one_is_kept", format!("call {id} of node {node} is hung up"));
    }
    Ok(true)
}

fn is_whole(ledger: &Ledger, id: CallId) -> bool {
    let link = ledger.own_links.get(&id).copied().and_then(|index| ledger.links.get(&index));
    link.is_some_and(|seen| seen.not_whole_since.is_none())
}

/// Whether its link is down or gone for long enough.
fn is_lost(ledger: &Ledger, id: CallId, call: &Call) -> bool {
    // The name may have led to another's link.
    if call.is_confused {
        return true;
    }
    let Some(index) = ledger.own_links.get(&id).copied() else { return false };
    let down = ledger.links.get(&index).and_then(|seen| seen.not_whole_since);
    let since = call.gone_at.or(down.filter(|_| call.was_up));
    since.is_some_and(|since| ledger.now >= since + ledger.least_grace)
}

pub(super) fn check_all(ledger: &Ledger, after: &View) -> Verdict {
    for node in after.nodes.iter().filter(|node| node.state != "stopping") {
        let mut calls = ledger.calls_of(node.id).filter(|(_, call)| call.last_signal.is_none());
        if let Some((id, _)) = calls.find(|(_, call)| is_surely_unwanted(ledger, call)) {
            let rule = if ledger.stopped.contains(&node.id) {
                "a_stop_holds"
            } else {
                "what_nobody_wants_is_hung_up"
            };
            return broken(rule, format!("call {id} of node {} goes on: {}", node.id, node.state));
        }
    }
    Ok(())
}

/// New options reach a tunnel that was found at its next dial, so its encryption says nothing.
fn is_surely_unwanted(ledger: &Ledger, call: &Call) -> bool {
    match (&call.dialled, ledger.node(call.node)) {
        (Some(_), Some(_)) => ledger.ends_all() || ledger.stopped.contains(&call.node),
        _ => is_unwanted(ledger, call),
    }
}
