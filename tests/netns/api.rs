//! The API as a whole: what it says of itself, that every error is a problem document, and that
//! clients who misbehave disturb nobody.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::run;
use crate::programs::http;

/// Connections of one user at once.
const PLACES: usize = 160;

fn connect(gateway: &Gateway) -> UnixStream {
    let stream = UnixStream::connect(gateway.path("control/connexad.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// A daemon that answers.
fn running() -> Gateway {
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    gateway
}

/// What comes until the daemon hangs up; it may do so before it has read all.
fn rest(mut stream: UnixStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn problem(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.contains("application/problem+json"), "{answer}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{answer}");
    problem
}

#[test]
fn the_api_describes_itself() {
    let gateway = running();
    let answer = http(&gateway, "GET /openapi.json HTTP/1.1");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let description: Value = serde_json::from_str(body).unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."), "{description}");
    for (path, method) in [("/v1/status", "get"), ("/v1/nodes/{id}/stop", "post")] {
        assert!(description["paths"][path][method].is_object(), "{path}: {description}");
    }
    let node = &description["components"]["schemas"]["Node"]["properties"];
    assert!(node["last_error"].is_object(), "{description}");
}

#[test]
fn the_parsers_own_errors_are_problem_documents() {
    let gateway = running();
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let requests = ["what is this?\r\n\r\n", "GET /v1/status HTTP/9.9\r\n\r\n", &huge];
    for (request, status) in requests.into_iter().zip([400, 400, 431]) {
        let mut stream = connect(&gateway);
        // It is refused before it is read whole.
        let _ = stream.write_all(request.as_bytes());
        let answer = rest(stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(problem(&answer)["status"], status);
    }
}

#[test]
fn garbage_after_a_good_request_is_told_apart() {
    let gateway = running();
    let mut stream = connect(&gateway);
    stream.write_all(b"GET /v1/nodes/1 HTTP/1.1\r\nHost: connexa\r\n\r\n\x01\x02\r\n\r\n").unwrap();
    let answer = rest(stream);
    let (_, second) = answer.split_once("HTTP/1.1 400").unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(problem(second)["title"], "bad request");
}

#[test]
fn every_other_error_is_a_problem_document_too() {
    let gateway = running();
    for (request, status) in [
        ("GET /nothing HTTP/1.1", 404),
        ("DELETE /v1/status HTTP/1.1", 405),
        ("GET /v1/nodes/x HTTP/1.1", 400),
        ("GET /v1/nodes/7 HTTP/1.1", 404),
    ] {
        assert_eq!(problem(&http(&gateway, request))["status"], status, "{request}");
    }
}

#[test]
fn a_client_that_ends_its_side_after_its_request_is_answered() {
    let gateway = running();
    for _ in 0..20 {
        let mut stream = connect(&gateway);
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: connexa\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(rest(stream).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn idle_connections_of_root_keep_root_from_nothing() {
    let gateway = running();
    let idle: Vec<UnixStream> = (0..500).map(|_| connect(&gateway)).collect();
    assert!(gateway.status().is_some());
    // The first to come are the first to go.
    let first = idle.into_iter().next().unwrap();
    assert_eq!(rest(first), "");
}

#[test]
fn clients_that_read_no_answer_keep_nobody_from_an_answer() {
    let gateway = running();
    let deaf: Vec<UnixStream> = (0..2 * PLACES)
        .map(|_| {
            let mut stream = connect(&gateway);
            let request = "GET /openapi.json HTTP/1.1\r\nHost: connexa\r\n\r\n".repeat(100);
            let _ = stream.write_all(request.as_bytes());
            stream
        })
        .collect();
    assert!(gateway.status().is_some());
    drop(deaf);
}

#[test]
fn many_who_ask_for_the_checks_of_the_host_at_once_are_all_answered() {
    let gateway = running();
    let asks: Vec<UnixStream> = (0..PLACES / 2)
        .map(|_| {
            let mut stream = connect(&gateway);
            stream
                .write_all(b"GET /v1/doctor HTTP/1.1\r\nHost: connexa\r\nConnection: close\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    assert!(gateway.status().is_some(), "the checks keep nobody else waiting");
    for stream in asks {
        assert!(rest(stream).starts_with("HTTP/1.1 200 "));
    }
}

/// `connexactl` as nobody, in these groups.
fn client_of(gateway: &Gateway, groups: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--groups", groups]);
    command.arg(gateway.path("connexactl")).arg("--socket");
    command.arg(gateway.path("control/connexad.sock"));
    command
}

#[test]
fn members_of_the_admin_group_may_change_and_it_is_logged_who_did() {
    let mut gateway = Gateway::configured("control = { group = 'nogroup', admin_group = 'games' }");
    gateway.nodes(1);
    gateway.copy(CONNEXACTL);
    gateway.start().wait_state(1, "up");
    let refused = client_of(&gateway, "65534").args(["stop", "1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(77));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("control.admin_group"));
    run(client_of(&gateway, "65534,60").args(["stop", "1"]));
    gateway.wait_state(1, "stopped");
    gateway.assert_logged("Node 1: stop asked for by uid 65534, pid ", 1);
}

#[test]
fn the_client_finds_the_socket_that_the_configuration_names() {
    let gateway = running();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(CONNEXACTL);
        command.args(arguments).env_remove("CONNEXA_DB").output().unwrap()
    };
    let config = gateway.path("connexad.toml");
    let config = config.to_str().unwrap();
    assert!(ask(&["--config", config, "status"]).status.success());
    assert!(ask(&["status", "--config", config]).status.success());
    let refused = ask(&["--config", "/nowhere.toml", "status"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--socket"), "{refused:?}");
}
