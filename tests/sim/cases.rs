//! Single rules, in the shortest schedules that show them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use connexa::core::event::{
    Ask, CallId, Candidate, Dialled, FoundCall, Hearing, IfIndex, InvalidRow, Link, LinkChange,
    Ranked,
};
use connexa::core::policy::Policy;
use connexa::core::time::{Monotonic, Now, Wall};
use connexa::node::{Engine, Invalid, Login, Mppe, Node, NodeId, Secret, ServerAddr};

use crate::wire::{Did, Exit, News, Signal, Told, Wire};
use crate::world::policy;

const NODE: NodeId = NodeId(1);
const FOUND: CallId = CallId::Found(0);
const DIALLED: CallId = CallId::Dialled(1);
const TERM: Did = Did::Signal { call: FOUND, signal: Signal::Terminate };

fn node() -> Node {
    Node {
        status: "speed_ok".into(),
        ..Node::new(
            NODE,
            ServerAddr::parse("10.9.0.1").unwrap(),
            Login::parse("admin").unwrap(),
            Secret::parse("secret").unwrap(),
        )
    }
}

fn wanted(candidates: Vec<Candidate>) -> News {
    let rows = (0..).zip(candidates).map(|(rank, candidate)| Ranked { rank, candidate });
    News::Rows { rows: rows.collect(), places: 0, reselected: false }
}

fn desired(node: Node) -> News {
    wanted(vec![Candidate::Node(node.into())])
}

fn invalid() -> News {
    let ip = "nowhere".to_owned();
    let (login, status, reason) = ("admin".into(), String::new(), Invalid::NotIpv4(ip.clone()));
    wanted(vec![Candidate::Invalid(InvalidRow { id: NODE, ip, login, status, reason }.into())])
}

fn found(mppe: Mppe) -> News {
    let server = Ipv4Addr::new(10, 9, 0, 1);
    let dialled = Dialled { server, login: "admin".into(), password: None, mppe: Some(mppe) };
    let dialled = Some(dialled);
    News::Found(vec![FoundCall {
        call: FOUND,
        node: NODE,
        engine: Engine::Pppd,
        pid: Some(7),
        interface: None,
        renamed: false,
        dialled,
        age: crate::Duration::ZERO,
    }])
}

fn link(link: Option<Link>) -> News {
    let changes = vec![LinkChange { index: IfIndex(4), link }];
    News::Links { changes, hearing: Hearing::default() }
}

fn asked(ask: Ask) -> News {
    News::Asked { node: NODE, ask }
}

/// A daemon that has listed links and found no pppd.
fn core(policy: Policy) -> Wire {
    let mut core = Wire::new(policy, false);
    feed(&mut core, 0, News::Links { changes: vec![], hearing: Hearing::default() });
    feed(&mut core, 0, News::Found(vec![]));
    core
}

/// The node is dialled, has its link and loses it: pppd is about to end.
fn core_whose_pppd_leaves() -> Wire {
    let mut core = core(policy());
    feed(&mut core, 0, desired(node()));
    feed(&mut core, 1, News::Name { call: DIALLED, name: "ppp0".into() });
    feed(&mut core, 2, link(Some(Link { name: "ppp0".into(), up: false, addresses: vec![] })));
    feed(&mut core, 3, link(None));
    core
}

fn feed(core: &mut Wire, second: u64, news: News) -> Vec<Did> {
    let now = Now { at: Monotonic(second * 1000), wall: Wall(0), dice: 0 };
    core.tell(now, news)
}

fn tells_of_a_retry(dids: &[Did]) -> bool {
    dids.iter().any(|did| matches!(did, Did::Told(Told::Retrying { .. })))
}

fn refused(core: &mut Wire, second: u64, dial: u64) -> Vec<Did> {
    feed(core, second, News::Ended { call: CallId::Dialled(dial), exit: Exit::Code(19) })
}

#[test]
fn what_runs_is_left_alone_before_the_database_was_read_whatever_the_operator_asks() {
    let mut core = core(policy());
    let other = NodeId(2);
    feed(&mut core, 0, News::Stopped(BTreeSet::from([other])));
    feed(&mut core, 1, News::Asked { node: other, ask: Ask::Start });
    assert!(!feed(&mut core, 2, found(Mppe::Require)).contains(&TERM));
}

#[test]
fn a_stop_hangs_up_before_the_database_was_read() {
    let mut core = core(policy());
    feed(&mut core, 1, found(Mppe::Require));
    assert!(feed(&mut core, 2, asked(Ask::Stop)).contains(&TERM));
}

#[test]
fn a_stopped_node_is_told_no_retry_when_its_pppd_ends() {
    let mut core = core_whose_pppd_leaves();
    feed(&mut core, 4, asked(Ask::Stop));
    let exit = Exit::Code(16);
    assert!(!tells_of_a_retry(&feed(&mut core, 5, News::Ended { call: DIALLED, exit })));
}

#[test]
fn a_row_that_is_back_is_dialled_when_the_pppd_of_the_old_one_ends() {
    let mut core = core_whose_pppd_leaves();
    feed(&mut core, 4, wanted(vec![]));
    feed(&mut core, 9, News::Tick);
    feed(&mut core, 9, desired(node()));
    let exit = Exit::Code(16);
    assert!(!tells_of_a_retry(&feed(&mut core, 10, News::Ended { call: DIALLED, exit })));
}

#[test]
fn a_login_that_was_refused_is_not_tried_afresh_when_its_row_was_invalid_meanwhile() {
    let mut core = core(policy());
    feed(&mut core, 0, desired(node()));
    refused(&mut core, 1, 1);
    feed(&mut core, 20, News::Tick);
    refused(&mut core, 21, 2);
    feed(&mut core, 22, invalid());
    feed(&mut core, 27, News::Tick);
    feed(&mut core, 28, desired(node()));
    feed(&mut core, 60, News::Tick);
    assert!(refused(&mut core, 61, 3).contains(&Did::Told(Told::Quarantined(NodeId(1)))));
}

/// Or a daemon that dies between the two takes the old tunnel for one of the new row: it goes by
/// the files.
#[test]
fn the_tunnel_of_an_old_row_is_hung_up_before_the_files_are_of_the_new_one() {
    let mut core = core(policy());
    feed(&mut core, 1, found(Mppe::Require));
    feed(&mut core, 2, desired(node()));
    let changed = Node { password: Secret::parse("another").unwrap(), ..node() };
    let effects = feed(&mut core, 3, desired(changed));
    let hung_up = effects.iter().position(|effect| *effect == TERM).unwrap();
    let written = effects.iter().position(|e| matches!(e, Did::WriteFiles(_)));
    assert!(hung_up < written.unwrap());
}

#[test]
fn a_tunnel_without_encryption_is_redialled_when_the_row_leaves_it_to_a_policy_that_requires_it() {
    let mut core = core(policy());
    feed(&mut core, 1, found(Mppe::Off));
    assert!(feed(&mut core, 2, desired(node())).contains(&TERM));
}

#[test]
fn a_daemon_that_stops_restarts_no_backend() {
    let mut core = core(Policy { keep_on_exit: false, ..policy() });
    feed(&mut core, 0, desired(node()));
    feed(&mut core, 1, News::Stop);
    let later = (2..300).flat_map(|second| feed(&mut core, second, News::Tick));
    assert_eq!(later.filter(|did| matches!(did, Did::Restart { .. })).count(), 0);
}

/// Another node of another server, dialled along with the first.
fn another() -> Candidate {
    let server = ServerAddr::parse("10.9.0.2").unwrap();
    Candidate::Node(Node { id: NodeId(2), server, ..node() }.into())
}

#[test]
fn a_call_older_than_the_proof_that_the_host_is_fit_says_nothing_against_it() {
    let mut core = core(policy());
    feed(&mut core, 0, wanted(vec![Candidate::Node(node().into()), another()]));
    feed(&mut core, 1, News::Name { call: DIALLED, name: "ppp0".into() });
    feed(&mut core, 2, link(Some(Link { name: "ppp0".into(), up: false, addresses: vec![] })));
    let exit = News::Ended { call: CallId::Dialled(2), exit: Exit::Code(4) };
    let effects = feed(&mut core, 3, exit);
    assert!(!effects.iter().any(|e| matches!(e, Did::Told(Told::HostUnfit))));
}
