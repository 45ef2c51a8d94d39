//! Whole calls against servers that say what nobody would: what a server has said in a call that went
//! as it should, changed anywhere.

use std::collections::VecDeque;

use super::server::{BITS_40, BITS_128, STATELESS, Ways};
use super::world::{Line, World, dice, settings};
use crate::core::time::Monotonic;
use crate::fuzz::fuzz_texts;
use crate::pptp::{Call, Encryption, Event, Order, Phase, Settings};

/// No message or frame of a call that goes as it should is longer.
const LONGEST: usize = 255;

/// What a call was told, in a form that can be changed anywhere and still be read: a letter, a length,
/// the bytes.
#[derive(Debug, Default)]
pub(super) struct Transcript(Vec<u8>);

impl Transcript {
    pub(super) fn add(&mut self, event: &Event<'_>) {
        let (letter, bytes) = match event {
            Event::Control(bytes) => (b'c', *bytes),
            Event::Frame(bytes) => (b'f', *bytes),
            Event::ControlEnded(_) => (b'e', &[][..]),
            Event::Deadline => (b't', &[][..]),
            Event::HangUp => (b'h', &[][..]),
            // The one that reads does these by itself.
            Event::DataEnded(_) | Event::Done(_) | Event::Failed(..) | Event::EchoTick { .. } => {
                return;
            }
        };
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        self.0.extend([letter, u8::try_from(bytes.len()).unwrap()]);
        self.0.extend(bytes);
    }
}

/// The events of a text.
fn events(mut text: &[u8]) -> impl Iterator<Item = Event<'_>> {
    std::iter::from_fn(move || {
        let (&letter, rest) = text.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (bytes, rest) = rest.split_at(rest.len().min(length.into()));
        text = rest;
        Some(match letter {
            b'c' => Event::Control(bytes),
            b'e' => Event::ControlEnded(None),
            b't' => Event::Deadline,
            b'h' => Event::HangUp,
            _ => Event::Frame(bytes),
        })
    })
}

const SEED: u64 = 1;

/// What takes every encryption that there is.
fn any_encryption() -> Settings {
    Settings { encryption: Encryption::Required { stateful: true, short_key: true }, ..settings() }
}

/// What servers have said in calls that went as they should.
fn calls() -> Vec<Vec<u8>> {
    let ways = [
        Ways::default(),
        Ways { ipcp_at_once: true, vj_and_ipv6: true, ..Ways::default() },
        Ways { mppe: Some((BITS_128, BITS_128)), ..Ways::default() },
        Ways { mppe: Some((STATELESS | BITS_40, STATELESS | BITS_40)), ..Ways::default() },
    ];
    let said = ways.map(|ways| {
        let mut world = World::new(any_encryption(), ways, Line::default(), SEED);
        world.run(30);
        assert!(world.is_up(), "{:?}", world.done);
        world.tell(Event::HangUp);
        world.run(10);
        world.transcript.0
    });
    said.into()
}

/// Has a call hear a text; the call, and whether it was up on the way.
fn hear(text: &[u8]) -> (Call, bool) {
    let mut now = Monotonic(1_000);
    let (mut call, orders) = Call::new(any_encryption(), dice(SEED), now);
    carry_out(&mut call, orders, now);
    let mut was_up = false;
    for event in events(text) {
        if call.phase() == Phase::Ended {
            break;
        }
        if let (Event::Deadline, Some(at)) = (&event, call.next_deadline()) {
            now = now.max(at);
        }
        let orders = call.handle(event, now);
        carry_out(&mut call, orders, now);
        was_up |= call.phase() == Phase::Up;
    }
    (call, was_up)
}

/// Every kernel order succeeds at once.
fn carry_out(call: &mut Call, orders: Vec<Order>, now: Monotonic) {
    let mut orders = VecDeque::from(orders);
    let mut count = 0;
    while let Some(order) = orders.pop_front() {
        count += 1;
        assert!(count < 100, "orders without an end");
        match order {
            Order::Kernel(order) => orders.extend(call.handle(Event::Done(order.step()), now)),
            Order::Control(_) | Order::Frame(..) => {}
            Order::Ended(_) => assert_eq!((call.phase(), orders.len()), (Phase::Ended, 0)),
        }
    }
}

#[test]
fn a_call_goes_on_or_ends_whatever_its_server_says() {
    let calls = calls();
    for text in &calls {
        let (call, was_up) = hear(text);
        assert!(was_up, "unchanged, it comes to {:?}", call.phase());
    }
    fuzz_texts("calls of the kernel engine", calls, |text| {
        let (call, _) = hear(text);
        let waits = match call.phase() {
            Phase::Up | Phase::Ended => true,
            _ => call.next_deadline().is_some(),
        };
        assert!(waits, "it waits for nothing in {:?}", call.phase());
    });
}
