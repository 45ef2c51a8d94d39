//! Tables, routes and rules of tunnels that are up.

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;

const ROUTED: &str = "routing.table_base = 1000";

fn rules(gateway: &Gateway) -> Vec<String> {
    let text = gateway.namespace.ip(&["rule"]);
    let ours = text.lines().filter(|line| line.contains("lookup 10"));
    ours.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The interface that a packet with these properties leaves by.
fn way(gateway: &Gateway, properties: &[&str]) -> String {
    let answer = gateway.namespace.ip(&[&["route", "get", "198.51.100.1"], properties].concat());
    let mut words = answer.split_whitespace().skip_while(|word| *word != "dev");
    words.nth(1).unwrap_or_default().to_owned()
}

fn interface(gateway: &Gateway, id: u32) -> String {
    gateway.wait_state(id, "up").interface.unwrap()
}

fn wait_rules(gateway: &Gateway, count: usize) {
    gateway.wait_for(&format!("{count} rules"), || (rules(gateway).len() == count).then_some(()));
}

/// Two nodes that are up; the servers give both the same addresses.
fn two_up() -> Gateway {
    let mut gateway = Gateway::configured(ROUTED);
    gateway.nodes(2);
    gateway.start().wait_until("two up", |s| s.counts.get("up") == Some(&2));
    wait_rules(&gateway, 6);
    gateway
}

#[test]
fn a_tunnel_is_found_by_interface_mark_and_source_address() {
    let mut gateway = Gateway::configured(ROUTED);
    gateway.nodes(1);
    let link = gateway.start().wait_state(1, "up").interface.unwrap();
    wait_rules(&gateway, 3);
    for by in [["oif", &link], ["mark", "1001"], ["from", "10.50.0.100"]] {
        assert_eq!(way(&gateway, &by), link, "{by:?}");
    }
}

#[test]
fn tunnels_with_equal_addresses_are_told_apart_by_mark_and_interface() {
    let gateway = two_up();
    for id in [1, 2] {
        let link = interface(&gateway, id);
        let mark = (1000 + id).to_string();
        assert_eq!(way(&gateway, &["mark", &mark, "from", "10.50.0.100"]), link);
        assert_eq!(way(&gateway, &["oif", &link, "from", "10.50.0.100"]), link);
    }
}

#[test]
fn the_rules_of_a_tunnel_go_with_it() {
    let gateway = two_up();
    gateway.sql("DELETE FROM nodes WHERE id = 1");
    wait_rules(&gateway, 3);
    assert!(
        rules(&gateway).iter().all(|rule| rule.ends_with("1002 proto 201")),
        "{:?}",
        rules(&gateway)
    );
}

#[test]
fn rules_and_routes_that_somebody_deletes_are_put_back() {
    let gateway = two_up();
    gateway.namespace.ip(&["rule", "flush"]);
    gateway.namespace.ip(&["route", "flush", "table", "1002"]);
    wait_rules(&gateway, 6);
    let link = interface(&gateway, 2);
    gateway.wait_for("the route", || (way(&gateway, &["mark", "1002"]) == link).then_some(()));
}

#[test]
fn a_daemon_that_was_killed_leaves_rules_that_the_next_one_sweeps() {
    let mut gateway = two_up();
    gateway.namespace.ip(&[
        "rule",
        "add",
        "from",
        "192.0.2.1",
        "lookup",
        "1044",
        "priority",
        "10002",
    ]);
    gateway.end(Signal::KILL);
    assert_eq!(rules(&gateway).len(), 7);
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    gateway.wait_for("the end of a tunnel", || {
        (gateway.dials().iter().filter(|line| line.what == "end").count() == 1).then_some(())
    });
    gateway.start();
    wait_rules(&gateway, 4);
    assert!(
        rules(&gateway).iter().any(|rule| rule.contains("192.0.2.1")),
        "a stranger's rule stays"
    );
}

#[test]
fn rules_go_when_the_key_is_taken_out_of_the_configuration() {
    let gateway = two_up();
    gateway.configure("");
    gateway.signal(Signal::HUP);
    wait_rules(&gateway, 0);
}
