use std::time::Duration;

use super::*;
use crate::core::State;
use crate::core::event::{
    CallId, Candidate, Event, FoundCall, Hearing, Link, LinkAddress, LinkChange,
};
use crate::core::stage::{NODE, Stage, node};
use crate::node::Engine;

fn subnet(interface: &str, address: [u8; 4], prefix: u8) -> Subnet {
    Subnet { interface: interface.into(), address: address.into(), prefix }
}

/// The address that the stage's server gives to our end is that of a gateway.
fn surrounded() -> Event {
    let gateways = BTreeSet::from([[10, 50, 0, 100].into()]);
    Event::Surroundings(Surroundings { gateways, ..Surroundings::default() })
}

const REASON: &str = "the server gives our end of the tunnel 10.50.0.100, which is a gateway";

#[test]
fn a_tunnel_whose_address_is_refused_is_never_up_and_its_node_waits() {
    let mut stage = Stage::in_state(State::Dialing);
    stage.feed(surrounded());
    stage.link(true, true);
    assert_eq!(stage.state(), "stopping");
    stage.exit(FailureKind::Killed);
    assert_eq!(
        (stage.state().as_str(), stage.last_error().as_str()),
        ("backoff", "address_refused")
    );
    assert!(stage.was_told(REASON), "{:?}", stage.told);
    assert!(!stage.was_told("is UP on"), "{:?}", stage.told);
    assert!(stage.changes.is_empty(), "{:?}", stage.changes);
}

#[test]
fn an_address_is_refused_before_the_peer_s_is_there() {
    let mut stage = Stage::in_state(State::Negotiating);
    stage.feed(surrounded());
    stage.half_a_link();
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn a_tunnel_that_is_up_falls_when_its_address_becomes_one_that_the_host_has_to_reach() {
    let mut stage = Stage::in_state(State::Up);
    stage.feed(surrounded());
    assert_eq!(stage.state(), "stopping");
    assert!(stage.was_told(REASON), "{:?}", stage.told);
}

fn new_subnet() -> Event {
    let subnets = BTreeSet::from([subnet("docker0", [10, 50, 0, 1], 24)]);
    Event::Surroundings(Surroundings { subnets, ..Surroundings::default() })
}

#[test]
fn a_subnet_that_the_host_gets_later_ends_no_tunnel_that_is_up_and_is_told_once() {
    let mut stage = Stage::in_state(State::Up);
    stage.feed(Event::Surroundings(Surroundings::default()));
    stage.told.clear();
    stage.feed(new_subnet());
    stage.feed(new_subnet());
    stage.link(false, true);
    stage.link(true, true);
    assert_eq!(stage.state(), "up");
    let told = stage.told.iter().filter(|told| told.contains("docker0 (10.50.0.1/24)"));
    assert_eq!(told.count(), 1, "{:?}", stage.told);
    assert!(stage.was_told("10.50.0.100") && stage.was_told("node 1"), "{:?}", stage.told);
}

#[test]
fn a_tunnel_that_was_up_before_the_surroundings_were_known_is_judged_once_they_are() {
    let mut stage = Stage::in_state(State::Up);
    stage.feed(new_subnet());
    assert_eq!(stage.state(), "stopping");
}

fn notes(stage: &Stage) -> Vec<String> {
    let node = stage.core.report_one(NODE).unwrap();
    node.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_odd_about_a_tunnel_s_addresses_is_shown_as_long_as_it_is_so() {
    let mut stage = Stage::in_state(State::Up);
    stage.feed(Event::Surroundings(Surroundings::default()));
    assert_eq!(notes(&stage), [""; 0]);
    stage.feed(new_subnet());
    let [peer, our_end] = &notes(&stage)[..] else { panic!("{:?}", notes(&stage)) };
    assert!(peer.contains("its own end 10.50.0.1, which lies on the subnet of docker0"), "{peer}");
    assert!(our_end.contains("our end's address 10.50.0.100 lies on"), "{our_end}");
    stage.feed(Event::Surroundings(Surroundings::default()));
    stage.desire_a_server_at([10, 50, 0, 1]);
    let [peer] = &notes(&stage)[..] else { panic!("{:?}", notes(&stage)) };
    assert!(peer.contains("10.50.0.1, which is the server of node 8: "), "{peer}");
}

#[test]
fn an_address_on_a_subnet_that_was_there_before_the_tunnel_is_refused() {
    let mut stage = Stage::in_state(State::Negotiating);
    stage.feed(new_subnet());
    stage.link(true, true);
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn a_tunnel_that_is_up_falls_when_a_row_names_its_address_as_server() {
    let mut stage = Stage::in_state(State::Up);
    stage.desire_a_server_at([10, 50, 0, 100]);
    assert_eq!(stage.state(), "stopping");
    assert!(stage.was_told("which is the server of node 8"), "{:?}", stage.told);
}

/// A link has the address that the stage's server gives.
fn show_with_it(stage: &mut Stage, index: u32, name: &str) {
    let [local, remote] = [[10, 50, 0, 100], [10, 50, 0, 1]].map(Ipv4Addr::from);
    let addresses = vec![LinkAddress { local, remote: Some(remote) }];
    let link = Some(Link { name: name.into(), up: true, addresses });
    let changes = vec![LinkChange { index: IfIndex(index), link }];
    stage.feed(Event::Links { changes, hearing: Hearing::default() });
}

/// A link of nobody has the address that the stage's server gives.
fn other_link(stage: &mut Stage, index: u32) {
    show_with_it(stage, index, "wan");
}

#[test]
fn the_address_of_an_older_ppp_link_of_nobody_is_refused() {
    let mut stage = Stage::in_state(State::Invalid);
    other_link(&mut stage, 3);
    stage.desire(Some(Candidate::Node(node("secret").into())));
    stage.link(true, true);
    assert_eq!(stage.state(), "stopping");
    stage.exit(FailureKind::Killed);
    assert!(stage.was_told("is an address of wan, a link that is no tunnel"), "{:?}", stage.told);
}

#[test]
fn a_dial_that_began_after_a_link_was_seen_leaves_that_link_to_others() {
    let mut stage = Stage::in_state(State::Invalid);
    other_link(&mut stage, 3);
    stage.desire_a_server_at([10, 9, 0, 8]);
    stage.link(true, true);
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn a_link_that_a_dial_may_prove_its_own_refuses_nobody_its_address() {
    let mut stage = Stage::in_state(State::Dialing);
    stage.desire_a_server_at([10, 9, 0, 8]);
    other_link(&mut stage, 3);
    stage.link(true, true);
    assert_eq!(stage.state(), "up");
}

/// The state of a tunnel that was up, went down and came up again, after a link of nobody has got its address.
fn state_after_its_address_is_at(index: u32) -> String {
    let mut stage = Stage::in_state(State::Up);
    other_link(&mut stage, index);
    stage.link(false, true);
    stage.link(true, true);
    stage.state()
}

#[test]
fn a_ppp_link_that_comes_later_with_the_address_of_a_tunnel_ends_it_not() {
    assert_eq!(state_after_its_address_is_at(8), "up");
}

#[test]
fn an_older_link_that_gets_the_address_of_a_tunnel_later_ends_it_not() {
    assert_eq!(state_after_its_address_is_at(3), "up");
}

#[test]
fn a_younger_ppp_link_of_nobody_that_had_the_address_first_refuses_it() {
    let mut stage = Stage::in_state(State::Negotiating);
    other_link(&mut stage, 8);
    stage.link(true, true);
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn a_link_that_a_dial_could_have_had_refuses_its_address_once_that_dial_has_another() {
    let mut stage = Stage::in_state(State::Dialing);
    stage.desire_a_server_at([10, 9, 0, 8]);
    other_link(&mut stage, 3);
    stage.link(true, true);
    assert_eq!(stage.state(), "up");
    stage.end(stage.rival, FailureKind::Hangup);
    assert_eq!(stage.state(), "up", "the kernel may still have the other's link");
    let until = stage.core.undecided_until().unwrap();
    stage.wait(until.since(stage.now()));
    assert_eq!(stage.state(), "stopping");
}

/// A pppd of this node is found, with a link of this name.
fn found(number: u64, node: NodeId, interface: &str) -> FoundCall {
    let (call, interface) = (CallId::Found(number), Some(interface.to_owned()));
    let (engine, pid, renamed, dialled, age) = (Engine::Pppd, Some(7), false, None, Duration::ZERO);
    FoundCall { call, node, engine, pid, interface, renamed, dialled, age }
}

fn with_two_links_of_one_address() -> Stage {
    let mut stage = Stage::in_state(State::Invalid);
    show_with_it(&mut stage, 3, "ppp3");
    show_with_it(&mut stage, 4, "ppp4");
    stage
}

#[test]
fn links_of_calls_that_are_found_together_refuse_each_other_nothing() {
    let mut stage = with_two_links_of_one_address();
    let (one, other) = (NodeId(8), NodeId(9));
    stage.feed(Event::Found(vec![found(1, one, "ppp4"), found(2, other, "ppp3")]));
    let states = [one, other].map(|id| stage.core.state(id));
    assert_eq!(states, [Some(State::Up); 2], "{:?}", stage.told);
}

#[test]
fn the_link_of_a_second_call_refuses_nothing_while_it_lives_and_while_it_goes() {
    let mut stage = with_two_links_of_one_address();
    let (id, second) = (NodeId(8), found(2, NodeId(8), "ppp3"));
    stage.feed(Event::Found(vec![found(1, id, "ppp4"), second.clone()]));
    assert_eq!(stage.hung_up, [second.call], "{:?}", stage.told);
    stage.end(second.call, FailureKind::Killed);
    assert_eq!(stage.core.state(id), Some(State::Up), "{:?}", stage.told);
}

#[test]
fn a_second_call_whose_link_is_renamed_has_it_when_it_takes_the_place_of_the_first() {
    let mut stage = Stage::in_state(State::Invalid);
    let (id, link) = (NodeId(8), IfIndex(3));
    stage.show(link, Some("ppp3"));
    let first = FoundCall { interface: None, ..found(1, id, "") };
    stage.feed(Event::Found(vec![first, found(2, id, "ppp3")]));
    stage.show(link, Some("wan3"));
    stage.end(CallId::Found(1), FailureKind::Killed);
    let node = stage.core.report_one(id).unwrap();
    assert_eq!((node.state, node.index), (State::Negotiating, Some(link)), "{:?}", stage.told);
}

#[test]
fn the_link_of_a_refused_address_is_to_lose_it_at_once() {
    let mut stage = Stage::in_state(State::Negotiating);
    stage.feed(surrounded());
    stage.ways.clear();
    stage.link(true, true);
    let (index, local) = (crate::core::stage::LINK, [10, 50, 0, 100].into());
    assert_eq!(stage.ways, [Way::Refused { node: NODE, index, local }]);
}
