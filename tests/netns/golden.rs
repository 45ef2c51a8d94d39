//! Recordings of incidents, by the real daemon on real links. `make golden` writes them anew into
//! `tests/golden`, each with what a replay of it prints; the simulation's tests replay them.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::kill;

/// Netlink messages of one change, in the kernel's own count of bytes.
const MESSAGE: u32 = 1536;

fn recording(toml: &str, nodes: u32) -> Gateway {
    let mut gateway = Gateway::configured(toml);
    gateway.nodes(nodes);
    let file = gateway.path("recording");
    gateway.start_as(&["--record", file.to_str().unwrap()]);
    gateway.wait_until("all up", |s| s.counts.get("up") == Some(&(nodes as usize)));
    gateway
}

/// Ends the daemon and keeps its recording, without the sandbox's place, and what it replays to.
fn keep(mut gateway: Gateway, name: &str) {
    gateway.end(Signal::TERM);
    let sandbox = gateway.path("").display().to_string();
    let text = gateway.read("recording").replace(sandbox.trim_end_matches('/'), "/gateway");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let recording = file.with_extension("jsonl");
    fs::write(&recording, text).unwrap();
    let replayed = Command::new(CONNEXACTL).arg("replay").arg(&recording).output().unwrap();
    assert!(replayed.status.success(), "{replayed:?}");
    fs::write(file.with_extension("expected"), replayed.stdout).unwrap();
}

#[test]
#[ignore = "make golden writes the recordings anew"]
fn an_outage_and_its_end() {
    let gateway = recording("outage = { interval = \"400ms\" }", 2);
    for ip in ["10.9.0.1", "10.9.0.2"] {
        gateway.server(ip, &json!({ "answer": "gone" }));
    }
    gateway.wait_for("a restart", || (gateway.restarts() == 1).then_some(()));
    gateway.wait_log("Backend not ready: ");
    for ip in ["10.9.0.1", "10.9.0.2"] {
        gateway.server(ip, &json!({}));
    }
    gateway.wait_until("all up", |status| status.counts.get("up") == Some(&2));
    keep(gateway, "outage");
}

#[test]
#[ignore = "make golden writes the recordings anew"]
fn a_pppd_that_is_killed() {
    let gateway = recording("", 2);
    let pid = gateway.wait_state(1, "up").pid;
    kill(pid.unwrap(), Signal::KILL);
    gateway.wait_node(1, "up again", |node| node.state == "up" && node.pid != pid);
    keep(gateway, "pppd-killed");
}

/// The kernel drops messages that nobody reads; a tunnel's link goes meanwhile.
#[test]
#[ignore = "make golden writes the recordings anew"]
fn a_netlink_socket_that_is_overrun() {
    let gateway = recording("tunnel.stop_grace = \"1s\"", 2);
    gateway.namespace.ip(&["tuntap", "add", "mode", "tun", "name", "foreign0"]);
    let before = gateway.wait_until("the foreign link", |status| status.kernel.links == 3);
    let node = gateway.wait_state(1, "up");
    gateway.signal(Signal::STOP);
    let floods = before.kernel.receive_buffer / MESSAGE;
    let flood = (0..floods).map(|n| format!("link set foreign0 mtu {}", 1400 + n % 2));
    let removal = format!("link del {}", node.interface.as_deref().unwrap());
    gateway.namespace.batch(flood.chain([removal]));
    gateway.signal(Signal::CONT);
    gateway.wait_node(1, "up again", |new| new.state == "up" && new.pid != node.pid);
    let after = gateway.status().unwrap();
    assert!(after.kernel.overruns > 0, "{:?}", after.kernel);
    keep(gateway, "netlink-overrun");
}
