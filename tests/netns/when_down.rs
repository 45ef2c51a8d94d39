//! What becomes of marked traffic while the tunnel that it is for is not up.

use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::marked::{self, counted, wait_carried};
use crate::namespace::kill;
use crate::ways::host;

/// Of node 1, where `routing.table_base` is 1000.
const MARK: u32 = 1001;

const GUARDED: &str = "routing = { table_base = 1000, when_down = \"unreachable\" }
    tunnel.stop_grace = \"5s\"";

fn watched(toml: &str) -> Gateway {
    let gateway = host(toml);
    marked::watch(&gateway, MARK);
    gateway
}

/// What `ip` says of the way of a packet with this mark, or why there is none.
fn way(gateway: &Gateway, mark: &str) -> String {
    let mut ip: Command = gateway.namespace.command("ip");
    let output = ip.args(["route", "get", "198.51.100.99", "mark", mark]).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn wait_guarded(gateway: &Gateway, mark: &str) {
    gateway.wait_for(&format!("no way for mark {mark}"), || {
        way(gateway, mark).contains("No route to host").then_some(())
    });
}

/// Its server answers, goes, and answers again.
fn rises_falls_and_rises(gateway: &Gateway) {
    gateway.server("10.9.0.1", &json!({}));
    wait_carried(gateway);
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    gateway.wait_state(1, "backoff");
    gateway.server("10.9.0.1", &json!({}));
    wait_carried(gateway);
}

/// All of ours in the kernel: rules of both families and routes.
fn ours(gateway: &Gateway) -> String {
    let lists: [&[&str]; 3] =
        [&["rule"], &["-6", "rule"], &["route", "show", "table", "all", "proto", "201"]];
    let all: String = lists.iter().map(|list| gateway.namespace.ip(list)).collect();
    let is_ours = |line: &&str| line.contains("proto 201") || line.starts_with("unreachable");
    all.lines().filter(is_ours).map(|line| format!("{line}\n")).collect()
}

fn wait_nothing_of_ours(gateway: &Gateway) {
    gateway.wait_for("nothing of ours", || ours(gateway).is_empty().then_some(()));
}

#[test]
fn nothing_that_is_marked_for_a_node_leaves_by_another_way_whatever_becomes_of_its_tunnel() {
    let mut gateway = watched(GUARDED);
    gateway.nodes(1);
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    gateway.start();
    wait_guarded(&gateway, "1001");
    let _sender = marked::send(&gateway, MARK);

    rises_falls_and_rises(&gateway);

    let link = gateway.wait_state(1, "up").interface.unwrap();
    gateway.namespace.ip(&["link", "set", &link, "down"]);
    gateway.wait_state(1, "negotiating");
    gateway.namespace.ip(&["link", "set", &link, "up"]);
    wait_carried(&gateway);

    // Nobody looks after a tunnel that falls now.
    let pppd = gateway.wait_state(1, "up").pid.unwrap();
    gateway.end(Signal::KILL);
    wait_carried(&gateway);
    kill(pppd, Signal::KILL);
    wait_guarded(&gateway, "1001");
    gateway.start().wait_state(1, "up");
    wait_carried(&gateway);

    gateway.node(1, "10.9.0.1", "wrong");
    gateway.wait_state(1, "quarantined");
    wait_guarded(&gateway, "1001");
    assert_eq!(counted(&gateway, "leaked"), 0);

    gateway.sql("DELETE FROM nodes");
    wait_nothing_of_ours(&gateway);
    gateway.wait_for("packets on the uplink, as nothing is wanted", || {
        (counted(&gateway, "leaked") > 0).then_some(())
    });
}

#[test]
fn what_was_sent_before_its_node_was_wanted_leaves_no_more_from_then_on() {
    let mut gateway = watched(GUARDED);
    gateway.nodes(1);
    gateway.sql("DELETE FROM nodes");
    gateway.start().wait_until("the rows read", |status| status.database.was_read);
    let sender = marked::send(&gateway, MARK);
    let leaks = || counted(&gateway, "leaked");
    gateway.wait_for("what nobody wants on the uplink", || (leaks() > 0).then_some(()));

    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    gateway.node(1, "10.9.0.1", "secret");
    wait_guarded(&gateway, "1001");
    // What was on its way through the kernel before the guard stood is counted before.
    let sender = sender.0.id();
    kill(sender, Signal::STOP);
    let stat = || std::fs::read_to_string(format!("/proc/{sender}/stat")).unwrap();
    gateway.wait_for("the sender to rest", || stat().contains(") T ").then_some(()));
    let before = leaks();
    kill(sender, Signal::CONT);
    gateway.wait_state(1, "dialing");
    rises_falls_and_rises(&gateway);
    assert_eq!(leaks(), before);
}

#[test]
fn a_found_tunnel_whose_row_is_away_for_a_moment_is_guarded_meanwhile() {
    let mut gateway = watched(&format!("{GUARDED}\nselection.absence_grace = \"1h\""));
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let _sender = marked::send(&gateway, MARK);
    wait_carried(&gateway);
    gateway.end(Signal::KILL);
    gateway.sql("DELETE FROM nodes");
    gateway.start().wait_node(1, "away", |node| node.leaves_at.is_some());
    gateway.wait_node(1, "up", |node| node.state == "up");
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    wait_guarded(&gateway, "1001");
    gateway.server("10.9.0.1", &json!({}));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.wait_state(1, "up");
    wait_carried(&gateway);
    assert_eq!(counted(&gateway, "leaked"), 0);
}

#[test]
fn by_default_what_is_marked_takes_the_main_routes_while_the_tunnel_is_not_up() {
    let mut gateway = watched("routing.table_base = 1000");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let _sender = marked::send(&gateway, MARK);
    wait_carried(&gateway);
    gateway.server("10.9.0.1", &json!({ "answer": "gone" }));
    gateway.wait_for("packets on the uplink", || (counted(&gateway, "leaked") > 0).then_some(()));
}

#[test]
fn a_node_that_the_operator_has_stopped_is_guarded_all_the_same() {
    let mut gateway = host(GUARDED);
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    assert!(gateway.connexactl(&["stop", "1"]).status().unwrap().success());
    gateway.wait_state(1, "stopped");
    wait_guarded(&gateway, "1001");
}

#[test]
fn what_guards_nodes_stays_while_a_new_daemon_can_not_read_which_are_wanted() {
    let mut gateway = host(GUARDED);
    gateway.nodes(2);
    gateway.start().wait_until("two up", |status| status.counts.get("up") == Some(&2));
    let pppds = [1, 2].map(|id| gateway.wait_state(id, "up").pid.unwrap());
    gateway.end(Signal::KILL);
    pppds.into_iter().for_each(|pppd| kill(pppd, Signal::KILL));
    let (there, away) = (gateway.path("connexa.db"), gateway.path("away.db"));
    std::fs::rename(&there, &away).unwrap();
    gateway.start().wait_log("The node database can't be used");
    gateway.wait_for("the new daemon's first look, which sweeps rules of links", || {
        (!ours(&gateway).contains("oif")).then_some(())
    });
    for mark in ["1001", "1002"] {
        wait_guarded(&gateway, mark);
    }
    let mut database = crate::database::Database::open(&away);
    database.execute("DELETE FROM nodes WHERE id = 2");
    drop(database);
    std::fs::rename(&away, &there).unwrap();
    gateway.wait_state(1, "up");
    gateway.wait_for("the main routes for mark 1002", || {
        way(&gateway, "1002").contains("dev wan").then_some(())
    });
}

#[test]
fn what_guards_a_node_is_back_however_often_others_take_it_away() {
    let mut gateway = host(GUARDED);
    gateway.nodes(1);
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    gateway.start();
    for _ in 0..25 {
        wait_guarded(&gateway, "1001");
        gateway.namespace.ip(&["rule", "del", "fwmark", "1001", "protocol", "201"]);
    }
    wait_guarded(&gateway, "1001");
}

#[test]
fn marked_ipv6_packets_go_nowhere_for_no_tunnel_carries_any() {
    let mut gateway = host(GUARDED);
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.wait_for("a rule", || {
        let rules = gateway.namespace.ip(&["-6", "rule"]);
        rules.contains("fwmark 0x3e9 unreachable proto 201").then_some(())
    });
    gateway.configure("routing.table_base = 1000");
    gateway.signal(Signal::HUP);
    gateway.wait_for("no rule", || {
        (!gateway.namespace.ip(&["-6", "rule"]).contains("proto 201")).then_some(())
    });
}

#[test]
fn a_tunnel_that_loses_its_address_is_no_fault_of_routing() {
    let mut gateway = host("routing.table_base = 1000\ntunnel.stop_grace = \"1s\"");
    gateway.nodes(1);
    let link = gateway.start().wait_state(1, "up").interface.unwrap();
    gateway.wait_for("rules", || (ours(&gateway).lines().count() == 3).then_some(()));
    gateway.namespace.ip(&["address", "flush", "dev", &link]);
    gateway.wait_node(1, "up again", |node| node.state == "up" && node.attempts > 1);
    gateway.wait_for("rules", || (ours(&gateway).lines().count() == 3).then_some(()));
    assert_eq!(gateway.logged("Routes of tunnels"), 0, "{}", gateway.log());
}
