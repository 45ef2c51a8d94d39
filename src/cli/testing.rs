//! Answers of a daemon, for tests of what is shown of them.

use std::collections::BTreeMap;

use crate::control::api::{
    Daemon, Database, Kernel, LastError, Node, Outage, SCHEMA_VERSION, Status,
};

/// A node in this state; with a reason where there are words for one.
pub(super) fn node(id: u32, state: &str, message: &str) -> Node {
    let reason = (!message.is_empty()).then(|| LastError {
        kind: "unreachable".to_owned(),
        message: message.to_owned(),
        remedy: None,
    });
    Node {
        id,
        ip: Some("192.168.100.200".to_owned()),
        login: Some("admin".to_owned()),
        status: None,
        state: state.to_owned(),
        engine: "pppd".to_owned(),
        interface: (state == "up").then(|| "ppp0".to_owned()),
        ifindex: None,
        local_ip: (state == "up").then(|| "10.50.20.100".parse().unwrap()),
        remote_ip: (state == "up").then(|| "10.50.20.1".parse().unwrap()),
        pid: None,
        adopted: false,
        since: "2026-11-24T12:40:45.762Z".to_owned(),
        attempts: 3,
        state_seconds: 5,
        next_attempt_at: None,
        next_attempt_in: None,
        leaves_at: None,
        leaves_in: None,
        waits_for_place: false,
        reason,
        last_error: None,
        notes: Vec::new(),
    }
}

/// The whole with these nodes.
pub(super) fn status(nodes: Vec<Node>) -> Status {
    let mut counts = BTreeMap::new();
    for node in &nodes {
        *counts.entry(node.state.clone()).or_default() += 1;
    }
    Status {
        schema_version: SCHEMA_VERSION,
        daemon: Daemon {
            version: "1.0.0".to_owned(),
            pid: 7,
            started_at: "2026-11-24T12:40:44.929Z".to_owned(),
            config_path: "/etc/connexa/connexad.toml".to_owned(),
            dry_run: false,
        },
        outage: Outage {
            ppp_interfaces: 1,
            zero_ppp_count: 0,
            consecutive_threshold: 3,
            check_interval: 30.into(),
            is_healthy: true,
            restarts: 0,
            last_restart_at: None,
            last_restart: None,
            restart_held: None,
            next_evaluation_at: None,
        },
        kernel: Kernel {
            links: 1,
            overruns: 0,
            undecodable: 0,
            interrupted: 0,
            reopened: 0,
            resyncs: 1,
            receive_buffer: 1 << 25,
            last_event_at: None,
        },
        database: Database { path: "/var/lib/c.db".to_owned(), was_read: true, problem: None },
        host_fault: None,
        counts,
        nodes,
    }
}
