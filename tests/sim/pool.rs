//! More candidates than places: random ones are broken, mended, refused, reordered, removed and
//! spoiled, places are added and taken away, and who has one is watched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use connexa::core::event::{
    Ask, CallId, Candidate, Hearing, IfIndex, InvalidRow, Link, LinkAddress, LinkChange, Ranked,
};
use connexa::core::time::{Monotonic, Now, Wall};
use connexa::node::{Invalid, Login, Node, NodeId, Secret, ServerAddr};
use proptest::prelude::*;

use crate::schedules::HEALED_WITHIN;
use crate::wire::{Did, Exit, News, Told, Wire};
use crate::world::policy;

const DIAL: u64 = 1000;
const NODES: u32 = 12;

/// A core, and servers of which some never answer and some refuse the password.
struct Play {
    daemon: Wire,
    /// As the next read tells them.
    places: u32,
    now: u64,
    agenda: BTreeMap<(u64, u64), News>,
    serial: u64,
    broken: BTreeSet<u32>,
    refused: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    spoiled: BTreeSet<u32>,
    order: Vec<u32>,
    calls: BTreeMap<CallId, u32>,
    leaving: BTreeSet<CallId>,
    most: usize,
    dials: Vec<u32>,
    hung_up: Vec<u32>,
    reasons: Vec<String>,
    /// Tunnels that were up and were hung up against the rules.
    wronged: Vec<u32>,
    yields: u32,
}

impl Play {
    fn new(places: u32, broken: impl IntoIterator<Item = u32>) -> Self {
        let mut play = Play {
            daemon: Wire::new(policy(), false),
            places,
            now: 0,
            agenda: BTreeMap::new(),
            serial: 0,
            broken: broken.into_iter().collect(),
            refused: BTreeSet::new(),
            gone: BTreeSet::new(),
            spoiled: BTreeSet::new(),
            order: (1..=NODES).collect(),
            calls: BTreeMap::new(),
            leaving: BTreeSet::new(),
            most: 0,
            dials: Vec::new(),
            hung_up: Vec::new(),
            reasons: Vec::new(),
            wronged: Vec::new(),
            yields: 0,
        };
        play.feed(News::Links { changes: vec![], hearing: Hearing::default() });
        play.feed(News::Found(vec![]));
        play.read();
        play
    }

    fn read(&mut self) {
        self.read_as(false);
    }

    /// By another configuration.
    fn reselect(&mut self) {
        self.read_as(true);
    }

    fn read_as(&mut self, reselected: bool) {
        let rows = (0..).zip(&self.order).filter(|(_, id)| !self.gone.contains(id));
        let candidate = |id: &u32| match self.spoiled.contains(id) {
            true => invalid(*id),
            false => Candidate::Node(node(*id).into()),
        };
        let ranked = |(rank, id)| Ranked { rank, candidate: candidate(id) };
        let rows = rows.map(ranked).collect();
        self.feed(News::Rows { rows, places: self.places, reselected });
    }

    fn limit(&self) -> usize {
        match self.places {
            0 => NODES as usize,
            places => places as usize,
        }
    }

    /// Those that would come up if they had a place.
    fn working(&self) -> usize {
        let works = |id: &u32| {
            ![&self.broken, &self.refused, &self.gone, &self.spoiled]
                .iter()
                .any(|set| set.contains(id))
        };
        (1..=NODES).filter(works).count()
    }

    /// Whether the rules call for the end of a tunnel that is up: its row can't be dialled, or the
    /// places are fewer than the tunnels and those that stay are better candidates.
    fn may_be_hung_up(&self, id: u32, before: &BTreeSet<u32>) -> bool {
        if self.gone.contains(&id) || self.spoiled.contains(&id) {
            return true;
        }
        let rank = |id: u32| self.order.iter().position(|other| *other == id);
        before.len() > self.limit() && self.up().iter().all(|stays| rank(*stays) < rank(id))
    }

    fn feed(&mut self, news: News) {
        let now = self.clock();
        let before = self.up();
        for did in self.daemon.tell(now, news) {
            match did {
                Did::Dial { call, node } => self.dial(call, node.0),
                Did::Signal { call, .. } if self.leaving.insert(call) => {
                    let id = self.calls[&call];
                    self.hung_up.push(id);
                    if before.contains(&id) && !self.may_be_hung_up(id, &before) {
                        self.wronged.push(id);
                    }
                    self.end(call, 100);
                }
                Did::Told(Told::Yields) => self.yields += 1,
                Did::Told(Told::Down { reason, .. }) => self.reasons.push(reason),
                _ => {}
            }
        }
        self.most = self.most.max(self.calls.len() - self.leaving.len());
    }

    fn clock(&self) -> Now {
        Now { at: Monotonic(self.now), wall: Wall(self.now), dice: self.serial }
    }

    fn later(&mut self, delay: u64, news: News) {
        self.serial += 1;
        self.agenda.insert((self.now + delay, self.serial), news);
    }

    fn dial(&mut self, call: CallId, id: u32) {
        self.dials.push(id);
        self.calls.insert(call, id);
        self.later(0, News::Spawned { call, pid: id });
        if self.broken.contains(&id) {
            return self.later(DIAL, News::Ended { call, exit: Exit::Code(16) });
        }
        if self.refused.contains(&id) {
            return self.later(DIAL, News::Ended { call, exit: Exit::Code(19) });
        }
        self.later(DIAL / 2, News::Name { call, name: format!("ppp{id}") });
        let [local, remote] = [100, 1].map(|last| Ipv4Addr::new(10, 50, 0, last));
        let addresses = vec![LinkAddress { local, remote: Some(remote) }];
        self.later(DIAL, link(id, Some(Link { name: format!("ppp{id}"), up: true, addresses })));
    }

    fn end(&mut self, call: CallId, delay: u64) {
        // A call that is ended makes no link.
        let index = IfIndex(self.calls[&call]);
        let shows =
            |news: &News| matches!(news, News::Links { changes, .. } if changes[0].index == index);
        self.agenda.retain(|_, news| !shows(news));
        self.later(delay, link(self.calls[&call], None));
        self.later(delay + 1, News::Ended { call, exit: Exit::Code(16) });
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time.as_millis() as u64;
        loop {
            let next = self.agenda.keys().next().map(|(at, _)| *at);
            let deadline = self.daemon.deadline().map(|at| at.max(self.now));
            let Some(at) = next.into_iter().chain(deadline).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = at;
            let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= at) else {
                self.feed(News::Tick);
                continue;
            };
            let news = entry.remove();
            if let News::Ended { call, .. } = news {
                self.calls.remove(&call);
                self.leaving.remove(&call);
            }
            self.feed(news);
        }
        self.now = end;
    }

    /// Its server answers no more; what runs to it ends.
    fn break_down(&mut self, id: u32) {
        self.broken.insert(id);
        let mut running = self.calls.iter().filter(|(call, _)| !self.leaving.contains(call));
        let Some((&call, _)) = running.find(|(_, node)| **node == id) else { return };
        self.agenda.retain(|_, news| match news {
            News::Name { call: said, .. } | News::Ended { call: said, .. } => *said != call,
            _ => true,
        });
        self.leaving.insert(call);
        self.end(call, 0);
    }

    fn up(&self) -> BTreeSet<u32> {
        self.in_state("up")
    }

    fn in_state(&self, name: &str) -> BTreeSet<u32> {
        self.daemon.view().in_state(name)
    }

    fn dials_of(&self, id: u32) -> usize {
        self.dials.iter().filter(|dialled| **dialled == id).count()
    }

    fn ask(&mut self, id: u32, ask: Ask) {
        self.feed(News::Asked { node: NodeId(id), ask });
    }
}

fn node(id: u32) -> Node {
    Node {
        status: "speed_ok".into(),
        ..Node::new(
            NodeId(id),
            ServerAddr::parse(&format!("10.9.0.{id}")).unwrap(),
            Login::parse("admin").unwrap(),
            Secret::parse("secret").unwrap(),
        )
    }
}

fn invalid(id: u32) -> Candidate {
    let reason = Invalid::NotIpv4("nowhere".into());
    let [ip, login, status] = ["nowhere", "admin", "speed_ok"].map(str::to_owned);
    Candidate::Invalid(InvalidRow { id: NodeId(id), ip, login, status, reason }.into())
}

fn link(id: u32, link: Option<Link>) -> News {
    let changes = vec![LinkChange { index: IfIndex(id), link }];
    News::Links { changes, hearing: Hearing::default() }
}

/// What may happen to the candidates in any order.
#[derive(Clone, Debug)]
enum Turmoil {
    Break(u32),
    Mend(u32),
    Reorder(Vec<u32>),
    Wait(u64),
    Refuse(u32),
    Remove(u32),
    Restore(u32),
    Spoil(u32),
    Places(u32),
}

fn turmoil() -> impl Strategy<Value = Turmoil> {
    prop_oneof![
        2 => (1..=NODES).prop_map(Turmoil::Break),
        2 => (1..=NODES).prop_map(Turmoil::Mend),
        1 => Just((1..=NODES).collect::<Vec<_>>()).prop_shuffle().prop_map(Turmoil::Reorder),
        4 => (1..2000_u64).prop_map(Turmoil::Wait),
    ]
}

fn upheaval() -> impl Strategy<Value = Turmoil> {
    prop_oneof![
        5 => turmoil(),
        1 => (1..=NODES).prop_map(Turmoil::Refuse),
        1 => (1..=NODES).prop_map(Turmoil::Remove),
        2 => (1..=NODES).prop_map(Turmoil::Restore),
        1 => (1..=NODES).prop_map(Turmoil::Spoil),
        1 => (0..=NODES).prop_map(Turmoil::Places),
    ]
}

impl Play {
    fn suffer(&mut self, turmoil: Turmoil) {
        match turmoil {
            Turmoil::Break(id) => self.break_down(id),
            Turmoil::Mend(id) => {
                self.broken.remove(&id);
                // A quarantine would take an hour.
                if self.refused.remove(&id) {
                    self.ask(id, Ask::Retry);
                }
            }
            Turmoil::Refuse(id) => {
                self.break_down(id);
                self.broken.remove(&id);
                self.refused.insert(id);
            }
            Turmoil::Remove(id) => {
                self.gone.insert(id);
                self.read();
            }
            Turmoil::Restore(id) => {
                self.gone.remove(&id);
                self.spoiled.remove(&id);
                self.read();
            }
            Turmoil::Spoil(id) => {
                self.spoiled.insert(id);
                self.read();
            }
            Turmoil::Places(places) => {
                self.places = places;
                self.reselect();
            }
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
    fn whatever_rows_passwords_and_places_do_no_tunnel_falls_but_by_the_rules(
        places in 0..NODES, schedule in prop::collection::vec(upheaval(), 0..80),
    ) {
        let mut play = Play::new(places, []);
        schedule.into_iter().for_each(|upheaval| play.suffer(upheaval));
        play.run_for(HEALED_WITHIN * NODES);
        prop_assert_eq!(play.up().len(), play.working().min(play.limit()));
        prop_assert_eq!(play.wronged, Vec::<u32>::new());
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
    play.run_for(policy().backoff.max * 10);
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
    play.places = 2;
    play.reselect();
    play.run_for(HEALED_WITHIN);
    assert_eq!((play.up(), play.hung_up), (BTreeSet::from([1, 2]), vec![5, 4, 3]));
    assert_eq!(play.reasons, ["better candidates have all places of selection.max_tunnels"; 3]);
}

#[test]
fn fewer_places_of_another_selection_are_given_by_that_selection() {
    let mut play = Play::new(10, []);
    play.run_for(HEALED_WITHIN);
    play.places = 5;
    play.gone = (1..=5).chain(11..=NODES).collect();
    play.reselect();
    play.run_for(HEALED_WITHIN);
    assert_eq!(play.up(), (6..=10).collect());
    assert_eq!(play.hung_up.iter().copied().collect::<BTreeSet<_>>(), (1..=5).collect());
}

/// Nodes 1 and 2, and no other.
fn two(places: u32, refused: impl IntoIterator<Item = u32>) -> Play {
    let mut play = Play::new(places, 1..=NODES);
    play.gone = (3..=NODES).collect();
    play.read();
    play.run_for(HEALED_WITHIN);
    play.broken.clear();
    play.refused = refused.into_iter().collect();
    play.dials.clear();
    (1..=2).for_each(|id| play.ask(id, Ask::Retry));
    play
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_quarantined_candidate_that_has_yielded_is_tried_again_after_an_hour() {
    let mut play = two(1, [1]);
    play.run_for(HOUR / 2);
    assert_eq!((play.up(), play.dials_of(1)), (BTreeSet::from([2]), 3));
    play.break_down(2);
    play.run_for(HOUR * 2);
    assert!((4..=5).contains(&play.dials_of(1)), "{} dials", play.dials_of(1));
    play.refused.clear();
    play.run_for(HOUR * 2);
    assert_eq!(play.up(), BTreeSet::from([1]));
}

#[test]
fn a_quarantined_candidate_is_not_tried_while_no_place_is_free() {
    let mut play = two(1, [1]);
    play.run_for(HOUR * 10);
    assert_eq!((play.up(), play.dials_of(1)), (BTreeSet::from([2]), 3));
    assert_eq!(play.daemon.deadline(), None);
}

#[test]
fn candidates_that_are_all_refused_are_each_tried_once_an_hour_at_most() {
    let mut play = two(1, [1, 2]);
    play.run_for(HOUR * 10);
    for id in [1, 2] {
        assert!((4..=13).contains(&play.dials_of(id)), "{} dials", play.dials_of(id));
    }
}

#[test]
fn without_a_limit_a_quarantined_node_is_dialled_once_an_hour() {
    let mut play = two(0, [1]);
    play.run_for(HOUR * 10 + HOUR / 2);
    assert_eq!(play.dials_of(1), 3 + 10);
}

#[test]
fn who_loses_its_place_keeps_its_failures() {
    let mut play = two(2, [2]);
    play.run_for(HOUR / 2);
    for places in [1, 2] {
        play.places = places;
        play.reselect();
        play.run_for(HOUR / 4);
    }
    assert_eq!((play.in_state("quarantined"), play.dials_of(2)), (BTreeSet::from([2]), 3));
}
