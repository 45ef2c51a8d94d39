//! Who may ask what over the control socket, and what is answered.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::{Running, lives, run};
use crate::programs::http;

/// For tests of others than root: a group of every Debian that they can be in.
const GROUP: &str = "control.group = \"nogroup\"";

/// Exit code and the one line on stderr of a command that fails.
fn failure(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "one line, not: {message}");
    (output.status.code(), message)
}

/// A command run as nobody.
fn as_nobody(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", program]);
    command
}

fn connect(gateway: &Gateway) -> UnixStream {
    let stream = UnixStream::connect(gateway.path("control/connexad.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn a_node_is_answered_by_its_id() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_state(2, "up");
    let answer = http(&gateway, "GET /v1/nodes/2 HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let node = body(&answer);
    assert_eq!((&node["id"], &node["state"]), (&json!(2), &json!("up")));
}

#[test]
fn a_change_is_answered_with_the_node_as_it_is_right_after() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let answer = http(&gateway, "POST /v1/nodes/1/stop HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(body(&answer)["state"], "stopping");
    let printed = run(&mut gateway.connexactl(&["start", "1", "--json"]));
    let node: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(node["id"], 1);
}

#[test]
fn a_node_that_is_not_there_is_unknown() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    for request in ["GET /v1/nodes/7", "POST /v1/nodes/7/stop", "POST /v1/nodes/7/start"] {
        let answer = http(&gateway, &format!("{request} HTTP/1.1"));
        assert!(answer.starts_with("HTTP/1.1 404"), "{request}: {answer}");
        assert!(answer.contains("application/problem+json"), "{request}: {answer}");
    }
    for verb in ["start", "stop", "retry"] {
        let (code, message) = failure(&mut gateway.connexactl(&[verb, "7"]));
        assert_eq!(code, Some(1));
        assert!(
            message.contains("no node 7: the nearest is 1 (connexad holds 1 node)"),
            "{message}"
        );
    }
}

#[test]
fn starting_a_node_that_lost_its_row_says_that_nothing_is_dialled() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    run(&mut gateway.connexactl(&["stop", "1"]));
    gateway.sql("DELETE FROM nodes");
    gateway.wait_until("no node", |status| status.nodes.is_empty());
    let (code, message) = failure(&mut gateway.connexactl(&["start", "1"]));
    assert_eq!(code, Some(1));
    assert!(
        message.contains("node 1 is not stopped any more; no node 1 (connexad holds 0 nodes)"),
        "{message}"
    );
    assert!(!gateway.read("state/stopped").lines().any(|line| line == "1"));
}

#[test]
fn an_id_that_is_no_number_is_refused() {
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    for id in ["x", "-1", "4294967296", "%ff"] {
        let answer = http(&gateway, &format!("POST /v1/nodes/{id}/stop HTTP/1.1"));
        assert!(answer.starts_with("HTTP/1.1 400"), "{id}: {answer}");
        assert!(answer.contains("application/problem+json"), "{id}: {answer}");
    }
    let (code, message) = failure(&mut gateway.connexactl(&["stop", "x"]));
    assert_eq!(code, Some(2));
    assert!(message.contains("a node's id is a number from 0 to 4294967295"), "{message}");
}

#[test]
fn an_address_or_a_login_in_place_of_an_id_is_told_with_the_nodes_that_have_it() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_state(2, "up");
    let config = gateway.path("connexad.toml").display().to_string();
    for words in [
        &["status", "10.9.0.2"][..],
        &["explain", "10.9.0.2"],
        &["stop", "10.9.0.2"],
        &["node", "remove", "10.9.0.2", "--config", &config],
    ] {
        let (code, message) = failure(&mut gateway.connexactl(words));
        assert_eq!(code, Some(2), "{words:?}: {message}");
        assert!(message.contains("node 2 has this address"), "{words:?}: {message}");
    }
    let answer = http(&gateway, "GET /v1/nodes/admin HTTP/1.1");
    assert!(answer.contains("nodes 1 and 2 have this login"), "{answer}");
    let (code, message) =
        failure(&mut gateway.connexactl(&["node", "remove", "7", "--config", &config]));
    assert_eq!(code, Some(1));
    assert!(message.contains("has no node 7: the nearest is 2;"), "{message}");
}

#[test]
fn a_change_without_a_daemon_says_unreachable() {
    let gateway = Gateway::new();
    let (code, message) = failure(&mut gateway.connexactl(&["stop", "1"]));
    assert_eq!(code, Some(69));
    assert!(message.contains("connexad.sock"), "{message}");
}

#[test]
fn the_group_may_read_and_only_root_may_change() {
    let mut gateway = Gateway::configured(GROUP);
    gateway.nodes(1);
    gateway.copy(CONNEXACTL);
    let pid = gateway.start().wait_state(1, "up").pid;
    let client = |arguments: &[&str]| {
        let mut command = as_nobody(gateway.path("connexactl").to_str().unwrap());
        command.arg("--socket").arg(gateway.path("control/connexad.sock")).args(arguments);
        command
    };
    run(&mut client(&["status", "1"]));
    for verb in ["start", "stop", "retry"] {
        let (code, message) = failure(&mut client(&[verb, "1"]));
        assert_eq!(code, Some(77), "{verb}: {message}");
        assert!(message.contains("ask again as root"), "{verb}: {message}");
    }
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    assert!(!gateway.path("state").exists());
}

#[test]
fn who_may_not_even_read_is_told_that_a_change_needs_root() {
    let mut gateway = Gateway::configured("control.group = \"root\"");
    gateway.copy(CONNEXACTL);
    gateway.start().wait_until("an answer", |_| true);
    let mut command = as_nobody(gateway.path("connexactl").to_str().unwrap());
    command.arg("--socket").arg(gateway.path("control/connexad.sock"));
    let (code, message) = failure(command.args(["stop", "1"]));
    assert_eq!(code, Some(77));
    assert!(message.contains("as root") && !message.contains("group"), "{message}");
}

#[test]
fn before_the_database_was_read_a_change_is_put_off() {
    let mut gateway = Gateway::without_database("");
    gateway.start().wait_until("an answer", |_| true);
    let (code, message) = failure(&mut gateway.connexactl(&["stop", "1"]));
    assert_eq!(code, Some(69));
    assert!(message.contains("connexa.db"), "{message}");
}

#[test]
fn before_the_database_was_read_a_tunnel_that_was_found_can_be_stopped() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid.unwrap();
    gateway.end(Signal::KILL);
    std::fs::rename(gateway.path("connexa.db"), gateway.path("away.db")).unwrap();
    gateway.start().wait_node(1, "found", |node| node.state == "up" && node.login.is_none());
    assert!(gateway.connexactl(&["stop", "1"]).status().unwrap().success());
    gateway.wait_for("the end of the tunnel", || (!lives(pid)).then_some(()));
}

#[test]
fn while_the_daemon_stops_a_change_is_refused() {
    let mut gateway = Gateway::configured("tunnel = { keep_on_exit = false, stop_grace = \"1h\" }");
    gateway.server("10.9.0.1", &json!({ "ignores_term": true }));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "up");
    gateway.signal(Signal::TERM);
    gateway.wait_state(1, "stopping");
    let (code, message) = failure(&mut gateway.connexactl(&["start", "1"]));
    assert_eq!(code, Some(69));
    assert!(message.contains("connexad is stopping"), "{message}");
}

#[test]
fn changes_asked_for_at_once_are_all_kept() {
    let mut gateway = Gateway::new();
    for id in 1..=20 {
        gateway.node(id, &format!("10.9.0.{id}"), "secret");
    }
    gateway.start().wait_until("the nodes", |status| status.nodes.len() == 20);
    let clients: Vec<_> = (1..=20)
        .map(|id: u32| {
            let mut command = gateway.connexactl(&["stop", &id.to_string()]);
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut client in clients {
        assert!(client.wait().unwrap().success());
    }
    let listed: Vec<u32> =
        gateway.read("state/stopped").lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(listed, (1..=20).collect::<Vec<_>>());
}

#[test]
fn half_a_request_holds_nobody_up_and_is_hung_up_on() {
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    let mut slow = connect(&gateway);
    slow.write_all(b"POST /v1/nodes/1/stop HTTP/1.1\r\nHost: conn").unwrap();
    assert!(gateway.status().is_some());
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "", "no answer to half a question");
}

#[test]
fn a_body_without_an_end_is_not_waited_for() {
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    let mut slow = connect(&gateway);
    slow.write_all(
        b"POST /v1/nodes/x/stop HTTP/1.1\r\nHost: connexa\r\nContent-Length: 1000000\r\n\r\n",
    )
    .unwrap();
    let mut first = String::new();
    BufReader::new(slow).read_line(&mut first).unwrap();
    assert!(first.starts_with("HTTP/1.1 400"), "{first}");
}

#[test]
fn others_can_not_keep_root_out_by_holding_connections() {
    let mut gateway = Gateway::configured(GROUP);
    gateway.start().wait_until("an answer", |_| true);
    let hold = "import socket, sys
socket.setdefaulttimeout(60)
held = [socket.socket(socket.AF_UNIX) for _ in range(200)]
for s in held: s.connect(sys.argv[1])
over = sum(not s.recv(1) for s in held[:40])
held[-1].setblocking(False)
try: held[-1].recv(1)
except BlockingIOError: print(over, 'over the limit, the last still open', flush=True)
sys.stdin.read()";
    let mut command = as_nobody("/usr/bin/python3");
    command.args(["-ISc", hold]).arg(gateway.path("control/connexad.sock"));
    let holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut holder = Running(holder);
    let mut hung_up = String::new();
    BufReader::new(holder.0.stdout.as_mut().unwrap()).read_line(&mut hung_up).unwrap();
    assert_eq!(hung_up, "40 over the limit, the last still open\n");
    assert!(gateway.status().is_some());
}
