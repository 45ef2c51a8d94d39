//! `connexad --purge`: what connexad wrote goes, and nothing else.

use std::fs;
use std::process::Output;

use rustix::process::Signal;

use crate::gateway::Gateway;

fn purge(gateway: &Gateway, more: &[&str]) -> Output {
    gateway.connexad(&[&["--purge"], more].concat()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Two tunnels that are up and nobody's: their daemon was killed.
fn orphaned() -> Gateway {
    let mut gateway =
        Gateway::configured("[routing]\ntable_base = 1000\n[tunnel]\nstop_grace = \"5s\"");
    fs::write(gateway.path("ppp/chap-secrets"), "\"other\" \"server\" \"secret\" *\n").unwrap();
    fs::write(gateway.path("ppp/peers/other"), "nodetach\n").unwrap();
    // As the kernel engine writes it (tunnel.use_peer_dns).
    let named = "# Written by connexad: by the tunnel to 10.9.0.2\nnameserver 10.9.0.99\n";
    fs::write(gateway.path("ppp/resolv.conf"), named).unwrap();
    gateway.nodes(2);
    gateway.start();
    for id in 1..=2 {
        gateway.wait_state(id, "up");
    }
    gateway.wait_for("a rule of node 2", || {
        gateway.namespace.ip(&["rule"]).contains("1002").then_some(())
    });
    gateway.end(Signal::KILL);
    gateway
}

#[test]
fn what_connexad_wrote_goes_and_what_others_wrote_stays() {
    let gateway = orphaned();
    let done = purge(&gateway, &[]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(gateway.read("ppp/chap-secrets"), "\"other\" \"server\" \"secret\" *\n");
    assert_eq!(gateway.read("ppp/peers/other"), "nodetach\n");
    let left: Vec<_> = [
        "ppp/peers/connexa-node-1",
        "ppp/peers/connexa-node-2",
        "ppp/resolv.conf",
        "run/connexad.lock",
        "control/connexad.sock",
        "run/connexa-node-1.log",
        "state/stopped",
    ]
    .into_iter()
    .filter(|place| gateway.path(place).exists())
    .collect();
    assert_eq!(left, [""; 0]);
    let (rules, links) =
        (gateway.namespace.ip(&["rule"]), gateway.namespace.ip(&["-brief", "link"]));
    assert!(!rules.contains("100") && !links.contains("ppp"), "{rules}{links}");
}

#[test]
fn a_file_of_others_with_a_name_of_ours_stays_and_is_told() {
    let gateway = Gateway::new();
    fs::create_dir_all(gateway.path("state")).unwrap();
    fs::write(gateway.path("state/stopped"), "precious\n").unwrap();
    let done = purge(&gateway, &[]);
    let told = text(&done.stderr);
    assert!(
        done.status.code() == Some(1) && told.contains("is not a list of connexad's"),
        "{told}"
    );
    assert_eq!(gateway.read("state/stopped"), "precious\n");
}

#[test]
fn the_configuration_and_the_database_stay() {
    let gateway = orphaned();
    assert!(purge(&gateway, &[]).status.success());
    assert!(gateway.path("connexad.toml").exists() && gateway.path("connexa.db").exists());
}

#[test]
fn a_dry_run_lists_it_and_changes_nothing() {
    let gateway = orphaned();
    let listed = purge(&gateway, &["--dry-run"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let listed = text(&listed.stdout);
    for what in ["tunnel of node 1: its pppd", "peers/connexa-node-2", "nothing was changed"] {
        assert!(listed.contains(what), "{what} in {listed}");
    }
    assert!(gateway.path("ppp/peers/connexa-node-1").exists());
    let mut next = gateway;
    next.start();
    assert!(next.wait_state(1, "up").adopted && next.wait_state(2, "up").adopted);
}

#[test]
fn while_a_daemon_runs_it_is_refused() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let refused = purge(&gateway, &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    let said = text(&refused.stderr);
    let lock = gateway.path("run/connexad.lock").display().to_string();
    for what in [&*lock, "systemctl stop connexad", "then purge again"] {
        assert!(said.contains(what), "{what} in {said}");
    }
    assert!(!said.contains("connexactl"), "a package that is purged has none any more: {said}");
    gateway.wait_state(1, "up");
}

#[test]
fn a_host_that_has_nothing_of_connexad_is_left_as_it_is() {
    let gateway = Gateway::new();
    assert!(purge(&gateway, &["--dry-run"]).status.success());
    let done = purge(&gateway, &[]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(fs::read_dir(gateway.path("run")).unwrap().count(), 0);
}
