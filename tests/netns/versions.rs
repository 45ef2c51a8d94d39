//! `connexactl` in front of a daemon of another version, which a stand-in plays at the socket.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{CONNEXACTL, Gateway};
use crate::judges::answer;

/// Status and body.
type Answer = (&'static str, String);

/// Answers every request at a socket of its own, by its path.
struct StandIn {
    folder: TempDir,
}

impl StandIn {
    fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        std::thread::spawn(move || {
            listener.incoming().for_each(|stream| {
                // Whoever only looks whether somebody listens asks nothing.
                let _ = serve(&stream.unwrap(), &answer);
            });
        });
        StandIn { folder }
    }

    fn asked(&self, words: &[&str]) -> Output {
        let mut command = Command::new(CONNEXACTL);
        command.args(words).arg("--socket").arg(self.folder.path().join("socket"));
        command.env_remove("CONNEXA_DB").output().unwrap()
    }

    /// The one line by which a command ends as it does without a daemon.
    fn refused(&self, words: &[&str]) -> String {
        let output = self.asked(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.lines().count()),
            (Some(69), 1),
            "{words:?}: {said}"
        );
        assert!(said.contains("/socket") && said.contains("connexad --version"), "{said}");
        said
    }
}

fn serve(mut stream: &UnixStream, answer: &impl Fn(&str) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let (status, body) = answer(&path);
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").ok()
}

/// Everything that is asked of a daemon.
const ASKS: [&[&str]; 10] = [
    &["status"],
    &["status", "1"],
    &["explain", "1"],
    &["plan"],
    &["reload"],
    &["start", "1"],
    &["stop", "1"],
    &["retry", "1"],
    &["metrics"],
    &["watch"],
];

#[test]
fn a_daemon_that_does_not_know_what_is_asked_is_told_as_one_of_another_version() {
    let not_found = json!({ "title": "not found", "status": 404, "detail": "try /v1/status" });
    let of_this_program = not_found.to_string();
    for body in [of_this_program, "Not Found".to_owned()] {
        let older = StandIn::new(move |_| ("404 Not Found", body.clone()));
        for words in ASKS {
            let said = older.refused(words);
            assert!(said.contains(" does not know /"), "{words:?}: {said}");
        }
    }
    let no_method = StandIn::new(|_| ("405 Method Not Allowed", String::new()));
    assert!(no_method.refused(&["reload"]).contains(" does not know /v1/reload"));
}

#[test]
fn a_node_that_another_version_does_not_know_is_no_matter_of_versions() {
    let unknown = json!({ "title": "no such node", "status": 404, "detail": "there is no node 1" });
    let daemon = StandIn::new(move |_| ("404 Not Found", unknown.to_string()));
    let output = daemon.asked(&["explain", "1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no node 1") && !said.contains("version"), "{said}");
}

#[test]
fn an_answer_that_lacks_what_is_needed_is_told_with_what_that_is() {
    let older = StandIn::new(|_| ("200 OK", json!({ "schema_version": 1, "id": 1 }).to_string()));
    for words in ASKS {
        // Text is shown as it comes, and so is an event.
        if !matches!(words, ["metrics" | "watch"]) {
            let said = older.refused(words);
            assert!(said.contains("missing field"), "{words:?}: {said}");
        }
    }
}

#[test]
fn what_speaks_no_http_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    let other = StandIn { folder };
    for words in ASKS {
        other.refused(words);
    }
}

/// What is asked of a newer daemon, answered by the one of today.
fn newer(gateway: &Gateway) -> StandIn {
    let known: Vec<(&str, Value)> = ["/v1/status", "/v1/nodes/1", "/v1/plan"]
        .map(|path| (path, changed(answer(gateway, &format!("GET {path}")).1)))
        .into();
    let event = json!({ "seq": 1, "at": "2030-01-01T03:00:00Z", "event": "mood", "mood": "fine" });
    StandIn::new(move |path| {
        let found = known.iter().find(|(known, _)| *known == path);
        let body = found.map_or_else(|| event.clone(), |(_, body)| body.clone());
        ("200 OK", format!("{body}\n"))
    })
}

/// The same with a new field at each place, a new state, and another version.
fn changed(answer: Value) -> Value {
    match answer {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<_, _> =
                fields.into_iter().map(|(key, value)| (key, changed(value))).collect();
            let is_map = fields.values().all(Value::is_u64);
            if !is_map {
                fields.insert("mood".into(), json!({ "is": "fine" }));
            }
            if fields.get("state") == Some(&json!("up")) {
                fields.insert("state".into(), json!("resting"));
            }
            if fields.contains_key("schema_version") {
                fields.insert("schema_version".into(), json!(2));
            }
            Value::Object(fields)
        }
        Value::Array(values) => Value::Array(values.into_iter().map(changed).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

#[test]
fn what_is_new_in_an_answer_is_left_out_and_a_new_state_is_shown() {
    let gateway = Gateway::mixed();
    let newer = newer(&gateway);
    for (words, code, text) in [
        (&["status"][..], 0, " resting "),
        (&["status", "1"], 1, "resting for "),
        (&["explain", "1"], 0, "Node 1 (admin at 10.9.0.1) is in state resting for "),
        (&["plan"], 0, "stay up"),
    ] {
        let output = newer.asked(words);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(text) && !said.contains("mood"), "{words:?}: {said}");
    }
    let warned = String::from_utf8(newer.asked(&["status"]).stderr).unwrap();
    assert!(warned.contains("version 2 of the API") && warned.lines().count() == 1, "{warned}");
}

#[test]
fn a_new_kind_of_event_is_shown_as_it_is() {
    let gateway = Gateway::mixed();
    let newer = newer(&gateway);
    let file = newer.folder.path().join("seen");
    let mut watch = Command::new(CONNEXACTL);
    watch.arg("watch").arg("--socket").arg(newer.folder.path().join("socket"));
    watch.stdout(fs::File::create(&file).unwrap());
    let _watch = crate::namespace::Running(watch.spawn().unwrap());
    gateway.wait_for("the event", || {
        fs::read_to_string(&file).unwrap().contains("\"event\":\"mood\"").then_some(())
    });
}

#[test]
fn a_report_says_that_the_daemon_is_of_another_version() {
    let older = StandIn::new(|_| ("404 Not Found", String::new()));
    let file = older.folder.path().join("report.txt");
    let output = older.asked(&["report", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read_to_string(&file).unwrap().contains("does not know /v1/status"));
}
