//! Programs of the operator's that run when tunnels come and go.

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;

/// Both hooks run this, with their own name as `$0`; `LOG` is a file of the sandbox.
fn with_hooks(script: &str) -> Gateway {
    let gateway = Gateway::new();
    let script = script.replace("LOG", gateway.path("hooks.log").to_str().unwrap());
    let hook = |name: &str| json!(["sh", "-c", script, name]).to_string();
    gateway.configure(&format!(
        "hooks = {{ up = {}, down = {}, timeout = \"1s\" }}",
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
    let mut gateway = with_hooks("sleep 60");
    gateway.nodes(1);
    gateway.start().wait_log("took longer than 1s");
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
