//! `connexactl top` on a terminal, as an operator sees it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::lives;
use crate::terminal::OnTerminal;
use crate::traffic::echo;

const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const DOWN: &str = "\u{1b}[B";
const CONTROL_C: &str = "\u{3}";
const CONTROL_Z: &str = "\u{1a}";

fn top(gateway: &Gateway, columns: u16, rows: u16) -> OnTerminal {
    let top = OnTerminal::run(&gateway.connexactl(&["top"]), columns, rows);
    top.wait_text(gateway, "NODE");
    top
}

/// The ids of the lines of nodes.
fn ids(text: &str) -> Vec<u32> {
    let lines = text.lines().skip_while(|line| !line.starts_with("NODE")).skip(1);
    lines.map_while(|line| line.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn eighty_columns_show_each_node_its_state_and_its_rates_or_its_reason() {
    let gateway = Gateway::mixed();
    let top = top(&gateway, 80, 24);
    let text = top.wait(&gateway, "two rates", |text| text.matches("B/s").count() == 6);
    assert!(text.starts_with("4 nodes: 1 invalid, 1 quarantined, 2 up"), "{text}");
    assert_eq!(ids(&text), [3, 4, 1, 2], "{text}");
    let line = |id: &str| text.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(
        line("3 ").contains("quarantined") && line("3 ").contains("the server refused"),
        "{text}"
    );
    assert!(line("1 ").contains(" ppp") && !line("1 ").contains('…'), "{text}");
    assert!(text.lines().last().unwrap().starts_with("? help  q quit"), "{text}");
    assert!(top.screen().alternate_screen() && top.screen().hide_cursor());
}

#[test]
fn a_change_of_a_node_is_on_the_screen_without_a_key() {
    let gateway = Gateway::mixed();
    let top = top(&gateway, 80, 24);
    gateway.node(7, "10.9.0.7", "secret");
    top.wait(&gateway, "node 7", |text| ids(text).contains(&7));
}

#[test]
fn a_filter_is_typed_and_taken_away() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    top.type_in("/quarant");
    top.wait(&gateway, "node 3 alone", |text| ids(text) == [3]);
    top.type_in(ENTER);
    top.wait_text(&gateway, "\"quarant\": 1 of 4");
    top.type_in(ESCAPE);
    top.wait(&gateway, "all", |text| ids(text).len() == 4);
}

#[test]
fn a_node_is_hung_up_after_a_yes_and_dialled_again_by_a_key() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    // Node 1.
    top.type_in(&DOWN.repeat(2));
    top.type_in("x");
    top.wait_text(&gateway, "Hang up node 1 and leave it down");
    top.type_in("n");
    top.wait_text(&gateway, "? help");
    assert_eq!(gateway.logged("Node 1: stop asked for"), 0);
    top.type_in("x");
    top.wait_text(&gateway, "Hang up node 1 and leave it down");
    top.type_in("y");
    gateway.wait_state(1, "stopped");
    top.wait(&gateway, "stopped", |text| text.contains("1 stopped"));
    top.type_in("s");
    gateway.wait_state(1, "up");
    top.wait(&gateway, "up", |text| text.contains("2 up"));
}

#[test]
fn what_is_refused_is_told_in_the_last_line() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 120, 24);
    top.type_in(DOWN);
    top.type_in("r");
    top.wait_text(&gateway, "retry refused: ");
    assert!(top.text().contains("node 4 can't be dialled"), "{}", top.text());
}

#[test]
fn the_pane_shows_why_and_the_history_and_help_lists_the_keys() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    top.type_in(ENTER);
    let text = top.wait_text(&gateway, "What it went through");
    assert!(text.contains("Node 3 (admin at 10.9.0.3) is in state quarantined for"), "{text}");
    assert!(text.contains("`connexactl node set 3 --password-stdin`"), "{text}");
    top.type_in("?");
    top.wait_text(&gateway, "any key: back");
    assert!(top.text().contains("order by state, id, server"), "{}", top.text());
    top.type_in(" ");
    top.wait_text(&gateway, "What it went through");
}

#[test]
fn a_terminal_that_changes_its_size_is_drawn_anew_down_to_a_few_columns() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    for (columns, rows) in [(20, 10), (3, 2), (1, 1), (200, 50), (80, 24)] {
        top.resize(columns, rows);
        if columns >= 20 {
            top.wait(&gateway, "all nodes", |text| ids(text).len() == 4);
            let wide = usize::from(columns);
            assert!(top.text().lines().all(|line| line.chars().count() <= wide));
        }
    }
    top.type_in("q");
    assert_eq!(top.end(&gateway).code(), Some(0));
    top.assert_restored(&gateway);
}

#[test]
fn every_way_out_gives_the_terminal_back() {
    let gateway = Gateway::mixed();
    for key in ["q", CONTROL_C] {
        let mut top = top(&gateway, 80, 24);
        top.type_in(key);
        assert_eq!(top.end(&gateway).code(), Some(0));
        top.assert_restored(&gateway);
    }
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut top = top(&gateway, 80, 24);
        top.signal(signal);
        assert_eq!(top.end(&gateway).code(), Some(0), "{signal:?}");
        top.assert_restored(&gateway);
    }
}

#[test]
fn it_can_be_put_into_the_background_and_comes_back() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    let is_stopped = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().starts_with(" T")
    };
    for round in 0..2 {
        if round == 0 {
            top.type_in(CONTROL_Z);
        } else {
            top.signal(Signal::TSTP);
        }
        gateway.wait_for("it to stop", || is_stopped(top.pid()).then_some(()));
        top.assert_restored(&gateway);
        top.signal(Signal::CONT);
        top.wait(&gateway, "all nodes", |text| ids(text).len() == 4);
        assert!(top.screen().alternate_screen());
    }
    top.type_in("q");
    assert_eq!(top.end(&gateway).code(), Some(0));
}

#[test]
fn a_terminal_that_is_gone_ends_it() {
    let gateway = Gateway::mixed();
    let socket = gateway.path("control/connexad.sock");
    let pid_file = gateway.path("top.pid");
    let line = format!(
        "echo $$ > {}; exec {CONNEXACTL} --socket {} top",
        pid_file.display(),
        socket.display()
    );
    // `script` has a terminal of its own for it, which goes with `script`.
    let mut script = Command::new("script");
    script.args(["--quiet", "--command", &line, "/dev/null"]);
    let mut script = OnTerminal::run(&script, 80, 24);
    script.wait_text(&gateway, "quarantined  ");
    let top = gateway.read("top.pid").trim().parse().unwrap();
    assert!(lives(top));
    script.signal(Signal::KILL);
    script.end(&gateway);
    gateway.wait_for("its end", || (!lives(top)).then_some(()));
}

#[test]
fn a_daemon_that_goes_away_is_told_and_followed_again_when_it_is_back() {
    let mut gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    gateway.end(Signal::KILL);
    let text = top.wait_text(&gateway, "NO ANSWER, asked again each second");
    assert_eq!(ids(&text).len(), 4, "{text}");
    gateway.start();
    top.wait(&gateway, "the next daemon", |text| {
        !text.contains("NO ANSWER") && text.contains("2 up")
    });
    top.type_in("q");
    assert_eq!(top.end(&gateway).code(), Some(0));
}

#[test]
fn colours_follow_the_same_rules_as_those_of_the_status() {
    let gateway = Gateway::mixed();
    let colours = |name: &str, value: &str| {
        let mut command = gateway.connexactl(&["top"]);
        command.env(name, value);
        let top = OnTerminal::run(&command, 80, 24);
        let text = top.wait_text(&gateway, "quarantined  ");
        let row = text.lines().position(|line| line.starts_with("3 ")).unwrap();
        let column = text.lines().nth(row).unwrap().find("quarantined").unwrap();
        let screen = top.screen();
        let cell = screen.cell(row.try_into().unwrap(), column.try_into().unwrap()).unwrap();
        cell.fgcolor() != vt100::Color::Default
    };
    assert!(colours("CLICOLOR", "1"));
    assert!(!colours("NO_COLOR", "1"));
    assert!(!colours("CLICOLOR", "0"));
}

#[test]
fn what_stands_in_rows_does_not_reach_the_terminal_as_it_is() {
    let gateway = Gateway::mixed();
    gateway.sql("UPDATE nodes SET ip = char(27) || ']0;owned' || char(7) || 'x' WHERE id = 4");
    let mut top = top(&gateway, 120, 24);
    top.wait_text(&gateway, "\\u{1b}]0;owned\\u{7}");
    top.type_in(DOWN);
    top.type_in(ENTER);
    top.wait_text(&gateway, "Node 4 (admin at \\u{1b}]0;owned\\u{7}x)");
}

#[test]
fn a_thousand_nodes_are_scrolled_through() {
    let gateway = Gateway::thousand();
    let mut top = top(&gateway, 80, 24);
    assert!(top.text().starts_with("1000 nodes: 999 invalid, 1 up"), "{}", top.text());
    top.type_in("G");
    top.wait(&gateway, "the end", |text| ids(text).last() == Some(&1));
    top.type_in("g");
    top.wait(&gateway, "the beginning", |text| ids(text).first() == Some(&2));
    top.type_in("/777");
    top.wait(&gateway, "one", |text| ids(text) == [777]);
}

#[test]
fn a_thousand_nodes_do_not_flicker_for_only_what_changed_is_written() {
    let gateway = Gateway::thousand();
    let top = top(&gateway, 80, 24);
    // How long the first of them is in its state.
    let time = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("2 ")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(3).map(str::to_owned)
    };
    top.wait(&gateway, "a whole screen", |text| time(text).is_some());
    let first = top.written();
    let refreshes = 4;
    for _ in 0..refreshes {
        let before = time(&top.text());
        top.wait(&gateway, "the next second", |text| time(text) != before);
    }
    let written = top.written();
    // One more may be half drawn.
    let of_one = written.len() / (refreshes + 1);
    assert!(first.len() > 1000 && of_one < first.len() / 2, "{of_one} of {}", first.len());
    let text = String::from_utf8_lossy(&written);
    assert!(!text.contains("\u{1b}[2J") && !text.contains("\u{1b}[J"), "{text:?}");
}

#[test]
fn a_key_has_a_quarantined_node_dialled_again() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    let before = gateway.dialled(3);
    gateway.server("10.9.0.3", &json!({}));
    // The worst is selected, which is node 3.
    top.type_in("r");
    gateway.wait_state(3, "up");
    assert_eq!(gateway.dialled(3), before + 1);
    top.wait(&gateway, "three up", |text| text.contains("3 up"));
    gateway.assert_logged("Node 3: retry asked for by ", 1);
}

#[test]
fn each_order_has_a_key_that_turns_it_round_the_second_time() {
    let gateway = Gateway::mixed();
    let mut top = top(&gateway, 80, 24);
    for (key, order, name) in [
        ("2", [1, 2, 3, 4], "by id"),
        ("2", [4, 3, 2, 1], "by id, turned"),
        // What is no address comes first.
        ("3", [4, 1, 2, 3], "by server"),
        ("1", [3, 4, 1, 2], "by state"),
    ] {
        top.type_in(key);
        top.wait(&gateway, name, |text| ids(text) == order && text.trim_end().ends_with(name));
    }
}

#[test]
fn the_pane_draws_what_a_tunnel_carries_as_it_does() {
    let gateway = Gateway::mixed();
    gateway.server("10.9.0.1", &json!({ "carries": true }));
    let mut top = top(&gateway, 80, 24);
    top.type_in(&DOWN.repeat(2));
    top.type_in(ENTER);
    let node = gateway.wait_state(1, "up");
    for way in ["in", "out"] {
        top.wait(&gateway, way, |text| {
            echo(&gateway, &node, 1);
            let mut lines = text.lines().map(str::trim_start);
            let line = lines.find(|line| line.starts_with(way) && line.contains("B/s"));
            line.is_some_and(|line| line.contains(['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']))
        });
    }
}

#[test]
fn without_a_terminal_that_can_be_drawn_on_it_says_so_in_one_line() {
    let gateway = Gateway::mixed();
    let piped = gateway.connexactl(&["top"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(piped.status.code(), Some(2));
    let said = String::from_utf8(piped.stderr).unwrap();
    assert!(said.starts_with("connexactl: top needs a terminal") && said.lines().count() == 1);
    let mut dumb = gateway.connexactl(&["top"]);
    dumb.env("TERM", "dumb");
    let mut dumb = OnTerminal::run(&dumb, 80, 24);
    assert_eq!(dumb.end(&gateway).code(), Some(2));
    dumb.wait_text(&gateway, "top needs a terminal");
    dumb.assert_restored(&gateway);
    let json = gateway.connexactl(&["top", "--json"]).output().unwrap();
    assert_eq!(json.status.code(), Some(2));
}

#[test]
fn without_a_daemon_it_ends_as_every_command_does_before_it_takes_the_terminal() {
    let gateway = Gateway::new();
    let mut top = OnTerminal::run(&gateway.connexactl(&["top"]), 80, 24);
    assert_eq!(top.end(&gateway).code(), Some(69));
    top.wait_text(&gateway, "can't reach connexad");
    top.assert_restored(&gateway);
}

/// Prints the picture in README.md:
/// `cargo test --test netns top::picture -- --ignored --nocapture`.
#[test]
#[ignore = "prints a screen, for who changes what it shows"]
#[allow(clippy::print_stdout, reason = "it is this test's output")]
fn picture() {
    let gateway = Gateway::mixed();
    gateway.server("10.9.0.1", &json!({ "carries": true }));
    gateway.server("10.9.0.2", &json!({ "carries": true }));
    let mut top = top(&gateway, 80, 24);
    top.type_in(&DOWN.repeat(2));
    top.type_in(ENTER);
    let [first, second] = [1, 2].map(|id| gateway.wait_state(id, "up"));
    for tenth in 0..350_u32 {
        echo(&gateway, &first, 3 + tenth * tenth % 23);
        echo(&gateway, &second, 1);
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{}", top.text());
}
