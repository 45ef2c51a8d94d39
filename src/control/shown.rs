//! The core's state in the shapes of the API.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::api;
use crate::config::{Changed, When};
use crate::core::State;
use crate::core::event::{Hearing, RestartOutcome};
use crate::core::failure::Failure;
use crate::core::outage::Progress;
use crate::core::reason::Reason;
use crate::core::report::{NodeReport, OutageReport, Row};
use crate::core::time::{Monotonic, Now, Wall};
use crate::supervisor::Transition;

/// Why a node is in its state.
pub(crate) fn reason(reason: &Reason) -> api::LastError {
    api::LastError {
        kind: reason.kind().to_owned(),
        message: reason.message(),
        remedy: reason.remedy().map(str::to_owned),
    }
}

/// Every node, and how many are in each state.
pub(crate) fn nodes(reports: &[NodeReport], now: Now) -> (Vec<api::Node>, BTreeMap<String, usize>) {
    let mut counts = BTreeMap::new();
    for report in reports {
        *counts.entry(report.state.name().to_owned()).or_insert(0) += 1;
    }
    (reports.iter().map(|report| node(report, now)).collect(), counts)
}

/// One node.
pub(crate) fn node(report: &NodeReport, now: Now) -> api::Node {
    let (ip, login, status) = match &report.row {
        Row::Unknown => (None, None, None),
        Row::Node(node) => (
            Some(node.server.to_string()),
            Some(node.login.as_str().to_owned()),
            Some(node.status.clone()),
        ),
        Row::Invalid(row) => {
            (Some(row.ip.clone()), Some(row.login.clone()), Some(row.status.clone()))
        }
    };
    api::Node {
        id: report.id.0,
        ip,
        login,
        status,
        state: report.state.name().to_owned(),
        engine: report.engine.to_string(),
        interface: report.interface.clone(),
        ifindex: report.index.map(|index| index.0),
        local_ip: report.local,
        remote_ip: report.remote,
        pid: report.pid,
        adopted: report.adopted,
        since: rfc3339(report.since.wall),
        state_seconds: now.at.since(report.since.at).as_secs(),
        attempts: report.attempts,
        next_attempt_at: report.next_attempt.map(|at| on_the_wall(at, now)),
        next_attempt_in: report.next_attempt.map(|at| until(at, now)),
        leaves_at: report.leaves_at.map(|at| on_the_wall(at, now)),
        leaves_in: report.leaves_at.map(|at| until(at, now)),
        waits_for_place: report.waits_for_place,
        reason: report.reason.as_ref().map(reason),
        last_error: last_error(report),
        notes: report.notes.iter().map(ToString::to_string).collect(),
    }
}

fn last_error(report: &NodeReport) -> Option<api::LastError> {
    match &report.row {
        Row::Invalid(row) => {
            let (kind, message) = ("invalid".into(), row.reason.to_string());
            Some(api::LastError { kind, message, remedy: None })
        }
        Row::Unknown | Row::Node(_) => report.last_failure.as_ref().map(failure),
    }
}

/// A change of a node's state.
pub(crate) fn transition(change: &Transition) -> api::Transition {
    api::Transition {
        at: rfc3339(change.at),
        state: change.state.map_or("gone", State::name).to_owned(),
        interface: change.interface.as_deref().map(str::to_owned),
        reason: change.reason.as_deref().map(reason),
    }
}

/// A key of the configuration whose value is another.
pub(crate) fn key_change(change: Changed) -> api::KeyChange {
    let when = match change.when {
        When::Now => "now",
        When::NextDial => "next_dial",
        When::Restart => "restart",
    };
    api::KeyChange { key: change.key, from: change.from, to: change.to, when: when.to_owned() }
}

/// A failure.
pub(crate) fn failure(failure: &Failure) -> api::LastError {
    api::LastError {
        kind: failure.kind.name().to_owned(),
        message: failure.message.clone(),
        remedy: Some(failure.kind.remedy().to_owned()),
    }
}

/// The outage rule.
pub(crate) fn outage(report: OutageReport, now: Now) -> api::Outage {
    api::Outage {
        ppp_interfaces: report.up,
        zero_ppp_count: report.count,
        consecutive_threshold: report.policy.windows,
        check_interval: api::seconds(report.policy.interval),
        is_healthy: report.is_healthy,
        restarts: report.restarts,
        last_restart_at: report.last_restart.as_ref().map(|last| rfc3339(last.began)),
        last_restart: report.last_restart.map(|last| last_restart(last.progress)),
        restart_held: report.held,
        next_evaluation_at: report.next_evaluation.map(|at| on_the_wall(at, now)),
    }
}

fn last_restart(progress: Progress) -> api::LastRestart {
    let (result, message) = match progress {
        Progress::Runs => ("running", None),
        Progress::Overdue => ("overdue", None),
        Progress::Over(RestartOutcome::Ready(_)) => ("ready", None),
        Progress::Over(RestartOutcome::NotReady(why)) => ("not_ready", Some(why)),
        Progress::Over(RestartOutcome::Failed { message, .. }) => ("failed", Some(message)),
    };
    api::LastRestart { result: result.to_owned(), message }
}

/// How the kernel is heard.
pub(crate) fn kernel(hearing: Hearing, heard_at: Option<Wall>) -> api::Kernel {
    api::Kernel {
        links: hearing.links,
        overruns: hearing.overruns,
        undecodable: hearing.undecodable,
        interrupted: hearing.interrupted,
        reopened: hearing.reopened,
        resyncs: hearing.resyncs,
        receive_buffer: hearing.receive_buffer,
        last_event_at: heard_at.map(rfc3339),
    }
}

/// 9999-12-31T23:59:59.999Z: RFC 3339 writes no year of five digits.
const LAST: u64 = 253_402_300_799_999;

/// A moment as RFC 3339 writes it, in UTC with milliseconds.
pub(crate) fn rfc3339(at: Wall) -> String {
    let at = Duration::from_millis(at.0.min(LAST));
    humantime::format_rfc3339_millis(UNIX_EPOCH + at).to_string()
}

/// Until a coming moment, in whole seconds, rounded up.
pub(super) fn until(at: Monotonic, now: Now) -> u64 {
    at.0.saturating_sub(now.at.0).div_ceil(1000)
}

/// A coming moment, as the wall clock will show it.
pub(crate) fn on_the_wall(at: Monotonic, now: Now) -> String {
    let ahead = at.0.saturating_sub(now.at.0);
    rfc3339(Wall(now.wall.0.saturating_add(ahead)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::State;
    use crate::node::NodeId;

    const YEAR: u64 = 365 * 24 * 3600 * 1000;

    /// A node that has been in back-off for a minute, and is dialled in ten seconds, on a clock that
    /// was set meanwhile.
    fn shown(wall: u64) -> api::Node {
        let moment = |at, wall| Now { at: Monotonic(at), wall: Wall(wall), dice: 0 };
        let report = NodeReport {
            id: NodeId(2),
            row: Row::Unknown,
            state: State::Backoff,
            since: moment(5_000, YEAR),
            engine: crate::node::Engine::Pppd,
            interface: None,
            index: None,
            local: None,
            remote: None,
            pid: None,
            adopted: false,
            attempts: 1,
            next_attempt: Some(Monotonic(75_000)),
            leaves_at: None,
            waits_for_place: false,
            last_failure: None,
            reason: None,
            notes: Vec::new(),
        };
        node(&report, moment(65_000, wall))
    }

    #[test]
    fn durations_are_the_same_whatever_the_clock_was_set_to() {
        for wall in [YEAR + 60_000, 2 * YEAR, 0] {
            let node = shown(wall);
            assert_eq!((node.state_seconds, node.next_attempt_in), (60, Some(10)), "{wall}");
        }
    }

    #[test]
    fn moments_are_as_they_were_recorded() {
        assert_eq!(shown(2 * YEAR).since, "1971-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_moment_beyond_the_years_that_can_be_written_is_the_last_of_them() {
        let last = "9999-12-31T23:59:59.999Z";
        assert_eq!([LAST, LAST + 1, u64::MAX].map(|at| rfc3339(Wall(at))), [last; 3]);
    }
}
