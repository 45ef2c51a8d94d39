//! What each key and each answer makes of the screen, drawn on a terminal that is none.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use super::keys::{Wish, press};
use super::model::{Mode, Model, Update};
use super::view::{Palette, draw};
use crate::cli::testing::{node, status};
use crate::control::api::{LastError, Node, NodeInFull, NodeTraffic, Status, Traffic, Transition};
use crate::core::event::Ask;

const REFUSED: &str = "MS-CHAP authentication failed: Access denied";

/// Nodes 1 and 2 are up, 3 is quarantined, 4 waits to be dialled again.
fn nodes() -> Vec<Node> {
    let server = |node: Node, ip: &str| Node { ip: Some(ip.to_owned()), ..node };
    let mut waits = server(node(4, "backoff", "connect: No route to host"), "10.9.0.12");
    (waits.next_attempt_in, waits.state_seconds) = (Some(7), 90);
    let mut second = server(node(2, "up", ""), "10.9.0.3");
    (second.interface, second.state_seconds) = (Some("ppp1".to_owned()), 3600);
    vec![server(node(1, "up", ""), "10.9.0.20"), second, node(3, "quarantined", REFUSED), waits]
}

fn traffic(monotonic_ms: u64, bytes: [u64; 2]) -> Traffic {
    let of = |(id, in_bytes): (u32, u64)| NodeTraffic {
        id,
        ifindex: id + 4,
        in_bytes,
        out_bytes: in_bytes / 10,
        in_packets: 1,
        out_packets: 1,
    };
    let nodes = [1, 2].into_iter().zip(bytes).map(of).collect();
    Traffic { schema_version: 1, monotonic_ms, nodes }
}

/// The second of two answers, a second apart.
fn whole(status: Status) -> Update {
    let traffic = Some(traffic(2000, [1500, 3_000_000]));
    Update::Whole { status: Box::new(status), traffic, full: None }
}

fn model() -> Model {
    let mut model = Model::new(status(nodes()), Some(traffic(1000, [0, 0])));
    model.take(whole(status(nodes())));
    model
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// Types a text; what the last key wished.
fn typed(model: &mut Model, text: &str) -> Option<Wish> {
    text.chars().map(|c| press(model, key(KeyCode::Char(c)))).last().flatten()
}

fn terminal(model: &mut Model, width: u16, height: u16, has_colours: bool) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, Palette { has_colours })).unwrap();
    terminal.backend().clone()
}

/// The lines of a screen.
fn screen(model: &mut Model, width: u16, height: u16) -> Vec<String> {
    let backend = terminal(model, width, height, false);
    let cells = backend.buffer().content().chunks(width.into());
    let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect();
    cells.map(line).map(|line: String| line.trim_end().to_owned()).collect()
}

/// The ids of the nodes, in order.
fn ids(model: &mut Model) -> Vec<u32> {
    let lines = screen(model, 80, 24);
    let first = |line: &String| line.split(' ').next().and_then(|word| word.parse().ok());
    lines.iter().skip(3).map_while(first).collect()
}

fn selected(model: &Model) -> Option<u32> {
    model.selected().map(|node| node.id)
}

#[test]
fn the_worst_is_first_and_who_is_up_shows_what_it_carries() {
    let lines = screen(&mut model(), 80, 24);
    assert!(lines[0].starts_with("4 nodes: 1 backoff, 1 quarantined, 2 up"), "{lines:#?}");
    assert!(lines[0].ends_with("in 3.0 MB/s  out 300 kB/s"), "{lines:#?}");
    assert!(lines[1].starts_with("outage: 0 of 3") && !lines[1].ends_with('…'), "{lines:#?}");
    let rows = [
        "NODE  SERVER           STATE        FOR      NEXT     LINK          IN      OUT",
        "3     192.168.100.200  quarantined  5s       -        MS-CHAP authentication fa…",
        "4     10.9.0.12        backoff      1m30s    7s       connect: No route to host",
        "1     10.9.0.20        up           5s       -        ppp0    1.5 kB/s  150 B/s",
        "2     10.9.0.3         up           1h0m     -        ppp1    3.0 MB/s 300 kB/s",
    ];
    assert_eq!(lines[2..7], rows, "{lines:#?}");
    assert!(lines[23].starts_with("? help  q quit") && lines[23].ends_with("by state"));
}

#[test]
fn the_footer_offers_the_key_that_may_bring_the_selected_node_up_and_none_that_hangs_up() {
    let offered = |state: &str| {
        let mut model = Model::new(status(vec![node(1, state, "")]), None);
        screen(&mut model, 80, 24)[23].clone()
    };
    for (state, key) in [("quarantined", "r retry"), ("backoff", "r retry"), ("stopped", "s start")]
    {
        let footer = offered(state);
        assert!(footer.contains(&format!("Enter why  {key}  ")), "{state}: {footer}");
    }
    for state in ["up", "dialing", "negotiating", "waiting", "stopping", "stopped", "invalid"] {
        let footer = offered(state);
        assert!(!footer.contains("r retry") && !footer.contains("stop"), "{state}: {footer}");
    }
}

#[test]
fn a_stopped_node_is_not_asked_about_again() {
    let mut model = Model::new(status(vec![node(1, "stopped", "")]), None);
    assert_eq!(typed(&mut model, "x"), None);
    assert_eq!(model.mode, Mode::Looking);
    let footer = screen(&mut model, 80, 24)[23].clone();
    assert_eq!(footer, "node 1 is stopped already; s starts it");
}

#[test]
fn each_order_has_a_key_which_turns_it_round_the_second_time() {
    let mut model = model();
    for (key, order) in [
        ("2", [1, 2, 3, 4]),
        ("2", [4, 3, 2, 1]),
        ("3", [2, 4, 1, 3]),
        ("4", [1, 3, 4, 2]),
        ("5", [2, 1, 3, 4]),
        ("1", [3, 4, 1, 2]),
    ] {
        typed(&mut model, key);
        assert_eq!(ids(&mut model), order, "{key}");
    }
}

#[test]
fn the_selected_node_stays_selected_whatever_becomes_of_the_others() {
    let mut model = model();
    press(&mut model, key(KeyCode::Down));
    assert_eq!(selected(&model), Some(4));
    typed(&mut model, "22");
    assert_eq!(selected(&model), Some(4));
    let left = nodes().into_iter().filter(|node| node.id != 3).collect();
    model.take(whole(status(left)));
    assert_eq!(selected(&model), Some(4));
    let left = nodes().into_iter().filter(|node| node.id != 4).collect();
    model.take(whole(status(left)));
    assert_eq!(selected(&model), Some(3), "the one that is in its place now");
    model.take(whole(status(Vec::new())));
    assert_eq!(selected(&model), None);
    assert_eq!(typed(&mut model, "r"), None);
}

#[test]
fn a_filter_leaves_nodes_that_have_its_text_and_escape_takes_it_away() {
    let mut model = model();
    typed(&mut model, "/access");
    assert_eq!(ids(&mut model), [3]);
    assert!(screen(&mut model, 80, 24)[23].starts_with("/access_"));
    press(&mut model, key(KeyCode::Enter));
    assert!(screen(&mut model, 80, 24)[23].ends_with("\"access\": 1 of 4  by state"));
    press(&mut model, key(KeyCode::Esc));
    assert_eq!(ids(&mut model).len(), 4);
    typed(&mut model, "/PPP1x");
    assert!(screen(&mut model, 80, 24)[3].starts_with("no node has this text"));
    press(&mut model, key(KeyCode::Backspace));
    assert_eq!(ids(&mut model), [2]);
    typed(&mut model, &"q".repeat(1000));
    assert_eq!(model.filter.chars().count(), 60);
}

#[test]
fn a_node_is_stopped_only_after_a_yes_and_it_is_the_one_that_was_asked_about() {
    let mut model = model();
    assert_eq!(typed(&mut model, "x"), None);
    assert_eq!(model.mode, Mode::Asking { stop: 3 });
    let asked = "Hang up node 3 and leave it down until it is started? y: yes";
    assert!(screen(&mut model, 80, 24)[23].starts_with(asked));
    for other in ["n", "x", "q", " "] {
        assert_eq!(typed(&mut model, other), None, "{other}");
        assert_eq!(model.mode, Mode::Looking);
        typed(&mut model, "x");
    }
    let others = nodes().into_iter().filter(|node| node.id != 3).collect();
    model.take(whole(status(others)));
    assert_eq!(typed(&mut model, "y"), Some(Wish::Change(3, Ask::Stop)));
}

#[test]
fn retry_and_start_ask_nothing_and_what_came_of_them_is_told_until_the_next_key() {
    let mut model = model();
    assert_eq!(typed(&mut model, "r"), Some(Wish::Change(3, Ask::Retry)));
    assert_eq!(typed(&mut model, "s"), Some(Wish::Change(3, Ask::Start)));
    model.take(Update::Told("node 3: dialing".to_owned()));
    assert_eq!(screen(&mut model, 80, 24)[23], "node 3: dialing");
    press(&mut model, key(KeyCode::Down));
    assert!(screen(&mut model, 80, 24)[23].starts_with("? help"));
}

#[test]
fn the_keys_are_listed_and_any_key_goes_back() {
    let mut model = model();
    typed(&mut model, "?");
    let lines = screen(&mut model, 80, 24);
    for what in ["order by state, id, server, time", "retry:", "stop:", "q, Ctrl-C"] {
        assert!(lines.iter().any(|line| line.contains(what)), "{what} in {lines:#?}");
    }
    assert_eq!(typed(&mut model, "q"), None);
    assert_eq!(ids(&mut model).len(), 4);
}

#[test]
fn q_and_control_c_quit_and_control_c_does_wherever_one_is() {
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    assert_eq!(typed(&mut model(), "q"), Some(Wish::Quit));
    for before in ["", "/", "?", "x"] {
        let mut model = model();
        typed(&mut model, before);
        assert_eq!(press(&mut model, control('c')), Some(Wish::Quit), "{before}");
    }
    assert_eq!(press(&mut model(), control('z')), Some(Wish::Suspend));
    assert_eq!(press(&mut model(), control('l')), Some(Wish::Redraw));
}

#[test]
fn the_pane_tells_why_what_comes_next_and_what_the_node_went_through() {
    let mut model = model();
    assert_eq!(model.looked_at(), None);
    press(&mut model, key(KeyCode::Enter));
    assert_eq!(model.looked_at(), Some(3));
    let change = |at: &str, state: &str| Transition {
        at: format!("2026-11-24T12:40:{at}.762Z"),
        state: state.to_owned(),
        interface: None,
        reason: None,
    };
    let history = vec![change("41", "dialing"), change("45", "quarantined")];
    let node = nodes().remove(2);
    model.take(Update::Full(Box::new(NodeInFull { node, history })));
    let text = screen(&mut model, 80, 24).join("\n");
    for part in [
        "Node 3 (admin at 192.168.100.200) is in state quarantined for 5s.",
        "why: the server can't be reached (unreachable): MS-CHAP authentication\nfailed: Access denied\n",
        "command: `connexactl retry 3` dials it at once",
        "12:40:45  quarantined\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let newest = text.find("12:40:45").unwrap();
    assert!(newest < text.find("12:40:41").unwrap(), "{text}");
    // Until the history of another one is there, none is shown.
    press(&mut model, key(KeyCode::Down));
    let text = screen(&mut model, 80, 24).join("\n");
    assert!(text.contains("Node 4") && !text.contains("12:40:45"), "{text}");
    press(&mut model, key(KeyCode::Esc));
    assert_eq!(model.looked_at(), None);
}

#[test]
fn the_pane_of_a_node_that_is_up_draws_its_last_rates() {
    let mut model = model();
    for (second, bytes) in [(3, 3000), (4, 3000), (5, 9000)] {
        let traffic = Some(traffic(second * 1000, [bytes, 3_000_000]));
        model.take(Update::Whole { status: Box::new(status(nodes())), traffic, full: None });
    }
    typed(&mut model, "2g");
    press(&mut model, key(KeyCode::Enter));
    let lines = screen(&mut model, 80, 24);
    let graph = lines.iter().find(|line| line.trim_start().starts_with("in ")).unwrap();
    assert!(graph.contains("6.0 kB/s") && graph.ends_with("▂▂ █"), "{graph}");
}

#[test]
fn a_daemon_that_does_not_answer_is_told_until_it_does_and_the_nodes_stay() {
    let mut model = model();
    model.take(Update::Lost("can't reach connexad at /run/x.sock".to_owned()));
    let lines = screen(&mut model, 80, 24);
    assert!(lines[2].starts_with("NO ANSWER, asked again each second"), "{lines:#?}");
    assert!(lines[4].starts_with("3 "), "{lines:#?}");
    model.take(whole(status(nodes())));
    assert!(screen(&mut model, 80, 24)[2].starts_with("NODE"));
}

#[test]
fn what_is_wrong_with_host_and_database_stands_above_the_nodes() {
    let mut sick = status(nodes());
    sick.database.problem = Some("it is\u{1b}[2J locked".to_owned());
    sick.host_fault = Some(LastError {
        kind: "no_ppp_support".to_owned(),
        message: "no /dev/ppp".to_owned(),
        remedy: Some("modprobe ppp_generic".to_owned()),
    });
    let mut model = Model::new(sick, None);
    let lines = screen(&mut model, 80, 24);
    assert_eq!(lines[2], "No tunnel can be dialled: no /dev/ppp; modprobe ppp_generic");
    assert_eq!(lines[3], "The node database can't be used: it is\\u{1b}[2J locked");
}

#[test]
fn no_word_of_a_row_or_a_server_reaches_the_terminal_unescaped() {
    let evil = "\u{1b}]0;owned\u{7}\u{202e}\r\n";
    let mut bad = node(9, evil, evil);
    for text in [&mut bad.ip, &mut bad.login, &mut bad.status, &mut bad.interface] {
        *text = Some(evil.to_owned());
    }
    let history = vec![Transition {
        at: evil.to_owned(),
        state: evil.to_owned(),
        interface: Some(evil.to_owned()),
        reason: bad.reason.clone(),
    }];
    let mut model = Model::new(status(vec![bad.clone()]), None);
    press(&mut model, key(KeyCode::Enter));
    model.take(Update::Full(Box::new(NodeInFull { node: bad, history })));
    for (width, height) in [(80, 24), (400, 60)] {
        let backend = terminal(&mut model, width, height, true);
        let odd = |c: char| c.is_control() || c == '\u{202e}';
        let symbols = backend.buffer().content().iter().map(|cell| cell.symbol());
        assert_eq!(symbols.filter(|symbol| symbol.contains(odd)).count(), 0, "{backend}");
    }
}

#[test]
fn colours_are_there_only_where_they_are_wanted() {
    let colours = |has_colours| {
        let backend = terminal(&mut model(), 80, 24, has_colours);
        let cells = backend.buffer().content();
        let reversed = cells.iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED));
        let fg: Vec<Color> = cells.iter().map(|cell| cell.fg).collect();
        (fg.contains(&Color::Red), fg.contains(&Color::Green), reversed.count())
    };
    assert_eq!(colours(true), (true, true, 80));
    assert_eq!(colours(false), (false, false, 80), "the selected line is seen all the same");
}

#[test]
fn every_size_can_be_drawn_with_every_thing_open() {
    for keys in ["", "?", "/x", "x"] {
        for pane in [false, true] {
            let mut model = model();
            model.pane = pane;
            typed(&mut model, keys);
            model.take(Update::Lost("gone".to_owned()));
            for width in [1, 2, 5, 20, 49, 50, 79, 300] {
                for height in 1..30 {
                    screen(&mut model, width, height);
                }
            }
        }
    }
}

#[test]
fn twenty_columns_show_ids_and_states() {
    let lines = screen(&mut model(), 20, 10);
    assert!(lines[2].starts_with("NODE  STATE"), "{lines:#?}");
    assert!(lines[3].starts_with("3     quarantined"), "{lines:#?}");
}

#[test]
fn of_a_thousand_nodes_the_selected_one_is_always_on_the_screen() {
    let many = (1..=1000).map(|id| node(id, "up", "")).collect();
    let mut model = Model::new(status(many), None);
    let seen = |model: &mut Model| {
        let (id, ids) = (selected(model).unwrap(), ids(model));
        assert_eq!(ids.len(), 20);
        assert!(ids.contains(&id), "{id} in {ids:?}");
        id
    };
    assert_eq!(seen(&mut model), 1);
    for (code, id) in [
        (KeyCode::End, 1000),
        (KeyCode::Up, 999),
        (KeyCode::PageUp, 979),
        (KeyCode::Home, 1),
        (KeyCode::PageDown, 21),
        (KeyCode::Up, 20),
    ] {
        press(&mut model, key(code));
        assert_eq!(seen(&mut model), id, "{code:?}");
    }
    // A screen that is smaller now shows it, too.
    press(&mut model, key(KeyCode::End));
    seen(&mut model);
    assert!(screen(&mut model, 80, 6)[4].starts_with("1000 "));
}
