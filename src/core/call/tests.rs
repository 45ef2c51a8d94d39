use super::*;
use crate::core::State;
use crate::core::event::{Event, Hearing, Link, LinkAddress, LinkChange};
use crate::core::stage::{LINK, NODE, Stage};

/// The stage's link has this name, with its addresses.
fn rename(stage: &mut Stage, name: &str) {
    let [local, remote] = [100, 1].map(|last| Ipv4Addr::new(10, 50, 0, last));
    let addresses = vec![LinkAddress { local, remote: Some(remote) }];
    let link = Some(Link { name: name.to_owned(), up: true, addresses });
    let changes = vec![LinkChange { index: LINK, link }];
    stage.feed(Event::Links { changes, hearing: Hearing::default() });
}

fn deadline(stage: &Stage) -> Option<Monotonic> {
    stage.core.tunnels[&NODE].deadline()
}

#[test]
fn a_dial_s_link_is_first_shown_after_it_began_and_that_of_a_found_call_at_any_time() {
    let seen = |id| Run::new(id, Engine::Pppd, None, 5).link_seen();
    assert_eq!(seen(CallId::Dialled(1)), 6..=u64::MAX);
    assert_eq!(seen(CallId::Found(1)), 0..=u64::MAX);
}

#[test]
fn a_link_that_is_renamed_while_it_is_up_is_told_once_and_known_by_its_new_name() {
    let mut stage = Stage::in_state(State::Up);
    stage.changes.clear();
    rename(&mut stage, "wan0");
    rename(&mut stage, "wan0");
    let [Change::Renamed(tunnel)] = &stage.changes[..] else { panic!("{:?}", stage.changes) };
    assert_eq!((tunnel.node, tunnel.interface.as_str()), (NODE, "wan0"));
    let shown = stage.core.report_one(NODE).unwrap();
    assert_eq!(shown.interface.as_deref(), Some("wan0"));
}

#[test]
fn a_link_that_is_renamed_before_it_is_up_is_known_by_its_new_name() {
    let mut stage = Stage::in_state(State::Negotiating);
    rename(&mut stage, "wan0");
    let shown = stage.core.report_one(NODE).unwrap();
    assert_eq!((shown.state, shown.interface.as_deref()), (State::Up, Some("wan0")));
}

#[test]
fn a_dial_that_is_told_to_have_started_again_has_no_more_time() {
    let mut stage = Stage::in_state(State::Negotiating);
    let before = deadline(&stage);
    stage.wait(Duration::from_secs(1));
    stage.feed(Event::Started { call: stage.call, pid: Some(7), suspect: None });
    assert_eq!(deadline(&stage), before);
}

/// A dial whose link is seen before it is told to have started.
fn linked_before_it_started(is_up: bool) -> Stage {
    let mut stage = Stage::in_state(State::Invalid);
    stage.is_disk_stuck = true;
    stage.desire(Some(crate::core::stage::candidate("secret")));
    stage.link(is_up, is_up);
    stage
}

#[test]
fn a_dial_s_time_runs_from_its_start_though_its_link_was_seen_before() {
    let mut stage = linked_before_it_started(false);
    let before = deadline(&stage);
    stage.wait(Duration::from_secs(1));
    stage.feed(Event::Started { call: stage.call, pid: Some(7), suspect: None });
    assert!(deadline(&stage) > before);
}

#[test]
fn a_tunnel_that_fell_before_it_was_told_to_have_started_has_the_time_of_a_fall() {
    let mut stage = linked_before_it_started(true);
    stage.link(false, true);
    stage.wait(Duration::from_secs(2));
    let before = deadline(&stage);
    stage.feed(Event::Started { call: stage.call, pid: Some(7), suspect: None });
    assert_eq!(deadline(&stage), before);
}

#[test]
fn an_address_that_vanishes_is_given_a_moment_to_come_back() {
    let mut stage = Stage::in_state(State::Up);
    stage.link(true, false);
    assert_eq!(stage.state(), "up");
    stage.wait(SETTLE);
    assert_eq!(stage.state(), "negotiating");
}

#[test]
fn an_address_without_a_peer_is_given_its_moment_anew_after_the_link_was_down() {
    let mut stage = Stage::in_state(State::Negotiating);
    stage.half_a_link();
    stage.link(false, false);
    stage.wait(SETTLE);
    stage.half_a_link();
    assert_eq!(stage.state(), "negotiating");
    stage.wait(SETTLE);
    assert_eq!(stage.state(), "up");
}
