//! PPP frames that came, each to its protocol.

use crate::core::time::Monotonic;
use crate::pptp::auth::Outcome;
use crate::pptp::bytes::Reader;
use crate::pptp::failure::Failure;
use crate::pptp::order::{KernelOrder, Order, Via};
use crate::pptp::ppp::{Code, Packet, Protocol, frame, split_frame};

use super::layers::{PROOF_PATIENCE, PROOF_TRIES};
use super::{Call, Phase, Wait};

impl Call {
    pub(super) fn on_frame(&mut self, frame: &[u8], now: Monotonic) {
        let Some((protocol, bytes)) = split_frame(frame) else { return };
        self.heard = true;
        self.liveness.heard();
        if answers_ours(protocol, bytes) {
            self.first_answer();
        }
        match protocol {
            Protocol::Lcp => self.on_lcp(bytes, now),
            Protocol::Chap => self.on_chap(bytes, now),
            Protocol::Ccp => self.on_ccp(bytes, now),
            Protocol::Ipcp => self.on_ipcp(bytes, now),
            Protocol::Encrypted => self.on_unreadable(now),
            Protocol::Other(number) => self.on_other(number, bytes, now),
        }
    }

    fn first_answer(&mut self) {
        self.answered = true;
        if matches!(self.wait, Some((_, Wait::Answer))) {
            self.wait = None;
        }
    }

    fn on_lcp(&mut self, bytes: &[u8], now: Monotonic) {
        let Some(packet) = Packet::parse(bytes) else { return };
        match packet.code {
            Code::EchoRequest => self.on_echo_request(&packet, now),
            Code::EchoReply | Code::DiscardRequest => {}
            Code::ProtocolReject => self.on_protocol_reject(&packet, now),
            Code::ConfigureRequest
            | Code::ConfigureAck
            | Code::ConfigureNak
            | Code::ConfigureReject
            | Code::TerminateRequest
            | Code::TerminateAck
            | Code::CodeReject
            | Code::ResetRequest
            | Code::ResetAck
            | Code::Other(_) => {
                let outputs = self.lcp.receive(packet, now);
                self.on_lcp_outputs(outputs, now);
            }
        }
    }

    fn on_chap(&mut self, bytes: &[u8], now: Monotonic) {
        if !self.lcp.is_opened() || self.phase == Phase::Ending {
            return;
        }
        let Call { chap, settings, dice, .. } = self;
        // A server that asks again before it is known asks once more.
        let Some(password) = &settings.password else { return };
        match chap.handle(bytes, &settings.login, password, dice) {
            Outcome::Ignored => {}
            Outcome::Answer(answer) => {
                self.orders.push(Order::Frame(Via::Channel, frame(Protocol::Chap, &answer)));
                if self.phase == Phase::Authenticating {
                    self.wait(Wait::Proof { again: PROOF_TRIES }, PROOF_PATIENCE, now);
                }
            }
            Outcome::Proven(keys) if self.phase == Phase::Authenticating => {
                self.keys = Some(keys);
                self.wait = None;
                self.phase = Phase::Encrypting;
                self.change(KernelOrder::MakeUnit);
            }
            // Asked again in the middle of a call: the keys stay as they are (RFC 3078 section 7).
            Outcome::Proven(_) => {}
            Outcome::Failed(failure) => self.fail(failure, now),
        }
    }

    fn on_ccp(&mut self, bytes: &[u8], now: Monotonic) {
        if self.phase == Phase::Ending {
            return;
        }
        if !self.is_encrypted() {
            self.ccp_refused = true;
            return self.reject_protocol(Protocol::Ccp, bytes);
        }
        if !self.ccp.is_started() {
            self.early_ccp = Some(bytes.to_vec());
            // The unit is made, and this is what was waited for.
            if self.unit_is_made {
                self.start_ccp(now);
            }
            return;
        }
        let Some(packet) = Packet::parse(bytes) else { return };
        match packet.code {
            // Packets have gone through: keys and counters can't start anew under them, and from
            // here on the kernel sends unencrypted.
            Code::ConfigureRequest if self.phase == Phase::Up => {
                self.fail(Failure::Mppe("the server began CCP anew".to_owned()), now);
            }
            Code::ResetRequest => {
                // The kernel sees the answer pass and starts its own history anew.
                let answer = Packet::new(Code::ResetAck, packet.id, Vec::new());
                self.send_ccp(&answer);
            }
            Code::ResetAck => self.garbage.readable_again(),
            Code::ConfigureRequest
            | Code::ConfigureAck
            | Code::ConfigureNak
            | Code::ConfigureReject
            | Code::TerminateRequest
            | Code::TerminateAck
            | Code::CodeReject
            | Code::ProtocolReject
            | Code::EchoRequest
            | Code::EchoReply
            | Code::DiscardRequest
            | Code::Other(_) => {
                let outputs = self.ccp.receive(packet, now);
                self.on_ccp_outputs(outputs, now);
            }
        }
    }

    fn on_ipcp(&mut self, bytes: &[u8], now: Monotonic) {
        if self.phase == Phase::Ending {
            return;
        }
        if !self.ipcp.is_started() {
            self.early_ipcp = Some(bytes.to_vec());
            return;
        }
        if let Some(packet) = Packet::parse(bytes) {
            let outputs = self.ipcp.receive(packet, now);
            self.on_ipcp_outputs(outputs, now);
        }
    }

    /// A frame that the kernel could not decrypt, or did not: after one it reads nothing until the
    /// server has answered a Reset-Request (RFC 3078 section 5). Never a Protocol-Reject.
    fn on_unreadable(&mut self, now: Monotonic) {
        if !self.ccp.is_opened() || !self.garbage.wants_reset(now) {
            return;
        }
        if self.garbage.is_hopeless() {
            let words = "the server's packets stay unreadable, whatever is reset".to_owned();
            return self.fail(Failure::KeysDisagree(words), now);
        }
        self.packet_id = self.packet_id.wrapping_add(1);
        let request = Packet::new(Code::ResetRequest, self.packet_id, Vec::new());
        self.send_ccp(&request);
    }

    fn on_other(&mut self, number: u16, bytes: &[u8], now: Monotonic) {
        // Control protocols of the network layer are known by their range (RFC 1661 section 2).
        // Where packets are encrypted, anything else is what a wrong key makes of them.
        if number >= 0x8000 {
            return self.reject_protocol(Protocol::Other(number), bytes);
        }
        if self.ccp.is_opened() {
            self.unknown_protocol(number, now);
        }
    }

    fn unknown_protocol(&mut self, number: u16, now: Monotonic) {
        if self.garbage.unknown(now) {
            let words =
                format!("packets come out as protocols that nobody speaks, such as {number:#06x}");
            self.fail(Failure::KeysDisagree(words), now);
        }
    }

    fn reject_protocol(&mut self, protocol: Protocol, bytes: &[u8]) {
        if !self.lcp.is_opened() || self.phase == Phase::Ending {
            return;
        }
        self.packet_id = self.packet_id.wrapping_add(1);
        let whole = frame(protocol, bytes);
        // No longer than the server can take (RFC 1661 section 5.7).
        let most = usize::from(self.lcp.options.peer_mru.saturating_sub(4));
        let data = whole.get(..most).unwrap_or(&whole).to_vec();
        self.send_lcp(&Packet::new(Code::ProtocolReject, self.packet_id, data));
    }

    fn on_protocol_reject(&mut self, packet: &Packet, now: Monotonic) {
        let Some(number) = Reader::new(&packet.data).u16() else { return };
        if !self.lcp.is_opened() {
            return;
        }
        let failure = match Protocol::of(number) {
            Protocol::Encrypted => Failure::KeysDisagree(
                "the server rejects what is encrypted (Protocol-Reject of 0x00fd)".to_owned(),
            ),
            Protocol::Ccp => Failure::Mppe("the server has none: it rejects CCP".to_owned()),
            Protocol::Ipcp => Failure::Negotiation {
                protocol: "IPCP",
                detail: "the server rejects it as a whole".to_owned(),
            },
            Protocol::Lcp | Protocol::Chap => Failure::Negotiation {
                protocol: "LCP",
                detail: format!("the server rejects {}", Protocol::of(number)),
            },
            // Nothing like it was sent: it is what a wrong key made of it.
            Protocol::Other(number) => {
                if self.ccp.is_opened() {
                    self.unknown_protocol(number, now);
                }
                return;
            }
        };
        self.fail(failure, now);
    }
}

/// Whether only a side that has heard ours sends it: an answer, or what comes once LCP is agreed.
fn answers_ours(protocol: Protocol, bytes: &[u8]) -> bool {
    match protocol {
        Protocol::Lcp => Packet::parse(bytes).is_some_and(|packet| match packet.code {
            Code::ConfigureAck
            | Code::ConfigureNak
            | Code::ConfigureReject
            | Code::TerminateAck
            | Code::CodeReject
            | Code::ProtocolReject
            | Code::EchoReply => true,
            Code::ConfigureRequest
            | Code::TerminateRequest
            | Code::EchoRequest
            | Code::DiscardRequest
            | Code::ResetRequest
            | Code::ResetAck
            | Code::Other(_) => false,
        }),
        Protocol::Chap | Protocol::Ccp | Protocol::Ipcp => true,
        Protocol::Encrypted | Protocol::Other(_) => false,
    }
}
