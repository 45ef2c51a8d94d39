//! The tables of states and events in `docs/architecture.md`, made from the code and compared.

use std::fmt::Write;
use std::time::Duration;

use super::State;
use super::event::{Ask, Event, Probed};
use super::failure::FailureKind;
use super::policy::Policy;
use super::stage::{Stage, candidate, invalid};
use crate::config::Config;

const DOCUMENT: &str = include_str!("../../docs/architecture.md");

/// Something in the words of the document, and how it comes about.
type Happening = (&'static str, fn(&mut Stage));

/// What may happen to a node.
const EVENTS: [Happening; 17] = [
    ("a dial slot is free", |s| s.end(s.rival, FailureKind::Hangup)),
    ("the link is there, and down", |s| s.link(false, false)),
    ("the link is up and has its addresses", |s| s.link(true, true)),
    ("the link is up without an address for 250 ms", |s| {
        s.link(true, false);
        s.wait(Duration::from_millis(250));
    }),
    ("the link is gone", |s| s.no_link()),
    ("its probes are lost, and the target answers elsewhere", |s| {
        let (call, target) = (s.call, "10.0.0.1".to_owned());
        s.feed(Event::Probed { call, probed: Probed::Answered { target: target.clone() } });
        let probed = Probed::Lost { target, count: 3, elsewhere: true, answered: false };
        s.feed(Event::Probed { call, probed });
    }),
    ("its call ends, or can't be made", |s| s.end(s.call, FailureKind::Hangup)),
    ("its call ends: refused for the third time", |s| {
        s.refuse_twice();
        s.end(s.call, FailureKind::AuthRefused);
    }),
    ("its deadline comes", Stage::wait_for_deadline),
    ("the row changes in what is dialled", |s| s.desire(Some(candidate("another")))),
    ("the row is away for less than `absence_grace`", |s| s.desire(None)),
    ("the row is gone, and stays so", |s| s.reselect(None)),
    ("the row can't be dialled any more, and stays so", |s| s.reselect(Some(invalid()))),
    ("`connexactl stop`", |s| s.ask(Ask::Stop)),
    ("`connexactl start`", |s| s.ask(Ask::Start)),
    ("`connexactl retry`", |s| s.ask(Ask::Retry)),
    ("the daemon stops, `keep_on_exit = false`", |s| {
        let policy = Policy { keep_on_exit: false, ..Policy::from(&Config::default()) };
        s.feed(Event::Policy(Box::new(policy)));
        s.feed(Event::Stop);
    }),
];

/// What may be wanted of a node by the time that its pppd has ended.
const WANTS: [Happening; 6] = [
    ("a tunnel, and its call has failed", |_| {}),
    ("a tunnel, and its row has changed", |s| s.desire(Some(candidate("another")))),
    ("a tunnel, and the operator has asked for a retry", |s| s.ask(Ask::Retry)),
    ("nothing, by the operator", |s| s.ask(Ask::Stop)),
    ("nothing, for its row can't be dialled", |s| s.reselect(Some(invalid()))),
    ("nothing, for its row is gone", |s| s.reselect(None)),
];

#[test]
fn the_documented_table_of_states_and_events_is_the_code_s() {
    let mut table = String::from("| |");
    for state in State::ALL {
        let _ = write!(table, " `{}` |", state.name());
    }
    table += "\n|---|";
    table += &"---|".repeat(State::ALL.len());
    for (name, happen) in EVENTS {
        let _ = write!(table, "\n| {name} |");
        for state in State::ALL {
            let mut stage = Stage::in_state(state);
            happen(&mut stage);
            let next = stage.state();
            let cell = if next == state.name() { "·".to_owned() } else { format!("`{next}`") };
            let _ = write!(table, " {cell} |");
        }
    }
    assert!(DOCUMENT.contains(&table), "docs/architecture.md should have:\n{table}");
}

#[test]
fn the_documented_table_of_what_comes_after_a_stop_is_the_code_s() {
    let mut table = String::from("| what is wanted by then | what comes |\n|---|---|");
    for (name, happen) in WANTS {
        let mut stage = Stage::in_state(State::Stopping);
        happen(&mut stage);
        stage.end(stage.call, FailureKind::Hangup);
        let _ = write!(table, "\n| {name} | `{}` |", stage.state());
    }
    assert!(DOCUMENT.contains(&table), "docs/architecture.md should have:\n{table}");
}
