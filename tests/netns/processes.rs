//! Processes of calls: none is left over, none is lost, none leaves a trace in the daemon.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::{kill, lives, run};

/// A pptp with a call manager that goes on for ever, deaf to TERM.
const PPTP: &str = r#"#!/bin/sh
if [ "$1" = manager ]; then
  trap '' TERM HUP
  echo $$ >> "${0%/bin/*}/managers"
  read never < "${0%/bin/*}/never"
fi
("$0" manager < /dev/null > /dev/null 2>&1 &)
echo $$ >> "${0%/bin/*}/gateways"
read never
"#;

/// A gateway with node 1, whose calls have such a pptp.
fn gateway() -> Gateway {
    gateway_with("")
}

/// The same with more configuration.
fn gateway_with(toml: &str) -> Gateway {
    let gateway = Gateway::configured(toml);
    fs::remove_file(gateway.path("bin/pptp")).unwrap();
    gateway.script("pptp", PPTP);
    run(Command::new("mkfifo").arg(gateway.path("never")));
    gateway.nodes(1);
    gateway.server("10.9.0.1", &json!({ "pty": true }));
    gateway
}

/// The call manager of the call with this number.
fn manager(gateway: &Gateway, number: usize) -> u32 {
    gateway
        .wait_for("a call manager", || gateway.read("managers").lines().nth(number)?.parse().ok())
}

/// The other pptp of the call with this number, which pppd has started.
fn pptp(gateway: &Gateway, number: usize) -> u32 {
    gateway.wait_for("a pptp", || gateway.read("gateways").lines().nth(number)?.parse().ok())
}

#[test]
fn a_call_manager_that_outlives_its_pppd_is_ended_and_that_of_the_next_call_is_not() {
    let mut gateway = gateway();
    let pppd = gateway.start().wait_state(1, "up").pid;
    let first = manager(&gateway, 0);
    kill(pppd.unwrap(), Signal::KILL);
    let next = gateway.wait_node(1, "up anew", |node| node.state == "up" && node.pid != pppd);
    let second = manager(&gateway, 1);
    gateway.wait_for("the end of the first", || (!lives(first)).then_some(()));
    assert!(lives(second));
    assert_eq!(gateway.wait_state(1, "up").pid, next.pid);
    gateway.wait_log(&format!("pptp {first} has outlived its pppd"));
}

#[test]
fn what_a_call_left_while_no_daemon_ran_is_cleared_by_the_next() {
    let mut gateway = gateway();
    let pppd = gateway.start().wait_state(1, "up").pid.unwrap();
    let manager = manager(&gateway, 0);
    gateway.end(Signal::KILL);
    kill(pppd, Signal::KILL);
    gateway.sql("DELETE FROM nodes");
    let pid_file = gateway.path("run/ppp-connexa-node-1.pid");
    assert!(pid_file.exists());
    gateway.start();
    gateway.wait_for("the end of its manager", || (!lives(manager)).then_some(()));
    gateway.wait_for("its pid file to go", || (!pid_file.exists()).then_some(()));
}

#[test]
fn a_daemon_that_takes_its_tunnels_along_leaves_no_pptp_behind() {
    let mut gateway = gateway_with("tunnel.keep_on_exit = false");
    gateway.start().wait_state(1, "up");
    let manager = manager(&gateway, 0);
    assert_eq!(gateway.end(Signal::TERM).code(), Some(0));
    gateway.wait_for("the end of its manager", || (!lives(manager)).then_some(()));
}

#[test]
fn a_daemon_that_takes_its_tunnels_along_leaves_no_pid_file_behind() {
    let mut gateway = Gateway::configured("tunnel = { keep_on_exit = false, stop_grace = \"1s\" }");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.server("10.9.0.1", &json!({ "ignores_term": true }));
    assert_eq!(gateway.end(Signal::TERM).code(), Some(0));
    let names = fs::read_dir(gateway.path("run")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".pid")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_call_that_is_taken_over_keeps_its_processes_and_its_pid_file() {
    let mut gateway = gateway();
    gateway.nodes(2);
    gateway.server("10.9.0.1", &json!({ "pty": true }));
    gateway.start().wait_until("both up", |status| status.counts.get("up") == Some(&2));
    let kept = manager(&gateway, 0);
    let gone = gateway.wait_state(2, "up").pid.unwrap();
    gateway.end(Signal::KILL);
    kill(gone, Signal::KILL);
    gateway.sql("DELETE FROM nodes WHERE id = 2");
    gateway.start().wait_state(1, "up");
    // This shows that the next daemon has cleared up.
    let stale = gateway.path("run/ppp-connexa-node-2.pid");
    gateway.wait_for("the other's pid file to go", || (!stale.exists()).then_some(()));
    assert!(lives(kept) && gateway.path("run/ppp-connexa-node-1.pid").exists());
    assert_eq!(gateway.logged("; ending it"), 0, "{}", gateway.log());
}

#[test]
fn a_pptp_that_has_lost_its_call_manager_is_ended() {
    let mut gateway = gateway();
    gateway.start().wait_state(1, "up");
    let pptp = pptp(&gateway, 0);
    kill(manager(&gateway, 0), Signal::KILL);
    gateway.wait_for("its end", || (!lives(pptp)).then_some(()));
    gateway.wait_log(&format!("pptp {pptp} has lost its call manager"));
}

#[test]
fn a_pptp_that_has_lost_its_call_manager_while_no_daemon_ran_is_ended() {
    let mut gateway = gateway();
    gateway.start().wait_state(1, "up");
    let pptp = pptp(&gateway, 0);
    gateway.end(Signal::KILL);
    kill(manager(&gateway, 0), Signal::KILL);
    gateway.start().wait_state(1, "up");
    gateway.wait_for("its end", || (!lives(pptp)).then_some(()));
}

#[test]
fn both_pid_files_of_a_killed_pppd_go_and_those_of_others_stay() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pppd = gateway.start().wait_state(1, "up").pid.unwrap();
    let of_its_link = gateway.path("run/ppp0.pid");
    assert!(of_its_link.exists());
    let others = ["run/sshd.pid", "run/ppp.pid"].map(|name| gateway.path(name));
    for other in &others {
        fs::write(other, format!("{pppd}\n")).unwrap();
    }
    gateway.server("10.9.0.1", &json!({ "exit": 16 }));
    kill(pppd, Signal::KILL);
    let own = [of_its_link, gateway.path("run/ppp-connexa-node-1.pid")];
    gateway.wait_for("both to go", || (!own.iter().any(|file| file.exists())).then_some(()));
    assert!(others.iter().all(|other| other.exists()));
}

#[test]
fn a_pppd_that_goes_to_the_background_by_itself_is_taken_over() {
    let mut gateway = Gateway::new();
    fs::create_dir(gateway.path("real")).unwrap();
    fs::rename(gateway.path("bin/pppd"), gateway.path("real/pppd")).unwrap();
    gateway.script("pppd", "#!/bin/sh\nexec \"${0%/bin/*}/real/pppd\" call \"$2\"\n");
    gateway.nodes(1);
    gateway.start();
    gateway.wait_node(1, "taken over", |node| node.state == "up" && node.adopted);
}

#[test]
fn a_pppd_that_says_and_does_nothing_is_given_up() {
    let mut gateway =
        Gateway::configured("tunnel = { dial_timeout = \"500ms\", stop_grace = \"500ms\" }");
    gateway.nodes(1);
    gateway.server("10.9.0.1", &json!({ "mute": true, "ignores_term": true }));
    let node = gateway.start().wait_node(1, "dialled", |node| node.pid.is_some());
    gateway.wait_for("its end", || (!lives(node.pid.unwrap())).then_some(()));
    gateway.wait_node(1, "told", |node| {
        node.last_error.as_ref().is_some_and(|error| error.kind == "timeout")
    });
}

#[test]
fn a_pppd_that_prints_for_ever_is_given_up_and_costs_no_memory() {
    let mut gateway = Gateway::configured("tunnel.dial_timeout = \"1s\"");
    fs::remove_file(gateway.path("bin/pppd")).unwrap();
    gateway.script("pppd", "#!/bin/sh\nexec cat /dev/zero\n");
    gateway.start();
    let daemon = gateway.wait_until("no node", |status| status.nodes.is_empty()).daemon.pid;
    let before = most_memory(daemon);
    gateway.nodes(1);
    gateway.wait_node(1, "given up", |node| {
        node.last_error.as_ref().is_some_and(|error| error.kind == "timeout")
    });
    let more = most_memory(daemon) - before;
    assert!(more < 4096, "{more} KiB more");
}

/// The most memory that a process has had, in KiB.
fn most_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Open files of a process, and those of its children that wait to be reaped.
fn traces(pid: u32) -> (usize, Vec<String>) {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children = children.split_whitespace();
    let zombies = children.filter(|child| !lives(child.parse().unwrap()));
    (open, zombies.map(str::to_owned).collect())
}

#[test]
fn fifty_calls_leave_no_trace_in_the_daemon() {
    let backoff = "tunnel.backoff = { min = \"10ms\", max = \"10ms\" }";
    let mut gateway = Gateway::configured(backoff);
    gateway.nodes(1);
    let pppd = gateway.start().wait_state(1, "up").pid.unwrap();
    let daemon = gateway.status().unwrap().daemon.pid;
    let before = traces(daemon);
    gateway.server("10.9.0.1", &json!({ "exit": 0 }));
    kill(pppd, Signal::KILL);
    gateway.wait_for("fifty calls", || (gateway.dialled(1) > 50).then_some(()));
    gateway.server("10.9.0.1", &json!({}));
    gateway.wait_state(1, "up");
    // Before and now a connection of a status that was just answered may be open still.
    gateway.wait_for("no trace", || {
        let (open, zombies) = traces(daemon);
        (open <= before.0 && zombies.is_empty()).then_some(())
    });
}
