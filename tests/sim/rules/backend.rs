//! The backend is restarted after an outage, where that can help, and once.

use super::{Verdict, broken};
use crate::ledger::{Ledger, Time};
use crate::wire::{Did, JUDGE_LIMIT, Told, View};

const LONGEST_FACTOR: u64 = 16;

pub(super) fn check(ledger: &Ledger, did: &Did, after: &View) -> Verdict {
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
    if ledger.stopping || !ledger.knows_enough() {
        return broken(
            "a_restart_is_for_an_outage",
            "by a daemon that stops or knows little".into(),
        );
    }
    if ledger.before.has_up() || after.has_up() || windows.last_up == Some(ledger.now) {
        return broken("no_restart_while_a_tunnel_is_up", "the backend is restarted".into());
    }
    let limit = ledger.policy().outage.restart_limit.as_millis() as u64;
    if windows.restarting.is_some_and(|began| ledger.now < began + limit) {
        return broken("one_restart_at_a_time", format!("{windows:?}"));
    }
    let is_unanswered =
        windows.question.is_some_and(|(_, asked)| ledger.now >= asked + JUDGE_LIMIT);
    if windows.answer != Some(true) && !is_unanswered {
        return broken("no_restart_before_it_is_judged", format!("{windows:?}"));
    }
    Ok(())
}

fn interval(ledger: &Ledger) -> Time {
    ledger.policy().outage.interval.as_millis() as u64
}

/// So many windows in a row were empty, each twice as long for each restart in vain.
fn is_outage(ledger: &Ledger) -> Verdict {
    let (windows, outage) = (&ledger.windows, &ledger.policy().outage);
    let factor = (1 << windows.restarts.min(8)).min(LONGEST_FACTOR);
    // While one is held back, each further window asks again.
    let count = if windows.asked { 1 } else { u64::from(outage.windows) };
    let quiet = interval(ledger) * count * factor;
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

/// An outage comes to a judgement in time.
pub(super) fn check_all(ledger: &mut Ledger, did: &[Did], after: &View) -> Verdict {
    let has_kept = did.iter().any(|did| matches!(did, Did::KeepStopped(_)));
    if has_kept != ledger.stops_changed {
        return broken("stops_are_kept", format!("{:?}: {has_kept}", ledger.stopped));
    }
    let wanted = ledger.rows.iter().flat_map(|rows| rows.keys()).any(|id| ledger.wants(*id));
    // One that was found may be up though no link shows it.
    let in_doubt = ledger.calls.values().any(|call| call.is_found() && !after.has_up());
    ledger.windows.is_anew |= !wanted || in_doubt;
    let is_quiet =
        ledger.knows_enough() && wanted && !in_doubt && !after.has_up() && !ledger.stopping;
    let outage = &ledger.policy().outage;
    let limit = outage.restart_limit.as_millis() as u64 + 2 * JUDGE_LIMIT;
    let longest = 2 * interval(ledger) * u64::from(outage.windows + 1) * LONGEST_FACTOR + limit;
    let since = if is_quiet { ledger.windows.quiet_since.or(Some(ledger.now)) } else { None };
    ledger.windows.quiet_since = since;
    match since {
        Some(since) if ledger.now > since + longest => {
            broken("an_outage_is_noticed", format!("nothing was asked since {since}"))
        }
        _ => Ok(()),
    }
}
