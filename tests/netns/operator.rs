//! The operator stops, starts and retries nodes, and that outlives the daemon.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::{kill, lives, run};

/// What `connexactl VERB ID` prints, once it has succeeded.
fn ask(gateway: &Gateway, verb: &str, id: u32) -> String {
    run(&mut gateway.connexactl(&[verb, &id.to_string()]))
}

/// Node 1 is up and then stopped; node 2 is up.
fn with_node_1_stopped() -> Gateway {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    ask(&gateway, "stop", 1);
    gateway.wait_state(1, "stopped");
    gateway
}

/// Node 1, whose server refuses it, in quarantine.
fn with_node_1_quarantined() -> Gateway {
    let mut gateway = Gateway::configured("tunnel.quarantine_after = 1");
    gateway.server("10.9.0.1", &json!({ "password": "another" }));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "quarantined");
    gateway
}

/// Node 1, whose server is not there, waiting for an hour.
fn with_node_1_in_backoff() -> Gateway {
    let mut gateway = Gateway::configured("tunnel.backoff = { min = \"1h\", max = \"1h\" }");
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "backoff");
    gateway
}

#[test]
fn stop_hangs_up_that_node_and_no_other() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start();
    let [first, second] = [1, 2].map(|id| gateway.wait_state(id, "up").pid.unwrap());
    assert_eq!(ask(&gateway, "stop", 1), "node 1: stopping\n");
    gateway.wait_state(1, "stopped");
    assert!(!lives(first));
    assert_eq!(gateway.wait_state(2, "up").pid, Some(second));
}

#[test]
fn a_stopped_node_is_shown_as_the_operators_doing() {
    let gateway = with_node_1_stopped();
    let table = run(&mut gateway.connexactl(&["status"]));
    let line = table.lines().find(|line| line.starts_with("1 ")).unwrap();
    assert!(line.contains(" stopped ") && line.contains("by the operator"), "{table}");
    assert!(table.contains("1 stopped"), "{table}");
}

#[test]
fn a_stopped_node_stays_down_when_its_row_changes() {
    let gateway = with_node_1_stopped();
    gateway.sql("UPDATE nodes SET status = 'online', password = 'other' WHERE id = 1");
    gateway.wait_node(1, "the new status", |node| node.status.as_deref() == Some("online"));
    assert_eq!(gateway.wait_state(1, "stopped").pid, None);
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn a_stopped_node_whose_row_goes_and_comes_back_is_still_stopped() {
    let gateway = with_node_1_stopped();
    gateway.sql("UPDATE nodes SET status = 'speed_failed' WHERE id = 1");
    gateway.wait_until("one node", |status| status.nodes.len() == 1);
    gateway.sql("UPDATE nodes SET status = 'speed_ok' WHERE id = 1");
    gateway.wait_state(1, "stopped");
    assert_eq!(gateway.dialled(1), 1);
    gateway.assert_logged("Node 1: its row is back, but the operator has stopped the node", 1);
}

#[test]
fn a_stopped_node_stays_down_over_restarts_of_the_daemon() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut gateway = with_node_1_stopped();
        gateway.end(signal);
        gateway.start().wait_state(2, "up");
        gateway.wait_state(1, "stopped");
        assert_eq!(gateway.dialled(1), 1);
        gateway.wait_log("Stopped by the operator earlier: node 1");
    }
}

#[test]
fn a_call_made_by_hand_to_a_stopped_node_is_hung_up_by_the_next_daemon() {
    let mut gateway = with_node_1_stopped();
    gateway.end(Signal::TERM);
    let mut by_hand = gateway.namespace.command(gateway.path("bin/pppd"));
    assert!(by_hand.args(["call", "connexa-node-1"]).status().unwrap().success());
    gateway
        .wait_for("its link", || gateway.path("run/ppp-connexa-node-1.pid").exists().then_some(()));
    gateway.start().wait_log("the operator stopped it");
    gateway.wait_state(1, "stopped");
}

#[test]
fn start_brings_a_stopped_node_up_and_takes_it_off_the_list() {
    let gateway = with_node_1_stopped();
    assert!(gateway.read("state/stopped").lines().any(|line| line == "1"));
    ask(&gateway, "start", 1);
    gateway.wait_state(1, "up");
    assert!(!gateway.read("state/stopped").lines().any(|line| line == "1"));
}

#[test]
fn start_undoes_a_stop_that_an_earlier_daemon_was_given() {
    let mut gateway = with_node_1_stopped();
    gateway.end(Signal::KILL);
    gateway.start().wait_state(1, "stopped");
    ask(&gateway, "start", 1);
    gateway.wait_state(1, "up");
}

#[test]
fn retry_and_start_each_end_a_quarantine_once_the_server_is_put_right() {
    for verb in ["retry", "start"] {
        let gateway = with_node_1_quarantined();
        gateway.server("10.9.0.1", &json!({}));
        assert_eq!(ask(&gateway, verb, 1), "node 1: dialing\n");
        gateway.wait_state(1, "up");
    }
}

#[test]
fn retry_and_start_each_cut_a_back_off_short() {
    for verb in ["retry", "start"] {
        let gateway = with_node_1_in_backoff();
        gateway.server("10.9.0.1", &json!({}));
        assert_eq!(ask(&gateway, verb, 1), "node 1: dialing\n");
        gateway.wait_state(1, "up");
    }
}

#[test]
fn retry_does_not_start_a_stopped_node() {
    let gateway = with_node_1_stopped();
    let refused = gateway.connexactl(&["retry", "1"]).output().unwrap();
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(says.contains("is stopped by the operator; `connexactl start 1` dials it"), "{says}");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn retry_of_a_stopped_node_whose_pppd_still_ends_is_refused_too() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "ignores_term": true }));
    gateway.node(1, "10.9.0.1", "secret");
    let pid = gateway.start().wait_state(1, "up").pid.unwrap();
    assert_eq!(ask(&gateway, "stop", 1), "node 1: stopping\n");
    let refused = gateway.connexactl(&["retry", "1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(gateway.wait_state(1, "stopping").pid, Some(pid), "it ends still");
    kill(pid, Signal::KILL);
    gateway.wait_state(1, "stopped");
    assert_eq!(gateway.dialled(1), 1);
}

/// The one line of a command that is refused with exit code 1.
fn refused(gateway: &Gateway, verb: &str, id: u32) -> String {
    let output = gateway.connexactl(&[verb, &id.to_string()]).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{verb}: {line}");
    line
}

/// A gateway whose node 3 can't be dialled.
fn with_node_3_invalid() -> Gateway {
    let mut gateway = Gateway::new();
    gateway.node(3, "nowhere", "secret");
    gateway.start().wait_state(3, "invalid");
    gateway
}

#[test]
fn retry_and_start_of_a_node_that_can_not_be_dialled_are_refused_with_the_reason() {
    let gateway = with_node_3_invalid();
    for verb in ["retry", "start"] {
        let line = refused(&gateway, verb, 3);
        assert!(line.contains("node 3 can't be dialled: ip \"nowhere\""), "{line}");
        assert!(line.trim_end().ends_with("; correct its row"), "{line}");
    }
}

#[test]
fn retry_of_a_stopped_node_that_can_not_be_dialled_is_refused_as_for_any_other() {
    let gateway = with_node_3_invalid();
    let stopped = ask(&gateway, "stop", 3);
    assert!(
        stopped.ends_with("it stays down when its row is correct, until `connexactl start 3`\n")
    );
    let line = refused(&gateway, "retry", 3);
    assert!(line.contains("node 3 is stopped by the operator"), "{line}");
    ask(&gateway, "start", 3);
    assert!(refused(&gateway, "start", 3).contains("can't be dialled"));
}

#[test]
fn retry_leaves_a_tunnel_that_is_up_alone() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    for verb in ["retry", "start"] {
        assert_eq!(ask(&gateway, verb, 1), "node 1: up, nothing to be done\n");
    }
    let after = gateway.wait_state(1, "up");
    assert_eq!((after.pid, after.attempts), (pid, 1));
    assert_eq!(gateway.logged("operator"), 0, "{}", gateway.log());
}

#[test]
fn a_second_stop_says_that_nothing_was_to_be_done() {
    let gateway = with_node_1_stopped();
    assert_eq!(ask(&gateway, "stop", 1), "node 1: stopped, nothing to be done\n");
    gateway.assert_logged("stopped by the operator", 1);
}

#[test]
fn a_node_is_stopped_at_once_where_no_pppd_runs() {
    for gateway in [with_node_1_in_backoff(), with_node_1_quarantined()] {
        assert_eq!(ask(&gateway, "stop", 1), "node 1: stopped\n");
    }
}

#[test]
fn a_node_that_waits_for_its_turn_can_be_stopped_and_is_passed_over() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    for id in 1..=3 {
        gateway.node(id, "10.9.0.1", "secret");
    }
    gateway.start().wait_state(1, "negotiating");
    gateway.wait_state(2, "waiting");
    assert_eq!(ask(&gateway, "stop", 2), "node 2: stopped\n");
    ask(&gateway, "stop", 1);
    gateway.wait_state(3, "negotiating");
    assert_eq!(gateway.dialled(2), 0);
}

#[test]
fn a_dial_that_has_no_link_yet_can_be_stopped() {
    let mut gateway = Gateway::new();
    let silent = gateway.script("silent-pppd", "#!/bin/sh\nexec sleep 1000\n");
    gateway.configure(&format!("paths.pppd = \"{}\"", silent.display()));
    gateway.node(1, "10.9.0.1", "secret");
    let node = gateway.start().wait_node(1, "a process", |node| node.pid.is_some());
    assert_eq!(node.state, "dialing");
    assert_eq!(ask(&gateway, "stop", 1), "node 1: stopping\n");
    gateway.wait_state(1, "stopped");
    assert!(!lives(node.pid.unwrap()));
}

#[test]
fn a_dial_that_negotiates_can_be_stopped() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "negotiating");
    ask(&gateway, "stop", 1);
    gateway.wait_state(1, "stopped");
}

#[test]
fn a_node_started_while_it_stops_is_dialled_once_the_old_call_is_gone() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "ignores_term": true }));
    gateway.node(1, "10.9.0.1", "secret");
    let pid = gateway.start().wait_state(1, "up").pid;
    ask(&gateway, "stop", 1);
    let started = ask(&gateway, "start", 1);
    assert_eq!(started, "node 1: stopping; it is dialled when its old call has ended\n");
    kill(pid.unwrap(), Signal::KILL);
    gateway.wait_node(1, "up anew", |node| node.state == "up" && node.pid != pid);
    assert!(!lives(pid.unwrap()));
}

#[test]
fn with_every_node_stopped_nothing_is_an_outage() {
    let mut gateway = Gateway::configured("outage = { interval = \"400ms\" }");
    gateway.nodes(2);
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    for id in [1, 2] {
        ask(&gateway, "stop", id);
    }
    let status = gateway.wait_until("both down", |s| s.counts.get("stopped") == Some(&2));
    assert_eq!(status.outage.zero_ppp_count, 0);
    assert_eq!(status.outage.next_evaluation_at, None, "no window is open");
    assert!(status.outage.is_healthy);
}

#[test]
fn a_damaged_list_is_told_once_and_what_can_be_read_of_it_counts() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    fs::create_dir(gateway.path("state")).unwrap();
    fs::write(gateway.path("state/stopped"), b"1\n\xff\xfenonsense\n").unwrap();
    gateway.start().wait_state(2, "up");
    gateway.wait_state(1, "stopped");
    gateway.assert_logged("is no node id", 1);
}

#[test]
fn a_list_that_can_not_be_read_keeps_the_daemon_from_nothing() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    fs::create_dir_all(gateway.path("state/stopped")).unwrap();
    gateway.start().wait_state(1, "up");
    gateway.assert_logged("so nodes that were stopped may be dialled", 1);
}

#[test]
fn a_stop_that_can_not_be_kept_is_done_and_says_so() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    fs::write(gateway.path("state"), "no folder").unwrap();
    gateway.start().wait_state(1, "up");
    let stop = || gateway.connexactl(&["stop", "1"]).output().unwrap();
    let output = stop();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("node 1 is stopped, but a restart"), "{message}");
    assert!(message.contains("state/stopped: "), "{message}");
    gateway.wait_state(1, "stopped");

    fs::remove_file(gateway.path("state")).unwrap();
    assert_eq!(stop().status.code(), Some(0), "asked again, it is written");
    assert!(gateway.read("state/stopped").lines().any(|line| line == "1"));
}

#[test]
fn a_dry_run_tells_what_it_would_write() {
    let gateway = Gateway::new();
    gateway.nodes(1);
    let mut command = gateway.connexad(&["--dry-run"]);
    let log = fs::File::create(gateway.path("connexad.log")).unwrap();
    let _daemon = crate::namespace::Running(command.stderr(log).spawn().unwrap());
    gateway.wait_until("the node", |status| status.nodes.len() == 1);
    ask(&gateway, "stop", 1);
    gateway.wait_log("stopped by the operator: node 1");
    assert!(!gateway.path("state").exists());
}
