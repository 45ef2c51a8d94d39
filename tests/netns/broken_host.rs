//! A host that can't dial at all says so once, dials no storm, and comes alive by itself.

use std::fs;
use std::path::Path;

use crate::gateway::Gateway;

/// A gateway whose `program` is not installed; its two nodes wait for that.
fn without(program: &str) -> Gateway {
    let mut gateway = Gateway::new();
    fs::remove_file(gateway.path("bin").join(program)).unwrap();
    gateway.nodes(2);
    let status = gateway.start().wait_until("a fault", |status| status.host_fault.is_some());
    let fault = status.host_fault.unwrap();
    assert_eq!(fault.kind, "not_installed");
    let place = gateway.path("bin").join(program);
    assert!(fault.message.contains(place.to_str().unwrap()), "{}", fault.message);
    gateway
}

#[test]
fn a_pppd_that_is_installed_later_dials_without_a_restart() {
    let gateway = without("pppd");
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netns/fake_pppd.py");
    gateway.install("pppd", &fake);
    gateway.wait_until("both up", |s| s.counts.get("up") == Some(&2) && s.host_fault.is_none());
    gateway.assert_logged("No tunnel can be dialled: ", 1);
}

#[test]
fn a_pptp_that_is_installed_later_dials_without_a_restart() {
    let gateway = without("pptp");
    gateway.install("pptp", Path::new("/bin/true"));
    gateway.wait_until("both up", |s| s.counts.get("up") == Some(&2) && s.host_fault.is_none());
    gateway.assert_logged("No tunnel can be dialled: ", 1);
}

#[test]
fn a_pppd_that_may_not_be_run_is_told() {
    let mut gateway = Gateway::new();
    fs::remove_file(gateway.path("bin/pppd")).unwrap();
    fs::write(gateway.path("bin/pppd"), "").unwrap();
    gateway.nodes(1);
    let status = gateway.start().wait_until("a fault", |status| status.host_fault.is_some());
    assert_eq!(status.host_fault.unwrap().kind, "not_installed");
}

#[test]
fn a_kernel_without_ppp_is_told_once_and_recovers() {
    let mut gateway = Gateway::new();
    fs::write(gateway.path("no-ppp"), "").unwrap();
    gateway.nodes(3);
    let status = gateway.start().wait_until("a fault", |status| status.host_fault.is_some());
    let fault = status.host_fault.unwrap();
    let remedy = fault.remedy.unwrap();
    assert_eq!((&*fault.kind, remedy.contains("modprobe ppp_generic")), ("no_ppp_support", true));
    gateway.wait_log(&format!("No tunnel can be dialled: {}; {remedy}", fault.message));
    for id in 1..=3 {
        let node = gateway.wait_node(id, "the fault as reason", |node| {
            node.reason.as_ref().is_some_and(|reason| reason.kind == "no_ppp_support")
        });
        assert_eq!(node.reason.unwrap().remedy.as_ref(), Some(&remedy));
        let shown = gateway.connexactl(&["status", &id.to_string()]).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains(&remedy), "{shown}");
    }
    fs::remove_file(gateway.path("no-ppp")).unwrap();
    gateway.wait_until("all up", |s| s.counts.get("up") == Some(&3) && s.host_fault.is_none());
    gateway.assert_logged("No tunnel can be dialled: ", 1);
}

#[test]
fn a_folder_for_peer_files_that_is_missing_is_made() {
    let mut gateway = Gateway::new();
    fs::remove_dir_all(gateway.path("ppp")).unwrap();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
}

#[test]
fn files_that_can_not_be_written_are_told_and_written_later() {
    let mut gateway = Gateway::new();
    fs::remove_dir_all(gateway.path("ppp")).unwrap();
    fs::write(gateway.path("ppp"), "in the way").unwrap();
    gateway.nodes(1);
    let node = gateway.start().wait_node(1, "an error", |node| node.last_error.is_some());
    assert_eq!(node.last_error.unwrap().kind, "files");
    fs::remove_file(gateway.path("ppp")).unwrap();
    fs::create_dir_all(gateway.path("ppp/peers")).unwrap();
    gateway.wait_state(1, "up");
}
