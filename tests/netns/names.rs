//! Links that are named after their nodes.

use rustix::process::Signal;

use crate::gateway::Gateway;
use crate::namespace::kill;

const NAMED: &str = "tunnel.interface_name = \"node\"";

fn is_cx(gateway: &Gateway, id: u32) -> connexa::control::api::Node {
    let name = format!("cx{id}");
    gateway
        .wait_node(id, &name, |node| node.state == "up" && node.interface.as_deref() == Some(&name))
}

#[test]
fn links_are_named_after_their_nodes_at_every_dial() {
    let mut gateway = Gateway::configured(NAMED);
    gateway.nodes(5);
    gateway.start().wait_until("five up", |s| s.counts.get("up") == Some(&5));
    let first = is_cx(&gateway, 3);
    kill(first.pid.unwrap(), Signal::KILL);
    gateway.wait_node(3, "another pppd", |node| node.state == "up" && node.pid != first.pid);
    is_cx(&gateway, 3);
}

#[test]
fn a_named_tunnel_is_taken_over_by_the_next_daemon() {
    let mut gateway = Gateway::configured(NAMED);
    gateway.nodes(1);
    gateway.start();
    let first = is_cx(&gateway, 1);
    gateway.end(Signal::KILL);
    gateway.start();
    let second = is_cx(&gateway, 1);
    assert_eq!((second.pid, second.adopted), (first.pid, true));
}

#[test]
fn a_name_that_another_link_has_is_told_before_dialling() {
    let mut gateway = Gateway::configured(NAMED);
    gateway.namespace.ip(&["tuntap", "add", "cx1", "mode", "tun"]);
    gateway.nodes(1);
    gateway.start();
    let told = gateway.wait_node(1, "told", |node| node.last_error.is_some());
    assert_eq!(told.last_error.unwrap().kind, "name_taken");
    assert_eq!(gateway.dialled(1), 0);
    gateway.namespace.ip(&["link", "del", "cx1"]);
    is_cx(&gateway, 1);
}
