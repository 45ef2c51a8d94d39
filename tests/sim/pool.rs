//! More candidates than places: random ones are broken, mended, reordered and told to stop, and
//! the places are watched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use connexa::core::Core;
use connexa::core::effect::{Effect, Order};
use connexa::core::event::{
    Ask, CallId, Candidate, Event, Hearing, IfIndex, Input, Link, LinkAddress, LinkChange, Word,
};
use connexa::core::failure::PppdExit;
use connexa::core::notice::Notice;
use connexa::core::policy::Policy;
use connexa::core::time::{Monotonic, Now, Wall};
use connexa::node::{Login, Node, NodeId, Secret, ServerAddr};
use proptest::prelude::*;

use crate::schedules::HEALED_WITHIN;
use crate::world::policy;

const DIAL: u64 = 1000;
const NODES: u32 = 12;

/// A core, and servers of which some never answer.
struct Play {
    core: Core,
    policy: Policy,
    now: u64,
    agenda: BTreeMap<(u64, u64), Event>,
    serial: u64,
    broken: BTreeSet<u32>,
    order: Vec<u32>,
    calls: BTreeMap<CallId, u32>,
    leaving: BTreeSet<CallId>,
    most: usize,
    dials: Vec<u32>,
    hung_up: Vec<u32>,
    yields: u32,
}

impl Play {
    fn new(places: u32, broken: impl IntoIterator<Item = u32>) -> Self {
        let policy = Policy { max_tunnels: places, ..policy() };
        let mut play = Play {
            core: Core::new(policy.clone()),
            policy,
            now: 0,
            agenda: BTreeMap::new(),
            serial: 0,
            broken: broken.into_iter().collect(),
            order: (1..=NODES).collect(),
            calls: BTreeMap::new(),
            leaving: BTreeSet::new(),
            most: 0,
            dials: Vec::new(),
            hung_up: Vec::new(),
            yields: 0,
        };
        play.feed(Event::Links { changes: vec![], hearing: Hearing::default() });
        play.feed(Event::Found(vec![]));
        play.read();
        play
    }

    fn read(&mut self) {
        let candidates = self.order.iter().map(|id| Candidate::Node(node(*id))).collect();
        self.feed(Event::Desired(candidates));
    }

    fn feed(&mut self, event: Event) {
        let now = Now { at: Monotonic(self.now), wall: Wall(self.now), dice: self.serial };
        for effect in self.core.handle(Input { now, event }) {
            match effect {
                Effect::Pppd(Order::Dial { call, node }) => self.dial(call, node.0),
                Effect::Pppd(Order::Signal { call, .. }) if self.leaving.insert(call) => {
                    self.hung_up.push(self.calls[&call]);
                    self.end(call, 100);
                }
                Effect::Tell(Notice::Yields { .. }) => self.yields += 1,
                _ => {}
            }
        }
        self.most = self.most.max(self.calls.len() - self.leaving.len());
    }

    fn later(&mut self, delay: u64, event: Event) {
        self.serial += 1;
        self.agenda.insert((self.now + delay, self.serial), event);
    }

    fn dial(&mut self, call: CallId, id: u32) {
        self.dials.push(id);
        self.calls.insert(call, id);
        if self.broken.contains(&id) {
            return self.later(DIAL, Event::Exited { call, exit: PppdExit::Code(16) });
        }
        self.later(DIAL / 2, Event::Said { call, word: Word::Interface(format!("ppp{id}")) });
        let [local, remote] = [100, 1].map(|last| Ipv4Addr::new(10, 50, 0, last));
        let addresses = vec![LinkAddress { local, remote: Some(remote) }];
        self.later(DIAL, link(id, Some(Link { name: format!("ppp{id}"), up: true, addresses })));
    }

    fn end(&mut self, call: CallId, delay: u64) {
        self.later(delay, link(self.calls[&call], None));
        self.later(delay + 1, Event::Exited { call, exit: PppdExit::Code(16) });
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time.as_millis() as u64;
        loop {
            let next = self.agenda.keys().next().map(|(at, _)| *at);
            let deadline = self.core.next_deadline().map(|at| at.0.max(self.now));
            let Some(at) = next.into_iter().chain(deadline).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = at;
            let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= at) else {
                self.feed(Event::Tick);
                continue;
            };
            let event = entry.remove();
            if let Event::Exited { call, .. } = event {
                self.calls.remove(&call);
                self.leaving.remove(&call);
            }
            self.feed(event);
        }
        self.now = end;
    }

    /// Its server answers no more; what runs to it ends.
    fn break_down(&mut self, id: u32) {
        self.broken.insert(id);
        let mut running = self.calls.iter().filter(|(call, _)| !self.leaving.contains(call));
        let Some((&call, _)) = running.find(|(_, node)| **node == id) else { return };
        self.agenda.retain(|_, event| match event {
            Event::Said { call: said, .. } | Event::Exited { call: said, .. } => *said != call,
            Event::Links { changes, .. } => changes[0].index != IfIndex(id),
            _ => true,
        });
        self.leaving.insert(call);
        self.end(call, 0);
    }

    fn up(&self) -> BTreeSet<u32> {
        self.in_state("up")
    }

    fn in_state(&self, name: &str) -> BTreeSet<u32> {
        let states = self.core.states().filter(|(_, state)| state.name() == name);
        states.map(|(id, _)| id.0).collect()
    }

    fn ask(&mut self, id: u32, ask: Ask) {
        self.feed(Event::Asked { node: NodeId(id), ask });
    }
}

fn node(id: u32) -> Node {
    Node {
        id: NodeId(id),
        server: ServerAddr::parse(&format!("10.9.0.{id}")).unwrap(),
        login: Login::parse("admin").unwrap(),
        password: Secret::parse("secret").unwrap(),
        status: "speed_ok".into(),
        mppe: None,
    }
}

fn link(id: u32, link: Option<Link>) -> Event {
    let changes = vec![LinkChange { index: IfIndex(id), link }];
    Event::Links { changes, hearing: Hearing::default() }
}

/// What may happen to the candidates in any order.
#[derive(Clone, Debug)]
enum Turmoil {
    Break(u32),
    Mend(u32),
    Reorder(Vec<u32>),
    Wait(u64),
}

fn turmoil() -> impl Strategy<Value = Turmoil> {
    prop_oneof![
        2 => (1..=NODES).prop_map(Turmoil::Break),
        2 => (1..=NODES).prop_map(Turmoil::Mend),
        1 => Just((1..=NODES).collect::<Vec<_>>()).prop_shuffle().prop_map(Turmoil::Reorder),
        4 => (1..2000_u64).prop_map(Turmoil::Wait),
    ]
}

impl Play {
    fn suffer(&mut self, turmoil: Turmoil) {
        match turmoil {
            Turmoil::Break(id) => self.break_down(id),
            Turmoil::Mend(id) => drop(self.broken.remove(&id)),
            Turmoil::Reorder(order) => {
                self.order = order;
                self.read();
            }
            Turmoil::Wait(seconds) => self.run_for(Duration::from_secs(seconds)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_many_are_up_as_there_are_places_or_candidates_that_work(
        places in 1..NODES, schedule in prop::collection::vec(turmoil(), 0..60),
    ) {
        let mut play = Play::new(places, []);
        schedule.into_iter().for_each(|turmoil| play.suffer(turmoil));
        play.run_for(HEALED_WITHIN * NODES);
        let working = (NODES as usize) - play.broken.len();
        prop_assert_eq!(play.up().len(), working.min(places as usize));
        prop_assert!(play.most <= places as usize, "{} at once", play.most);
        prop_assert_eq!(play.hung_up, Vec::<u32>::new());
    }

    #[test]
    fn once_the_places_are_taken_by_tunnels_that_are_up_nobody_is_dialled(
        places in 1..NODES, schedule in prop::collection::vec(turmoil(), 0..60),
    ) {
        let mut play = Play::new(places, []);
        schedule.into_iter().for_each(|turmoil| play.suffer(turmoil));
        play.broken.clear();
        play.run_for(HEALED_WITHIN * NODES);
        let (dials, up) = (play.dials.len(), play.up());
        play.run_for(HEALED_WITHIN);
        play.read();
        play.run_for(HEALED_WITHIN);
        prop_assert_eq!((play.dials.len(), play.up()), (dials, up));
    }
}

#[test]
fn a_candidate_that_keeps_failing_yields_to_the_next_and_is_told_once() {
    let mut play = Play::new(2, [1]);
    play.run_for(HEALED_WITHIN);
    assert_eq!(play.up(), BTreeSet::from([2, 3]));
    assert_eq!(play.yields, 1);
}

#[test]
fn a_candidate_that_failed_is_tried_again_when_a_place_is_free() {
    let mut play = Play::new(2, [1]);
    play.run_for(HEALED_WITHIN);
    (3..=NODES).for_each(|id| play.break_down(id));
    play.broken.remove(&1);
    play.run_for(HEALED_WITHIN * NODES);
    assert_eq!(play.up(), BTreeSet::from([1, 2]));
}

#[test]
fn candidates_that_all_fail_are_tried_no_more_often_than_their_waits_allow() {
    let mut play = Play::new(2, 1..=NODES);
    play.run_for(HEALED_WITHIN * NODES);
    let dials = play.dials.len();
    play.run_for(play.policy.backoff.max * 10);
    let most = (play.dials.len() - dials) as u32;
    // Jitter makes a wait a fifth shorter at most.
    assert!(most <= NODES * 13, "{most} dials in ten of the longest waits");
}

#[test]
fn a_stopped_node_holds_no_place() {
    let mut play = Play::new(2, []);
    play.run_for(HEALED_WITHIN);
    play.ask(1, Ask::Stop);
    play.run_for(HEALED_WITHIN);
    assert_eq!(play.up(), BTreeSet::from([2, 3]));
    play.ask(1, Ask::Start);
    play.run_for(HEALED_WITHIN);
    assert_eq!(
        (play.up(), play.in_state("waiting")),
        (BTreeSet::from([2, 3]), BTreeSet::from([1]))
    );
}

#[test]
fn fewer_places_hang_up_the_last_candidates_only() {
    let mut play = Play::new(5, []);
    play.run_for(HEALED_WITHIN);
    play.policy.max_tunnels = 2;
    play.feed(Event::Policy(Box::new(play.policy.clone())));
    play.run_for(HEALED_WITHIN);
    assert_eq!((play.up(), play.hung_up), (BTreeSet::from([1, 2]), vec![5, 4, 3]));
}
