//! Judges that nobody here wrote: every answer and every `--json` by the daemon's own description,
//! and schemathesis.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::namespace::Running;
use crate::programs::http;

/// A gateway with a node in most states, its description, and what is to be judged by that.
struct Court {
    gateway: Gateway,
    description: Value,
    cases: Vec<Value>,
}

impl Court {
    fn new() -> Self {
        let gateway = Gateway::mixed();
        gateway.sql(
            "INSERT INTO nodes (id, ip, login, password, status) \
             VALUES (5, '10.9.0.5', 'admin', 'secret', 'speed_failed')",
        );
        let (_, description) = answer(&gateway, "GET /openapi.json");
        fs::write(gateway.path("openapi.json"), description.to_string()).unwrap();
        Court { gateway, description, cases: Vec::new() }
    }

    /// Asks the API; what it answers is judged as that of the operation.
    fn ask(&mut self, request: &str, operation: &str) -> u64 {
        let (status, answer) = answer(&self.gateway, request);
        self.of(request, operation, status, answer);
        status
    }

    /// Asks `connexactl`, whose answer is that of the operation.
    fn run(&mut self, arguments: &[&str], operation: &str) {
        let answer = printed(&self.gateway, arguments);
        self.of(&format!("connexactl {arguments:?}"), operation, 200, answer);
    }

    fn of(&mut self, what: &str, operation: &str, status: u64, answer: Value) {
        self.cases.push(json!({ "what": what, "operation": operation,
            "status": status.to_string(), "answer": answer }));
    }

    fn of_kind(&mut self, what: &str, schema: &str, answer: Value) {
        self.cases.push(json!({ "what": what, "schema": schema, "answer": answer }));
    }

    /// What is wrong with the answers.
    fn verdict(&self) -> String {
        judged(&self.gateway.path("openapi.json"), &self.cases)
    }
}

/// What is wrong with these cases, by a description.
pub(crate) fn judged(description: &Path, cases: &[Value]) -> String {
    let mut judge = Command::new("/usr/bin/python3");
    judge.arg("-I").arg(project("tests/netns/judge.py")).arg(description);
    judge.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut judge = judge.spawn().unwrap();
    let mut stdin = judge.stdin.take().unwrap();
    cases.iter().for_each(|case| writeln!(stdin, "{case}").unwrap());
    drop(stdin);
    let output = judge.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let hint = "tests/lab/need /usr/bin/jsonschema=python3-jsonschema installs what it needs";
    assert!(!said.contains("ModuleNotFoundError"), "{said}{hint}");
    assert_eq!(output.status.success(), said.trim().is_empty(), "{said}");
    said
}

pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Status and body.
pub(crate) fn answer(gateway: &Gateway, request: &str) -> (u64, Value) {
    let answer = http(gateway, &format!("{request} HTTP/1.1"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = serde_json::from_str(body);
    (status, body.unwrap_or_else(|error| panic!("{request}: {error}: {answer}")))
}

/// What a command prints with `--json`.
fn printed(gateway: &Gateway, arguments: &[&str]) -> Value {
    let output = gateway.connexactl(arguments).arg("--json").output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output:?}"))
}

/// The first events of a stream, which has no end.
fn events(lines: impl BufRead, count: usize) -> Vec<Value> {
    let lines = lines.lines().map(Result::unwrap).filter(|line| line.starts_with('{'));
    lines.take(count).map(|line| serde_json::from_str(&line).unwrap()).collect()
}

#[test]
fn every_answer_is_as_the_daemon_describes_it() {
    let mut court = Court::new();
    let mut stream = UnixStream::connect(court.gateway.path("control/connexad.sock")).unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: connexa\r\n\r\n").unwrap();
    for path in ["/v1/status", "/v1/traffic", "/v1/doctor", "/v1/plan"] {
        assert_eq!(court.ask(&format!("GET {path}"), &format!("get {path}")), 200);
    }
    for (id, status) in [("1", 200), ("3", 200), ("4", 200), ("5", 200), ("99", 404), ("x", 400)] {
        assert_eq!(court.ask(&format!("GET /v1/nodes/{id}"), "get /v1/nodes/{id}"), status);
    }
    for verb in ["stop", "start", "retry"] {
        let operation = format!("post /v1/nodes/{{id}}/{verb}");
        assert_eq!(court.ask(&format!("POST /v1/nodes/1/{verb}"), &operation), 200);
        assert_eq!(court.ask(&format!("POST /v1/nodes/99/{verb}"), &operation), 404);
    }
    // The defaults, whose database is not there.
    assert_eq!(court.ask("POST /v1/plan", "post /v1/plan"), 503);
    assert_eq!(court.ask("POST /v1/reload", "post /v1/reload"), 200);
    for (number, event) in events(BufReader::new(stream), 3).into_iter().enumerate() {
        court.of(&format!("event {number}"), "get /v1/events", 200, event);
    }
    // What no operation answers has the same errors.
    assert_eq!(court.ask("DELETE /v1/status", "get /v1/status"), 405);
    assert_eq!(court.ask("GET /v1/nothing", "get /v1/status"), 404);
    assert_eq!(court.verdict().trim(), "");

    let judged: BTreeSet<String> =
        court.cases.iter().map(|case| case["operation"].as_str().unwrap().to_owned()).collect();
    let paths = court.description["paths"].as_object().unwrap().iter();
    let described: BTreeSet<String> = paths
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        // That is no JSON; promtool judges it.
        .filter(|operation| operation != "get /metrics")
        .collect();
    assert_eq!(judged, described);
}

#[test]
fn what_connexactl_prints_as_json_is_as_the_daemon_describes_it() {
    let mut court = Court::new();
    let config = court.gateway.path("connexad.toml").display().to_string();
    court.run(&["status"], "get /v1/status");
    court.run(&["explain", "4"], "get /v1/nodes/{id}");
    court.run(&["plan"], "get /v1/plan");
    court.run(&["plan", "--config", &config], "post /v1/plan");
    court.run(&["doctor"], "get /v1/doctor");
    court.run(&["reload"], "post /v1/reload");
    for verb in ["stop", "start", "retry"] {
        court.run(&[verb, "1"], &format!("post /v1/nodes/{{id}}/{verb}"));
    }
    for id in ["1", "3", "4"] {
        let node = printed(&court.gateway, &["status", id]);
        court.of_kind(&format!("status {id}"), "Node", node);
    }
    let mut watch = court.gateway.connexactl(&["watch", "--json"]);
    let mut watch = Running(watch.stdout(Stdio::piped()).spawn().unwrap());
    for event in events(BufReader::new(watch.0.stdout.take().unwrap()), 1) {
        court.of_kind("watch", "Event", event);
    }
    assert_eq!(court.verdict().trim(), "");
}

#[test]
fn an_answer_that_is_not_as_described_is_found() {
    let mut court = Court::new();
    let good = printed(&court.gateway, &["status", "1"]);
    for (field, value) in [("id", json!("1")), ("mood", json!("fine")), ("since", json!(null))] {
        let mut wrong = good.clone();
        wrong[field] = value;
        court.of_kind(field, "Node", wrong);
    }
    let mut full = answer(&court.gateway, "GET /v1/nodes/1").1;
    full["mood"] = json!("fine");
    court.of_kind("in full", "NodeInFull", full);
    let verdict = court.verdict();
    for what in ["id: ", "mood: ", "since: ", "in full: "] {
        assert!(verdict.lines().any(|line| line.starts_with(what)), "{what} in\n{verdict}");
    }
    assert_eq!(verdict.lines().count(), 4, "{verdict}");
}

/// Joins a TCP connection to the control socket, which schemathesis can't speak to.
fn bridge(from: TcpStream, socket: &Path) {
    let Ok(to) = UnixStream::connect(socket) else { return };
    let (mut asks, mut answers) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (mut from, mut to) = (from, to);
    thread::spawn(move || {
        let _ = copy(&mut asks, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = copy(&mut answers, &mut from);
        let _ = from.shutdown(Shutdown::Both);
    });
}

/// It is fetched from a registry: `make judge` runs it.
#[test]
#[ignore = "make judge"]
fn schemathesis_finds_nothing_wrong_with_the_api() {
    let court = Court::new();
    let socket = court.gateway.path("control/connexad.sock");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|from| bridge(from.unwrap(), &socket)));
    let mut judge = Command::new(project("target/judge/bin/schemathesis"));
    judge.arg("--config-file").arg(project("tests/netns/schemathesis.toml"));
    judge.arg("run").arg(format!("http://{address}/openapi.json"));
    judge.args(["--url", &format!("http://{address}"), "--exclude-path", "/v1/events"]);
    judge.args(["--max-examples", "50", "--continue-on-failure", "--no-color"]);
    judge.current_dir(court.gateway.path(""));
    let judged = judge.status();
    let judged = judged.unwrap_or_else(|error| panic!("{judge:?}: {error}; run make judge"));
    assert!(judged.success() && court.gateway.lives());
}
