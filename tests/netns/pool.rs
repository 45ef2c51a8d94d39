//! More candidates than places.

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;

#[test]
fn a_candidate_whose_password_is_refused_yields_its_place_to_the_next() {
    let mut gateway = Gateway::configured("selection.max_tunnels = 2");
    gateway.nodes(3);
    gateway.server("10.9.0.1", &json!({ "password": "another" }));
    gateway.start().wait_state(3, "up");
    gateway.wait_state(2, "up");
    let node = gateway.wait_state(1, "quarantined");
    assert_eq!(gateway.dialled(1), 3);
    assert!(node.next_attempt_at.is_some(), "{node:?}");
    gateway.assert_logged("its place goes to node 3", 1);
}

#[test]
fn a_reload_with_fewer_places_and_another_selection_keeps_the_tunnels_of_both() {
    let mut gateway = Gateway::new();
    gateway.nodes(3);
    gateway.sql("UPDATE nodes SET status = 'SPEEDOG' WHERE id > 1");
    gateway.start();
    let before = [2, 3].map(|id| gateway.wait_state(id, "up").pid);
    gateway.wait_state(1, "up");
    gateway.configure("selection = { max_tunnels = 2, statuses = [\"SPEEDOG\"], priority = [] }");
    gateway.signal(Signal::HUP);
    gateway.wait_until("two nodes", |status| status.nodes.len() == 2);
    assert_eq!([2, 3].map(|id| gateway.wait_state(id, "up").pid), before);
}

#[test]
fn a_tunnel_that_loses_its_place_is_told_why_and_waits_for_another() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_until("both up", |status| status.counts.get("up") == Some(&2));
    gateway.configure("selection.max_tunnels = 1");
    gateway.signal(Signal::HUP);
    let node = gateway.wait_state(2, "waiting");
    assert!(node.waits_for_place);
    gateway.assert_logged("better candidates have all places of selection.max_tunnels", 1);
    gateway.configure("selection.max_tunnels = 2");
    gateway.signal(Signal::HUP);
    gateway.wait_state(2, "up");
}

#[test]
fn a_candidate_without_a_place_can_be_stopped_and_is_not_dialled_later() {
    let mut gateway = Gateway::configured("selection.max_tunnels = 1");
    gateway.nodes(3);
    gateway.start().wait_state(1, "up");
    assert!(gateway.connexactl(&["stop", "2"]).status().unwrap().success());
    gateway.wait_state(2, "stopped");
    gateway.sql("DELETE FROM nodes WHERE id = 1");
    gateway.wait_state(3, "up");
    assert_eq!((gateway.wait_state(2, "stopped").attempts, gateway.dialled(2)), (0, 0));
}
