//! Three empty windows in a row restart the backend, and nothing else does.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;

/// Short windows, and a backend that needs none of its time.
const SHORT: &str = "outage = { interval = \"400ms\" }";

/// By a reload: how long the first dial takes counts for no window.
fn shorten_windows(gateway: &Gateway) {
    gateway.configure(SHORT);
    gateway.signal(Signal::HUP);
    gateway.wait_log("Configuration reloaded");
}

#[test]
fn three_empty_windows_restart_the_backend() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    shorten_windows(&gateway);
    assert_eq!(gateway.logged("Zero PPP interfaces"), 0);
    for ip in ["10.9.0.1", "10.9.0.2"] {
        gateway.server(ip, &json!({ "answer": "gone" }));
    }
    let restart = "🔄 Restarting backend due to 3 consecutive zero PPP interfaces";
    gateway.wait_log(restart);
    let log = gateway.log();
    let before = log.split_once(restart).unwrap().0;
    for window in ["(1/3)", "(2/3)", "(3/3)"] {
        let line = format!("Zero PPP interfaces {window}");
        assert_eq!(before.matches(&line).count(), 1, "{line}\n{log}");
    }
    gateway.wait_for("the restart", || (gateway.restarts() > 0).then_some(()));
    let status = gateway.wait_until("its count", |status| status.outage.restarts > 0);
    assert!(status.outage.last_restart_at.is_some());
}

#[test]
fn the_count_is_zero_after_a_restart_and_the_next_windows_are_longer() {
    let mut gateway = Gateway::configured(SHORT);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_until("a restart", |s| s.outage.restarts > 0 && s.outage.zero_ppp_count == 0);
    let status = gateway.wait_until("a window", |status| status.outage.zero_ppp_count == 1);
    assert!(!status.outage.is_healthy);
    // The window's own line may come a moment after its count.
    let next = gateway.wait_for("the window's line", || {
        let log = gateway.log();
        let (_, after) = log.split_once("🔄 Restarting backend")?;
        let next = after.split("🔄 Restarting backend").next()?.to_owned();
        next.contains("Zero PPP interfaces").then_some(next)
    });
    assert_eq!(next.matches("Zero PPP interfaces (1/3)").count(), 1, "{next}");
}

#[test]
fn a_tunnel_that_comes_up_sets_the_count_to_zero() {
    let mut gateway = Gateway::configured(SHORT);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_until("a window", |status| status.outage.zero_ppp_count > 0);
    gateway.server("10.9.0.2", &json!({}));
    let status = gateway.wait_until("one up", |status| status.outage.ppp_interfaces == 1);
    assert_eq!(status.outage.zero_ppp_count, 0);
    assert!(status.outage.is_healthy);
    assert_eq!(status.outage.next_evaluation_at, None, "no timer runs while a tunnel is up");
}

#[test]
fn one_tunnel_that_is_up_keeps_the_backend_from_a_restart() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_state(1, "up");
    shorten_windows(&gateway);
    let dials = gateway.dialled(2);
    gateway
        .wait_for("failures for many windows", || (gateway.dialled(2) > dials + 3).then_some(()));
    assert_eq!(gateway.logged("Zero PPP interfaces"), 0, "{}", gateway.log());
    assert_eq!(gateway.restarts(), 0);
}

#[test]
fn no_node_wanted_is_no_outage() {
    let mut gateway = Gateway::configured(SHORT);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_until("a window", |status| status.outage.zero_ppp_count > 0);
    gateway.sql("DELETE FROM nodes");
    let status = gateway.wait_until("no node", |status| status.nodes.is_empty());
    assert_eq!(status.outage.zero_ppp_count, 0);
    assert_eq!(status.outage.next_evaluation_at, None);
}

#[test]
fn a_foreign_ppp_link_does_not_hide_an_outage() {
    let mut gateway = Gateway::configured(SHORT);
    gateway.server("10.8.0.1", &json!({}));
    let pptp = gateway.path("bin/pptp");
    let peer = format!(
        "pty \"exec {} 10.8.0.1 --nolaunchpppd\"\nname office\nremotename office\n\
         ifname ppp7\nnoauth\n",
        pptp.display()
    );
    fs::write(gateway.path("ppp/peers/office"), peer).unwrap();
    fs::write(gateway.path("ppp/chap-secrets"), "office office secret *\n").unwrap();
    let mut foreign = gateway.namespace.command(gateway.path("bin/pppd"));
    assert!(foreign.args(["call", "office"]).status().unwrap().success());
    gateway.wait_for("the foreign link", || {
        gateway.read("dials.log").contains("\"up\"").then_some(())
    });

    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();

    gateway.wait_for("a restart", || (gateway.restarts() > 0).then_some(()));
    assert_eq!(gateway.status().unwrap().outage.ppp_interfaces, 0);
    let link = gateway.namespace.ip(&["-oneline", "link", "show", "ppp7"]);
    assert!(link.contains("LOWER_UP"), "and is left alone: {link}");
}

#[test]
fn a_backend_that_opens_its_port_is_told_ready() {
    let mut gateway =
        Gateway::configured("outage = { interval = \"400ms\" }\nbackend.ready_timeout = \"1m\"");
    fs::write(gateway.path("backend-works"), "").unwrap();
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_log("Backend ready after ");
}

#[test]
fn a_backend_that_stays_shut_is_told_not_ready() {
    let mut gateway = Gateway::configured(SHORT);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_log("Backend not ready: ");
}

#[test]
fn a_restart_command_that_is_missing_is_told() {
    let mut gateway = Gateway::configured(
        "outage = { interval = \"400ms\" }\nbackend.restart = [\"/nowhere/restart\"]",
    );
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start();
    gateway.wait_log("Backend restart failed: ");
    let status = gateway.wait_until("the next window", |status| status.outage.zero_ppp_count > 0);
    let last = status.outage.last_restart.unwrap();
    assert_eq!((status.outage.restarts, last.result.as_str()), (0, "failed"));
    assert!(last.message.unwrap().starts_with("can't run `/nowhere/restart`: "));
}
