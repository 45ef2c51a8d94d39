//! How many dials are under way at once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::gateway::Gateway;

/// The most dials that were under way at one moment: begun, and neither up nor ended.
fn most_at_once(gateway: &Gateway) -> usize {
    let mut under_way = BTreeSet::new();
    let counts = gateway.dials().into_iter().map(|line| {
        match line.what.as_str() {
            "start" => under_way.insert(line.name),
            _ => under_way.remove(&line.name),
        };
        under_way.len()
    });
    counts.max().unwrap_or(0)
}

#[test]
fn dials_to_one_server_never_overlap() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "talk_ms": 100 }));
    for id in 1..=6 {
        gateway.node(id, "10.9.0.1", "secret");
    }
    gateway.start().wait_until("all up", |s| s.counts.get("up") == Some(&6));
    assert_eq!(most_at_once(&gateway), 1);
}

#[test]
fn dials_to_many_servers_keep_to_the_hosts_cap() {
    let mut gateway = Gateway::configured("tunnel.dial_concurrency = 2");
    for id in 1..=6 {
        let ip = format!("10.9.0.{id}");
        gateway.server(&ip, &json!({ "answer": "silent" }));
        gateway.node(id, &ip, "secret");
    }
    gateway.start();
    gateway.wait_for("two dials", || (gateway.dials().len() == 2).then_some(()));
    (1..=6).for_each(|id| gateway.server(&format!("10.9.0.{id}"), &json!({})));
    gateway.wait_until("all up", |s| s.counts.get("up") == Some(&6));
    assert_eq!(most_at_once(&gateway), 2);
}

#[test]
fn a_node_that_waits_for_its_servers_slot_says_so() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.node(2, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "negotiating");
    gateway.wait_state(2, "waiting");
    assert_eq!(gateway.dialled(2), 0);
}

#[test]
fn the_more_wanted_status_is_dialled_first() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({}));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.node(2, "10.9.0.1", "secret");
    gateway.sql("UPDATE nodes SET status = 'SpeedOculus' WHERE id = 2");
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    let first = gateway.dials().into_iter().next().unwrap();
    assert_eq!(first.name, "connexa-node-2");
}

#[test]
fn a_failed_dial_frees_its_servers_slot() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({}));
    gateway.node(1, "10.9.0.1", "wrong");
    gateway.node(2, "10.9.0.1", "secret");
    gateway.start().wait_state(2, "up");
}
