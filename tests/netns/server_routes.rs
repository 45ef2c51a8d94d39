//! Routes to servers, which a tunnel that may take the default route needs: they stay as long as a
//! row or a call has the server, and no longer.

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;

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
