//! The address that a server gives to our end: refused, where the host has to reach it elsewhere.

use std::fs;

use connexa::control::api::Node;
use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::ways::{PUBLIC, host, uplink};

/// Nobody is dialled a second time.
const ONCE: &str = "tunnel.backoff = { min = \"1h\", max = \"1h\" }";

/// The host's name server.
const RESOLVER: &str = "203.0.113.53";

/// No daemon runs yet.
fn two_nodes() -> Gateway {
    let gateway = host(ONCE);
    gateway.nodes(2);
    gateway
}

/// Two nodes; the server of the first gives our end this address.
fn started(local: &str) -> Gateway {
    let mut gateway = two_nodes();
    gateway.server("10.9.0.1", &json!({ "local": local }));
    let file = gateway.path("resolv.conf");
    fs::write(&file, format!("nameserver {RESOLVER}\n")).unwrap();
    gateway.start_with(&[("RESOLV_CONF", file.to_str().unwrap())]);
    gateway
}

/// As after a tunnel whose server has named these, with `tunnel.use_peer_dns`: `/etc/resolv.conf` leads to
/// the file where they stand.
fn started_by_names_of_peers(text: &str) -> Gateway {
    let mut gateway = two_nodes();
    let file = gateway.path("ppp/resolv.conf");
    fs::write(&file, text).unwrap();
    gateway.start_with(&[("RESOLV_CONF", file.to_str().unwrap())]);
    gateway
}

/// The link gets another address.
fn readdress_to(local: &str, gateway: &Gateway, link: &str) {
    gateway.namespace.batch([
        format!("address flush dev {link}"),
        format!("address add {local} peer 10.50.0.1 dev {link}"),
    ]);
}

/// The link gets the address of a gateway.
fn readdress(gateway: &Gateway, link: &str) {
    readdress_to("192.0.2.1", gateway, link);
}

fn assert_is_of_the_uplink(node: Node) {
    let message = node.last_error.unwrap().message;
    let is = "is an address of ppp0, a link that is no tunnel of connexad";
    assert_eq!(message, format!("the server gives our end of the tunnel {PUBLIC}, which {is}"));
}

fn wait_refused(gateway: &Gateway, id: u32) -> Node {
    gateway.wait_node(id, "refused", |node| {
        node.state == "backoff"
            && node.last_error.as_ref().is_some_and(|error| error.kind == "address_refused")
    })
}

#[test]
fn an_address_that_the_host_has_to_reach_elsewhere_is_refused_with_what_it_is() {
    for (local, is) in [
        ("10.9.0.1", "is the server of node 1"),
        ("10.9.0.2", "is the server of node 2"),
        ("192.0.2.1", "is a gateway of this host's routes"),
        ("172.16.5.9", "is a gateway of this host's routes"),
        (RESOLVER, "is a name server of this host"),
        ("192.0.2.2", "lies on the subnet of wan (192.0.2.2/24)"),
        ("192.0.2.77", "lies on the subnet of wan (192.0.2.2/24)"),
        ("192.0.2.255", "lies on the subnet of wan (192.0.2.2/24)"),
        ("172.16.5.53", "lies on the subnet of lan (172.16.5.1/24)"),
    ] {
        let gateway = started(local);
        let message = wait_refused(&gateway, 1).last_error.unwrap().message;
        assert_eq!(message, format!("the server gives our end of the tunnel {local}, which {is}"));
        gateway.wait_state(2, "up");
        assert_eq!(gateway.logged("Tunnel for node 1 is UP"), 0, "{}", gateway.log());
    }
}

#[test]
fn the_way_to_a_refused_address_is_the_one_of_before_while_its_call_is_still_being_ended() {
    let gateway = started("10.50.0.100");
    let link = gateway.wait_state(1, "up").interface.unwrap();
    gateway.server("10.9.0.1", &json!({ "ignores_term": true }));
    readdress(&gateway, &link);
    gateway.wait_state(1, "stopping");
    gateway.wait_for("the way of before", || {
        let way = gateway.namespace.ip(&["route", "get", "192.0.2.1"]);
        (way.contains("dev wan")).then_some(())
    });
    assert_eq!(gateway.wait_state(1, "stopping").interface, Some(link));
}

#[test]
fn a_server_that_names_the_address_of_another_tunnel_as_name_server_ends_no_tunnel() {
    let named = "nameserver 10.50.0.100\n";
    let by_connexad =
        format!("# Written by connexad: the name servers that 10.9.0.1 named\n{named}");
    for text in [named, by_connexad.as_str()] {
        let gateway = started_by_names_of_peers(text);
        gateway.wait_until("two up", |status| status.counts.get("up") == Some(&2));
        assert_eq!(gateway.logged("is a name server of this host"), 0, "{}", gateway.log());
    }
    // What the operator has put there is the host's.
    wait_refused(&started_by_names_of_peers(&format!("# mine\n{named}")), 1);
}

#[test]
fn tunnels_may_share_an_address() {
    let gateway = started("10.50.0.100");
    gateway.wait_until("two up", |status| status.counts.get("up") == Some(&2));
}

#[test]
fn the_address_of_an_uplink_that_is_a_ppp_link_itself_is_refused() {
    let mut gateway = two_nodes();
    gateway.server("10.9.0.1", &json!({ "local": PUBLIC }));
    let _uplink = uplink(&gateway);
    gateway.start();
    assert_is_of_the_uplink(wait_refused(&gateway, 1));
    gateway.wait_state(2, "up");
}

#[test]
fn the_address_of_a_ppp_uplink_is_refused_of_a_tunnel_that_is_taken_over_too() {
    let mut gateway = two_nodes();
    let _uplink = uplink(&gateway);
    gateway.start();
    let link = gateway.wait_state(1, "up").interface.unwrap();
    gateway.wait_state(2, "up");
    gateway.end(Signal::KILL);
    readdress_to(PUBLIC, &gateway, &link);
    gateway.start();
    assert_is_of_the_uplink(wait_refused(&gateway, 1));
    gateway.wait_state(2, "up");
}

#[test]
fn a_tunnel_that_is_up_stays_when_a_ppp_link_of_others_comes_up_with_its_address() {
    let mut gateway = two_nodes();
    gateway.server("10.9.0.1", &json!({ "local": PUBLIC }));
    gateway.server("10.9.0.2", &json!({ "local": PUBLIC }));
    gateway.start();
    gateway.wait_until("two up", |status| status.counts.get("up") == Some(&2));
    let _uplink = uplink(&gateway);
    // A dial of now has its link after that one.
    gateway.node(3, "10.9.0.1", "secret");
    let message = wait_refused(&gateway, 3).last_error.unwrap().message;
    assert!(message.contains("is an address of ppp2"), "{message}");
    assert_eq!(gateway.status().unwrap().counts.get("up"), Some(&2));
}

#[test]
fn a_tunnel_that_is_up_stays_when_the_host_gets_a_subnet_with_its_address_and_that_is_told() {
    let gateway = started("10.50.0.100");
    gateway.wait_state(1, "up");
    gateway.wait_state(2, "up");
    gateway.namespace.ip(&["address", "add", "10.50.0.7/24", "dev", "lan"]);
    gateway.wait_log("The subnet of lan (10.50.0.7/24) is new on this host");
    gateway.wait_log("of the tunnels of 2 nodes (1, 2; the first has 10.50.0.100)");
    assert_eq!(gateway.status().unwrap().counts.get("up"), Some(&2));
}

#[test]
fn an_address_that_a_server_changes_later_is_refused_too() {
    let gateway = started("10.50.0.100");
    let link = gateway.wait_state(1, "up").interface.unwrap();
    readdress(&gateway, &link);
    wait_refused(&gateway, 1);
}

#[test]
fn a_tunnel_that_is_taken_over_is_judged_like_any_other_and_never_told_to_be_up() {
    let mut gateway = started("10.50.0.100");
    let link = gateway.wait_state(1, "up").interface.unwrap();
    gateway.end(Signal::KILL);
    readdress(&gateway, &link);
    gateway.start();
    wait_refused(&gateway, 1);
    gateway.assert_logged("Tunnel for node 1 is UP", 1);
}

#[test]
fn a_row_whose_server_is_a_tunnel_s_own_address_ends_the_tunnel() {
    let gateway = started("10.50.0.100");
    gateway.wait_state(1, "up");
    gateway.node(3, "10.50.0.100", "secret");
    let message = wait_refused(&gateway, 1).last_error.unwrap().message;
    assert!(message.ends_with("is the server of node 3"), "{message}");
}
