//! What the core was told can be recorded, and put through the core again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use connexa::core::event::{Event, Input};
use connexa::core::time::Now;
use connexa::recording::Line;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::namespace::kill;

/// A gateway whose daemon has recorded the life of a tunnel: up, killed, up again.
fn recorded() -> Gateway {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.1", &json!({ "password": "hunter2" }));
    gateway.node(1, "10.9.0.1", "hunter2");
    let recording = gateway.path("recording");
    gateway.start_as(&["--record", recording.to_str().unwrap()]);
    let up = gateway.wait_state(1, "up");
    kill(up.pid.unwrap(), Signal::KILL);
    gateway.wait_node(1, "up again", |node| node.state == "up" && node.pid != up.pid);
    gateway.end(Signal::TERM);
    gateway
}

fn replay(gateway: &Gateway) -> (String, String, Option<i32>) {
    replay_with(gateway, &["replay"])
}

fn replay_with(gateway: &Gateway, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = gateway.connexactl(arguments);
    let output = command.arg(gateway.path("recording")).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// What the daemon told of tunnels, without times and levels.
fn tunnels_told(text: &str) -> Vec<&str> {
    let begins =
        |line: &str| ["✅ Tunnel", "Tunnel for", "Node 1"].iter().find_map(|b| line.find(b));
    text.lines().filter_map(|line| line.get(begins(line)?..)).collect()
}

#[test]
fn a_replay_tells_what_the_daemon_told() {
    let gateway = recorded();
    let (replayed, _, exit) = replay(&gateway);
    let log = gateway.log();
    assert_eq!((tunnels_told(&replayed), exit), (tunnels_told(&log), Some(0)));
    assert_eq!(tunnels_told(&log).len(), 4, "{log}");
}

#[test]
fn a_replay_prints_each_transition() {
    let (replayed, ..) = replay(&recorded());
    for transition in ["→ dialing", "negotiating → up", "→ backoff", "backoff → dialing"] {
        let is_it = |line: &str| line.contains(" node 1: ") && line.ends_with(transition);
        assert!(replayed.lines().any(is_it), "{transition} is missing:\n{replayed}");
    }
}

#[test]
fn a_replay_as_json_has_an_object_for_each_line_of_the_other() {
    let gateway = recorded();
    let (text, ..) = replay(&gateway);
    let (json, complaint, exit) = replay_with(&gateway, &["replay", "--json"]);
    assert_eq!((complaint.as_str(), exit), ("", Some(0)));
    let said: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), text.lines().count());
    let up = |said: &&Value| said["what"] == "became" && said["node"] == 1 && said["to"] == "up";
    assert_eq!(said.iter().filter(up).count(), 2, "{json}");
    assert_eq!(
        (&said.last().unwrap()["up"], &said.last().unwrap()["cut"]),
        (&json!(1), &json!(false))
    );
}

#[test]
fn a_recording_holds_no_password_and_is_for_root_alone() {
    let gateway = recorded();
    assert!(!gateway.read("recording").contains("hunter2"));
    let mode = fs::metadata(gateway.path("recording")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_second_run_records_beside_what_is_there() {
    let mut gateway = recorded();
    let first = gateway.read("recording");
    let recording = gateway.path("recording");
    gateway.start_as(&["--record", recording.to_str().unwrap()]).wait_state(1, "up");
    gateway.end(Signal::TERM);
    assert!(gateway.read("recording") == first, "the first recording was changed");
    assert!(gateway.read("recording.1").lines().count() > 1);
    gateway.wait_log(&format!("Recording to {}.1", recording.display()));
}

#[test]
fn a_recording_that_was_cut_short_is_replayed_to_its_end() {
    let gateway = recorded();
    let whole = gateway.read("recording");
    fs::write(gateway.path("recording"), whole.trim_end().strip_suffix('}').unwrap()).unwrap();
    let (told, _, exit) = replay(&gateway);
    assert!(told.contains("The last line is cut short and left out"), "{told}");
    assert_eq!(exit, Some(0));
    let (json, ..) = replay_with(&gateway, &["replay", "--json"]);
    let end: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((&end["what"], &end["cut"]), (&json!("end"), &json!(true)));
}

#[test]
fn a_recording_that_was_cut_inside_a_letter_is_replayed_to_its_end() {
    let gateway = recorded();
    let mut recording = gateway.read("recording").into_bytes();
    let problem = Event::DesiredUnavailable("é".to_owned());
    let input = Input { now: Now::default(), event: problem };
    let line = serde_json::to_vec(&Line::Input(Box::new(input))).unwrap();
    let cut = line.iter().position(|byte| !byte.is_ascii()).unwrap() + 1;
    recording.extend(&line[..cut]);
    fs::write(gateway.path("recording"), recording).unwrap();
    let (_, told, exit) = replay(&gateway);
    assert_eq!((told.as_str(), exit), ("", Some(0)));
}

#[test]
fn what_is_no_recording_is_refused_in_one_line() {
    let gateway = Gateway::new();
    fs::write(gateway.path("recording"), "{}\n").unwrap();
    let (_, told, exit) = replay(&gateway);
    assert!(told.contains("line 1 is not the start of a recording"), "{told}");
    assert_eq!((told.lines().count(), exit), (1, Some(1)));
}

#[test]
fn a_file_that_can_not_be_recorded_to_keeps_the_daemon_from_starting() {
    let gateway = Gateway::new();
    let output = gateway.connexad(&["--record", "/proc/nowhere"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("can't record to /proc/nowhere"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}
