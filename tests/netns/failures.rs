//! What goes wrong at a server is told by its kind, and tried again or not.

use connexa::control::api::Node;
use serde_json::json;

use crate::gateway::Gateway;

#[test]
fn a_wrong_password_is_quarantined_after_three_refusals() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({}));
    gateway.node(2, "10.9.0.2", "wrong");
    let node = gateway.start().wait_state(2, "quarantined");
    assert_eq!(node.last_error.unwrap().kind, "auth_refused");
    assert_eq!(gateway.dialled(2), 3);
    gateway.wait_log("Node 2 is quarantined: ");
}

#[test]
fn a_login_that_has_worked_comes_up_again_by_itself_when_its_server_has_refused_it_for_a_while() {
    let mut gateway = Gateway::configured("tunnel.quarantine_after = 1");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    // A short cut; the server holds the old session and refuses a second one.
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    gateway.wait_node(1, "fallen", |node| node.state != "up");
    gateway.server("10.9.0.1", &json!({ "password": "another" }));
    let refused = |node: &Node| {
        let kind = node.last_error.as_ref().map(|error| error.kind.as_str());
        node.state == "quarantined" || (kind == Some("auth_refused") && node.attempts >= 4)
    };
    assert_ne!(gateway.wait_node(1, "refused again and again", refused).state, "quarantined");
    gateway.server("10.9.0.1", &json!({}));
    gateway.wait_state(1, "up");
}

#[test]
fn a_corrected_password_ends_the_quarantine() {
    let mut gateway = Gateway::configured("tunnel.quarantine_after = 1");
    gateway.server("10.9.0.2", &json!({}));
    gateway.node(2, "10.9.0.2", "wrong");
    gateway.start().wait_state(2, "quarantined");
    gateway.node(2, "10.9.0.2", "secret");
    gateway.wait_state(2, "up");
}

#[test]
fn a_server_that_is_not_there_is_unreachable_and_tried_again() {
    let mut gateway = Gateway::new();
    gateway.node(2, "10.9.0.2", "secret");
    let node = gateway.start().wait_state(2, "backoff");
    let error = node.last_error.unwrap();
    assert_eq!(error.kind, "unreachable");
    assert!(error.message.contains("No route to host"), "{}", error.message);
    assert!(node.next_attempt_at.is_some());
    gateway.server("10.9.0.2", &json!({}));
    gateway.wait_state(2, "up");
}

#[test]
fn a_failure_that_repeats_is_told_once_for_each_wait() {
    let backoff = "tunnel.backoff = { min = \"100ms\", max = \"100ms\" }";
    let mut gateway = Gateway::configured(backoff);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_for("many dials", || (gateway.dialled(2) > 5).then_some(()));
    gateway.assert_logged("Node 2: retrying", 1);
}

#[test]
fn options_that_pppd_refuses_are_called_that() {
    let mut gateway = Gateway::configured("tunnel.extra_options = [\"mtuu 1400\"]");
    gateway.nodes(1);
    let node = gateway.start().wait_node(1, "an error", |node| node.last_error.is_some());
    let error = node.last_error.unwrap();
    assert_eq!(error.kind, "bad_options");
    assert!(error.message.contains("mtuu"), "pppd's own words are kept: {}", error.message);
}

#[test]
fn a_pppd_that_ends_without_a_word_is_tried_again() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({ "exit": 0 }));
    gateway.node(2, "10.9.0.2", "secret");
    let node = gateway.start().wait_node(2, "a failure", |node| node.last_error.is_some());
    assert_eq!(node.last_error.unwrap().kind, "unexplained");
    gateway.server("10.9.0.2", &json!({}));
    gateway.wait_state(2, "up");
}

#[test]
fn a_server_that_ends_the_call_is_named_as_the_cause() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    gateway.wait_log("Tunnel for node 1 is DOWN on ppp0: LCP terminated by peer");
}

#[test]
fn one_bad_node_costs_the_others_nothing() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.node(3, "10.9.0.3", "secret");
    gateway.node(4, "10.9.0.1", "wrong");
    gateway.start();
    let pid = gateway.wait_state(1, "up").pid;
    gateway.wait_state(4, "quarantined");
    gateway.wait_state(3, "backoff");
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    assert_eq!(gateway.dialled(2), 1);
}
