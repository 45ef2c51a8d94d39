//! `connexactl` as an operator's surface: the table, figures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::run;
use crate::programs::http;

/// The ids of the lines, in order.
fn ids(table: &str) -> Vec<u32> {
    let first = |line: &str| line.split(' ').next().and_then(|word| word.parse().ok());
    let lines = table.lines().skip(1).filter(|line| !line.contains("outage check"));
    lines.map_while(first).collect()
}

fn status(gateway: &Gateway, more: &[&str]) -> String {
    run(gateway.connexactl(&["status"]).args(more))
}

#[test]
fn the_table_shows_the_worst_first_and_ends_in_a_summary_of_words() {
    let gateway = Gateway::mixed();
    let table = status(&gateway, &[]);
    assert!(ids(&table).starts_with(&[3, 4, 1, 2]), "{table}");
    let summary = "4 nodes: 1 invalid, 1 quarantined, 2 up; outage check: 0 of 3 windows in a row \
                   without a tunnel; backend restarted 0 times\n";
    assert!(table.ends_with(summary), "{table}");
}

#[test]
fn lines_are_picked_and_sorted_as_asked() {
    let gateway = Gateway::mixed();
    assert_eq!(ids(&status(&gateway, &["--state", "up"])), [1, 2]);
    assert_eq!(ids(&status(&gateway, &["--server", "10.9.0.3"])), [3]);
    assert_eq!(ids(&status(&gateway, &["--sort", "id"])), [1, 2, 3, 4]);
    assert!(
        status(&gateway, &["--state", "dialing"]).starts_with("no node matches these filters\n")
    );
    let wrong = gateway.connexactl(&["status", "--state", "uo"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("quarantined"), "{wrong:?}");
}

#[test]
fn each_order_is_that_of_its_name() {
    let gateway = Gateway::mixed();
    gateway.sql("UPDATE nodes SET ip = '10.9.0.9' WHERE id = 1");
    gateway.server("10.9.0.9", &json!({}));
    gateway.wait_node(1, "up again", |node| {
        node.state == "up" && node.ip.as_deref() == Some("10.9.0.9")
    });
    for (by, order) in [
        ("worst", [3, 4, 1, 2]),
        ("id", [1, 2, 3, 4]),
        // What is no address comes first.
        ("server", [4, 2, 3, 1]),
        // By their names.
        ("state", [4, 3, 1, 2]),
    ] {
        assert_eq!(ids(&status(&gateway, &["--sort", by])), order, "{by}");
    }
    assert_eq!(ids(&status(&gateway, &["--sort", "for"]))[0], 1);
}

/// What `connexactl status` with more words prints on a terminal of so many columns.
fn on_a_terminal(gateway: &Gateway, columns: u32, before: &str, more: &str) -> String {
    let socket = gateway.path("control/connexad.sock");
    let line = format!(
        "stty cols {columns} rows 24; {before} {CONNEXACTL} --socket {} status {more}",
        socket.display()
    );
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CLICOLOR");
    run(&mut command)
}

fn fits(text: &str, columns: u32) {
    let wide = usize::try_from(columns).unwrap();
    for line in text.lines().map(str::trim_end) {
        assert!(line.chars().count() <= wide, "{columns}: {line} in\n{text}");
    }
}

#[test]
fn on_a_terminal_all_fits_and_has_colours_unless_they_are_not_wanted() {
    let gateway = Gateway::mixed();
    let coloured = on_a_terminal(&gateway, 80, "", "");
    assert!(coloured.contains("\u{1b}[31mquarantined"), "{coloured}");
    for plain in ["NO_COLOR=1", "TERM=dumb", "CLICOLOR=0"] {
        for columns in [20, 80] {
            let text = on_a_terminal(&gateway, columns, plain, "");
            assert!(!text.contains('\u{1b}'), "{text}");
            fits(&text, columns);
            // Cut are cells, and no sentence.
            let words: Vec<&str> = text.split_whitespace().collect();
            assert!(words.join(" ").ends_with("backend restarted 0 times"), "{text}");
        }
    }
}

#[test]
fn a_narrow_terminal_shows_all_when_it_is_to() {
    let gateway = Gateway::mixed();
    let piped = status(&gateway, &[]);
    let wide = on_a_terminal(&gateway, 40, "NO_COLOR=1", "--wide");
    // How long each is in its state may have changed.
    let heads = |text: &str| text.lines().next().unwrap().trim_end().to_owned();
    assert_eq!(heads(&wide), heads(&piped));
    assert!(!wide.contains('…') && wide.contains("the server refused"), "{wide}");
}

#[test]
fn a_thousand_nodes_are_a_table_that_begins_with_the_worst() {
    let gateway = Gateway::thousand();
    let text = on_a_terminal(&gateway, 80, "NO_COLOR=1", "");
    fits(&text, 80);
    let order = ids(&text);
    assert_eq!((order.len(), order[0], order[999]), (1000, 2, 1));
    assert!(text.contains("1000 nodes: 999 invalid, 1 up; outage check: "), "{text}");
}

#[test]
fn a_reader_who_has_seen_enough_gets_no_error() {
    let gateway = Gateway::mixed();
    let file = gateway.path("connexad.toml").display().to_string();
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["status", "1"],
        &["explain", "3"],
        &["plan"],
        &["metrics"],
        &["doctor", "--config", &file],
        &["node", "list", "--config", &file],
        &["completions", "bash"],
        &["watch"],
        &["--help"],
    ] {
        let (theirs, ours) = std::io::pipe().unwrap();
        drop(theirs);
        let mut command = gateway.connexactl(words);
        let output = command.stdout(ours).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        // What the answer is, its exit code still says.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{words:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
}

#[test]
fn figures_count_what_happened() {
    let gateway = Gateway::mixed();
    let text = run(&mut gateway.connexactl(&["metrics"]));
    for line in [
        "connexa_ppp_interfaces 2",
        "connexa_backend_up 0",
        "connexa_nodes{state=\"quarantined\"} 1",
        "connexa_dials_total{engine=\"pppd\"} 3",
        "connexa_failures_total{kind=\"auth_refused\"} 1",
        "connexa_time_to_up_seconds_count{engine=\"pppd\"} 2",
        "connexa_backend_restarts_total 0",
        "connexa_kernel_overruns_total 0",
        "# TYPE connexa_time_to_up_seconds histogram",
        "# TYPE connexa_loop_turn_seconds histogram",
        "# EOF",
    ] {
        assert!(text.lines().any(|there| there == line), "{line} in\n{text}");
    }
    assert!(!text.contains("connexa_kernel_resyncs_total 0"), "{text}");
    let answer = http(&gateway, "GET /metrics HTTP/1.1");
    assert!(answer.contains("application/openmetrics-text"), "{answer}");
}

/// What is answered at 127.0.0.1:9723.
pub(crate) fn get(gateway: &Gateway, path: &str) -> String {
    asked(gateway, "GET", path)
}

fn asked(gateway: &Gateway, method: &str, path: &str) -> String {
    gateway.namespace.within(|| {
        let mut stream = TcpStream::connect("127.0.0.1:9723").unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
}

#[test]
fn figures_and_nothing_else_are_served_by_tcp_where_that_is_asked_for() {
    let mut gateway = Gateway::configured("metrics.listen = '127.0.0.1:9723'");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    assert!(get(&gateway, "/metrics").contains("connexa_ppp_interfaces 1\n"));
    let other = get(&gateway, "/v1/status");
    assert!(other.starts_with("HTTP/1.1 404") && other.contains("try /metrics,"), "{other}");
    let written = asked(&gateway, "POST", "/metrics");
    assert!(written.starts_with("HTTP/1.1 405") && written.contains("GET and HEAD"), "{written}");
    let mut second = Gateway::configured("metrics.listen = '192.0.2.1:9723'");
    second.nodes(1);
    second.start().wait_state(1, "up");
    second.assert_logged("metrics.listen: can't listen on 192.0.2.1:9723", 1);
}
