//! How things stand, in one line for the service manager.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Supervisor;
use crate::control::{api, shown};
use crate::core::State;

/// A state in the words of the line.
fn word(state: State) -> &'static str {
    if state == State::Backoff { "retrying" } else { state.name() }
}

impl Supervisor {
    /// How many nodes are in which state, how far the outage rule is, and what is wrong.
    pub(super) fn standing(&self) -> String {
        let report = self.core.report_whole();
        let outage = shown::outage(report.outage, self.clock.now());
        let mut line = match (self.stopping, self.was_ready) {
            (true, _) => "stopping: ".to_owned(),
            (false, false) => "starting: ".to_owned(),
            (false, true) => String::new(),
        };
        line.push_str(&self.counts());
        let (empty, of) = (outage.zero_ppp_count, outage.consecutive_threshold);
        let _ = write!(line, "; outage check {empty} of {of}");
        if let Some(problem) = report.database_problem {
            let _ = write!(line, "; the node database can't be used: {problem}");
        }
        if let Some(fault) = report.host_fault {
            let _ = write!(line, "; no tunnel can be dialled: {}", fault.message);
        }
        if let Some(why) = outage.restart_held {
            let _ = write!(line, "; the backend's restart is held back: {why}");
        }
        if let Some(api::LastRestart { message: Some(why), .. }) = outage.last_restart
            && !outage.is_healthy
        {
            let _ = write!(line, "; the last restart of the backend did not help: {why}");
        }
        if let Some(why) = self.reloads.refused() {
            let _ = write!(line, "; reload refused, the old configuration stays: {why}");
        }
        line
    }

    fn counts(&self) -> String {
        let mut counts: BTreeMap<State, usize> = BTreeMap::new();
        for (_, state) in self.core.states() {
            *counts.entry(state).or_default() += 1;
        }
        let up = counts.remove(&State::Up).unwrap_or_default();
        let others = counts.into_iter().map(|(state, count)| format!(", {count} {}", word(state)));
        format!("{up} up{}", others.collect::<String>())
    }
}
