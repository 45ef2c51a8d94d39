//! Limits that the daemon meets while it runs.

use std::process::Command;

use rustix::process::Signal;

use super::{Tunnels, rounds};
use crate::namespace::run;

/// Sets a soft limit of a process that runs.
fn limit(pid: u32, what: &str, soft: &str) {
    let mut prlimit = Command::new("prlimit");
    run(prlimit.arg("--pid").arg(pid.to_string()).arg(format!("--{what}={soft}:")));
}

fn soft_limit(pid: u32, name: &str) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

/// While a limit of the daemon is so low that nothing more is to be had, tunnels stay; a row that
/// came meanwhile is dialled when there is room.
fn costs_nothing(what: &str, name: &str, low: &str) {
    let mut tunnels = Tunnels::up();
    let daemon = tunnels.gateway.status().unwrap().daemon.pid;
    let before = soft_limit(daemon, name);
    for round in 0..rounds(2) {
        limit(daemon, what, low);
        let said = tunnels.gateway.log().len();
        let id = 2000 + round;
        let ip = format!("10.9.2.{}", 1 + round % 250);
        tunnels.gateway.server(&ip, &serde_json::json!({}));
        tunnels.gateway.node(id, &ip, "secret");
        let signal = if round % 2 == 0 { Signal::HUP } else { Signal::USR1 };
        tunnels.gateway.signal(signal);
        // Whoever asks meets it, too.
        let _ = tunnels.gateway.status();
        let has_said_so = || (tunnels.gateway.log().len() > said).then_some(());
        tunnels.gateway.wait_for("a word of it", has_said_so);
        limit(daemon, what, &before);
        tunnels.gateway.wait_state(id, "up");
        tunnels.assert_served(round);
        tunnels.gateway.sql(&format!("DELETE FROM nodes WHERE id = {id}"));
    }
    assert_eq!(tunnels.gateway.status().unwrap().daemon.pid, daemon, "it is the same daemon");
}

#[test]
fn a_daemon_without_a_free_descriptor_keeps_its_tunnels_and_goes_on_when_there_is_one() {
    costs_nothing("nofile", "Max open files", "3");
}

/// Rust ends a program that gets no memory; the next daemon takes over.
#[test]
fn a_daemon_that_gets_no_more_memory_costs_no_tunnel() {
    let mut tunnels = Tunnels::up();
    for round in 0..rounds(2) {
        tunnels.assert_kept();
        let daemon = tunnels.gateway.status().unwrap().daemon.pid;
        limit(daemon, "as", "1000000");
        tunnels.gateway.node(2000, "10.9.2.1", &"x".repeat(200_000));
        tunnels.gateway.signal(Signal::HUP);
        let _ = tunnels.gateway.status();
        tunnels.gateway.sql("DELETE FROM nodes WHERE id = 2000");
        // One that lives still is freed of it.
        let mut prlimit = Command::new("prlimit");
        let _ = prlimit.arg("--pid").arg(daemon.to_string()).arg("--as=unlimited:").output();
        tunnels.assert_served(round);
    }
}
