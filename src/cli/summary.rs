//! The whole in a line of words.

use std::fmt::Write;

use crate::control::api::{Outage, Status, counted};

/// How many nodes are in which state, and the outage rule.
pub(super) fn summary(status: &Status) -> String {
    let dry_run = if status.daemon.dry_run { "dry run, so nothing is done; " } else { "" };
    format!("{dry_run}{}; {}", counts(status), outage(&status.outage))
}

/// How many nodes are in which state.
pub(super) fn counts(status: &Status) -> String {
    let mut text = counted(status.nodes.len(), "node");
    let mut joint = ": ";
    for (state, count) in &status.counts {
        let _ = write!(text, "{joint}{count} {state}");
        joint = ", ";
    }
    text
}

/// How the outage rule counts.
pub(super) fn outage(outage: &Outage) -> String {
    format!("outage check: {}", windows(outage))
}

/// The same without saying what it is.
pub(super) fn windows(outage: &Outage) -> String {
    let (count, of) = (outage.zero_ppp_count, outage.consecutive_threshold);
    let times = match outage.restarts {
        1 => "once".to_owned(),
        restarts => format!("{restarts} times"),
    };
    format!("{count} of {of} windows in a row without a tunnel; backend restarted {times}")
}
