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
fn a_wrong_password_has_no_more_tries_when_its_row_goes_and_comes_back() {
    let mut gateway =
        Gateway::configured("selection.absence_grace = \"0s\"\ntunnel.quarantine_after = 1");
    gateway.server("10.9.0.2", &json!({}));
    gateway.node(2, "10.9.0.2", "wrong");
    gateway.start().wait_state(2, "quarantined");
    for _ in 0..3 {
        gateway.sql("DELETE FROM nodes");
        gateway.wait_until("no node", |status| status.nodes.is_empty());
        gateway.node(2, "10.9.0.2", "wrong");
        gateway.wait_state(2, "quarantined");
    }
    assert_eq!(gateway.dialled(2), 1);
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

/// A gateway whose node 2 has a password that its server never takes, and rests so long in quarantine.
fn refused_for_ever(rest: &str) -> Gateway {
    let mut gateway = Gateway::configured(&format!(
        "tunnel.quarantine_after = 2
        tunnel.quarantine_rest = \"{rest}\"
        tunnel.backoff = {{ min = \"50ms\", max = \"100ms\" }}"
    ));
    gateway.server("10.9.0.2", &json!({}));
    gateway.node(2, "10.9.0.2", "wrong");
    gateway.start();
    gateway
}

fn explained(gateway: &Gateway, id: u32) -> String {
    let output = gateway.connexactl(&["explain", &id.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The moments of all starts or ends of node 2's calls.
fn moments(gateway: &Gateway, what: &str) -> Vec<f64> {
    let dials = gateway.dials();
    dials.iter().filter(|line| line.what == what).map(|line| line.at).collect()
}

#[test]
fn a_login_that_never_worked_is_tried_once_per_rest_and_no_more() {
    let gateway = refused_for_ever("1500ms");
    gateway.wait_for("five dials", || (gateway.dialled(2) >= 5).then_some(()));
    let (starts, ends) = (moments(&gateway, "start"), moments(&gateway, "end"));
    // Two make the quarantine; each later one has rested since the end of the one before.
    for (end, start) in ends.iter().skip(1).zip(starts.iter().skip(2)) {
        assert!(start - end >= 1.5, "{starts:?}, ended {ends:?}");
    }
    assert_eq!(gateway.logged("Node 2: retrying"), 1, "{}", gateway.log());
}

#[test]
fn a_quarantined_node_is_dialled_when_its_status_says_and_not_before() {
    let gateway = refused_for_ever("3s");
    gateway.wait_state(2, "quarantined");
    let rests = |node: &Node| node.state == "quarantined" && node.next_attempt_in.is_some();
    let node = gateway.wait_node(2, "at rest", rests);
    let (before, dials) = (moments(&gateway, "end").pop().unwrap(), gateway.dialled(2));
    assert!(node.next_attempt_in.unwrap() <= 3 && node.next_attempt_at.is_some(), "{node:?}");
    let text = explained(&gateway, 2);
    assert!(text.contains("next: it is dialled once more in "), "{text}");
    gateway.wait_for("that dial", || (gateway.dialled(2) > dials).then_some(()));
    let start = moments(&gateway, "start")[dials];
    assert!(start - before >= 3.0, "dialled after {} s", start - before);
}

#[test]
fn a_quarantined_node_that_never_rests_is_dialled_by_nobody_but_the_operator() {
    let gateway = refused_for_ever("0s");
    let node = gateway.wait_state(2, "quarantined");
    assert_eq!((node.next_attempt_in, node.next_attempt_at), (None, None));
    let text = explained(&gateway, 2);
    assert!(text.contains("next: nothing by itself"), "{text}");
    // What else goes on dials it as little.
    gateway.nodes(1);
    gateway.wait_state(1, "up");
    assert_eq!(gateway.dialled(2), 2);
    assert!(gateway.connexactl(&["retry", "2"]).status().unwrap().success());
    gateway.wait_for("the operator's dial", || (gateway.dialled(2) > 2).then_some(()));
}

#[test]
fn a_refused_password_beyond_ascii_is_told_to_be_hashed_in_another_way() {
    let mut gateway = Gateway::configured("tunnel.quarantine_after = 1");
    gateway.server("10.9.0.2", &json!({}));
    gateway.node(2, "10.9.0.2", "pässwörd");
    let node = gateway.start().wait_state(2, "quarantined");
    let why = "the password has characters beyond ASCII, which pppd hashes in another way than most servers";
    assert!(node.last_error.unwrap().message.contains(why));
    gateway.wait_log(why);
    let text = explained(&gateway, 2);
    assert!(text.contains(why), "{text}");
    // One of ASCII alone is just refused.
    gateway.node(2, "10.9.0.2", "wrong");
    let is_told = |node: &Node| {
        node.last_error.as_ref().is_some_and(|error| !error.message.contains("ASCII"))
    };
    gateway.wait_node(2, "another reason", |node| node.state == "quarantined" && is_told(node));
}
