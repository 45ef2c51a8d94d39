//! The daemon may end at any moment: tunnels stay up, and the next one takes them over.

use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::{Namespace, Running, kill, lives};

/// Ends the daemon by `signal`, starts it again, and looks at its two tunnels.
fn survives(signal: Signal) {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    let before: Vec<_> = [1, 2].map(|id| gateway.wait_state(id, "up").pid).into();
    gateway.end(signal);
    gateway.start().wait_until("both up again", |s| s.counts.get("up") == Some(&2));
    let after: Vec<_> = [1, 2].map(|id| gateway.wait_state(id, "up")).into();
    assert_eq!(after.iter().map(|node| node.pid).collect::<Vec<_>>(), before);
    assert!(after.iter().all(|node| node.adopted));
    assert_eq!((gateway.dialled(1), gateway.dialled(2)), (1, 1), "nothing was dialled twice");
    assert_eq!(gateway.logged("is DOWN"), 0);
}

#[test]
fn a_daemon_that_stops_leaves_its_tunnels_to_the_next() {
    survives(Signal::TERM);
}

#[test]
fn a_daemon_that_is_killed_leaves_its_tunnels_to_the_next() {
    survives(Signal::KILL);
}

#[test]
fn an_adopted_tunnel_that_falls_is_dialled_again() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    gateway.end(Signal::KILL);
    gateway.start().wait_node(1, "adopted", |node| node.state == "up" && node.adopted);
    kill(pid.unwrap(), Signal::KILL);
    let node = gateway.wait_node(1, "up anew", |node| node.state == "up" && node.pid != pid);
    assert!(!node.adopted);
    gateway.wait_log("so its exit code can't be read");
}

#[test]
fn a_tunnel_whose_row_went_meanwhile_is_hung_up() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_state(1, "up");
    let gone = gateway.wait_state(2, "up").pid.unwrap();
    gateway.end(Signal::TERM);
    gateway.sql("DELETE FROM nodes WHERE id = 2");
    gateway.start().wait_state(1, "up");
    gateway.wait_for("its end", || (!lives(gone)).then_some(()));
    gateway.wait_for("its file to go", || {
        (!gateway.path("ppp/peers/connexa-node-2").exists()).then_some(())
    });
}

#[test]
fn a_tunnel_whose_row_moved_to_another_server_meanwhile_is_dialled_again() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    gateway.end(Signal::KILL);
    gateway.server("10.9.9.9", &json!({}));
    gateway.sql("UPDATE nodes SET ip = '10.9.9.9' WHERE id = 1");
    let moved = |node: &connexa::control::api::Node| node.state == "up" && node.pid != pid;
    let node = gateway.start().wait_node(1, "up at the other server", moved);
    assert_eq!((node.ip.as_deref(), node.adopted), (Some("10.9.9.9"), false));
}

#[test]
fn a_tunnel_without_its_pid_file_is_taken_over_with_its_link() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let before = gateway.start().wait_state(1, "up");
    gateway.end(Signal::KILL);
    fs::remove_file(gateway.path("run/ppp-connexa-node-1.pid")).unwrap();
    let after = gateway.start().wait_state(1, "up");
    assert_eq!((after.pid, after.ifindex, after.adopted), (before.pid, before.ifindex, true));
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn a_tunnel_whose_pid_files_are_all_gone_is_left_alone() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let before = gateway.start().wait_state(1, "up");
    gateway.configure("tunnel.dial_timeout = \"1s\"");
    let pid = before.pid.unwrap();
    gateway
        .wait_for("a call that is older than a dial may last", || is_older(pid, 1).then_some(()));
    gateway.end(Signal::KILL);
    for file in ["run/ppp-connexa-node-1.pid", "run/ppp0.pid"] {
        fs::remove_file(gateway.path(file)).unwrap();
    }
    gateway.start().wait_log("runs, but which link is its own is not known");
    let after = gateway.wait_state(1, "dialing");
    assert_eq!((after.pid, gateway.dialled(1)), (before.pid, 1));
}

/// Whether a process runs for longer than so many seconds (proc_pid_stat(5); in hundredths since the boot).
fn is_older(pid: u32, seconds: u64) -> bool {
    let read = |file: &str| fs::read_to_string(file).unwrap();
    let stat = read(&format!("/proc/{pid}/stat"));
    let started = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19));
    let started: u64 = started.unwrap().parse().unwrap();
    let uptime = read("/proc/uptime").split(' ').next().unwrap().replace('.', "");
    uptime.parse::<u64>().unwrap() > started + 100 * seconds
}

/// The tunnel of node 1, whose link was renamed; the next daemon gives dials up soon.
fn with_a_renamed_link() -> (Gateway, connexa::control::api::Node) {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let before = gateway.start().wait_state(1, "up");
    gateway.namespace.ip(&["link", "set", "ppp0", "name", "wan0"]);
    gateway.wait_node(1, "renamed", |node| node.interface.as_deref() == Some("wan0"));
    gateway.configure("tunnel = { dial_timeout = \"1s\", stop_grace = \"1s\" }");
    (gateway, before)
}

#[test]
fn a_tunnel_whose_link_was_renamed_is_left_alone_by_the_next_daemon() {
    let (mut gateway, before) = with_a_renamed_link();
    gateway.end(Signal::TERM);
    gateway.start().wait_log("runs, but which link is its own is not known");
    let hidden = gateway.wait_state(1, "dialing");
    assert_eq!(hidden.pid, before.pid);
    assert_eq!(hidden.reason.map(|reason| reason.kind).as_deref(), Some("out_of_sight"));
    gateway.namespace.ip(&["link", "set", "wan0", "name", "ppp0"]);
    let after = gateway.wait_state(1, "up");
    assert_eq!((after.pid, after.ifindex), (before.pid, before.ifindex));
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn a_link_that_has_the_name_of_a_renamed_one_by_now_is_not_taken_for_it() {
    let (mut gateway, first) = with_a_renamed_link();
    gateway.nodes(2);
    let second = gateway.wait_state(2, "up");
    assert_eq!(second.interface.as_deref(), Some("ppp0"));
    gateway.end(Signal::TERM);
    gateway.start().wait_log("Node 1: its pppd");
    assert_eq!(gateway.wait_state(1, "dialing").pid, first.pid);
    let after = gateway.wait_state(2, "up");
    assert_eq!((after.pid, after.ifindex), (second.pid, second.ifindex));
    assert_eq!((gateway.dialled(1), gateway.dialled(2)), (1, 1));
}

#[test]
fn a_new_link_that_gets_the_name_of_a_renamed_one_is_its_own_nodes() {
    let (mut gateway, first) = with_a_renamed_link();
    gateway.end(Signal::TERM);
    gateway.start().wait_log("runs, but which link is its own is not known");
    gateway.nodes(2);
    assert_eq!(gateway.wait_state(2, "up").interface.as_deref(), Some("ppp0"));
    assert_eq!(gateway.wait_state(1, "dialing").pid, first.pid);
}

#[test]
fn a_tunnel_whose_renamed_link_goes_under_the_next_daemon_is_dialled_again() {
    let (mut gateway, before) = with_a_renamed_link();
    gateway.end(Signal::TERM);
    kill(before.pid.unwrap(), Signal::STOP);
    gateway.start().wait_log("runs, but which link is its own is not known");
    gateway.namespace.ip(&["link", "del", "wan0"]);
    gateway.wait_node(1, "up anew", |node| node.state == "up" && node.pid != before.pid);
}

#[test]
fn a_tunnel_whose_password_changed_meanwhile_is_dialled_again_once() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let before = gateway.start().wait_state(1, "up");
    gateway.end(Signal::KILL);
    gateway.server("10.9.0.1", &json!({ "password": "fresh" }));
    gateway.sql("UPDATE nodes SET password = 'fresh' WHERE id = 1");
    gateway.start();
    gateway.wait_node(1, "up anew", |node| node.state == "up" && node.pid != before.pid);
    gateway.end(Signal::KILL);
    gateway.start().wait_node(1, "adopted", |node| node.state == "up" && node.adopted);
    assert_eq!(gateway.dialled(1), 2);
}

#[test]
fn of_two_pppds_of_a_node_the_one_that_is_up_stays() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let before = gateway.start().wait_state(1, "up");
    let mut by_hand = gateway.namespace.command(gateway.path("bin/pppd"));
    assert!(by_hand.args(["call", "connexa-node-1"]).status().unwrap().success());
    gateway.wait_for("the end of the second", || {
        (gateway.dials().iter().filter(|line| line.what == "end").count() == 1).then_some(())
    });
    let after = gateway.wait_state(1, "up");
    assert_eq!((after.pid, after.ifindex), (before.pid, before.ifindex));
    assert_eq!(gateway.logged("is DOWN"), 0, "{}", gateway.log());

    // The second took the pid file with it.
    gateway.end(Signal::KILL);
    let adopted = gateway.start().wait_state(1, "up");
    assert_eq!((adopted.pid, adopted.adopted), (before.pid, true));
}

#[test]
fn a_tunnel_that_fell_meanwhile_is_dialled_again() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid.unwrap();
    gateway.end(Signal::TERM);
    kill(pid, Signal::KILL);
    assert!(!gateway.start().wait_state(1, "up").adopted);
}

#[test]
fn a_tunnel_dialled_by_hand_with_the_daemons_files_is_adopted() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid.unwrap();
    gateway.end(Signal::TERM);
    kill(pid, Signal::TERM);
    gateway.wait_for("the call's end", || (!lives(pid)).then_some(()));
    let mut by_hand = gateway.namespace.command(gateway.path("bin/pppd"));
    assert!(by_hand.args(["call", "connexa-node-1"]).status().unwrap().success());
    gateway.wait_for("its link", || {
        (gateway.read("dials.log").matches("\"up\"").count() == 2).then_some(())
    });
    let node = gateway.start().wait_state(1, "up");
    assert!(node.adopted);
    assert_eq!(gateway.dialled(1), 2);
}

#[test]
fn a_process_that_is_no_pppd_is_left_alone_whatever_the_pid_file_says() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let mut sleeper = gateway.namespace.command("/bin/sleep");
    let sleeper = Running(sleeper.arg("1000").stdin(Stdio::null()).spawn().unwrap());
    let pid = sleeper.0.id();
    fs::write(gateway.path("run/ppp-connexa-node-1.pid"), format!("{pid}\nppp0\n")).unwrap();
    let node = gateway.start().wait_state(1, "up");
    assert_ne!(node.pid, Some(pid));
    gateway.sql("DELETE FROM nodes");
    gateway.wait_until("no node", |status| status.nodes.is_empty());
    assert!(lives(pid));
}

/// A gateway whose node 1 is up, with its pppd and the path of its pid file.
fn up() -> (Gateway, u32, PathBuf) {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid.unwrap();
    let pid_file = gateway.path("run/ppp-connexa-node-1.pid");
    (gateway, pid, pid_file)
}

/// Restarts the daemon, which takes over the one tunnel there is.
fn is_taken_over(gateway: &mut Gateway, pid: u32) {
    gateway.end(Signal::KILL);
    let node = gateway.start().wait_state(1, "up");
    assert_eq!((node.pid, node.adopted, gateway.dialled(1)), (Some(pid), true, 1));
    assert_eq!(gateway.logged("is DOWN"), 0, "{}", gateway.log());
}

#[test]
fn a_pid_file_that_was_emptied_loses_no_tunnel() {
    let (mut gateway, pid, pid_file) = up();
    fs::write(&pid_file, "").unwrap();
    is_taken_over(&mut gateway, pid);
}

#[test]
fn a_pid_file_that_became_a_link_loses_no_tunnel_and_is_not_followed() {
    let (mut gateway, pid, pid_file) = up();
    let elsewhere = gateway.path("elsewhere");
    fs::write(&elsewhere, "1\nlo\n").unwrap();
    fs::remove_file(&pid_file).unwrap();
    symlink(&elsewhere, &pid_file).unwrap();
    is_taken_over(&mut gateway, pid);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "1\nlo\n");
}

#[test]
fn a_pid_file_that_names_somebody_else_loses_no_tunnel() {
    let (mut gateway, pid, pid_file) = up();
    fs::write(&pid_file, "1\nlo\n").unwrap();
    is_taken_over(&mut gateway, pid);
}

/// Node 1 is up, and a pppd in a network of its own that shares the run folder is up too: its first
/// link is named ppp0 as well, so that it has written its number over `ppp0.pid`.
fn beside_another_network() -> (Gateway, u32, Namespace) {
    let (gateway, pid, _) = up();
    let text = gateway.read("ppp/peers/connexa-node-1").replace("node-1", "node-9");
    fs::write(gateway.path("ppp/peers/connexa-node-9"), text).unwrap();
    let secrets = gateway.read("ppp/chap-secrets");
    let secrets = secrets.clone() + &secrets.replace("node-1", "node-9");
    fs::write(gateway.path("ppp/chap-secrets"), secrets).unwrap();
    let elsewhere = Namespace::new();
    let mut other = elsewhere.command(gateway.path("bin/pppd"));
    assert!(other.args(["call", "connexa-node-9"]).status().unwrap().success());
    gateway.wait_for("its link", || {
        (gateway.read("dials.log").matches("\"up\"").count() == 2).then_some(())
    });
    assert_ne!(gateway.read("run/ppp0.pid"), format!("{pid}\n"));
    (gateway, pid, elsewhere)
}

#[test]
fn a_pppd_of_another_network_that_shares_the_run_folder_loses_no_tunnel() {
    let (mut gateway, pid, _elsewhere) = beside_another_network();
    is_taken_over(&mut gateway, pid);
}

#[test]
fn a_pppd_of_another_network_that_has_ended_loses_no_tunnel() {
    let (mut gateway, pid, elsewhere) = beside_another_network();
    let text = gateway.read("run/ppp0.pid");
    drop(elsewhere);
    fs::write(gateway.path("run/ppp0.pid"), text).unwrap();
    is_taken_over(&mut gateway, pid);
}

#[test]
fn a_links_pid_file_that_names_another_nodes_pppd_loses_no_tunnel() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start();
    let [one, two] = [1, 2].map(|id| gateway.wait_state(id, "up"));
    fs::copy(
        gateway.path(&format!("run/{}.pid", two.interface.unwrap())),
        gateway.path(&format!("run/{}.pid", one.interface.unwrap())),
    )
    .unwrap();
    gateway.end(Signal::KILL);
    gateway.start();
    for (id, pid) in [(1, one.pid), (2, two.pid)] {
        let node = gateway.wait_state(id, "up");
        assert_eq!((node.pid, node.adopted, gateway.dialled(id)), (pid, true, 1));
    }
}

#[test]
fn a_pid_file_that_never_stops_changing_loses_no_tunnel() {
    let (mut gateway, pid, pid_file) = up();
    let whole = fs::read_to_string(&pid_file).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for text in ["15", "", "1\nlo\n", "\0\n\n", &whole].iter().cycle() {
                fs::write(&pid_file, text).unwrap();
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..3 {
                is_taken_over(&mut gateway, pid);
            }
        }));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
fn a_dial_under_way_at_the_stop_is_taken_over() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({ "answer": "silent" }));
    gateway.node(2, "10.9.0.2", "secret");
    let pid = gateway.start().wait_node(2, "its link", |node| node.ifindex.is_some()).pid;
    gateway.end(Signal::KILL);
    gateway.start().wait_node(2, "taken over", |node| node.pid == pid && node.adopted);
    gateway.server("10.9.0.2", &json!({}));
    let node = gateway.wait_state(2, "up");
    assert_eq!((node.pid, node.adopted), (pid, true));
}

#[test]
fn with_keep_on_exit_off_every_tunnel_ends_with_the_daemon() {
    let mut gateway = Gateway::configured("tunnel.keep_on_exit = false");
    gateway.nodes(2);
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    let pids = [1, 2].map(|id| gateway.wait_state(id, "up").pid.unwrap());
    assert_eq!(gateway.end(Signal::TERM).code(), Some(0));
    assert_eq!(pids.map(lives), [false, false]);
}
