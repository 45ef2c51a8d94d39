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

/// The interface that a packet with these properties leaves by; nothing where it has no way.
fn way(gateway: &Gateway, properties: &[&str]) -> String {
    let mut command = gateway.namespace.command("ip");
    let output = command.args(["route", "get", "198.51.100.1"]).args(properties).output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
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
    wait_way(&gateway, 2);
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

/// Waits until packets with the node's mark leave through its tunnel.
fn wait_way(gateway: &Gateway, id: u32) {
    let link = interface(gateway, id);
    let mark = (1000 + id).to_string();
    gateway.wait_for("its route", || (way(gateway, &["mark", &mark]) == link).then_some(()));
}

/// Changes of a tunnel's link that are over before the core takes it for down. The kernel drops the
/// link's routes with them and tells nobody.
fn survives(change: impl Fn(&str) -> [String; 2]) {
    let gateway = two_up();
    wait_way(&gateway, 1);
    gateway.namespace.batch(change(&interface(&gateway, 1)));
    wait_way(&gateway, 1);
    assert_eq!(rules(&gateway).len(), 6);
}

#[test]
fn a_route_lost_with_an_address_that_comes_back_at_once_is_put_back() {
    survives(|link| {
        let address = format!("10.50.0.100 peer 10.50.0.1 dev {link}");
        [format!("address del {address}"), format!("address add {address}")]
    });
}

#[test]
fn a_route_lost_with_a_link_that_is_down_for_a_blink_is_put_back() {
    survives(|link| [format!("link set {link} down"), format!("link set {link} up")]);
}

#[test]
fn a_daemon_that_takes_its_tunnels_with_it_leaves_no_rule() {
    let keys = format!("{ROUTED}\ntunnel.keep_on_exit = false");
    let mut gateway = Gateway::configured(&keys);
    gateway.nodes(3);
    gateway.start().wait_until("three up", |s| s.counts.get("up") == Some(&3));
    wait_rules(&gateway, 9);
    gateway.end(Signal::TERM);
    assert_eq!(rules(&gateway), Vec::<String>::new());
}

#[test]
fn a_route_of_somebody_else_in_the_way_is_told_and_ours_follows_when_it_goes() {
    let mut gateway = Gateway::configured(ROUTED);
    gateway.namespace.ip(&["route", "add", "default", "dev", "lo", "table", "1001"]);
    gateway.nodes(1);
    gateway.start().wait_log("table 1001 has a default route of somebody else");
    gateway.namespace.ip(&["route", "del", "default", "dev", "lo", "table", "1001"]);
    wait_way(&gateway, 1);
    gateway.wait_log("Routes of tunnels are as wanted again");
}

#[test]
fn each_route_of_somebody_else_in_the_way_is_told() {
    let mut gateway = Gateway::configured(ROUTED);
    for table in ["1001", "1002"] {
        gateway.namespace.ip(&["route", "add", "default", "dev", "lo", "table", table]);
    }
    gateway.nodes(2);
    gateway.start();
    for table in ["1001", "1002"] {
        gateway.wait_log(&format!("table {table} has a default route of somebody else"));
    }
}

#[test]
fn another_base_after_a_reload_moves_rules_and_routes() {
    let gateway = two_up();
    gateway.configure("routing.table_base = 1050");
    gateway.signal(Signal::HUP);
    moved(&gateway);
}

#[test]
fn another_base_after_a_time_without_a_daemon_moves_rules_and_routes() {
    let mut gateway = two_up();
    gateway.end(Signal::TERM);
    gateway.configure("routing.table_base = 1050");
    gateway.start();
    moved(&gateway);
}

/// Tables 1051 and 1052 serve the two tunnels, 1001 and 1002 are empty.
fn moved(gateway: &Gateway) {
    gateway.wait_for("the new rules", || {
        let rules = rules(gateway);
        let new = rules.iter().all(|rule| rule.contains("lookup 105"));
        (new && rules.len() == 6).then_some(())
    });
    for id in [1, 2] {
        let mark = (1050 + id).to_string();
        assert_eq!(way(gateway, &["mark", &mark]), interface(gateway, id));
    }
    assert_eq!(ours(gateway, "default").len(), 2);
}

/// Routes to `what` that bear our protocol.
fn ours(gateway: &Gateway, what: &str) -> Vec<String> {
    let text = gateway.namespace.ip(&["route", "show", "table", "all", "proto", "201"]);
    text.lines().filter(|line| line.starts_with(what)).map(str::to_owned).collect()
}

#[test]
fn without_a_base_after_a_time_without_a_daemon_ours_goes_and_the_rest_stays() {
    let mut gateway = two_up();
    gateway.end(Signal::TERM);
    assert_eq!((rules(&gateway).len(), ours(&gateway, "default").len()), (6, 2));
    gateway.namespace.ip(&["rule", "add", "fwmark", "1001", "lookup", "1001", "priority", "500"]);
    gateway.namespace.ip(&["route", "add", "192.0.2.0/24", "dev", "lo", "table", "1001"]);
    gateway.configure("");
    gateway.start();
    gateway.wait_for("an end of ours", || ours(&gateway, "").is_empty().then_some(()));
    wait_rules(&gateway, 1);
    assert!(rules(&gateway)[0].starts_with("500:"), "{:?}", rules(&gateway));
    let theirs = gateway.namespace.ip(&["route", "show", "table", "1001"]);
    assert!(theirs.contains("192.0.2.0/24"), "{theirs}");
}

#[test]
fn a_tunnel_whose_link_is_renamed_is_found_by_its_new_name() {
    let gateway = two_up();
    gateway.namespace.ip(&["link", "set", &interface(&gateway, 1), "name", "wan0"]);
    gateway.wait_for("the new name's rule", || {
        rules(&gateway).iter().any(|rule| rule.contains("oif wan0 ")).then_some(())
    });
    wait_rules(&gateway, 6);
    assert_eq!(interface(&gateway, 1), "wan0");
    assert_eq!(way(&gateway, &["oif", "wan0"]), "wan0");
}

#[test]
fn traffic_of_a_tunnel_that_is_down_does_not_leave_by_another_way_where_the_operator_forbids_it() {
    let gateway = two_up();
    gateway.namespace.batch(
        ["tuntap add wan mode tun", "link set wan up", "route add default dev wan"]
            .map(str::to_owned),
    );
    gateway.namespace.ip(&["rule", "add", "fwmark", "1001", "priority", "11000", "unreachable"]);
    assert_eq!(way(&gateway, &["mark", "1001"]), interface(&gateway, 1));
    gateway.sql("DELETE FROM nodes WHERE id = 1");
    wait_rules(&gateway, 3);
    assert_eq!(way(&gateway, &["mark", "1001"]), "");
    assert_eq!(way(&gateway, &["mark", "1002"]), interface(&gateway, 2));
    gateway.namespace.ip(&["rule", "del", "fwmark", "1001", "priority", "11000"]);
    assert_eq!(way(&gateway, &["mark", "1001"]), "wan");
}
