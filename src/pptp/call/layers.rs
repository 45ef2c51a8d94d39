//! What the negotiations lead to: the next layer, or the end.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::bytes::shown;
use crate::pptp::failure::Failure;
use crate::pptp::order::{Addresses, Compressor, Direction, Flags, KernelOrder, Order, Via};
use crate::pptp::ppp::{Code, Output, Packet, Protocol, frame};

use super::server_end::meant_by;
use super::{Call, Phase, Wait};

/// How long a step of authentication is waited for, and how often.
pub(super) const PROOF_PATIENCE: Duration = Duration::from_secs(3);
pub(super) const PROOF_TRIES: u32 = 5;

impl Call {
    pub(super) fn send_lcp(&mut self, packet: &Packet) {
        self.orders.push(Order::Frame(Via::Channel, frame(Protocol::Lcp, &packet.bytes())));
    }

    /// CCP goes through the unit, where the kernel sees it, and keys go before the packets that
    /// make it use them.
    pub(super) fn send_ccp(&mut self, packet: &Packet) {
        let order = Order::Frame(Via::Unit, frame(Protocol::Ccp, &packet.bytes()));
        match packet.code {
            Code::ConfigureRequest => {
                self.set_compressor(Direction::Receive, packet);
                self.orders.push(order);
            }
            Code::ConfigureAck => {
                // The kernel takes keys from an acknowledgement only while CCP is not up: one that
                // is repeated needs it down for a moment.
                let again = self.ccp.is_opened() && self.phase > Phase::Encrypting;
                if again {
                    self.change(KernelOrder::SetFlags(Flags::CcpOpen));
                }
                self.set_compressor(Direction::Transmit, packet);
                self.orders.push(order);
                if again {
                    self.change(KernelOrder::SetFlags(Flags::Encrypting));
                }
            }
            Code::ConfigureNak
            | Code::ConfigureReject
            | Code::TerminateRequest
            | Code::TerminateAck
            | Code::CodeReject
            | Code::ProtocolReject
            | Code::EchoRequest
            | Code::EchoReply
            | Code::DiscardRequest
            | Code::ResetRequest
            | Code::ResetAck
            | Code::Other(_) => self.orders.push(order),
        }
    }

    /// The packet's only option is the one of MPPE: nothing else is asked for or acknowledged.
    fn set_compressor(&mut self, direction: Direction, packet: &Packet) {
        let (Some(keys), Ok(option)) = (&self.keys, packet.data.as_slice().try_into()) else {
            return;
        };
        let key = match direction {
            Direction::Receive => keys.receive.clone(),
            Direction::Transmit => keys.transmit.clone(),
        };
        self.change(KernelOrder::SetCompressor(Compressor { direction, option, key }));
    }

    pub(super) fn on_lcp_outputs(&mut self, outputs: Vec<Output>, now: Monotonic) {
        for output in outputs {
            if self.phase == Phase::Ended {
                return;
            }
            match output {
                Output::Send(packet) => self.send_lcp(&packet),
                // The server has agreed before it heard of the end.
                Output::Up if self.phase == Phase::Ending => {}
                Output::Up => {
                    self.phase = Phase::Authenticating;
                    self.wait(Wait::Proof { again: PROOF_TRIES }, PROOF_PATIENCE, now);
                }
                Output::Down => match self.phase {
                    Phase::Ending => {}
                    // The server did not hear that both agree.
                    Phase::Authenticating => self.phase = Phase::Link,
                    Phase::Control
                    | Phase::Calling
                    | Phase::Link
                    | Phase::Encrypting
                    | Phase::Addressing
                    | Phase::Up
                    | Phase::Ended => {
                        let words = "it ended LCP or began it anew".to_owned();
                        self.fail(Failure::PeerClosed(words), now);
                    }
                },
                Output::Terminated(words) => self.on_lcp_terminated(&words, now),
                Output::Finished => self.link_is_down(now),
                Output::EchoDue => {}
                // What asks for the same again and again may not have heard our wish.
                Output::Failed(Failure::AuthUnsupported { .. }) if !self.answered => {}
                Output::Failed(failure) => self.fail(failure, now),
            }
        }
    }

    fn on_lcp_terminated(&mut self, words: &[u8], now: Monotonic) {
        let text = shown(words);
        let words = match text.as_str() {
            "" => "LCP Terminate-Request".to_owned(),
            text => format!("LCP Terminate-Request, it says {text:?}"),
        };
        let failure = self.not_encrypted(&words).or_else(|| meant_by(&text, &words));
        let failure = failure.unwrap_or_else(|| self.ended_by_server(&words, now));
        self.fail(failure, now);
    }

    /// Nothing came of authentication so far: the answer goes out again, for it or what it led to
    /// may be lost (RFC 1994 section 4.1).
    pub(super) fn unproven(&mut self, again: u32, now: Monotonic) {
        let Some(again) = again.checked_sub(1) else {
            let detail = if self.chap.answer().is_some() {
                "the server does not say whether it takes login and password"
            } else {
                "the server asked for MS-CHAPv2 and sends no challenge"
            };
            let failure = Failure::Negotiation { protocol: "MS-CHAPv2", detail: detail.to_owned() };
            return self.fail(failure, now);
        };
        if let Some(answer) = self.chap.answer() {
            self.orders.push(Order::Frame(Via::Channel, frame(Protocol::Chap, answer)));
        }
        self.wait(Wait::Proof { again }, PROOF_PATIENCE, now);
    }

    pub(super) fn start_ccp(&mut self, now: Monotonic) {
        self.wait = None;
        let early = self.early_ccp.take().and_then(|early| Packet::parse(&early));
        if let Some(packet) = early.as_ref().filter(|early| early.code == Code::ConfigureRequest) {
            self.ccp.options.offered(&packet.data);
        }
        let outputs = self.ccp.start(now);
        self.on_ccp_outputs(outputs, now);
        if let Some(packet) = early {
            let outputs = self.ccp.receive(packet, now);
            self.on_ccp_outputs(outputs, now);
        }
    }

    pub(super) fn on_ccp_outputs(&mut self, outputs: Vec<Output>, now: Monotonic) {
        for output in outputs {
            if self.phase >= Phase::Ending {
                return;
            }
            match output {
                Output::Send(packet) => self.send_ccp(&packet),
                Output::Up => {
                    self.change(KernelOrder::SetFlags(Flags::Encrypting));
                    self.start_ipcp(now);
                }
                Output::Down => {
                    let words = "the server began CCP anew".to_owned();
                    self.fail(Failure::Mppe(words), now);
                }
                Output::Terminated(words) => self.on_ccp_terminated(&words, now),
                Output::Failed(failure) => self.fail(failure, now),
                Output::Finished | Output::EchoDue => {}
            }
        }
    }

    fn on_ccp_terminated(&mut self, words: &[u8], now: Monotonic) {
        let words = shown(words);
        let failure = Failure::Mppe(format!("the server ended CCP (Terminate-Request {words:?})"));
        self.fail(failure, now);
    }

    pub(super) fn start_ipcp(&mut self, now: Monotonic) {
        self.phase = Phase::Addressing;
        let outputs = self.ipcp.start(now);
        self.on_ipcp_outputs(outputs, now);
        if let Some(packet) = self.early_ipcp.take().and_then(|early| Packet::parse(&early)) {
            let outputs = self.ipcp.receive(packet, now);
            self.on_ipcp_outputs(outputs, now);
        }
    }

    pub(super) fn on_ipcp_outputs(&mut self, outputs: Vec<Output>, now: Monotonic) {
        for output in outputs {
            if self.phase >= Phase::Ending {
                return;
            }
            match output {
                Output::Send(packet) => {
                    let frame = frame(Protocol::Ipcp, &packet.bytes());
                    self.orders.push(Order::Frame(Via::Unit, frame));
                }
                Output::Up => self.on_addresses(now),
                // A request of before its end that comes late begins IPCP anew; where the same comes
                // of it, nothing has changed.
                Output::Down if self.addresses.is_some() => {}
                Output::Down => {
                    let words = "it ended IPCP or began it anew".to_owned();
                    self.fail(Failure::PeerClosed(words), now);
                }
                Output::Terminated(words) => {
                    let words = format!("IPCP Terminate-Request {:?}", shown(&words));
                    self.fail(Failure::PeerClosed(words), now);
                }
                Output::Failed(failure) => self.fail(failure, now),
                Output::Finished | Output::EchoDue => {}
            }
        }
    }

    /// So large that the server takes what is sent.
    fn mtu(&self) -> u16 {
        let frame = self.settings.mtu.min(self.lcp.options.peer_mru);
        if self.is_encrypted() { frame.saturating_sub(MPPE_ADDS) } else { frame }
    }

    fn on_addresses(&mut self, now: Monotonic) {
        let (local, peer) = (self.ipcp.options.local, self.ipcp.options.peer);
        if let Some(why) = unusable(local, peer, self.settings.server) {
            return self.fail(Failure::AddressRefused { address: local, why }, now);
        }
        let resolvers = self.ipcp.options.resolvers();
        let addresses = Addresses { local, peer, mtu: self.mtu(), resolvers };
        match &self.addresses {
            None => {
                self.addresses = Some(addresses.clone());
                self.change(KernelOrder::Configure(addresses));
            }
            Some(before) if *before == addresses => {}
            Some(_) => {
                let words = "it began IPCP anew and gave other addresses".to_owned();
                self.fail(Failure::PeerClosed(words), now);
            }
        }
    }
}

/// What MPPE adds to a packet: its own header, and the protocol again (RFC 3078 section 3).
const MPPE_ADDS: u16 = 4;

/// Why an address can't be this end's, as far as the call itself can tell.
fn unusable(local: Ipv4Addr, peer: Option<Ipv4Addr>, server: Ipv4Addr) -> Option<&'static str> {
    if local == server {
        Some("which is the server's own address: packets to the server would stay here")
    } else if Some(local) == peer {
        Some("which it has for its own end, too")
    } else if local.is_unspecified() {
        Some("which is none")
    } else if local.is_loopback() || local.is_multicast() || local.is_broadcast() {
        Some("which no interface can have")
    } else {
        None
    }
}
