//! Whether the other side is still there, and whether it can be understood.

use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::failure::Failure;
use crate::pptp::ppp::{Code, Output, Packet};

use super::{Call, Phase};

/// What tells of the other side's life.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// Echoes sent since anything was heard.
    missed: u32,
    /// Bytes that the link had received at the latest tick.
    received: Option<u64>,
}

impl Liveness {
    /// A PPP frame came.
    pub(super) fn heard(&mut self) {
        self.missed = 0;
    }

    /// How many echoes are unanswered, where that tells of silence: a latest one may be on its way.
    pub(super) fn silence(&self) -> Option<u32> {
        Some(self.missed).filter(|missed| *missed >= 2)
    }
}

/// Unknown protocols within this time are garbage together.
const GARBAGE_WINDOW: Duration = Duration::from_secs(10);
const GARBAGE_MOST: u32 = 8;
/// How long the answer to a Reset-Request is waited for before the next, and how many are sent
/// without one.
const RESET_PATIENCE: Duration = Duration::from_millis(500);
const RESETS_MOST: u32 = 10;

/// What could not be understood.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    unknown: u32,
    unknown_since: Monotonic,
    resets: u32,
    reset_at: Option<Monotonic>,
}

impl Garbage {
    /// A packet of a protocol that nobody speaks; whether there were too many.
    pub(super) fn unknown(&mut self, now: Monotonic) -> bool {
        if self.unknown == 0 || now.since(self.unknown_since) > GARBAGE_WINDOW {
            self.unknown = 0;
            self.unknown_since = now;
        }
        self.unknown += 1;
        self.unknown >= GARBAGE_MOST
    }

    /// A packet that the kernel could not decrypt; whether a Reset-Request is due.
    pub(super) fn wants_reset(&mut self, now: Monotonic) -> bool {
        if self.reset_at.is_some_and(|at| now.since(at) < RESET_PATIENCE) {
            return false;
        }
        self.reset_at = Some(now);
        self.resets += 1;
        true
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.resets > RESETS_MOST
    }

    /// Whether so much could not be understood lately that it is no accident.
    pub(super) fn tells_of_wrong_keys(&self, now: Monotonic) -> bool {
        let unknown_lately = now.since(self.unknown_since) <= GARBAGE_WINDOW;
        self.resets >= 2 || (self.unknown >= 2 && unknown_lately)
    }

    /// The server has answered a Reset-Request.
    pub(super) fn readable_again(&mut self) {
        self.resets = 0;
        self.reset_at = None;
    }
}

impl Call {
    /// An echo goes out where nothing came since the last tick, and after so many without an answer
    /// the call ends (RFC 1661 section 5.8).
    pub(super) fn on_echo_tick(&mut self, received: u64, now: Monotonic) {
        if self.phase != Phase::Up || self.settings.echo_failures == 0 {
            return;
        }
        match self.liveness.received.replace(received) {
            // The first tick has nothing to compare with.
            None => return,
            Some(before) if before != received => return self.liveness.heard(),
            Some(_) => {}
        }
        let missed = self.liveness.missed;
        if missed >= self.settings.echo_failures {
            return self.fail(Failure::EchoTimeout { missed }, now);
        }
        self.send_echo();
    }

    pub(super) fn send_echo(&mut self) {
        self.liveness.missed += 1;
        self.packet_id = self.packet_id.wrapping_add(1);
        let magic = self.lcp.options.magic.to_be_bytes().to_vec();
        self.send_lcp(&Packet::new(Code::EchoRequest, self.packet_id, magic));
    }

    pub(super) fn on_echo_request(&mut self, packet: &Packet, now: Monotonic) {
        if self.lcp.echo(now).contains(&Output::EchoDue) {
            // Our magic number stands in place of theirs; the rest comes back as it came.
            let mut data = self.lcp.options.magic.to_be_bytes().to_vec();
            data.extend(packet.data.get(4..).unwrap_or_default());
            self.send_lcp(&Packet::new(Code::EchoReply, packet.id, data));
        }
    }
}
