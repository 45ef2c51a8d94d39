//! The backend is restarted after an outage, where that can help, and once.

use connexa::node::NodeId;

use super::{Verdict, broken};
use crate::ledger::{Call, Ledger, Time};
use crate::wire::{Did, JUDGE_LIMIT, Told, View};

const LONGEST_FACTOR: u64 = 16;

pub(super) fn check(ledger: &Ledger, did: &Did, after: &View) -> Verdict {
    let watches =
        matches!(did, Did::Restart { .. } | Did::Judge { .. } | Did::Told(Told::EmptyWindow));
    let is_ready = ledger.links_told && ledger.running_told;
    if watches && (ledger.stopping || !is_ready || ledger.windows.is_idle) {
        let what = format!("{did:?} of a daemon that stops, knows little or wants no tunnel");
        return broken("a_restart_is_for_an_outage", what);
    }
    match did {
        Did::Restart { .. } => may_restart(ledger, after),
        Did::Judge { .. } => is_outage(ledger),
        Did::Told(Told::RestartHeld) if ledger.windows.answer != Some(false) => {
            broken("an_answer_is_for_its_question", "a restart is told to be held back".into())
        }
        Did::KeepStopped(stopped) if *stopped != ledger.stopped => {
            broken("stops_are_kept", format!("kept are {stopped:?}, not {:?}", ledger.stopped))
        }
        _ => Ok(()),
    }
}

fn may_restart(ledger: &Ledger, after: &View) -> Verdict {
    let windows = &ledger.windows;
    if ledger.before.has_up() || after.has_up() || windows.last_up == Some(ledger.now) {
        return broken("no_restart_while_a_tunnel_is_up", "the backend is restarted".into());
    }
    let limit = ledger.policy().outage.restart_limit.as_millis() as u64;
    if windows.restarting.is_some_and(|(_, began)| ledger.now < began + limit) {
        return broken("one_restart_at_a_time", format!("{windows:?}"));
    }
    let is_unanswered =
        windows.question.is_some_and(|(_, asked)| ledger.now >= asked + JUDGE_LIMIT);
    if windows.answer != Some(true) && !is_unanswered {
        return broken("no_restart_before_it_is_judged", format!("{windows:?}"));
    }
    Ok(())
}

/// How long a window is: twice as long for each restart in vain, up to a limit.
fn window(ledger: &Ledger) -> Time {
    let interval = ledger.policy().outage.interval.as_millis() as u64;
    interval * (1 << ledger.windows.restarts.min(8)).min(LONGEST_FACTOR)
}

/// So many windows in a row were empty.
fn is_outage(ledger: &Ledger) -> Verdict {
    let (windows, outage) = (&ledger.windows, &ledger.policy().outage);
    // While one is held back, each further window asks again.
    let count = if windows.asked { 1 } else { outage.windows };
    let quiet = window(ledger) * u64::from(count);
    let delay = outage.startup_delay.as_millis() as u64;
    let restarted = windows.restarted.filter(|_| !windows.is_anew);
    let since = [windows.last_up, restarted, Some(delay)].into_iter().flatten().max();
    if ledger.before.has_up() || since.is_some_and(|since| ledger.now < since + quiet) {
        let what = format!("asked {} ms after {since:?}: {windows:?}", ledger.now);
        return broken("an_outage_is_so_many_empty_windows", what);
    }
    if windows.restarting.is_some() && windows.restarted.is_some() {
        return broken("one_restart_at_a_time", format!("{windows:?}"));
    }
    Ok(())
}

pub(super) fn check_all(ledger: &mut Ledger, did: &[Did], after: &View) -> Verdict {
    let has_kept = did.iter().any(|did| matches!(did, Did::KeepStopped(_)));
    if has_kept != ledger.stops_changed {
        return broken("stops_are_kept", format!("{:?}: {has_kept}", ledger.stopped));
    }
    is_noticed(ledger, after)
}

/// An outage comes to a question when all its windows are over, and when one more is where a
/// restart was held back.
fn is_noticed(ledger: &mut Ledger, after: &View) -> Verdict {
    let outage = ledger.policy().outage;
    let is_wanted = |id: &&NodeId| ledger.wants(**id);
    let wanted: Vec<_> =
        ledger.rows.iter().flat_map(|rows| rows.keys()).filter(is_wanted).collect();
    let is_idle = wanted.is_empty() && !outage.restart_with_no_nodes;
    // One whose call leaves may have no place yet.
    let may_be_idle = wanted.iter().all(|id| after.state(**id) == "stopping");
    // One that was found may be up though no link shows it.
    let in_doubt = ledger.calls.values().any(Call::is_found) && !after.has_up();
    let watches = ledger.links_told && ledger.running_told && !ledger.stopping;
    let is_empty = !after.has_up() && (!may_be_idle || outage.restart_with_no_nodes);
    let is_quiet = watches && is_empty && !in_doubt;
    // What came late, came late for every window.
    let late = ledger.before.deadline.map_or(0, |due| ledger.now.saturating_sub(due));
    let from = ledger.now.max(outage.startup_delay.as_millis() as u64);
    let window = window(ledger);
    let windows = &mut ledger.windows;
    (windows.is_idle, windows.is_anew) = (is_idle, windows.is_anew || is_idle || in_doubt);
    windows.is_held &= is_quiet;
    let count = if windows.is_held { 1 } else { u64::from(outage.windows) };
    let is_counted = is_quiet && windows.question.is_none() && windows.restarting.is_none();
    let ask_by = windows.ask_by.map_or(from + count * window, |by| by + late);
    windows.ask_by = is_counted.then_some(ask_by);
    if is_counted && ledger.now > ask_by {
        return broken("an_outage_is_noticed", format!("{:?}", ledger.windows));
    }
    Ok(())
}
