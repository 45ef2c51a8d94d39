//! Programs of the operator's that run when tunnels come and go.

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::lives;

/// Both hooks run this, with their own name as `$0`; `LOG` is a file of the sandbox.
fn with_hooks(script: &str) -> Gateway {
    with_hooks_for(script, "1m")
}

/// The same, and each may take so long.
fn with_hooks_for(script: &str, timeout: &str) -> Gateway {
    let gateway = Gateway::new();
    let script = script.replace("LOG", gateway.path("hooks.log").to_str().unwrap());
    let hook = |name: &str| json!(["sh", "-c", script, name]).to_string();
    gateway.configure(&format!(
        "hooks = {{ up = {}, down = {}, timeout = \"{timeout}\" }}",
        hook("up"),
        hook("down")
    ));
    gateway
}

const TELLING: &str = "echo $0 $CONNEXA_NODE_ID $CONNEXA_INTERFACE $CONNEXA_LOCAL_IP $CONNEXA_REMOTE_IP $CONNEXA_REASON >>LOG";

fn wait_lines(gateway: &Gateway, count: usize) -> Vec<String> {
    gateway.wait_for(&format!("{count} lines of hooks"), || {
        let lines: Vec<String> = gateway.read("hooks.log").lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn hooks_are_told_their_tunnel_and_the_reason_up_before_down() {
    let mut gateway = with_hooks(TELLING);
    gateway.nodes(1);
    gateway.start();
    wait_lines(&gateway, 1);
    gateway.sql("DELETE FROM nodes");
    let lines = wait_lines(&gateway, 2);
    assert_eq!(lines[0], "up 1 ppp0 10.50.0.100 10.50.0.1 dialled");
    assert_eq!(lines[1], "down 1 ppp0 10.50.0.100 10.50.0.1 its row is gone or no longer selected");
}

#[test]
fn what_a_hook_says_is_logged() {
    let mut gateway = with_hooks("echo hello from $0");
    gateway.nodes(1);
    gateway.start().wait_log("hooks.up of node 1: hello from up");
}

#[test]
fn a_failing_hook_is_told_and_the_tunnel_stays_up() {
    let mut gateway = with_hooks("exit 3");
    gateway.nodes(1);
    gateway.start().wait_log("Node 1: hooks.up failed: ");
    gateway.wait_state(1, "up");
}

#[test]
fn a_hook_that_hangs_is_ended_in_time() {
    let mut gateway = with_hooks_for("sleep 1000", "500ms");
    gateway.nodes(1);
    gateway.start().wait_log("took longer than 500ms");
}

#[test]
fn a_daemon_that_takes_its_tunnels_with_it_runs_their_hooks_first() {
    let mut gateway = with_hooks(TELLING);
    let script = TELLING.replace("LOG", gateway.path("hooks.log").to_str().unwrap());
    let down = json!(["sh", "-c", script, "down"]).to_string();
    gateway.configure(&format!("hooks.down = {down}\ntunnel.keep_on_exit = false"));
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::TERM);
    assert_eq!(gateway.read("hooks.log").lines().count(), 1);
}

#[test]
fn what_a_hook_that_hangs_has_started_ends_with_it() {
    let mut gateway = with_hooks_for("sleep 1000 & echo $! >>LOG; wait", "1s");
    gateway.nodes(1);
    gateway.start().wait_log("took longer than 1s");
    let sleep: u32 = wait_lines(&gateway, 1)[0].parse().unwrap();
    gateway.wait_for("its end", || (!lives(sleep)).then_some(()));
}

#[test]
fn the_rest_of_much_output_is_left_out_and_that_is_told_once() {
    let mut gateway = with_hooks("yes hello | head -n 4000; echo >>LOG");
    gateway.nodes(1);
    gateway.start();
    wait_lines(&gateway, 1);
    gateway.wait_log("hooks.up of node 1: what it says beyond 16 KiB is left out");
    gateway.assert_logged("is left out", 1);
}

#[test]
fn a_tunnel_whose_link_was_renamed_goes_by_its_new_name() {
    let mut gateway = with_hooks(TELLING);
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    wait_lines(&gateway, 1);
    gateway.namespace.ip(&["link", "set", "ppp0", "name", "wan0"]);
    gateway.wait_log("Node 1: its link ppp0 is named wan0 now");
    gateway.sql("DELETE FROM nodes");
    let lines = wait_lines(&gateway, 2);
    assert!(lines[1].starts_with("down 1 wan0 "), "{lines:?}");
}
