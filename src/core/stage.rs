//! A core with one node in it, brought into some state: what tests of the core play on.

use std::collections::BTreeSet;
use std::time::Duration;

use super::change::{Change, Way};
use super::effect::{Effect, Order};
use super::event::{
    Ask, CallId, Candidate, Dialled, Event, FoundCall, Hearing, IfIndex, Input, InvalidRow, Link,
    LinkAddress, LinkChange, Ranked, Rows,
};
use super::failure::{Failure, FailureKind};
use super::notice::Level;
use super::policy::Policy;
use super::report::NodeReport;
use super::time::{Monotonic, Now, Wall};
use super::{Core, State};
use crate::config::Config;
use crate::node::{Engine, Invalid, Mppe, Node, NodeId, Secret, ServerAddr};

pub(super) const NODE: NodeId = NodeId(1);
/// Has the same server, goes first, and only dials in the state `waiting`.
const RIVAL: NodeId = NodeId(9);
/// So long a row may be away.
pub(super) const GRACE: Duration = Duration::from_secs(5);
pub(super) const LINK: IfIndex = IfIndex(7);

/// A core with one node in it, brought into some state.
pub(super) struct Stage {
    pub(super) core: Core,
    at: Monotonic,
    pub(super) call: CallId,
    pub(super) rival: CallId,
    /// No pppd is started: the files wait for their disk.
    pub(super) is_disk_stuck: bool,
    /// What people were told.
    pub(super) told: Vec<String>,
    /// How loud.
    pub(super) levels: Vec<Level>,
    /// What became of tunnels.
    pub(super) changes: Vec<Change>,
    pub(super) ways: Vec<Way>,
    /// The nodes that something was kept of when all else was cleared away.
    pub(super) kept_only: Option<Vec<NodeId>>,
    /// What the latest dial was ordered from.
    pub(super) dialled_by: Option<Engine>,
    /// The calls that were hung up.
    pub(super) hung_up: Vec<CallId>,
}

impl Stage {
    pub(super) fn in_state(state: State) -> Self {
        let none = CallId::Found(0);
        let core = Core::new(Policy::from(&Config::default()));
        let mut stage = Stage {
            core,
            at: Monotonic(0),
            call: none,
            rival: none,
            is_disk_stuck: false,
            told: Vec::new(),
            levels: Vec::new(),
            changes: Vec::new(),
            ways: Vec::new(),
            kept_only: None,
            dialled_by: None,
            hung_up: Vec::new(),
        };
        stage.feed(Event::Links { changes: vec![], hearing: Hearing::default() });
        stage.feed(Event::Found(vec![]));
        stage.enter(state);
        assert_eq!(stage.state(), state.name());
        stage
    }

    /// With a call that was found, for a node that is wanted as it was dialled.
    pub(super) fn adopting() -> Self {
        let mut stage = Stage::adopting_before_the_rows(None);
        stage.desire(Some(candidate("secret")));
        stage
    }

    /// With a call that was found, dialled with this password as far as is known.
    pub(super) fn adopting_before_the_rows(password: Option<&str>) -> Self {
        let mut stage = Stage::with_no_calls_known();
        stage.ways.clear();
        let dialled = Some(Dialled {
            server: node("secret").server.ip(),
            login: "admin".into(),
            password: password.map(|password| Secret::parse(password).unwrap()),
            mppe: Some(Mppe::Require),
        });
        stage.call = CallId::Found(0);
        let found = FoundCall {
            call: stage.call,
            node: NODE,
            engine: Engine::Pppd,
            pid: Some(7),
            interface: None,
            renamed: false,
            dialled,
            age: Duration::ZERO,
        };
        stage.feed(Event::Found(vec![found]));
        stage
    }

    /// A daemon that has seen the kernel's links and nothing else.
    pub(super) fn with_no_calls_known() -> Self {
        let mut stage = Stage::in_state(State::Dialing);
        stage.core = Core::new(Policy::from(&Config::default()));
        stage.kept_only = None;
        stage.feed(Event::Links { changes: vec![], hearing: Hearing::default() });
        stage
    }

    /// Another node of the same server is wanted too.
    pub(super) fn desire_rival(&mut self) {
        self.wanted(vec![rival(), candidate("secret")], 0);
    }

    /// A node of another server is wanted too.
    pub(super) fn desire_a_server_at(&mut self, server: [u8; 4]) {
        let server = ServerAddr::new(server.into()).unwrap();
        let other = Candidate::Node(Node { id: NodeId(8), server, ..node("secret") }.into());
        self.wanted(vec![candidate("secret"), other], 0);
    }

    /// Another node of the same server is wanted more, and there is one place.
    pub(super) fn prefer_rival(&mut self, to: Option<Candidate>) {
        self.wanted([rival()].into_iter().chain(to).collect(), 1);
    }

    pub(super) fn state_of_rival(&self) -> &'static str {
        let state = self.core.states().find(|(id, _)| *id == RIVAL);
        state.map_or("forgotten", |(_, state)| state.name())
    }

    pub(super) fn configure(&mut self, change: impl FnOnce(&mut Policy)) {
        let mut policy = Policy::from(&Config::default());
        change(&mut policy);
        self.feed(Event::Policy(Box::new(policy)));
    }

    fn enter(&mut self, state: State) {
        match state {
            State::Waiting => self.desire_rival(),
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
                self.end(self.call, FailureKind::Hangup);
            }
            State::Quarantined => {
                self.desire(Some(candidate("secret")));
                for _ in 0..2 {
                    self.end(self.call, FailureKind::AuthRefused);
                    self.wait_for_deadline();
                }
                self.end(self.call, FailureKind::AuthRefused);
            }
            State::Stopped => {
                self.feed(Event::Stopped(BTreeSet::from([NODE])));
                self.desire(Some(candidate("secret")));
            }
            State::Invalid => self.desire(Some(invalid())),
        }
    }

    pub(super) fn feed(&mut self, event: Event) {
        let now = Now { at: self.at, wall: Wall(self.at.0), dice: 0 };
        let mut started = Vec::new();
        for effect in self.core.handle(Input { now, event }) {
            if let Effect::Tell(notice) = &effect {
                self.told.push(notice.to_string());
                self.levels.push(notice.level());
            }
            if let Effect::Change(change) = &effect {
                self.changes.push(change.clone());
            }
            if let Effect::Way(way) = &effect {
                self.ways.push(way.clone());
            }
            if let Effect::Order(Order::KeepOnly(nodes)) = &effect {
                self.kept_only = Some(nodes.clone());
            }
            if let Effect::Order(Order::HangUp { call }) = &effect {
                self.hung_up.push(*call);
            }
            if let Effect::Order(Order::Dial { call, node, engine }) = effect {
                self.dialled_by = Some(engine);
                *(if node == NODE { &mut self.call } else { &mut self.rival }) = call;
                started.extend((!self.is_disk_stuck).then_some(call));
            }
        }
        for call in started {
            self.feed(Event::Started { call, pid: Some(7), suspect: None });
        }
    }

    pub(super) fn was_told(&self, text: &str) -> bool {
        self.told.iter().any(|told| told.contains(text))
    }

    pub(super) fn attempts(&self) -> u32 {
        self.shown().map_or(0, |node| node.attempts)
    }

    /// A pppd of the node is found running.
    pub(super) fn find(&mut self, number: u64) {
        self.find_with_link(CallId::Found(number), None);
    }

    /// The pid file of the call that was found tells of its link.
    pub(super) fn name_link(&mut self) {
        self.find_with_link(self.call, Some("ppp0".to_owned()));
    }

    pub(super) fn find_with_link(&mut self, call: CallId, interface: Option<String>) {
        let (engine, pid) = (Engine::Pppd, Some(7));
        let (node, renamed, dialled, age) = (NODE, false, None, Duration::ZERO);
        let found = FoundCall { call, node, engine, pid, interface, renamed, dialled, age };
        self.feed(Event::Found(vec![found]));
    }

    pub(super) fn now(&self) -> Monotonic {
        self.at
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.at = self.at + time;
        self.feed(Event::Tick);
    }

    pub(super) fn wait_for_deadline(&mut self) {
        if let Some(deadline) =
            self.core.tunnels.get(&NODE).and_then(|tunnel| tunnel.phase.deadline())
        {
            self.wait(deadline.since(self.at));
        }
    }

    pub(super) fn desire(&mut self, candidate: Option<Candidate>) {
        let rival = self.core.tunnels.contains_key(&RIVAL);
        let rival = rival.then(self::rival);
        self.wanted(rival.into_iter().chain(candidate).collect(), 0);
    }

    /// The configuration leaves the row out, or has another.
    pub(super) fn reselect(&mut self, candidate: Option<Candidate>) {
        let rows = candidate.into_iter().map(|candidate| Ranked { rank: 0, candidate });
        let rows = Rows::Reselected { rows: rows.collect(), left_out: vec![NODE] };
        self.feed(Event::Desired { rows, places: 0 });
    }

    /// The configuration is another one, and the table is empty.
    pub(super) fn reselect_of_nothing(&mut self) {
        let rows = Rows::Reselected { rows: Vec::new(), left_out: Vec::new() };
        self.feed(Event::Desired { rows, places: 0 });
    }

    fn wanted(&mut self, candidates: Vec<Candidate>, places: u32) {
        let candidates = (0..).zip(candidates);
        let candidates = candidates.map(|(rank, candidate)| Ranked { rank, candidate }).collect();
        self.feed(Event::Desired { rows: Rows::All(candidates), places });
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        self.feed(Event::Asked { node: NODE, ask });
    }

    pub(super) fn say(&mut self, failure: Failure, vague: bool) {
        self.feed(Event::Failing { call: self.call, cause: failure, vague });
    }

    pub(super) fn exit(&mut self, kind: FailureKind) {
        self.end(self.call, kind);
    }

    /// The kind of the last failure.
    pub(super) fn last_error(&self) -> String {
        let shown = self.shown().and_then(|node| node.last_failure);
        shown.map_or_else(String::new, |failure| failure.kind.name().to_owned())
    }

    pub(super) fn end(&mut self, call: CallId, kind: FailureKind) {
        self.feed(Event::Ended { call, failure: Failure::new(kind, "it is over") });
    }

    /// A tunnel that was up has not been refused.
    pub(super) fn refuse_twice(&mut self) {
        if let Some(tunnel) = self.core.tunnels.get_mut(&NODE)
            && tunnel.up().is_none()
        {
            tunnel.retries.refusals = 2;
        }
    }

    pub(super) fn link(&mut self, up: bool, with_addresses: bool) {
        self.feed(Event::Link { call: self.call, name: "ppp0".into() });
        let [local, remote] = [100, 1].map(|last| std::net::Ipv4Addr::new(10, 50, 0, last));
        let addresses = vec![LinkAddress { local, remote: Some(remote) }];
        let addresses = if with_addresses { addresses } else { vec![] };
        self.change(LINK, Some(Link { name: "ppp0".into(), up, addresses }));
    }

    /// The link is up with our address, and the peer's is still to come.
    pub(super) fn half_a_link(&mut self) {
        let addresses = vec![LinkAddress { local: [10, 50, 0, 100].into(), remote: None }];
        self.change(LINK, Some(Link { name: "ppp0".into(), up: true, addresses }));
    }

    pub(super) fn no_link(&mut self) {
        self.change(LINK, None);
    }

    /// The kernel shows a link that is not up, or none.
    pub(super) fn show(&mut self, index: IfIndex, name: Option<&str>) {
        let link = |name: &str| Link { name: name.into(), up: false, addresses: Vec::new() };
        self.change(index, name.map(link));
    }

    /// The kernel shows a link that is up, with addresses.
    pub(super) fn show_up(&mut self, index: IfIndex, name: &str) {
        let [local, remote] = [101, 1].map(|last| std::net::Ipv4Addr::new(10, 50, 0, last));
        let addresses = vec![LinkAddress { local, remote: Some(remote) }];
        self.change(index, Some(Link { name: name.into(), up: true, addresses }));
    }

    fn change(&mut self, index: IfIndex, link: Option<Link>) {
        let changes = vec![LinkChange { index, link }];
        self.feed(Event::Links { changes, hearing: Hearing::default() });
    }

    /// The state that is shown, or `forgotten`.
    pub(super) fn state(&self) -> String {
        self.shown().map_or("forgotten".to_owned(), |node| node.state.name().to_owned())
    }

    fn shown(&self) -> Option<NodeReport> {
        self.core.report_one(NODE)
    }
}

pub(super) fn node(password: &str) -> Node {
    Node::example(NODE, "admin", password)
}

fn rival() -> Candidate {
    Candidate::Node(Node { id: RIVAL, ..node("secret") }.into())
}

pub(super) fn candidate(password: &str) -> Candidate {
    Candidate::Node(node(password).into())
}

pub(super) fn invalid() -> Candidate {
    let row = InvalidRow {
        id: NODE,
        ip: "nowhere".into(),
        login: "admin".into(),
        status: "speed_ok".into(),
        reason: Invalid::NotIpv4("nowhere".into()),
    };
    Candidate::Invalid(row.into())
}
