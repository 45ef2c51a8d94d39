//! The core's state as the control API shows it.

use std::collections::BTreeMap;

use super::Core;
use super::event::RestartOutcome;
use super::links::Addresses;
use super::outage::Progress;
use super::time::{Monotonic, Now, Wall};
use super::tunnel::{Phase, Standing, Tunnel, Want};
use crate::control::api;
use crate::node::NodeId;

/// What the core adds to a status answer.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outage rule.
    pub outage: api::Outage,
    /// How the kernel is heard.
    pub kernel: api::Kernel,
    /// Whether the database was read at least once.
    pub database_was_read: bool,
    /// Why it can't be read just now.
    pub database_problem: Option<String>,
    /// Why no tunnel can be dialled.
    pub host_fault: Option<api::LastError>,
    /// Nodes in each state.
    pub counts: BTreeMap<String, usize>,
    /// Every node, by id.
    pub nodes: Vec<api::Node>,
}

impl Core {
    /// The whole state, to be shown.
    pub fn report(&self, now: Now) -> Report {
        let nodes: Vec<_> = (self.tunnels.iter())
            .map(|(id, t)| api::Node {
                waits_for_place: self.pool.lets_wait(*id),
                ..node(*id, t, now)
            })
            .collect();
        let mut counts = BTreeMap::new();
        for node in &nodes {
            *counts.entry(node.state.clone()).or_insert(0) += 1;
        }
        Report {
            outage: self.report_outage(now),
            kernel: api::Kernel {
                links: self.hearing.links,
                overruns: self.hearing.overruns,
                undecodable: self.hearing.undecodable,
                interrupted: self.hearing.interrupted,
                reopened: self.hearing.reopened,
                resyncs: self.hearing.resyncs,
                receive_buffer: self.hearing.receive_buffer,
                last_event_at: self.heard_at.map(Wall::rfc3339),
            },
            database_was_read: self.known.database,
            database_problem: self.known.database_problem.clone(),
            host_fault: self.host.fault().map(api::LastError::from),
            counts,
            nodes,
        }
    }

    fn report_outage(&self, now: Now) -> api::Outage {
        let policy = self.outage.policy();
        api::Outage {
            ppp_interfaces: self.up.len(),
            zero_ppp_count: self.outage.count(),
            consecutive_threshold: policy.windows,
            check_interval: api::seconds(policy.interval),
            is_healthy: self.outage.is_healthy(),
            restarts: self.outage.restarts(),
            last_restart_at: self.outage.last_restart().map(|last| last.began.rfc3339()),
            last_restart: self.outage.last_restart().map(|last| last_restart(&last.progress)),
            restart_held: self.backend.held.clone(),
            next_evaluation_at: self.outage.next_evaluation().map(|at| on_the_wall(at, now)),
        }
    }
}

fn last_restart(progress: &Progress) -> api::LastRestart {
    let (result, message) = match progress {
        Progress::Runs => ("running", None),
        Progress::Overdue => ("overdue", None),
        Progress::Over(RestartOutcome::Ready(_)) => ("ready", None),
        Progress::Over(RestartOutcome::NotReady(why)) => ("not_ready", Some(why.clone())),
        Progress::Over(RestartOutcome::Failed { message, .. }) => ("failed", Some(message.clone())),
    };
    api::LastRestart { result: result.to_owned(), message }
}

/// A coming moment, as the wall clock will show it.
fn on_the_wall(at: Monotonic, now: Now) -> String {
    let ahead = at.0.saturating_sub(now.at.0);
    Wall(now.wall.0.saturating_add(ahead)).rfc3339()
}

fn node(id: NodeId, tunnel: &Tunnel, now: Now) -> api::Node {
    let (ip, login, status) = match &tunnel.want {
        Want::Tunnel(node) => {
            (node.server.to_string(), node.login.as_str().to_owned(), node.status.clone())
        }
        Want::Invalid(row) => (row.ip.clone(), row.login.clone(), row.status.clone()),
        Want::Unknown | Want::Nothing => Default::default(),
    };
    let known = matches!(tunnel.want, Want::Tunnel(_) | Want::Invalid(_));
    let call = tunnel.call();
    let addresses: Option<Addresses> = call.and_then(|call| match call.standing {
        Standing::Up(_, addresses) => Some(addresses),
        Standing::NoLink | Standing::Link(_) => None,
    });
    let next_attempt = match &tunnel.phase {
        Phase::Backoff { until } | Phase::Quarantined { until: Some(until) } => {
            Some(on_the_wall(*until, now))
        }
        Phase::Waiting
        | Phase::Calling(_)
        | Phase::Stopping { .. }
        | Phase::Quarantined { until: None }
        | Phase::Stopped
        | Phase::Invalid => None,
    };
    let (state, since) = tunnel.shown;
    api::Node {
        id: id.0,
        ip: known.then_some(ip),
        login: known.then_some(login),
        status: known.then_some(status),
        state: state.name().to_owned(),
        interface: call.and_then(|call| call.interface.clone()),
        ifindex: call.and_then(|call| call.link()).map(|index| index.0),
        local_ip: addresses.map(|a| a.local),
        remote_ip: addresses.and_then(|a| a.remote),
        pid: call.and_then(|call| call.pid),
        adopted: call.is_some_and(|call| call.is_adopted()),
        since: since.rfc3339(),
        attempts: tunnel.retries.attempts,
        next_attempt_at: next_attempt,
        waits_for_place: false,
        last_error: last_error(tunnel),
    }
}

fn last_error(tunnel: &Tunnel) -> Option<api::LastError> {
    match &tunnel.want {
        Want::Invalid(row) => {
            Some(api::LastError { kind: "invalid".into(), message: row.reason.to_string() })
        }
        Want::Unknown | Want::Tunnel(_) | Want::Nothing => {
            tunnel.retries.last.as_ref().map(api::LastError::from)
        }
    }
}
