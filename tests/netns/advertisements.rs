//! Router advertisements that come through a tunnel.

use serde_json::json;

use crate::gateway::Gateway;

const HERE: &str = "2001:db8:9::2";

/// Packets that came in through this link.
fn received(gateway: &Gateway, link: &str) -> u64 {
    let text = gateway.namespace.ip(&["-json", "-stats", "link", "show", "dev", link]);
    let links: serde_json::Value = serde_json::from_str(&text).unwrap();
    links[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
}

/// What the host would send to the rest of the world by, in IPv6.
fn routes(gateway: &Gateway) -> String {
    gateway.namespace.ip(&["-6", "route", "show"])
}

#[test]
fn a_server_that_advertises_itself_as_router_gets_nothing_of_the_host() {
    let mut gateway = Gateway::new();
    // An address that is not the link's own is asked for on every link.
    gateway.namespace.ip(&["address", "add", &format!("{HERE}/64"), "dev", "lo"]);
    gateway.nodes(1);
    gateway.server("10.9.0.1", &json!({ "advertises": HERE }));
    let before = routes(&gateway);
    let link = gateway.start().wait_state(1, "up").interface.unwrap();
    gateway.wait_for("advertisements", || (received(&gateway, &link) > 3).then_some(()));
    gateway.wait_for("the routes of before", || (routes(&gateway) == before).then_some(()));
    let more = received(&gateway, &link) + 3;
    gateway.wait_for("more of them", || (received(&gateway, &link) >= more).then_some(()));
    assert_eq!(routes(&gateway), before);
}
