//! Which engine makes a node's calls. That of the kernel comes as far here as TCP does.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;

fn with_column() -> Gateway {
    let gateway = Gateway::new();
    gateway.sql("ALTER TABLE nodes ADD COLUMN engine TEXT");
    gateway
}

/// Whether pppd's files know the node.
fn has_files(gateway: &Gateway, id: u32) -> bool {
    let name = format!("connexa-node-{id}");
    let secrets = fs::read_to_string(gateway.path("ppp/chap-secrets")).unwrap_or_default();
    gateway.path(&format!("ppp/peers/{name}")).exists() || secrets.contains(&name)
}

fn wait_for_no_files(gateway: &Gateway, id: u32) {
    gateway.wait_for("no file of the node", || (!has_files(gateway, id)).then_some(()));
}

#[test]
fn a_node_of_the_kernel_engine_has_no_pppd_no_peer_file_and_no_secret() {
    let mut gateway = Gateway::configured("tunnel.engine = \"kernel\"");
    gateway.server("10.9.0.2", &json!({}));
    gateway.node(2, "10.9.0.2", "secret");
    let node = gateway.start().wait_state(2, "backoff");
    assert_eq!((node.engine.as_str(), node.pid), ("kernel", None));
    let error = node.last_error.unwrap();
    assert_eq!(error.kind, "unreachable");
    assert!(error.message.contains("TCP port 1723 of 10.9.0.2"), "{}", error.message);
    assert_eq!(gateway.dialled(2), 0);
    assert!(!has_files(&gateway, 2));
}

#[test]
fn another_engine_in_the_row_dials_just_that_node_again_and_moves_its_files() {
    let mut gateway = with_column();
    gateway.nodes(2);
    gateway.start().wait_state(1, "up");
    let other = gateway.wait_state(2, "up");
    gateway.sql("UPDATE nodes SET engine = 'kernel' WHERE id = 1");
    let node = gateway.wait_state(1, "backoff");
    assert_eq!(node.engine, "kernel");
    wait_for_no_files(&gateway, 1);
    gateway.sql("UPDATE nodes SET engine = NULL WHERE id = 1");
    assert_eq!(gateway.wait_state(1, "up").engine, "pppd");
    assert!(has_files(&gateway, 1));
    assert_eq!(gateway.wait_state(2, "up").ifindex, other.ifindex);
}

#[test]
fn a_pppd_that_is_found_for_a_node_of_the_kernel_engine_is_ended() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::TERM);
    gateway.configure("tunnel.engine = \"kernel\"");
    let node = gateway.start().wait_state(1, "backoff");
    assert_eq!((node.engine.as_str(), node.pid), ("kernel", None));
    gateway.wait_log("Node 1: retrying in ");
    wait_for_no_files(&gateway, 1);
}
