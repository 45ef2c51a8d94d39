//! How many dials are under way at once.

use std::collections::BTreeSet;

use rustix::process::Signal;
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
fn dials_to_one_server_do_not_overlap_where_one_is_configured() {
    let mut gateway = Gateway::configured("tunnel.dial_concurrency_per_server = 1");
    gateway.server("10.9.0.1", &json!({ "talk_ms": 100 }));
    for id in 1..=6 {
        gateway.node(id, "10.9.0.1", "secret");
    }
    gateway.start().wait_until("all up", |s| s.counts.get("up") == Some(&6));
    assert_eq!(most_at_once(&gateway), 1);
}

/// Node 1 is up; the server takes its time with nodes 2 to 7, of which four are dialled at once.
fn four_of_six_are_dialled(gateway: &mut Gateway) {
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    for id in 2..=7 {
        gateway.node(id, "10.9.0.1", "secret");
    }
    gateway.wait_until("four under way", |s| s.counts.get("negotiating") == Some(&4));
    assert_eq!(gateway.status().unwrap().counts.get("waiting"), Some(&2));
    gateway.server("10.9.0.1", &json!({}));
    gateway.wait_until("all up", |s| s.counts.get("up") == Some(&7));
    assert_eq!(most_at_once(gateway), 4);
}

#[test]
fn four_dials_to_a_server_that_has_answered_are_under_way_side_by_side() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({}));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "up");
    four_of_six_are_dialled(&mut gateway);
}

#[test]
fn a_tunnel_that_is_taken_over_shows_that_its_server_answers() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({}));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::KILL);
    gateway.start().wait_node(1, "taken over", |node| node.state == "up" && node.adopted);
    four_of_six_are_dialled(&mut gateway);
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
