//! The server ends the call by itself: what that is called, by what came before.

use std::time::Duration;

use crate::core::failure::FailureKind;

use super::server::{BITS_40, Clearing, STATELESS, Ways};
use super::world::{Line, World, settings};
use super::{Event, Phase, comes_up, dial, failure};

/// What is told of a call that has ended.
#[track_caller]
fn told(world: &World) -> (FailureKind, String) {
    (failure(world).kind(), failure(world).to_string())
}

/// A dial that has come so far.
fn dialled_to(phase: Phase, ways: Ways) -> World {
    let mut world = World::new(settings(), ways, Line::default(), 1);
    let end = world.now + Duration::from_secs(10);
    while world.call.phase() < phase {
        assert!(world.now < end, "{:?}", world.call.phase());
        world.step(end);
    }
    world
}

#[test]
fn after_seconds_without_an_answer_to_our_frames_it_is_gre_that_is_blocked() {
    for client_cut_off in [true, false] {
        for clearing in [Clearing::Notify, Clearing::Request] {
            let line = Line { server_cut_off: true, client_cut_off, ..Line::default() };
            let ways = Ways { clearing, ..Ways::default() };
            let mut world = World::new(settings(), ways, line, 1);
            world.run(8);
            world.server.clear();
            world.run(2);
            let (kind, words) = told(&world);
            assert_eq!(kind, FailureKind::GreBlocked, "{words}");
            assert!(words.contains("after 7 s") && words.contains("Call-"), "{words}");
        }
    }
}

#[test]
fn before_anything_could_be_answered_it_is_the_servers_end_with_the_protocol_that_it_came_in() {
    let mut world = dialled_to(Phase::Link, Ways::default());
    world.server.clear();
    world.run(2);
    let (kind, words) = told(&world);
    assert_eq!(kind, FailureKind::PeerClosed, "{words}");
    assert!(words.contains("in the middle of LCP"), "{words}");

    let mut world = dialled_to(Phase::Authenticating, Ways::default());
    world.tell(Event::ControlEnded(None));
    let (kind, words) = told(&world);
    assert_eq!(kind, FailureKind::PeerClosed, "{words}");
    assert!(words.contains("in the middle of MS-CHAPv2"), "{words}");
}

#[test]
fn after_echoes_that_were_not_answered_it_is_their_silence() {
    let after_echoes = |echoes| {
        let mut world = comes_up(dial(Ways::default()), true);
        world.server.answers_echo = false;
        // The first round has nothing to compare with.
        for _ in 0..=echoes {
            world.tell(Event::EchoTick { received: 300 });
            world.run(1);
        }
        assert_eq!(world.server.echoes, echoes);
        world.server.clear();
        world.run(2);
        told(&world)
    };
    let (kind, words) = after_echoes(2);
    assert_eq!(kind, FailureKind::EchoTimeout, "{words}");
    assert!(words.contains("none of 2 LCP echoes") && words.contains("Call-"), "{words}");
    // Its answer may be on the way.
    assert_eq!(after_echoes(1).0, FailureKind::PeerClosed);
}

#[test]
fn after_packets_that_could_not_be_read_it_is_the_keys() {
    let mut world = comes_up(dial(Ways::default()), true);
    for _ in 0..2 {
        // Nobody answers what follows.
        world.line = Line { server_cut_off: true, ..Line::default() };
        world.tell(Event::Frame(&[0x00, 0xFD, 1, 2, 3]));
        world.run(1);
    }
    world.server.terminate("");
    world.run(5);
    let (kind, words) = told(&world);
    assert_eq!(kind, FailureKind::KeysDisagree, "{words}");
}

#[test]
fn a_text_that_says_why_decides() {
    for (phase, text, is) in [
        (Phase::Authenticating, "Authentication failed", FailureKind::AuthRefused),
        (Phase::Encrypting, "MPPE required but peer negotiation failed", FailureKind::Mppe),
        (Phase::Up, "MPPE disabled", FailureKind::PeerClosed),
        (Phase::Up, "Link inactive", FailureKind::PeerClosed),
    ] {
        let mut world = dialled_to(phase, Ways::default());
        world.server.terminate(text);
        // Before anything else that is under way.
        world.line = Line { server_cut_off: true, ..Line::default() };
        world.run(5);
        let (kind, words) = told(&world);
        assert_eq!(kind, is, "{words}");
        assert!(words.contains(text), "{words}");
    }
}

#[test]
fn what_is_known_of_its_encryption_says_more_than_its_text() {
    let short = STATELESS | BITS_40;
    let ways = Ways { mppe: Some((short, short)), ..Ways::default() };
    let mut world = dialled_to(Phase::Encrypting, ways);
    // Its offer comes, and is judged; what is said to that is lost.
    world.line = Line { server_cut_off: true, ..Line::default() };
    let end = world.now + Duration::from_millis(500);
    while world.now < end {
        world.step(end);
    }
    assert_eq!(world.call.phase(), Phase::Encrypting);
    world.server.terminate("MPPE required but peer negotiation failed");
    world.run(5);
    let (kind, words) = told(&world);
    assert_eq!(kind, FailureKind::Mppe, "{words}");
    assert!(words.contains("40 bit only"), "{words}");
}
