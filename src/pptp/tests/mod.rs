//! A call against a server of the same protocol code, in virtual time.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the server and the kernel have no more ways than these"
)]

mod fuzz;
mod kernel;
pub(in crate::pptp) mod server;
mod server_end;
mod world;

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use crate::core::failure::FailureKind;
use crate::core::time::Monotonic;
use crate::node::Secret;

use super::control::Message;
use super::ppp::{Opt, Protocol, frame};
use super::{Call, Dice, Encryption, Ending, Event, Failure, Order, Phase, Settings, Step, Via};
use server::{BITS_40, BITS_128, Clearing, STATELESS, Ways};
pub(in crate::pptp) use world::settings;
use world::{Line, World};

fn dial(ways: Ways) -> World {
    let mut world = World::new(settings(), ways, Line::default(), 1);
    world.run(60);
    world
}

fn dial_with(settings: Settings, ways: Ways) -> World {
    let mut world = World::new(settings, ways, Line::default(), 1);
    world.run(60);
    world
}

fn encrypted(stateful: bool, short_key: bool) -> Settings {
    Settings { encryption: Encryption::Required { stateful, short_key }, ..settings() }
}

fn failure(world: &World) -> &Failure {
    match &world.ended {
        Some(Ending::Failed(failure)) => failure,
        other => panic!("{other:?} in {:?}: {:?}", world.call.phase(), world.done),
    }
}

fn fails(ways: Ways) -> (FailureKind, String) {
    let world = dial(ways);
    (failure(&world).kind(), failure(&world).to_string())
}

#[track_caller]
fn comes_up(mut world: World, is_encrypted: bool) -> World {
    assert!(world.is_up(), "{:?} {:?} {:?}", world.call.phase(), world.ended, world.done);
    assert_eq!(world.call.next_deadline(), None);
    assert!(world.carries(is_encrypted), "{:?}", world.done);
    world
}

#[test]
fn a_call_comes_up_within_a_second_and_carries_packets_both_ways() {
    let mut world = World::new(settings(), Ways::default(), Line::default(), 1);
    world.run(1);
    let world = comes_up(world, true);
    let addresses = world.addresses.unwrap();
    assert_eq!(addresses.local, Ipv4Addr::new(10, 0, 0, 2));
    assert_eq!(addresses.peer, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(addresses.mtu, 1396);
}

/// The order in which the kernel needs it.
#[test]
fn keys_flags_and_packets_come_in_the_order_that_the_kernel_needs() {
    let world = comes_up(dial(Ways::default()), true);
    let place = |name: &str| {
        world
            .done
            .iter()
            .position(|done| done == name)
            .unwrap_or_else(|| panic!("{name}: {:?}", world.done))
    };
    let order = [
        "MakeUnit",
        "CcpOpen",
        "keys Receive",
        "Unit 80fd 1",
        "keys Transmit",
        "Unit 80fd 2",
        "Encrypting",
        "Unit 8021 1",
        "Configure",
    ];
    assert!(order.map(place).is_sorted(), "{:?}", world.done);
}

#[test]
fn without_mppe_a_call_comes_up_in_clear_and_its_packets_may_be_as_large_as_configured() {
    let settings = Settings { encryption: Encryption::Off, ..settings() };
    let world = comes_up(dial_with(settings, Ways { mppe: None, ..Ways::default() }), false);
    assert_eq!(world.addresses.unwrap().mtu, 1400);
}

#[test]
fn a_server_that_wants_mppe_where_there_is_none_is_told_so_by_its_kind() {
    let settings = Settings { encryption: Encryption::Off, ..settings() };
    let mut world = World::new(settings, Ways::default(), Line::default(), 1);
    world.run(1);
    assert!(world.server.protocols_rejected > 0);
    world.server.terminate("MPPE required");
    world.run(10);
    assert_eq!(failure(&world).kind(), FailureKind::Mppe);
}

/// It takes longer to set its flag than an acknowledgement takes to come.
fn late_flag() -> Ways {
    Ways { ccp_flag_after: Duration::from_millis(50), ..Ways::default() }
}

#[test]
fn accel_ppps_ways_come_up_within_a_second_and_carry_packets() {
    let ways = Ways { ipcp_at_once: true, call_id: 17, ..late_flag() };
    let mut world = World::new(settings(), ways, Line::default(), 1);
    world.run(1);
    comes_up(world, true);
}

#[test]
fn a_flag_that_the_server_sets_late_does_not_leave_a_dead_tunnel() {
    comes_up(dial(late_flag()), true);
}

#[test]
fn a_lost_word_of_success_is_asked_for_again() {
    comes_up(dial(Ways { loses_success: true, ..Ways::default() }), true);
}

#[test]
fn callback_multilink_and_endpoint_options_are_rejected_and_the_call_comes_up() {
    comes_up(dial(Ways { odd_lcp: odd_lcp(), ..Ways::default() }), true);
}

fn odd_lcp() -> Vec<Opt> {
    vec![
        Opt::new(1, [5, 0xD2]),
        Opt::new(13, [6]),
        Opt::new(17, [6, 0x4E]),
        Opt::new(19, [1, 2, 3]),
        Opt::new(23, [0, 1]),
    ]
}

#[test]
fn a_servers_smaller_mru_bounds_the_mtu_and_encryption_takes_four_bytes_of_it() {
    let odd_lcp = vec![Opt::new(1, 1300_u16.to_be_bytes())];
    let world = comes_up(dial(Ways { odd_lcp, ..Ways::default() }), true);
    assert_eq!(world.addresses.unwrap().mtu, 1296);
}

#[test]
fn link_info_wan_errors_and_a_second_start_reply_change_nothing() {
    let ways = Ways { sets_link_info: true, starts_twice: true, ..Ways::default() };
    let world = comes_up(dial(ways), true);
    assert_eq!(world.done.iter().filter(|done| *done == "control 7").count(), 1);
}

#[test]
fn of_many_kinds_of_mppe_stateless_128_is_agreed() {
    let many = STATELESS | BITS_128 | BITS_40 | 0x81;
    let ways = Ways { mppe: Some((many, STATELESS | BITS_128)), ..Ways::default() };
    comes_up(dial(ways), true);
}

#[test]
fn stateful_mppe_is_refused_by_default_and_taken_by_option() {
    let ways = Ways { mppe: Some((BITS_128, BITS_128)), stubborn: true, ..Ways::default() };
    let (kind, words) = fails(ways.clone());
    assert_eq!(kind, FailureKind::Mppe);
    assert!(words.contains("tunnel.mppe_stateful"), "{words}");
    comes_up(dial_with(encrypted(true, false), ways), true);
}

#[test]
fn forty_bit_mppe_is_refused_by_default_and_taken_by_option() {
    let short = STATELESS | BITS_40;
    let ways = Ways { mppe: Some((short, short)), stubborn: true, ..Ways::default() };
    let (kind, words) = fails(ways.clone());
    assert_eq!(kind, FailureKind::Mppe);
    assert!(words.contains("40 bit only"), "{words}");
    comes_up(dial_with(encrypted(false, true), ways), true);
}

#[test]
fn a_server_that_rejects_other_kinds_of_mppe_than_its_own_gets_its_own_where_that_is_allowed() {
    for (bits, stateful, short_key) in
        [(BITS_128, true, false), (STATELESS | BITS_40, false, true), (BITS_40, true, true)]
    {
        let ways = Ways {
            mppe: Some((bits, bits)),
            stubborn: true,
            rejects_other_bits: true,
            ..Ways::default()
        };
        comes_up(dial_with(encrypted(stateful, short_key), ways.clone()), true);
        assert_eq!(fails(ways).0, FailureKind::Mppe);
    }
}

#[test]
fn mppe_without_bits_that_is_asked_for_again_and_again_ends_the_call() {
    let taken = STATELESS | BITS_128;
    let (kind, words) = fails(Ways { mppe: Some((0, taken)), stubborn: true, ..Ways::default() });
    assert_eq!(kind, FailureKind::Mppe);
    assert!(words.contains("without a key length"), "{words}");
}

#[test]
fn a_server_without_ccp_is_told_so_by_its_kind() {
    let (kind, words) = fails(Ways { mppe: None, ..Ways::default() });
    assert_eq!(kind, FailureKind::Mppe);
    assert!(words.contains("rejects CCP"), "{words}");
}

#[test]
fn wrong_keys_are_told_from_every_other_end() {
    let (kind, words) = fails(Ways { wrong_keys: true, ..Ways::default() });
    assert_eq!(kind, FailureKind::KeysDisagree, "{words}");
}

#[test]
fn other_authentication_is_refused_with_its_name() {
    for (asked, name) in [
        (Some(vec![0xC0, 0x23]), "PAP"),
        (Some(vec![0xC2, 0x23, 0x05]), "CHAP-MD5"),
        (None, "no authentication"),
    ] {
        let (kind, words) = fails(Ways { authentication: asked, ..Ways::default() });
        assert_eq!(kind, FailureKind::AuthUnsupported, "{words}");
        assert!(words.contains(name), "{words}");
    }
}

#[test]
fn a_wrong_password_is_told_with_the_servers_own_code() {
    let world = dial(Ways { password: "other", ..Ways::default() });
    let Failure::AuthRefused { error, retry, words } = failure(&world) else { panic!() };
    assert_eq!((*error, *retry), (Some(691), Some(false)));
    assert!(words.contains("\"No\""), "{words}");
}

#[test]
fn a_server_that_does_not_know_the_password_is_left() {
    let world = dial(Ways { proves_itself: false, ..Ways::default() });
    assert!(matches!(failure(&world), Failure::ServerNotProven(_)));
}

#[test]
fn refusals_on_the_control_connection_have_their_kinds() {
    let (kind, words) = fails(Ways { start_result: 4, ..Ways::default() });
    assert_eq!((kind, words.contains("not allowed")), (FailureKind::Refused, true), "{words}");

    let world = dial(Ways { call_result: (4, 17), ..Ways::default() });
    let Failure::CallRefused { words, cause } = failure(&world) else { panic!() };
    assert_eq!(*cause, Some(17));
    assert!(words.contains("busy"), "{words}");

    assert_eq!(fails(Ways { silent: true, ..Ways::default() }).0, FailureKind::Unreachable);
    let (kind, words) = fails(Ways { answers_other_call: true, ..Ways::default() });
    assert_eq!((kind, words.contains("4711")), (FailureKind::CallRefused, true), "{words}");
}

/// Why a call ends where GRE is cut off; within `seconds` and what parting takes.
fn cut_off(ways: Ways, line: Line, seconds: u64) -> Failure {
    let settings = Settings { answered_within: Duration::from_secs(seconds), ..settings() };
    let mut world = World::new(settings, ways, line, 1);
    world.run(seconds + 1);
    assert!(world.server.heard_clear && world.server.heard_stop);
    failure(&world).clone()
}

#[test]
fn a_way_that_lets_no_gre_through_has_its_own_kind() {
    let from_server = Line { client_cut_off: true, ..Line::default() };
    let both_ways = Line { server_cut_off: true, ..from_server };
    for line in [from_server, both_ways] {
        for seconds in [5, 20] {
            let failure = cut_off(Ways::default(), line, seconds);
            assert_eq!(failure, Failure::NothingHeard { seconds });
            assert_eq!(failure.kind(), FailureKind::GreBlocked);
        }
    }
}

/// The server is heard, and does not hear.
#[test]
fn a_way_that_lets_gre_through_from_the_server_only_has_the_same_kind_and_its_own_words() {
    let line = Line { server_cut_off: true, ..Line::default() };
    // One that could be asked for MS-CHAPv2, if it heard.
    let eap = Ways { authentication: Some(vec![0xC2, 0x27]), ..Ways::default() };
    for ways in [Ways::default(), eap] {
        for seconds in [5, 20] {
            let failure = cut_off(ways.clone(), line, seconds);
            assert_eq!(failure, Failure::NothingAnswered { seconds });
            assert_eq!(failure.kind(), FailureKind::GreBlocked);
        }
    }
}

#[test]
fn a_server_that_answers_lcp_and_then_falls_silent_is_no_way_that_blocks_gre() {
    let mut world = World::new(settings(), Ways::default(), Line::default(), 1);
    while world.call.phase() < Phase::Authenticating {
        world.step(world.now + Duration::from_secs(1));
    }
    world.line = Line { server_cut_off: true, client_cut_off: true, ..Line::default() };
    world.run(30);
    assert_eq!(failure(&world).kind(), FailureKind::Negotiation);
}

#[test]
fn endless_negotiations_end() {
    for ways in [
        Ways { asks_for_ever: true, ..Ways::default() },
        Ways { naks_for_ever: true, ..Ways::default() },
        Ways { acks_with_other_ids: true, ..Ways::default() },
    ] {
        let (kind, words) = fails(ways);
        assert_eq!(kind, FailureKind::Negotiation, "{words}");
        assert!(words.contains("LCP"), "{words}");
    }
}

#[test]
fn an_address_that_can_not_be_ours_is_refused() {
    for address in ["192.0.2.1", "10.0.0.1", "127.0.0.1", "224.0.0.1"] {
        let address: Ipv4Addr = address.parse().unwrap();
        let (kind, words) = fails(Ways { hands_out: address, ..Ways::default() });
        assert_eq!(kind, FailureKind::AddressRefused, "{words}");
        assert!(words.contains(&address.to_string()), "{words}");
    }
}

#[test]
fn name_servers_are_asked_for_where_they_are_wanted_and_only_there() {
    let has = [10, 0, 0, 53];
    let ways = Ways { name_servers: vec![Opt::new(129, has)], ..Ways::default() };
    let wanted = Settings { ask_resolvers: true, ..settings() };
    let world = comes_up(dial_with(wanted.clone(), ways.clone()), true);
    assert_eq!(world.addresses.unwrap().resolvers, [Ipv4Addr::from(has)]);
    let world = comes_up(dial_with(wanted, Ways::default()), true);
    assert_eq!(world.addresses.unwrap().resolvers, [Ipv4Addr::UNSPECIFIED; 0]);
    let world = comes_up(dial(ways), true);
    assert_eq!(world.addresses.unwrap().resolvers, [Ipv4Addr::UNSPECIFIED; 0]);
}

#[test]
fn a_hang_up_parts_in_order_and_in_less_than_a_second() {
    let mut world = comes_up(dial(Ways::default()), true);
    world.tell(Event::HangUp);
    world.run(1);
    assert_eq!(world.ended, Some(Ending::HungUp));
    let last: Vec<_> = world.done.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(last, ["Channel c021 5", "control 12", "control 3"]);
    assert_eq!(world.call.next_deadline(), None);
}

#[test]
fn a_hang_up_that_nobody_answers_is_over_before_a_stop_loses_its_patience() {
    let mut world = comes_up(dial(Ways::default()), true);
    let mut now = world.now;
    let mut orders = world.call.handle(Event::HangUp, now);
    let began = now;
    while let Some(at) = world.call.next_deadline() {
        now = at;
        orders.extend(world.call.handle(Event::Deadline, now));
    }
    assert_eq!(orders.last(), Some(&super::Order::Ended(Ending::HungUp)));
    assert!(now.since(began) < Duration::from_secs(5), "{:?}", now.since(began));
}

#[test]
fn a_hang_up_is_taken_at_any_time_of_the_dial() {
    for millis in 0..200 {
        let mut world = World::new(settings(), Ways::default(), Line::default(), 1);
        world.call.handle(Event::Deadline, world.now);
        let end = world.now + Duration::from_millis(millis);
        while world.now < end {
            world.step(end);
        }
        world.tell(Event::HangUp);
        world.run(10);
        assert_eq!(world.ended, Some(Ending::HungUp), "after {millis} ms");
    }
}

/// An end and a timer that runs out at the same time.
#[test]
fn nothing_is_wanted_after_the_end() {
    let mut world = World::new(settings(), Ways::default(), Line::default(), 1);
    let end = world.now + Duration::from_millis(100);
    while world.now < end {
        world.step(end);
    }
    let at = world.now + Duration::from_secs(60);
    let orders = world.call.handle(Event::ControlEnded(None), at);
    assert!(matches!(orders[..], [super::Order::Ended(_)]), "{orders:?}");
    assert_eq!(world.call.handle(Event::Deadline, at), []);
}

#[test]
fn the_servers_own_end_is_told_however_it_says_it() {
    for clearing in [Clearing::Notify, Clearing::Request] {
        let mut world = comes_up(dial(Ways { clearing, ..Ways::default() }), true);
        world.server.clear();
        world.run(10);
        assert_eq!(failure(&world).kind(), FailureKind::PeerClosed);
    }
    let mut world = comes_up(dial(Ways::default()), true);
    world.server.terminate("Link inactive");
    world.run(10);
    assert!(failure(&world).to_string().contains("Link inactive"), "{}", failure(&world));

    let mut world = comes_up(dial(Ways::default()), true);
    world.tell(Event::ControlEnded(Some("Connection reset by peer")));
    assert_eq!(failure(&world).kind(), FailureKind::Hangup);
}

#[test]
fn echoes_go_out_only_in_silence_and_their_loss_ends_the_call() {
    let mut world = comes_up(dial(Ways::default()), true);
    for received in [100, 200, 300] {
        world.tell(Event::EchoTick { received });
        world.run(1);
    }
    assert_eq!(world.server.echoes, 0);
    for _ in 0..5 {
        world.tell(Event::EchoTick { received: 300 });
        world.run(1);
    }
    assert_eq!(world.server.echoes, 5);
    assert!(world.is_up());
    world.server.answers_echo = false;
    for _ in 0..4 {
        world.tell(Event::EchoTick { received: 300 });
        world.run(1);
    }
    world.run(10);
    assert_eq!(failure(&world), &Failure::EchoTimeout { missed: 3 });
}

#[test]
fn the_servers_echoes_are_answered() {
    let mut world = comes_up(dial(Ways::default()), true);
    let echo = [9, 5, 0, 10, 0, 0, 0, 1, 7, 7];
    world.server.frame(Protocol::Lcp, &echo);
    world.run(1);
    assert_eq!(world.done.last().map(String::as_str), Some("Channel c021 10"));
    let echo = Message::EchoRequest { id: 3 }.bytes();
    world.tell(Event::Control(&echo));
    assert_eq!(world.done.last().map(String::as_str), Some("control 6"));
}

#[test]
fn a_server_that_begins_anew_under_a_tunnel_ends_the_call() {
    let mut world = comes_up(dial(Ways::default()), true);
    world.server.frame(Protocol::Ccp, &[1, 9, 0, 10, 18, 6, 1, 0, 0, 0x40]);
    world.run(10);
    assert_eq!(failure(&world).kind(), FailureKind::Mppe);

    let mut world = comes_up(dial(Ways::default()), true);
    world.server.frame(Protocol::Lcp, &[1, 9, 0, 9, 3, 5, 0xC2, 0x23, 0x81]);
    world.run(10);
    assert_eq!(failure(&world).kind(), FailureKind::PeerClosed);
}

#[test]
fn an_unreadable_packet_is_answered_by_a_reset_and_never_by_a_reject() {
    let mut world = comes_up(dial(Ways::default()), true);
    world.tell(Event::Frame(&[0x00, 0xFD, 1, 2, 3]));
    assert_eq!(world.done.last().map(String::as_str), Some("Unit 80fd 14"));
    assert!(world.is_up());
}

#[test]
fn a_kernel_order_that_fails_ends_the_call_with_its_words() {
    let mut world = World::new(settings(), Ways::default(), Line::default(), 1);
    world.tell(Event::Failed(Step::MakeUnit, "No such device"));
    world.run(10);
    assert_eq!(failure(&world).to_string(), "making the PPP interface failed: No such device");
}

#[test]
fn bytes_that_are_no_pptp_are_a_refusal() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n"[..], &[0; 4], &[0xFF; 200_000]] {
        let mut world = World::new(settings(), Ways::default(), Line::default(), 1);
        world.tell(Event::Control(bytes));
        assert_eq!(failure(&world).kind(), FailureKind::Refused);
    }
}

fn ways_of(pick: u8) -> Ways {
    match pick % 7 {
        0 => Ways::default(),
        1 => Ways { ipcp_at_once: true, lcp_after: Duration::ZERO, ..Ways::default() },
        2 => late_flag(),
        3 => Ways {
            mppe: Some((STATELESS | BITS_128 | BITS_40 | 0x81, STATELESS | BITS_128)),
            ..Ways::default()
        },
        4 => Ways { odd_lcp: odd_lcp(), ..Ways::default() },
        5 => Ways {
            sets_link_info: true,
            starts_twice: true,
            clearing: Clearing::Request,
            ..Ways::default()
        },
        _ => Ways { loses_success: true, ..Ways::default() },
    }
}

proptest! {
    /// As the kernel's GRE delivers them: late and doubled packets are dropped.
    #[test]
    fn under_loss_delay_and_doubling_a_call_comes_up_and_carries_or_ends_with_a_reason(
        seed: u64, pick: u8, lost in 0_u64..25, doubled in 0_u64..25, jitter in 0_u64..400,
    ) {
        let line = Line { lost, doubled, jitter, ..Line::default() };
        let mut world = World::new(settings(), ways_of(pick), line, seed);
        world.run(150);
        match &world.ended {
            Some(ending) => prop_assert!(matches!(ending, Ending::Failed(_))),
            None => {
                prop_assert!(world.is_up(), "{:?} {:?}", world.call.phase(), world.done);
                prop_assert!(world.carries(true), "{:?}", world.done);
            }
        }
    }

    /// Worse than the kernel lets through.
    #[test]
    fn under_reordering_too_a_call_comes_to_an_end_or_up(
        seed: u64, pick: u8, lost in 0_u64..20, doubled in 0_u64..50, jitter in 0_u64..3_000,
    ) {
        let line = Line { lost, doubled, jitter, unsorted: true, ..Line::default() };
        let mut world = World::new(settings(), ways_of(pick), line, seed);
        world.run(300);
        prop_assert!(world.is_up() || world.ended.is_some(), "{:?}", world.call.phase());
    }

    /// Whatever comes in whatever order: no panic, and a deadline as long as the call is not up.
    #[test]
    fn any_events_are_taken_at_any_time(
        seed: u8,
        events in prop::collection::vec((0_u8..9, prop::collection::vec(any::<u8>(), 0..60), any::<u16>()), 0..60),
        begins in 0_u64..400,
    ) {
        let mut world = World::new(settings(), Ways::default(), Line::default(), seed.into());
        let end = world.now + Duration::from_millis(begins);
        while world.now < end {
            world.step(end);
        }
        let mut now = world.now;
        let call = &mut world.call;
        for (what, bytes, later) in events {
            let protocols = [[0xC0, 0x21], [0xC2, 0x23], [0x80, 0xFD], [0x80, 0x21], [0, 0xFD], [0x80, 0x57]];
            let frame = [&protocols[usize::from(later) % 6][..], &bytes].concat();
            let steps = [Step::ConnectData, Step::MakeUnit, Step::SetCompressor, Step::SetFlags, Step::Configure];
            let event = match what {
                0 => Event::Control(&bytes),
                1 | 2 => Event::Frame(&frame),
                3 => Event::Frame(&bytes),
                4 => Event::Done(steps[usize::from(later) % 5]),
                5 if later % 8 == 0 => Event::HangUp,
                6 => Event::EchoTick { received: later.into() },
                7 if later % 8 == 0 => Event::Failed(steps[usize::from(later / 8) % 5], "no"),
                _ => Event::Deadline,
            };
            now = now + Duration::from_millis(u64::from(later) / 16);
            let orders = call.handle(event, now);
            let end = orders.iter().position(|order| matches!(order, super::Order::Ended(_)));
            prop_assert!(end.is_none_or(|end| end + 1 == orders.len()));
            if call.phase() == Phase::Ended {
                prop_assert_eq!(call.next_deadline(), None);
            }
        }
        // From anywhere, a hang-up comes to its end.
        call.handle(Event::HangUp, now);
        for _ in 0..100 {
            let Some(at) = call.next_deadline() else { break };
            call.handle(Event::Deadline, at.max(now));
        }
        prop_assert_eq!(call.phase(), Phase::Ended);
    }
}

#[test]
fn another_process_goes_on_with_a_call_that_is_up() {
    let mut world = comes_up(dial(Ways::default()), true);
    let standing = world.call.standing().unwrap();
    assert_eq!(standing.server_call_id, 0);
    world.go_on(standing);
    assert_eq!(world.done.last().map(String::as_str), Some("Channel c021 9"));
    let mut world = comes_up(world, true);
    assert_eq!(world.server.echoes, 1);
    assert_eq!(world.call.standing(), Some(standing));
    world.tell(Event::HangUp);
    world.run(2);
    assert_eq!(world.ended, Some(Ending::HungUp));
    assert!(world.server.heard_terminate && world.server.heard_clear && world.server.heard_stop);
}

#[test]
fn a_server_that_is_gone_when_another_process_goes_on_is_found_out() {
    let mut world = comes_up(dial(Ways::default()), true);
    world.server.answers_echo = false;
    world.go_on(world.call.standing().unwrap());
    for _ in 0..4 {
        world.tell(Event::EchoTick { received: 300 });
        world.run(1);
    }
    world.run(10);
    assert_eq!(failure(&world).kind(), FailureKind::EchoTimeout);
}

#[test]
fn a_server_that_asks_a_call_that_was_gone_on_with_again_is_answered_once_the_password_is_known() {
    let mut world = comes_up(dial(Ways::default()), true);
    world.go_on(world.call.standing().unwrap());
    // Challenge (RFC 1994 section 4.1) with a value of 16 bytes.
    let challenge = frame(Protocol::Chap, &[&[1, 9, 0, 21, 16][..], &[7; 16]].concat());
    assert_eq!(world.call.handle(Event::Frame(&challenge), world.now), []);
    world.call.know(Secret::parse("secret").unwrap());
    let orders = world.call.handle(Event::Frame(&challenge), world.now);
    assert!(matches!(orders.as_slice(), [Order::Frame(Via::Channel, _)]), "{orders:?}");
    assert!(world.is_up());
}

/// The server's first request of IPCP, with an option that was rejected: it sent a second copy before it
/// heard of that.
#[test]
fn a_request_of_before_that_comes_late_costs_a_call_that_is_up_nothing() {
    let mut world = comes_up(dial(Ways::default()), true);
    let late = [1, 1, 0, 16, 2, 6, 0, 0x2D, 0x0F, 1, 3, 6, 10, 0, 0, 1];
    world.tell(Event::Frame(&frame(Protocol::Ipcp, &late)));
    world.run(10);
    let world = comes_up(world, true);
    assert_eq!(world.done.iter().filter(|done| *done == "Configure").count(), 1);
}

#[test]
fn one_seed_gives_one_call() {
    let orders = || Call::new(settings(), Dice::new([3; 32]), Monotonic(5)).1;
    assert_eq!(orders(), orders());
}

#[test]
fn a_call_shows_no_secret() {
    let world = comes_up(dial(Ways::default()), true);
    let shown = format!("{:?}", world.call);
    assert!(!shown.contains("\"secret\""), "{shown}");
    assert!(shown.contains("Secret(…)") && shown.contains("StartKey(…)"), "{shown}");
}
