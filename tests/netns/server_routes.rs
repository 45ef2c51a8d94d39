//! Routes to servers, which a tunnel that may take the default route needs: they stay as long as a
//! row or a call has the server, and no longer.

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::ways::host;

/// A route to each of these servers, as peer files add them.
fn routed(gateway: &Gateway, servers: &[&str]) {
    for server in servers {
        gateway.namespace.ip(&["route", "add", server, "dev", "lo", "proto", "201"]);
    }
}

fn servers(gateway: &Gateway) -> Vec<String> {
    let routes = gateway.namespace.ip(&["route", "show", "proto", "201"]);
    routes.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

fn wait_for_servers(gateway: &Gateway, wanted: &[&str]) {
    let what = format!("routes to {wanted:?}");
    gateway.wait_for(&what, || (servers(gateway) == wanted).then_some(()));
}

#[test]
fn a_found_tunnel_whose_row_is_away_keeps_the_route_to_its_server_until_it_ends() {
    let mut gateway = Gateway::configured("selection.absence_grace = \"1h\"");
    gateway.nodes(2);
    gateway.start();
    let kept = [1, 2].map(|id| gateway.wait_state(id, "up").pid);
    gateway.end(Signal::KILL);
    routed(&gateway, &["10.9.0.1", "10.9.0.2", "10.9.0.99"]);
    gateway.sql("DELETE FROM nodes WHERE id = 1");
    gateway.start().wait_node(1, "away", |node| node.leaves_at.is_some());
    // The sweep has been there.
    wait_for_servers(&gateway, &["10.9.0.1", "10.9.0.2"]);
    assert_eq!([1, 2].map(|id| gateway.wait_state(id, "up").pid), kept);
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    wait_for_servers(&gateway, &["10.9.0.2"]);
}

#[test]
fn a_server_that_no_row_names_any_more_loses_its_route_though_its_node_stays() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    routed(&gateway, &["10.9.0.1"]);
    gateway.server("10.9.0.7", &json!({}));
    gateway.node(1, "10.9.0.7", "secret");
    wait_for_servers(&gateway, &[]);
}

#[test]
fn what_others_lose_takes_no_route_from_a_node_of_the_kernel_engine() {
    let mut gateway = Gateway::new();
    gateway.sql("ALTER TABLE nodes ADD COLUMN engine TEXT");
    gateway.nodes(2);
    gateway.sql("UPDATE nodes SET engine = 'kernel' WHERE id = 1");
    gateway.start().wait_state(2, "up");
    gateway.wait_state(1, "backoff");
    routed(&gateway, &["10.9.0.1", "10.9.0.2"]);
    gateway.sql("DELETE FROM nodes WHERE id = 2");
    wait_for_servers(&gateway, &["10.9.0.1"]);
    gateway.sql("DELETE FROM nodes");
    wait_for_servers(&gateway, &[]);
}

#[test]
fn a_purge_leaves_no_route_to_a_server() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::KILL);
    routed(&gateway, &["10.9.0.1", "10.9.0.99"]);
    assert!(gateway.connexad(&["--purge"]).status().unwrap().success());
    assert_eq!(servers(&gateway), [""; 0]);
}

/// The routes to servers, each with its gateway.
fn ways(gateway: &Gateway) -> Vec<String> {
    let routes = gateway.namespace.ip(&["route", "show", "proto", "201"]);
    // What follows is the state of the link.
    let way = |line: &str| line.split(' ').take(5).collect::<Vec<_>>().join(" ");
    routes.lines().map(way).collect()
}

fn wait_ways(gateway: &Gateway, wanted: &[&str]) {
    gateway.wait_for(&format!("{wanted:?}"), || (ways(gateway) == wanted).then_some(()));
}

/// A gateway on a host with an uplink whose node 1 is up, with a route to its server by the host's gateway.
fn by_the_gateway() -> Gateway {
    let mut gateway = host("");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let route = ["route", "add", "10.9.0.1", "via", "192.0.2.1", "dev", "wan", "proto", "201"];
    gateway.namespace.ip(&route);
    gateway
}

#[test]
fn the_route_to_a_server_follows_the_host_s_gateway_and_that_is_told() {
    let gateway = by_the_gateway();
    gateway.namespace.ip(&["route", "replace", "default", "via", "192.0.2.254"]);
    wait_ways(&gateway, &["10.9.0.1 via 192.0.2.254 dev wan"]);
    gateway.wait_log(
        "The route to server 10.9.0.1 led by 192.0.2.1, which is no gateway of this host any more; \
         it leads by 192.0.2.254 now",
    );
    // A longer route than the default.
    gateway.namespace.ip(&["route", "replace", "default", "via", "192.0.2.7"]);
    gateway.namespace.ip(&["route", "add", "10.9.0.0/16", "via", "172.16.5.9"]);
    wait_ways(&gateway, &["10.9.0.1 via 172.16.5.9 dev lan"]);
    assert_eq!(gateway.wait_state(1, "up").attempts, 1);
}

#[test]
fn the_route_to_a_server_follows_a_gateway_that_changed_while_no_daemon_ran() {
    let mut gateway = by_the_gateway();
    gateway.end(Signal::KILL);
    gateway.namespace.ip(&["route", "replace", "default", "via", "192.0.2.254"]);
    gateway.start();
    wait_ways(&gateway, &["10.9.0.1 via 192.0.2.254 dev wan"]);
}

#[test]
fn a_route_to_a_server_stays_while_its_gateway_is_one_of_the_host_or_none_other_leads_there() {
    let gateway = by_the_gateway();
    gateway.namespace.ip(&["route", "replace", "default", "via", "192.0.2.254"]);
    wait_ways(&gateway, &["10.9.0.1 via 192.0.2.254 dev wan"]);
    // By another table, and not at all: neither says where the server is.
    gateway.namespace.ip(&["route", "add", "default", "via", "192.0.2.254", "table", "77"]);
    gateway.namespace.ip(&["route", "replace", "default", "via", "192.0.2.7"]);
    gateway.namespace.ip(&["route", "delete", "default"]);
    gateway.namespace.ip(&["route", "delete", "default", "table", "77"]);
    // A tunnel is no way to its own server.
    let link = gateway.wait_state(1, "up").interface.unwrap();
    gateway.namespace.ip(&["route", "add", "default", "dev", &link]);
    gateway.namespace.ip(&["route", "add", "203.0.113.0/24", "via", "172.16.5.9"]);
    gateway.server("10.9.0.2", &json!({}));
    gateway.node(2, "10.9.0.2", "secret");
    gateway.wait_state(2, "up");
    assert_eq!(ways(&gateway), ["10.9.0.1 via 192.0.2.254 dev wan"]);
    gateway.namespace.ip(&["route", "add", "10.9.0.0/16", "via", "172.16.5.9"]);
    wait_ways(&gateway, &["10.9.0.1 via 172.16.5.9 dev lan"]);
    assert_eq!(gateway.logged("The route to server 10.9.0.1 led by"), 2, "{}", gateway.log());
}
