//! The two programs at the command line: exit codes, and one line for each error.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use crate::gateway::{CONNEXACTL, CONNEXAD, Gateway};

/// The one line on stderr.
fn one_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "one line, not: {text}");
    text
}

#[test]
fn a_named_configuration_that_is_missing_is_an_error_of_configuration() {
    let output = Command::new(CONNEXAD).args(["--config", "/nowhere/c.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(one_line(&output).contains("/nowhere/c.toml"));
}

#[test]
fn an_unknown_key_is_an_error_of_configuration_with_a_suggestion() {
    let gateway = Gateway::new();
    gateway.configure_raw("[tunnel]\nmtuu = 1400\n");
    let output = gateway.connexad(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let line = one_line(&output);
    assert!(line.contains("line 2") && line.contains("did you mean `mtu`?"), "{line}");
}

#[test]
fn the_effective_configuration_is_printed_and_reads_back() {
    let gateway = Gateway::configured("tunnel.mtu = 1300");
    let check = || {
        let output = gateway.connexad(&["--check-config"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = check();
    assert!(printed.contains("mtu = 1300") && printed.contains("windows = 3"), "{printed}");
    gateway.configure_raw(&printed);
    assert_eq!(check(), printed);
}

#[test]
fn a_control_socket_where_something_else_stands_is_an_error_of_configuration() {
    let gateway = Gateway::new();
    let database = gateway.path("connexa.db");
    gateway.configure(&format!("control.socket = \"{}\"", database.display()));
    let before = std::fs::read(&database).unwrap();
    for arguments in [&["--check-config"][..], &[]] {
        let output = gateway.connexad(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        let told = String::from_utf8(output.stderr).unwrap();
        let line = told.lines().last().unwrap();
        assert!(line.contains("connexa.db is a file,"), "{told}");
    }
    assert!(std::fs::read(&database).unwrap() == before, "the database was changed");
}

#[test]
fn the_environment_names_the_database_before_the_file_does() {
    let gateway = Gateway::new();
    let mut command = gateway.connexad(&["--check-config"]);
    let output = command.env("CONNEXA_DB", "/elsewhere/nodes.db").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("/elsewhere/nodes.db"));
}

#[test]
fn an_override_that_can_not_work_is_an_error_of_the_command_line() {
    let gateway = Gateway::new();
    let output = gateway.connexad(&["--interval", "0s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line = one_line(&output);
    assert!(line.contains("--interval") && line.contains("longer than 0s"), "{line}");
    assert!(!line.contains("connexad.toml"), "{line}");
}

#[test]
fn one_look_shows_the_tunnels_that_are_up_and_changes_nothing() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    let look = |gateway: &Gateway| {
        let output = gateway.connexad(&["--once"]).output().unwrap();
        let outage: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), outage["ppp_interfaces"].as_u64())
    };
    assert_eq!(look(&gateway), (Some(1), Some(0)));
    assert_eq!(gateway.dialled(1), 0);
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    assert_eq!(look(&gateway), (Some(0), Some(2)));
}

#[test]
fn the_daemon_needs_root() {
    let gateway = Gateway::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(gateway.copy(CONNEXAD)).arg("--config").arg(gateway.path("connexad.toml"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(77));
    assert!(one_line(&output).contains("root"));
}

#[test]
fn each_program_tells_its_own_name_and_version() {
    for program in [CONNEXAD, CONNEXACTL] {
        let output = Command::new(program).arg("-V").output().unwrap();
        let name = program.rsplit('/').next().unwrap();
        let number = env!("CARGO_PKG_VERSION");
        let told = String::from_utf8(output.stdout).unwrap();
        let (version, build) = told.split_once(" (").unwrap_or((told.trim_end(), ""));
        assert_eq!(version, format!("{name} {number}"));
        let build = build.trim_end_matches(")\n");
        if cfg!(debug_assertions) {
            assert_eq!(build, "development build");
        } else {
            // Nothing, where there is no git.
            let commit = build.split(',').next().unwrap_or_default();
            assert!(commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
        }
    }
}

#[test]
fn a_configuration_that_may_not_be_read_is_a_lack_of_rights_to_each_program() {
    let gateway = Gateway::new();
    let config = gateway.path("connexad.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    for (program, what) in [(CONNEXAD, "--check-config"), (CONNEXACTL, "doctor")] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        let output = command
            .arg(gateway.copy(program))
            .arg(what)
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        let line = one_line(&output);
        assert_eq!(output.status.code(), Some(77), "{line}");
        assert!(line.contains("connexad.toml"), "{line}");
    }
}

#[test]
fn a_socket_that_can_not_be_made_is_an_error_of_configuration() {
    let gateway = Gateway::new();
    gateway.configure("control.socket = \"/proc/nowhere/connexad.sock\"");
    let output = gateway.connexad(&[]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.lines().last().unwrap().contains("check control.socket"), "{told}");
    assert_eq!(output.status.code(), Some(78));
}

/// The exit code of a program whose standard output is this file, and its one line on stderr.
fn printing_to(mut command: Command, file: &str) -> (Option<i32>, String) {
    let out = fs::OpenOptions::new().write(true).open(file).unwrap();
    let output = command.stdout(out).stderr(Stdio::piped()).spawn().unwrap().wait_with_output();
    let output = output.unwrap();
    (output.status.code(), one_line(&output))
}

#[test]
fn an_answer_that_can_not_be_written_is_an_error_of_one_line() {
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    for command in [
        gateway.connexactl(&["status"]),
        gateway.connexactl(&["status", "--json"]),
        gateway.connexactl(&["--help"]),
        gateway.connexactl(&["-V"]),
        gateway.connexad(&["--check-config"]),
        gateway.connexad(&["--once"]),
        gateway.connexad(&["--help"]),
    ] {
        let shown = format!("{command:?}");
        let (code, line) = printing_to(command, "/dev/full");
        assert_eq!(code, Some(1), "{shown}: {line}");
        assert!(line.contains("can't be written to standard output"), "{shown}: {line}");
    }
}

#[test]
fn a_second_daemon_is_turned_away_and_the_first_goes_on() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    let output = gateway.connexad(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(one_line(&output).contains("another connexad"));
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn a_socket_left_by_a_killed_daemon_is_no_obstacle() {
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    gateway.end(Signal::KILL);
    gateway.start().wait_until("an answer", |_| true);
}

#[test]
fn the_client_without_a_daemon_says_unreachable() {
    let gateway = Gateway::new();
    let output = gateway.connexactl(&["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(one_line(&output).contains("connexad.sock"));
}

#[test]
fn status_of_one_node_says_by_its_exit_code_whether_it_is_up() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_state(1, "up");
    gateway.wait_state(2, "backoff");
    let code = |id| gateway.connexactl(&["status", id]).output().unwrap().status.code();
    assert_eq!([code("1"), code("2"), code("77")], [Some(0), Some(1), Some(1)]);
}

#[test]
fn status_is_a_table_with_a_summary() {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start().wait_until("both up", |s| s.counts.get("up") == Some(&2));
    let output = gateway.connexactl(&["status"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let up = text.lines().filter(|line| line.contains(" up ") && line.contains("ppp")).count();
    assert_eq!(up, 2, "{text}");
    assert!(text.contains("2 up"), "{text}");
}

#[test]
fn curl_can_read_the_status() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let answer = http(&gateway, "GET /v1/status HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("application/json"), "{answer}");
}

#[test]
fn a_path_that_is_not_there_is_answered_with_a_problem_document() {
    let mut gateway = Gateway::new();
    gateway.start().wait_until("an answer", |_| true);
    let answer = http(&gateway, "GET /v1/nothing HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

/// One request over the socket, by hand.
pub(crate) fn http(gateway: &Gateway, request: &str) -> String {
    use std::io::{Read, Write};
    let socket = gateway.path("control/connexad.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    write!(stream, "{request}\r\nHost: connexa\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_dry_run_changes_nothing() {
    let gateway = Gateway::new();
    gateway.nodes(1);
    let mut command = gateway.connexad(&["--dry-run"]);
    let log = std::fs::File::create(gateway.path("connexad.log")).unwrap();
    let mut daemon = crate::namespace::Running(command.stderr(log).spawn().unwrap());
    gateway.wait_log("Dry run: would run pppd for node 1");
    assert!(gateway.dials().is_empty());
    assert!(!gateway.path("ppp/chap-secrets").exists());
    assert!(daemon.0.try_wait().unwrap().is_none(), "it goes on running");
}

/// A file with a fault of each sort.
const FAULTS: &str = "[outage]
windows = 0
window = 5
[tunnel]
mtu = \"big\"
backoff = { min = \"9m\" }
";

/// What each of them is told with, in order.
const FAULTS_TOLD: [&str; 4] = [
    "connexad.toml: line 2, column 11 (`windows = 0`): outage.windows is 0; give a whole number",
    "connexad.toml: line 3, column 1 (`window = 5`): unknown key `window`; did you mean `windows`?",
    "connexad.toml: line 5, column 7 (`mtu = \"big\"`): tunnel.mtu is \"big\"; give a whole number",
    "connexad.toml: line 6, column 19 (`backoff = { min = \"9m\" }`): tunnel.backoff.min is 9m, longer",
];

#[test]
fn each_fault_of_a_configuration_is_told_on_a_line_of_its_own_by_whatever_reads_it() {
    let gateway = Gateway::new();
    gateway.configure_raw(FAULTS);
    let config = gateway.path("connexad.toml");
    let config = config.to_str().unwrap();
    for mut command in [
        gateway.connexad(&["--check-config"]),
        gateway.connexad(&[]),
        gateway.connexactl(&["doctor", "--config", config]),
        gateway.connexactl(&["node", "--config", config, "list"]),
        gateway.connexactl(&["firewall", "check", "--of-nodes", "--config", config]),
    ] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{command:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        let is_told = lines.iter().zip(FAULTS_TOLD).all(|(line, fault)| line.contains(fault));
        assert!(is_told && lines.len() == FAULTS_TOLD.len(), "{command:?}: {told}");
    }
}

#[test]
fn what_is_no_plain_file_of_a_configurations_size_is_refused_at_once() {
    let gateway = Gateway::new();
    let config = gateway.path("connexad.toml");
    fs::remove_file(&config).unwrap();
    crate::namespace::run(Command::new("mkfifo").arg(&config));
    let refused = || {
        let output = gateway.connexad(&["--check-config"]).output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        one_line(&output)
    };
    let fifo = refused();
    assert!(fifo.contains("not a plain file; put a plain file there"), "{fifo}");
    fs::remove_file(&config).unwrap();
    fs::File::create(&config).unwrap().set_len(300_000_000).unwrap();
    let large = refused();
    assert!(large.contains("file too large") && large.contains("at most 1 MiB"), "{large}");
    fs::write(&config, b"[tunnel]\nmtu = 1400 # \xff\n").unwrap();
    let binary = refused();
    assert!(
        binary.contains("line 2, column 14") && binary.contains("save the file as UTF-8"),
        "{binary}"
    );
}

#[test]
fn a_path_too_long_for_a_socket_is_told_before_it_is_tried() {
    let gateway = Gateway::new();
    gateway.configure(&format!("control.socket = \"/{}\"", "x".repeat(200)));
    let output = gateway.connexad(&["--check-config"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let line = one_line(&output);
    assert!(
        line.contains("control.socket is 201 bytes long; give a path of at most 107"),
        "{line}"
    );
}

#[test]
fn a_database_that_the_environment_names_badly_is_told_as_the_environments() {
    let gateway = Gateway::new();
    let mut command = gateway.connexad(&["--check-config"]);
    let output = command.env("CONNEXA_DB", "nodes.db").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let line = one_line(&output);
    assert!(line.contains("CONNEXA_DB) is \"nodes.db\", not an absolute path"), "{line}");
}

#[test]
fn what_is_no_nodes_id_is_told_with_the_ids_that_there_are() {
    let gateway = Gateway::new();
    for words in [
        &["status", "x"][..],
        &["stop", "-1"],
        &["retry", "4294967296"],
        &["node", "remove", "1", "x"],
        &["node", "set", "x", "--ip", "10.0.0.1"],
        &["node", "add", "--id", "1.5", "--ip", "10.0.0.1", "--login", "a"],
    ] {
        let output = gateway.connexactl(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let line = one_line(&output);
        let told = line.contains("a node's id is a number from 0 to 4294967295");
        // clap takes it for an option.
        assert!(told || words.contains(&"-1"), "{words:?}: {line}");
    }
}
