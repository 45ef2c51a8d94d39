//! What is told of the nodes as it happens: their history, and events for whoever follows.

use tokio::sync::broadcast;

use super::Supervisor;
use crate::control::api::{self, What};
use crate::control::events::{Line, line};
use crate::control::question::Following;
use crate::control::shown;
use crate::core::change::Change;
use crate::core::effect::Effect;
use crate::core::reason::Reason;
use crate::core::report::Report;
use crate::core::time::Now;
use crate::core::{Sort, State};
use crate::node::{Engine, NodeId};

/// Events that the slowest reader may be behind.
const QUEUE: usize = 1024;

/// Tells events. None is made while nobody follows, and each is made once for all.
#[derive(Debug)]
pub(super) struct Teller {
    /// Of the last event.
    seq: u64,
    readers: broadcast::Sender<Line>,
    /// What was told last of all that is not of one node.
    whole: Option<Whole>,
}

/// What is not of one node.
#[derive(Clone, Debug, PartialEq)]
struct Whole {
    outage: api::Outage,
    database: api::Database,
    host_fault: Option<api::LastError>,
}

impl Default for Teller {
    fn default() -> Self {
        Teller { seq: 0, readers: broadcast::Sender::new(QUEUE), whole: None }
    }
}

impl Teller {
    fn is_followed(&self) -> bool {
        self.readers.receiver_count() > 0
    }

    fn tell(&mut self, what: What, now: Now) {
        self.seq += 1;
        let event = api::Event { seq: self.seq, at: shown::rfc3339(now.wall), what };
        // Whoever followed may have gone away.
        let _ = self.readers.send(Line { seq: self.seq, bytes: line(&event) });
    }
}

impl Supervisor {
    /// Notes what the last input has moved, beside what its effects say.
    pub(super) fn witness(&mut self, effects: &[Effect], now: Now) {
        let mut moved = self.core.take_moved();
        moved.extend(effects.iter().filter_map(changed_while_up));
        moved.sort_unstable();
        moved.dedup();
        for id in moved {
            let report = self.core.report_one(id);
            let change = self.history.follow(id, report.as_ref(), now);
            let change = change.map(|change| (change.state, change.reason.clone()));
            if let Some((Some(state), reason)) = change {
                let engine = report.as_ref().map(|report| report.engine);
                self.count(id, state, engine.unwrap_or_default(), reason.as_deref(), now);
            }
            if self.teller.is_followed() {
                let what = match report {
                    Some(report) => What::Node { node: Box::new(shown::node(&report, now)) },
                    None => What::Gone { id: id.0 },
                };
                self.teller.tell(what, now);
            } else {
                self.teller.seq += 1;
            }
        }
        if self.teller.is_followed() {
            self.tell_the_whole(now);
        }
    }

    /// A node has come to another state.
    fn count(&self, id: NodeId, state: State, engine: Engine, reason: Option<&Reason>, now: Now) {
        match state.sort() {
            Sort::Calls if state == State::Dialing => self.metrics.dialled(engine),
            Sort::Up => {
                if let Some(after) = self.history.dialled_for(id, now) {
                    self.metrics.rose(engine, after);
                }
            }
            Sort::Waits | Sort::Failed => {
                if let Some(kind) = reason.and_then(Reason::failure) {
                    self.metrics.failed(kind);
                }
            }
            Sort::Calls | Sort::Ends | Sort::Stopped | Sort::Invalid => {}
        }
    }

    fn tell_the_whole(&mut self, now: Now) {
        let whole = self.whole(&self.core.report_whole(), now);
        let Some(before) = self.teller.whole.replace(whole.clone()) else { return };
        // When the window ends is worked out anew each time, and its end alone is no news.
        let timeless =
            |outage: &api::Outage| api::Outage { next_evaluation_at: None, ..outage.clone() };
        if timeless(&before.outage) != timeless(&whole.outage) {
            self.teller.tell(What::Outage { outage: Box::new(whole.outage) }, now);
        }
        if before.database != whole.database {
            self.teller.tell(What::Database { database: whole.database }, now);
        }
        if before.host_fault != whole.host_fault {
            self.teller.tell(What::HostFault { host_fault: whole.host_fault }, now);
        }
    }

    fn whole(&self, report: &Report, now: Now) -> Whole {
        Whole {
            outage: shown::outage(report.outage.clone(), now),
            database: self.database(report),
            host_fault: report.host_fault.as_ref().map(shown::failure),
        }
    }

    /// Where a new reader begins.
    pub(super) fn following(&mut self) -> Following {
        let now = self.clock.now();
        self.teller.whole = Some(self.whole(&self.core.report_whole(), now));
        let what = What::Snapshot { status: Box::new(self.status()) };
        let snapshot = api::Event { seq: self.teller.seq, at: shown::rfc3339(now.wall), what };
        Following { snapshot, events: self.teller.readers.subscribe() }
    }
}

/// A tunnel that stays up is moved too when its link or addresses are others.
fn changed_while_up(effect: &Effect) -> Option<NodeId> {
    match effect {
        Effect::Change(Change::Readdressed(up) | Change::Renamed(up)) => Some(up.node),
        Effect::Change(Change::Rose(_) | Change::Fell { .. } | Change::Explained { .. })
        | Effect::Order(_)
        | Effect::JudgeBackend { .. }
        | Effect::RestartBackend { .. }
        | Effect::KeepStopped(_)
        | Effect::Way(_)
        | Effect::Tell(_) => None,
    }
}
