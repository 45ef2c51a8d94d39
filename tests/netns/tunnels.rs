//! Tunnels come up, fall, and come back.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::namespace::{kill, lives};

#[test]
fn five_nodes_come_up() {
    let mut gateway = Gateway::new();
    gateway.nodes(5);
    gateway.start();
    let status = gateway.wait_until("five up", |s| s.counts.get("up") == Some(&5));
    let links: BTreeSet<_> = status.nodes.iter().filter_map(|node| node.ifindex).collect();
    assert_eq!(links.len(), 5, "each has a link of its own: {links:?}");
}

#[test]
fn an_up_tunnel_is_shown_as_the_kernel_has_it() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({ "local": "10.50.7.9", "remote": "10.50.7.1" }));
    gateway.node(2, "10.9.0.2", "secret");
    let node = gateway.start().wait_state(2, "up");
    let link = gateway.namespace.ip(&["-oneline", "-4", "address", "show", "ppp0"]);
    assert!(link.starts_with(&format!("{}: ppp0 ", node.ifindex.unwrap())), "{link}");
    assert!(link.contains("inet 10.50.7.9 peer 10.50.7.1/32"), "{link}");
    assert_eq!(node.interface.as_deref(), Some("ppp0"));
    assert_eq!(node.local_ip, Some([10, 50, 7, 9].into()));
    assert_eq!(node.remote_ip, Some([10, 50, 7, 1].into()));
    gateway.wait_log("✅ Tunnel for node 2 is UP on ppp0 (local IP 10.50.7.9 remote IP 10.50.7.1)");
}

#[test]
fn status_has_every_field_of_the_contract() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let output = gateway.connexactl(&["status", "--json"]).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (place, fields) in [
        ("", "schema_version daemon outage kernel counts nodes"),
        ("/daemon", "version pid started_at config_path dry_run"),
        (
            "/outage",
            "ppp_interfaces zero_ppp_count consecutive_threshold check_interval is_healthy \
             restarts last_restart_at last_restart next_evaluation_at",
        ),
        ("/kernel", "links overruns resyncs last_event_at"),
        (
            "/nodes/0",
            "id ip login status state interface ifindex local_ip remote_ip pid adopted since \
             attempts next_attempt_at last_error",
        ),
    ] {
        let object = status.pointer(place).unwrap();
        for field in fields.split_whitespace() {
            assert!(object.get(field).is_some(), "{place}/{field} is missing: {status}");
        }
    }
}

#[test]
fn a_tunnel_is_up_only_by_the_kernels_word() {
    let mut gateway = Gateway::configured("tunnel.dial_timeout = \"2s\"");
    gateway.server("10.9.0.2", &json!({ "answer": "talk" }));
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_state(2, "negotiating");
    gateway.wait_node(2, "given up", |node| node.last_error.is_some());
    assert_eq!(gateway.logged("is UP"), 0, "{}", gateway.log());
}

#[test]
fn a_dial_that_comes_to_nothing_is_given_up_in_time() {
    let mut gateway = Gateway::configured("tunnel.dial_timeout = \"500ms\"");
    gateway.server("10.9.0.2", &json!({ "answer": "silent" }));
    gateway.node(2, "10.9.0.2", "secret");
    let node = gateway.start().wait_node(2, "given up", |node| node.last_error.is_some());
    assert_eq!(node.last_error.unwrap().kind, "timeout");
}

#[test]
fn a_killed_pppd_is_dialled_again() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    kill(pid.unwrap(), Signal::KILL);
    let node = gateway.wait_node(1, "up anew", |n| n.state == "up" && n.pid != pid);
    assert_eq!(node.last_error.unwrap().kind, "killed");
}

#[test]
fn a_connection_that_breaks_is_told_with_its_reason_and_dialled_again() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({ "dies_after_ms": 500 }));
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_log(
        "Tunnel for node 2 is DOWN on ppp0: the connection to the server broke (Modem hangup)",
    );
    gateway.wait_log("Node 2: retrying in 1s (attempt 2)");
    gateway.wait_for("the next call", || (gateway.dialled(2) > 1).then_some(()));
}

#[test]
fn a_link_that_somebody_sets_down_is_not_up_whatever_pppd_thinks() {
    // So long a link may be down before its pppd is ended.
    let mut gateway = Gateway::configured("tunnel.stop_grace = \"1s\"");
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    gateway.namespace.ip(&["link", "set", "ppp0", "down"]);
    gateway.wait_log("Tunnel for node 1 is DOWN on ppp0");
    gateway.wait_node(1, "up anew", |node| node.state == "up" && node.pid != pid);
    assert!(!lives(pid.unwrap()));
}

#[test]
fn an_address_that_somebody_takes_away_is_not_up() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.namespace.ip(&["address", "flush", "dev", "ppp0"]);
    gateway.wait_log("Tunnel for node 1 is DOWN on ppp0");
}

#[test]
fn tunnels_with_the_same_addresses_are_told_apart() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start();
    let first = gateway.wait_state(1, "up");
    let second = gateway.wait_state(2, "up");
    assert_eq!((first.local_ip, first.remote_ip), (second.local_ip, second.remote_ip));
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    gateway.wait_state(1, "backoff");
    assert_eq!(gateway.wait_state(2, "up").ifindex, second.ifindex);
    assert_eq!(gateway.logged("Tunnel for node 2 is DOWN"), 0);
}

#[test]
fn a_tunnel_whose_peer_gave_no_address_is_up_without_one() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({ "remote": null }));
    gateway.node(2, "10.9.0.2", "secret");
    let node = gateway.start().wait_state(2, "up");
    assert_eq!(node.local_ip, Some([10, 50, 0, 100].into()));
    assert_eq!(node.remote_ip, None);
}

#[test]
fn links_are_named_after_nodes_where_that_is_configured() {
    let mut gateway = Gateway::configured("tunnel.interface_name = \"node\"");
    gateway.nodes(1);
    let node = gateway.start().wait_state(1, "up");
    assert_eq!(node.interface.as_deref(), Some("cx1"));
}

#[test]
fn garbage_from_pppd_harms_nothing() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({ "noise": true }));
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_state(2, "up");
}

#[test]
fn a_pppd_that_ignores_term_is_killed() {
    let mut gateway =
        Gateway::configured("tunnel = { dial_timeout = \"500ms\", stop_grace = \"500ms\" }");
    gateway.server("10.9.0.2", &json!({ "answer": "silent", "ignores_term": true }));
    gateway.node(2, "10.9.0.2", "secret");
    let node = gateway.start().wait_node(2, "dialled", |node| node.pid.is_some());
    gateway.wait_log("ignored SIGTERM; sending SIGKILL");
    gateway.wait_for("its end", || (!lives(node.pid.unwrap())).then_some(()));
}

#[test]
fn a_password_with_quotes_hashes_and_backslashes_is_given_as_it_is() {
    let mut gateway = Gateway::new();
    let password = r##"@a"b\c#d é $(x) 's"##;
    gateway.server("10.9.0.2", &json!({ "password": password }));
    gateway.node(2, "10.9.0.2", &password.replace('\'', "''"));
    gateway.start().wait_state(2, "up");
}

#[test]
fn neither_the_daemon_nor_what_it_starts_writes_a_core() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pppd = gateway.start().wait_state(1, "up").pid.unwrap();
    let daemon = gateway.status().unwrap().daemon.pid;
    for pid in [daemon, pppd] {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let values: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(values, ["0", "0"], "{core}");
    }
}

#[test]
fn no_password_is_in_the_log_the_status_or_a_command_line() {
    let mut gateway = Gateway::configured("log.level = \"trace\"");
    gateway.server("10.9.0.2", &json!({ "password": "hush-hush-1" }));
    gateway.server("10.9.0.3", &json!({}));
    gateway.node(2, "10.9.0.2", "hush-hush-1");
    gateway.node(3, "10.9.0.3", "hush-hush-2");
    let pid = gateway.start().wait_state(2, "up").pid.unwrap();
    gateway.wait_state(3, "quarantined");
    let output = gateway.connexactl(&["status", "--json"]).output().unwrap();
    for (place, text) in [
        ("log", gateway.log().into_bytes()),
        ("status", output.stdout),
        ("argv", std::fs::read(format!("/proc/{pid}/cmdline")).unwrap()),
        ("environment", std::fs::read(format!("/proc/{pid}/environ")).unwrap()),
    ] {
        assert!(!String::from_utf8_lossy(&text).contains("hush-hush"), "in the {place}");
    }
}
