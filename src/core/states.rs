//! The tables of states and events in `docs/architecture.md`, made from the code and compared.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use super::effect::{Effect, Order};
use super::event::{
    Ask, CallId, Candidate, Event, Hearing, IfIndex, Input, InvalidRow, Link, LinkAddress,
    LinkChange, Word,
};
use super::failure::{Failure, FailureKind, PppdExit};
use super::policy::Policy;
use super::time::{Monotonic, Now, Wall};
use super::{Core, State};
use crate::config::Config;
use crate::node::{Invalid, Login, Node, NodeId, Secret, ServerAddr};

const DOCUMENT: &str = include_str!("../../docs/architecture.md");
const NODE: NodeId = NodeId(1);
/// Has the same server, goes first, and only dials in the state `waiting`.
const RIVAL: NodeId = NodeId(9);
const LINK: IfIndex = IfIndex(7);

/// Something in the words of the document, and how it comes about.
type Happening = (&'static str, fn(&mut Stage));

/// What may happen to a node.
const EVENTS: [Happening; 15] = [
    ("a dial slot is free", |s| s.end(s.rival, PppdExit::Code(16))),
    ("the link is there, and down", |s| s.link(false, false)),
    ("the link is up and has its addresses", |s| s.link(true, true)),
    ("the link is up without an address for 250 ms", |s| {
        s.link(true, false);
        s.wait(Duration::from_millis(250));
    }),
    ("the link is gone", |s| s.no_link()),
    ("pppd ends, or can't be started", |s| s.end(s.call, PppdExit::Code(16))),
    ("pppd ends: refused for the third time", |s| {
        s.refuse_twice();
        s.end(s.call, PppdExit::Code(19));
    }),
    ("its deadline comes", Stage::wait_for_deadline),
    ("the row changes in what is dialled", |s| s.desire(Some(candidate("another")))),
    ("the row goes", |s| s.desire(None)),
    ("the row can't be dialled any more", |s| s.desire(Some(invalid()))),
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
    ("nothing, for its row can't be dialled", |s| s.desire(Some(invalid()))),
    ("nothing, for its row is gone", |s| s.desire(None)),
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
        stage.end(stage.call, PppdExit::Code(16));
        let _ = write!(table, "\n| {name} | `{}` |", stage.state());
    }
    assert!(DOCUMENT.contains(&table), "docs/architecture.md should have:\n{table}");
}

/// A core with one node in it, brought into some state.
struct Stage {
    core: Core,
    at: Monotonic,
    call: CallId,
    rival: CallId,
}

impl Stage {
    fn in_state(state: State) -> Self {
        let none = CallId::Found(0);
        let core = Core::new(Policy::from(&Config::default()));
        let mut stage = Stage { core, at: Monotonic(0), call: none, rival: none };
        stage.feed(Event::Links { changes: vec![], hearing: Hearing::default() });
        stage.feed(Event::Found(vec![]));
        stage.enter(state);
        assert_eq!(stage.state(), state.name());
        stage
    }

    fn enter(&mut self, state: State) {
        match state {
            State::Waiting => {
                let rival = Candidate::Node(Node { id: RIVAL, ..node("secret") });
                self.feed(Event::Desired(vec![rival, candidate("secret")]));
            }
            State::Dialing => self.desire(Some(candidate("secret"))),
            State::Negotiating => {
                self.enter(State::Dialing);
                self.link(false, false);
            }
            State::Up => {
                self.enter(State::Negotiating);
                self.link(true, true);
            }
            State::Stopping => {
                self.enter(State::Negotiating);
                self.wait_for_deadline();
            }
            State::Backoff => {
                self.enter(State::Dialing);
                self.end(self.call, PppdExit::Code(16));
            }
            State::Quarantined => {
                self.desire(Some(candidate("secret")));
                for _ in 0..2 {
                    self.end(self.call, PppdExit::Code(19));
                    self.wait_for_deadline();
                }
                self.end(self.call, PppdExit::Code(19));
            }
            State::Stopped => {
                self.feed(Event::Stopped(BTreeSet::from([NODE])));
                self.desire(Some(candidate("secret")));
            }
            State::Invalid => self.desire(Some(invalid())),
        }
    }

    fn feed(&mut self, event: Event) {
        let now = Now { at: self.at, wall: Wall(self.at.0), dice: 0 };
        for effect in self.core.handle(Input { now, event }) {
            if let Effect::Pppd(Order::Dial { call, node }) = effect {
                *(if node == NODE { &mut self.call } else { &mut self.rival }) = call;
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.at = self.at + time;
        self.feed(Event::Tick);
    }

    fn wait_for_deadline(&mut self) {
        if let Some(deadline) = self.core.tunnels.get(&NODE).and_then(|tunnel| tunnel.deadline()) {
            self.wait(deadline.since(self.at));
        }
    }

    fn desire(&mut self, candidate: Option<Candidate>) {
        let rival = self.core.tunnels.contains_key(&RIVAL);
        let rival = rival.then(|| Candidate::Node(Node { id: RIVAL, ..node("secret") }));
        self.feed(Event::Desired(rival.into_iter().chain(candidate).collect()));
    }

    fn ask(&mut self, ask: Ask) {
        self.feed(Event::Asked { node: NODE, ask });
    }

    fn end(&mut self, call: CallId, exit: PppdExit) {
        let failure = Failure::new(FailureKind::Hangup, "Modem hangup");
        self.feed(Event::Said { call, word: Word::Explains { failure, vague: true } });
        self.feed(Event::Exited { call, exit });
    }

    /// A tunnel that was up has not been refused.
    fn refuse_twice(&mut self) {
        if let Some(tunnel) = self.core.tunnels.get_mut(&NODE)
            && !tunnel.call().is_some_and(|call| call.was_up)
        {
            tunnel.retries.refusals = 2;
        }
    }

    fn link(&mut self, up: bool, with_addresses: bool) {
        self.feed(Event::Said { call: self.call, word: Word::Interface("ppp0".into()) });
        let [local, remote] = [100, 1].map(|last| std::net::Ipv4Addr::new(10, 50, 0, last));
        let addresses = vec![LinkAddress { local, remote: Some(remote) }];
        let addresses = if with_addresses { addresses } else { vec![] };
        self.change(Some(Link { name: "ppp0".into(), up, addresses }));
    }

    fn no_link(&mut self) {
        self.change(None);
    }

    fn change(&mut self, link: Option<Link>) {
        let changes = vec![LinkChange { index: LINK, link }];
        self.feed(Event::Links { changes, hearing: Hearing::default() });
    }

    /// The state that is shown, or `forgotten`.
    fn state(&self) -> String {
        let now = Now { at: self.at, wall: Wall(self.at.0), dice: 0 };
        let shown = self.core.report(now).nodes.into_iter().find(|node| node.id == NODE.0);
        shown.map_or("forgotten".to_owned(), |node| node.state)
    }
}

fn node(password: &str) -> Node {
    Node {
        id: NODE,
        server: ServerAddr::parse("10.9.0.2").unwrap(),
        login: Login::parse("admin").unwrap(),
        password: Secret::parse(password).unwrap(),
        status: "speed_ok".into(),
        mppe: None,
    }
}

fn candidate(password: &str) -> Candidate {
    Candidate::Node(node(password))
}

fn invalid() -> Candidate {
    Candidate::Invalid(InvalidRow {
        id: NODE,
        ip: "nowhere".into(),
        login: "admin".into(),
        status: "speed_ok".into(),
        reason: Invalid::NotIpv4("nowhere".into()),
    })
}
