//! The stream of events, the history of a node, and the sentences that are made of it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use connexa::control::api::Node;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::namespace::{Running, kill, run};
use crate::programs::http;

/// A client that follows events.
struct Follower(BufReader<UnixStream>);

impl Follower {
    fn of(gateway: &Gateway) -> Self {
        let mut stream = UnixStream::connect(gateway.path("control/connexad.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: connexa\r\n\r\n").unwrap();
        Follower(BufReader::new(stream))
    }

    /// The next event; what frames it is passed over.
    fn next(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    /// The events up to the first that is as wished.
    fn until(&mut self, wish: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        while !events.last().is_some_and(&wish) {
            events.push(self.next());
        }
        events
    }
}

fn is_state(event: &Value, id: u32, state: &str) -> bool {
    event["node"]["id"] == id && event["node"]["state"] == state
}

fn in_full(gateway: &Gateway, id: u32) -> Value {
    let answer = http(gateway, &format!("GET /v1/nodes/{id} HTTP/1.1"));
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn up() -> Gateway {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway
}

#[test]
fn a_reader_gets_the_whole_state_and_then_each_change_with_a_rising_number() {
    let gateway = up();
    let mut follower = Follower::of(&gateway);
    let first = follower.next();
    assert_eq!(first["event"], "snapshot");
    assert_eq!(first["status"]["nodes"][0]["state"], "up");
    run(&mut gateway.connexactl(&["stop", "1"]));
    let events = follower.until(|event| is_state(event, 1, "stopped"));
    let mut last = first["seq"].as_u64().unwrap();
    for event in events {
        let seq = event["seq"].as_u64().unwrap();
        assert_eq!(seq, last + 1, "{event}");
        last = seq;
    }
}

#[test]
fn a_row_that_comes_and_goes_and_a_window_without_a_tunnel_are_told() {
    let mut gateway = Gateway::configured("outage = { interval = \"200ms\" }");
    gateway.start().wait_until("an answer", |_| true);
    let mut follower = Follower::of(&gateway);
    gateway.node(7, "10.9.0.7", "secret");
    follower.until(|event| event["node"]["id"] == 7);
    follower.until(|event| event["event"] == "outage");
    gateway.sql("DELETE FROM nodes");
    follower.until(|event| event["event"] == "gone" && event["id"] == 7);
    std::fs::rename(gateway.path("connexa.db"), gateway.path("away.db")).unwrap();
    follower.until(|event| event["database"]["problem"].is_string());
}

#[test]
fn a_follower_that_reads_again_after_long_gets_what_waited_then_how_much_it_lost_and_goes_on() {
    // Fewer at once than wait for a reader.
    const ROWS: usize = 700;
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    let mut follower = Follower::of(&gateway);
    let first = follower.next();
    let rows = format!(
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {ROWS})
         INSERT INTO nodes (id, ip, login, password, status)
         SELECT id, 'nowhere', 'admin', 'secret', 'speed_ok' FROM n"
    );
    for _ in 0..4 {
        gateway.sql(&rows);
        gateway.wait_until("all rows", |status| status.counts.get("invalid") == Some(&ROWS));
        gateway.sql("DELETE FROM nodes");
        gateway.wait_until("no row", |status| status.nodes.is_empty());
    }
    gateway.node(9999, "nowhere", "secret");
    gateway.wait_state(9999, "invalid");
    // From here on nothing happens that would make the daemon write.
    let events = follower.until(|event| is_state(event, 9999, "invalid"));
    let mut seq = first["seq"].as_u64().unwrap();
    let mut lost = Vec::new();
    for event in &events {
        seq += event["lost"].as_u64().unwrap_or(1);
        assert_eq!(event["seq"], seq, "{event}");
        lost.extend(event["lost"].as_u64());
    }
    assert!(!lost.is_empty(), "all of {} events were kept for it", events.len());
    assert!(events[0]["lost"].is_null(), "what waited comes first: {}", events[0]);
    gateway.sql("DELETE FROM nodes");
    assert_eq!(follower.next()["seq"], seq + 1);
}

#[test]
fn followers_that_went_away_leave_their_places() {
    let gateway = up();
    for _ in 0..300 {
        drop(Follower::of(&gateway));
    }
    gateway.wait_for("a place to follow", || {
        let mut follower = Follower::of(&gateway);
        let mut head = String::new();
        follower.0.read_line(&mut head).unwrap();
        head.starts_with("HTTP/1.1 200").then_some(())
    });
}

/// The next line that `connexactl watch` prints.
fn line(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    assert!(out.read_line(&mut line).unwrap() > 0, "it has ended");
    line
}

fn line_with(out: &mut BufReader<ChildStdout>, text: &str) -> String {
    loop {
        let line = line(out);
        if line.contains(text) {
            return line;
        }
    }
}

fn watch(gateway: &Gateway, more: &[&str]) -> (Running, BufReader<ChildStdout>) {
    let mut command = gateway.connexactl(&["watch"]);
    let mut child = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (Running(child), out)
}

#[test]
fn watch_goes_on_over_a_restart_of_the_daemon_and_says_so() {
    let mut gateway = up();
    let (_watch, mut out) = watch(&gateway, &[]);
    assert!(line(&mut out).contains("1 node: 1 up; outage check: 0 of 3 windows"));
    run(&mut gateway.connexactl(&["stop", "1"]));
    line_with(&mut out, "node 1: stopped: stopped by the operator");
    gateway.end(Signal::TERM);
    line_with(&mut out, "connexad has ended");
    gateway.start();
    line_with(&mut out, "connexad answers again");
    line_with(&mut out, "connexad 0.");
    run(&mut gateway.connexactl(&["start", "1"]));
    line_with(&mut out, "node 1: up on ppp");
}

#[test]
fn watch_as_json_is_a_line_of_json_for_each_event() {
    let mut gateway = up();
    let (_watch, mut out) = watch(&gateway, &["--json"]);
    let event = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    assert_eq!(event(line(&mut out))["event"], "snapshot");
    gateway.end(Signal::KILL);
    assert_eq!(event(line(&mut out)), json!({ "event": "lost" }));
    gateway.start();
    assert_eq!(event(line(&mut out))["event"], "snapshot");
}

#[test]
fn watch_ends_when_nobody_reads_it_and_when_there_is_no_daemon() {
    let gateway = up();
    let (mut watch, mut out) = watch(&gateway, &[]);
    line(&mut out);
    drop(out);
    run(&mut gateway.connexactl(&["stop", "1"]));
    assert!(gateway.wait_for("its end", || watch.0.try_wait().unwrap()).success());
    let alone = Gateway::new();
    let output = alone.connexactl(&["watch"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
}

#[test]
fn the_history_of_a_node_tells_its_states_with_their_reasons() {
    let gateway = up();
    gateway.server("10.9.0.1", &json!({ "password": "another" }));
    kill(gateway.wait_state(1, "up").pid.unwrap(), Signal::KILL);
    let refused = |node: &Node| node.state == "backoff" && node.reason.is_some();
    gateway.wait_node(1, "refused", refused);
    let node = in_full(&gateway, 1);
    let history = node["history"].as_array().unwrap();
    let states: Vec<&str> = history.iter().map(|t| t["state"].as_str().unwrap()).collect();
    assert_eq!(states[0], "dialing", "{states:?}");
    assert!(states.contains(&"up") && states.contains(&"backoff"), "{states:?}");
    let mut reasons = history.iter().map(|change| &change["reason"]["kind"]);
    assert!(reasons.any(|kind| kind == "killed"), "{history:?}");
    assert_eq!(node["engine"], "pppd");
}

#[test]
fn the_reason_of_a_call_under_way_is_not_the_failure_before_it() {
    let mut gateway = Gateway::new();
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "backoff");
    gateway.server("10.9.0.1", &json!({ "answer": "silent" }));
    let node = gateway.wait_state(1, "negotiating");
    assert!(node.reason.is_none() && node.last_error.is_some(), "{node:?}");
}

#[test]
fn a_row_that_is_not_selected_is_answered_with_the_pattern_that_decides() {
    let mut gateway = up();
    gateway.end(Signal::TERM);
    for (id, status) in [(2, "weird"), (3, "speed_failed")] {
        gateway.node(id, "10.9.0.9", "secret");
        gateway.sql(&format!("UPDATE nodes SET status = '{status}' WHERE id = {id}"));
    }
    gateway.start().wait_until("the rows", |status| status.database.was_read);
    gateway.wait_state(1, "up");
    for (id, why) in [
        (2, "its status \"weird\" matches none of selection.statuses"),
        (3, "its status \"speed_failed\" matches \"%_failed\" of selection.exclude"),
    ] {
        let node = in_full(&gateway, id);
        assert_eq!((&node["state"], &node["login"]), (&json!("not_selected"), &json!("admin")));
        assert_eq!(node["reason"]["message"], why);
    }
    for verb in ["start", "stop", "retry"] {
        let output = gateway.connexactl(&[verb, "2"]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("node 2 is not selected: its status \"weird\" matches none"),
            "{told}"
        );
    }
    let text = run(&mut gateway.connexactl(&["explain", "2"]));
    assert!(text.contains("is not selected") && text.contains("selection.statuses"), "{text}");
    let output = gateway.connexactl(&["status", "2"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("state: not_selected\n"), "{text}");
}

#[test]
fn a_node_that_is_about_to_leave_is_explained_with_when_and_why() {
    let mut gateway = Gateway::configured("selection.absence_grace = \"1h\"");
    gateway.server("10.9.0.2", &json!({ "password": "another" }));
    gateway.nodes(1);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_state(1, "up");
    gateway.wait_node(2, "refused", |node| node.last_error.is_some());
    gateway.sql("UPDATE nodes SET status = 'weird'");
    for (id, what) in [(1, "hung up"), (2, "given up")] {
        gateway.wait_node(id, "about to leave", |node| node.leaves_at.is_some());
        let text = explained(&gateway, id);
        assert!(text.contains(&format!("next: it is {what} in ")), "{text}");
        assert!(text.contains("its row is gone, not selected any more or wrong"), "{text}");
        assert!(text.contains("`connexactl node list` shows its row"), "{text}");
    }
}

#[test]
fn a_node_that_lost_its_row_keeps_its_history() {
    let gateway = up();
    gateway.sql("UPDATE nodes SET status = 'weird'");
    gateway.wait_until("no node", |status| status.nodes.is_empty());
    let node = in_full(&gateway, 1);
    let history = node["history"].as_array().unwrap();
    assert_eq!(history.last().unwrap()["state"], "gone");
    assert_eq!(history[history.len() - 2]["reason"]["kind"], "removed", "{node}");
}

/// What `connexactl explain` says of a node.
fn explained(gateway: &Gateway, id: u32) -> String {
    run(&mut gateway.connexactl(&["explain", &id.to_string()]))
}

#[test]
fn each_state_is_explained_with_its_cause_what_comes_next_and_the_command() {
    let gateway = Gateway::mixed();
    run(&mut gateway.connexactl(&["stop", "2"]));
    gateway.wait_state(2, "stopped");
    for (id, says) in [
        (1, &["is up for", "on ppp", "it stays up", "connexactl stop 1", "dialing"][..]),
        (2, &["stopped by the operator", "nothing, until", "connexactl start 2"]),
        (3, &["the server refused login", "remedy: ", "once more in", "connexactl retry 3"]),
        (4, &["nowhere", "as soon as its row is correct", "connexactl node set 4"]),
    ] {
        let text = explained(&gateway, id);
        for word in says {
            assert!(text.contains(word), "{word:?} in {text}");
        }
    }
    let unknown = gateway.connexactl(&["explain", "77"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
}
