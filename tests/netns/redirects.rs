//! ICMP redirects that come through a tunnel.

use serde_json::json;

use crate::gateway::Gateway;
use crate::ways::host;

/// A host that goes by redirects.
fn redirected() -> Gateway {
    let gateway = host("");
    gateway.nodes(1);
    for (neighbour, address) in
        [("192.0.2.1", "02:00:00:00:00:01"), ("192.0.2.77", "02:00:00:00:00:77")]
    {
        let of = ["lladdr", address, "dev", "wan", "nud", "permanent"];
        gateway.namespace.ip(&[&["neighbour", "replace", neighbour][..], &of].concat());
    }
    for link in ["all", "default"] {
        set(&gateway, link, "rp_filter", "0");
        set(&gateway, link, "accept_redirects", "1");
    }
    gateway
}

fn set(gateway: &Gateway, link: &str, setting: &str, value: &str) {
    let file = format!("/proc/sys/net/ipv4/conf/{link}/{setting}");
    gateway.namespace.within(|| std::fs::write(file, value).unwrap());
}

fn setting(gateway: &Gateway, link: &str) -> String {
    let file = format!("/proc/sys/net/ipv4/conf/{link}/accept_redirects");
    gateway.namespace.within(|| std::fs::read_to_string(file).unwrap())
}

/// How many redirects the host has got.
fn received(gateway: &Gateway) -> u64 {
    let read = || std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let text = gateway.namespace.within(read);
    let mut lines = text.lines().filter(|line| line.starts_with("Icmp:"));
    let names = lines.next().unwrap().split_whitespace();
    let place = names.into_iter().position(|name| name == "InRedirects").unwrap();
    lines.next().unwrap().split_whitespace().nth(place).unwrap().parse().unwrap()
}

fn way(gateway: &Gateway) -> String {
    gateway.namespace.ip(&["route", "get", "203.0.113.9"])
}

#[test]
fn a_server_that_redirects_packets_in_a_gateway_s_name_changes_nothing() {
    let mut gateway = redirected();
    gateway.start().wait_state(1, "up");
    // A server has no way to send any before its call has come to IPCP.
    gateway.wait_for("the setting", || (setting(&gateway, "all") == "0\n").then_some(()));
    // In the name of the host's gateway: packets for that address are to go elsewhere.
    gateway.server("10.9.0.1", &json!({ "redirects": ["192.0.2.1", "203.0.113.9", "192.0.2.77"] }));
    let enough = received(&gateway) + 3;
    gateway.wait_for("redirects", || (received(&gateway) >= enough).then_some(()));
    assert!(way(&gateway).contains("via 192.0.2.1 "), "{}", way(&gateway));
    assert_eq!(setting(&gateway, "wan"), "1\n");
}

#[test]
fn the_setting_of_all_links_stays_where_another_one_goes_by_it_and_that_is_told() {
    let mut gateway = redirected();
    set(&gateway, "lan", "accept_redirects", "0");
    gateway
        .start()
        .wait_log("net.ipv4.conf.all.accept_redirects is 1, and is left so for the sake of lan");
    assert_eq!(setting(&gateway, "all"), "1\n");
}
