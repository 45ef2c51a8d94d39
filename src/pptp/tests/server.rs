//! The server's side of a call by the same protocol code, with the ways of real servers and worse.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::kernel::Unit;
use crate::core::time::Monotonic;
use crate::pptp::auth::{
    Code as ChapCode, Packet as ChapPacket, Side, StartKeys, authenticator_response, nt_response,
    password_hash, start_keys,
};
use crate::pptp::control::{CallReply, Cutter, Message, StartReply};
use crate::pptp::failure::Failure;
use crate::pptp::order::{Compressor, Direction, Flags};
use crate::pptp::ppp::{
    Code, Judgement, Manner, Negotiation, Opt, Options, Output, Packet, Protocol, frame,
    parse_options, split_frame,
};

const CHALLENGE: [u8; 16] = [0xA5; 16];
pub(super) const STATELESS: u32 = 0x0100_0000;
pub(super) const BITS_128: u32 = 0x40;
pub(super) const BITS_40: u32 = 0x20;

/// How it calls the end of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Clearing {
    #[default]
    Notify,
    Request,
}

/// A server's ways.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    pub(super) call_id: u16,
    pub(super) start_result: u8,
    pub(super) starts_twice: bool,
    pub(super) silent: bool,
    pub(super) call_result: (u8, u16),
    pub(super) answers_other_call: bool,
    pub(super) sets_link_info: bool,
    pub(super) clearing: Clearing,
    /// The authentication option, insisted on.
    pub(super) authentication: Option<Vec<u8>>,
    pub(super) odd_lcp: Vec<Opt>,
    /// How long it takes from the call to its PPP.
    pub(super) lcp_after: Duration,
    /// A new request for whatever is answered.
    pub(super) asks_for_ever: bool,
    /// Every LCP request of the client is refused.
    pub(super) naks_for_ever: bool,
    pub(super) acks_with_other_ids: bool,
    pub(super) password: &'static str,
    pub(super) proves_itself: bool,
    /// Its first word of success does not come through.
    pub(super) loses_success: bool,
    /// Bits that are asked for, and those that are taken; no CCP at all without.
    pub(super) mppe: Option<(u32, u32)>,
    /// MPPE bits that are repeated whatever is answered.
    pub(super) stubborn: bool,
    pub(super) wrong_keys: bool,
    /// accel-ppp: CCP and IPCP at once, and the kernel is told that late.
    pub(super) ipcp_at_once: bool,
    pub(super) ccp_flag_after: Duration,
    pub(super) vj_and_ipv6: bool,
    pub(super) hands_out: Ipv4Addr,
}

impl Default for Ways {
    /// pptpd's.
    fn default() -> Self {
        Ways {
            call_id: 0,
            start_result: 1,
            starts_twice: false,
            silent: false,
            call_result: (1, 0),
            answers_other_call: false,
            sets_link_info: false,
            clearing: Clearing::Notify,
            authentication: Some(vec![0xC2, 0x23, 0x81]),
            odd_lcp: vec![Opt::new(2, [0; 4]), Opt::new(7, []), Opt::new(8, [])],
            lcp_after: Duration::from_millis(60),
            asks_for_ever: false,
            naks_for_ever: false,
            acks_with_other_ids: false,
            password: "secret",
            proves_itself: true,
            loses_success: false,
            mppe: Some((STATELESS | BITS_128, STATELESS | BITS_128)),
            stubborn: false,
            wrong_keys: false,
            ipcp_at_once: false,
            ccp_flag_after: Duration::ZERO,
            vj_and_ipv6: true,
            hands_out: Ipv4Addr::new(10, 0, 0, 2),
        }
    }
}

#[derive(Debug)]
struct Lcp {
    authentication: Option<Vec<u8>>,
    odd: Vec<Opt>,
    naks_for_ever: bool,
}

impl Options for Lcp {
    const NAME: &'static str = "LCP";
    fn wanted(&self) -> Vec<Opt> {
        let mut wanted = vec![Opt::new(5, [9, 9, 9, 9])];
        wanted.extend(self.authentication.iter().map(|data| Opt::new(3, data.clone())));
        wanted.extend(self.odd.clone());
        wanted
    }
    fn judge(&mut self, _asked: &[Opt], _patience: bool) -> Judgement {
        if self.naks_for_ever { Judgement::Nak(vec![Opt::new(1, [5, 0])]) } else { Judgement::Ack }
    }
    fn naked(&mut self, _options: &[Opt]) -> Result<(), Failure> {
        Ok(())
    }
    fn rejected(&mut self, options: &[Opt]) -> Result<(), Failure> {
        self.odd.retain(|odd| !options.contains(odd));
        Ok(())
    }
}

#[derive(Debug)]
struct Ccp {
    asked: u32,
    taken: u32,
    stubborn: bool,
}

impl Options for Ccp {
    const NAME: &'static str = "CCP";
    fn wanted(&self) -> Vec<Opt> {
        vec![Opt::new(18, self.asked.to_be_bytes())]
    }
    fn judge(&mut self, asked: &[Opt], _patience: bool) -> Judgement {
        let taken = Opt::new(18, self.taken.to_be_bytes());
        if asked == [taken.clone()] { Judgement::Ack } else { Judgement::Nak(vec![taken]) }
    }
    fn naked(&mut self, options: &[Opt]) -> Result<(), Failure> {
        if !self.stubborn {
            self.asked = u32::from_be_bytes(options[0].array().unwrap());
        }
        Ok(())
    }
    fn rejected(&mut self, _options: &[Opt]) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug)]
struct Ipcp {
    vj: bool,
    hands_out: Ipv4Addr,
}

impl Options for Ipcp {
    const NAME: &'static str = "IPCP";
    fn wanted(&self) -> Vec<Opt> {
        let mut wanted = vec![Opt::new(3, [10, 0, 0, 1])];
        if self.vj {
            wanted.push(Opt::new(2, [0, 0x2D, 15, 1]));
        }
        wanted
    }
    fn judge(&mut self, asked: &[Opt], _patience: bool) -> Judgement {
        let hands_out = Opt::new(3, self.hands_out.octets());
        let rejected: Vec<_> = asked.iter().filter(|option| option.kind != 3).cloned().collect();
        if !rejected.is_empty() {
            Judgement::Reject(rejected)
        } else if asked == [hands_out.clone()] {
            Judgement::Ack
        } else {
            Judgement::Nak(vec![hands_out])
        }
    }
    fn naked(&mut self, _options: &[Opt]) -> Result<(), Failure> {
        Ok(())
    }
    fn rejected(&mut self, _options: &[Opt]) -> Result<(), Failure> {
        self.vj = false;
        Ok(())
    }
}

/// What it sends.
#[derive(Debug)]
pub(super) enum Sent {
    Control(Vec<u8>),
    ControlEnd,
    Frame(Vec<u8>),
}

pub(super) struct Server {
    ways: Ways,
    cutter: Cutter,
    client_call: u16,
    lcp: Negotiation<Lcp>,
    ccp: Negotiation<Ccp>,
    ipcp: Negotiation<Ipcp>,
    keys: Option<StartKeys>,
    success: Option<Vec<u8>>,
    /// When the next Challenge goes out.
    challenge_at: Option<Monotonic>,
    lcp_at: Option<Monotonic>,
    flag_at: Option<Monotonic>,
    unread: Vec<(Vec<u8>, bool)>,
    pub(super) unit: Unit,
    pub(super) sent: Vec<Sent>,
    /// Whether the client parted in order.
    pub(super) heard_terminate: bool,
    pub(super) heard_clear: bool,
    pub(super) heard_stop: bool,
    /// IP packets that came through, and whether they were encrypted.
    pub(super) data: Vec<bool>,
    pub(super) answers_echo: bool,
    pub(super) echoes: u32,
    pub(super) protocols_rejected: u32,
}

impl Server {
    pub(super) fn new(ways: Ways) -> Self {
        let lcp = Lcp {
            authentication: ways.authentication.clone(),
            odd: ways.odd_lcp.clone(),
            naks_for_ever: ways.naks_for_ever,
        };
        let (asked, taken) = ways.mppe.unwrap_or_default();
        let ccp = Ccp { asked, taken, stubborn: ways.stubborn };
        let ipcp = Ipcp { vj: ways.vj_and_ipv6, hands_out: ways.hands_out };
        Server {
            cutter: Cutter::default(),
            client_call: 0,
            lcp: Negotiation::new(lcp, Manner::Plain),
            ccp: Negotiation::new(ccp, Manner::Plain),
            ipcp: Negotiation::new(ipcp, Manner::Plain),
            keys: None,
            success: None,
            challenge_at: None,
            lcp_at: None,
            flag_at: None,
            unread: Vec::new(),
            unit: Unit::default(),
            sent: Vec::new(),
            heard_terminate: false,
            heard_clear: false,
            heard_stop: false,
            data: Vec::new(),
            answers_echo: true,
            echoes: 0,
            protocols_rejected: 0,
            ways,
        }
    }

    fn say(&mut self, message: Message) {
        self.sent.push(Sent::Control(message.bytes()));
    }

    pub(super) fn deadline(&self) -> Option<Monotonic> {
        [
            self.lcp_at,
            self.lcp.deadline(),
            self.ccp.deadline(),
            self.ipcp.deadline(),
            self.challenge_at,
            self.flag_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn on_deadline(&mut self, now: Monotonic) {
        if self.flag_at.is_some_and(|at| at <= now) {
            self.flag_at = None;
            self.unit.flags = Some(Flags::CcpOpen);
            for (plain, encrypted) in std::mem::take(&mut self.unread) {
                self.read(&plain, encrypted, now);
            }
        }
        if self.lcp_at.is_some_and(|at| at <= now) {
            self.lcp_at = None;
            let outputs = self.lcp.start(now);
            self.on_lcp(outputs, now);
        }
        if self.challenge_at.is_some_and(|at| at <= now) {
            self.challenge_at = Some(now + Duration::from_secs(3));
            let data = [&[16][..], &CHALLENGE, b"server"].concat();
            self.chap(ChapPacket { code: ChapCode::Challenge, id: 1, data });
        }
        let outputs = self.lcp.on_deadline(now);
        self.on_lcp(outputs, now);
        let outputs = self.ccp.on_deadline(now);
        self.on_ccp(outputs, now);
        let outputs = self.ipcp.on_deadline(now);
        self.on_ipcp(outputs);
    }

    pub(super) fn on_control(&mut self, bytes: &[u8], now: Monotonic) {
        if self.ways.silent {
            return;
        }
        self.cutter.feed(bytes);
        while let Some(message) = self.cutter.next().expect("the client speaks PPTP") {
            match message {
                Message::StartRequest => {
                    let reply = StartReply { result: self.ways.start_result, error: 0 };
                    self.say(Message::StartReply(reply));
                    if self.ways.starts_twice {
                        self.say(Message::StartReply(reply));
                    }
                }
                Message::CallRequest { call } => {
                    self.client_call = call;
                    let (result, cause) = self.ways.call_result;
                    let peer_call = if self.ways.answers_other_call { call ^ 1 } else { call };
                    let call = self.ways.call_id;
                    self.say(Message::CallReply(CallReply {
                        call,
                        peer_call,
                        result,
                        error: 0,
                        cause,
                    }));
                    if self.ways.sets_link_info {
                        self.say(Message::SetLinkInfo);
                        self.say(Message::WanError);
                    }
                    self.lcp_at = Some(now + self.ways.lcp_after);
                }
                Message::CallClear { call } => {
                    assert_eq!(call, self.client_call);
                    self.heard_clear = true;
                    self.clear();
                }
                Message::StopRequest { .. } => {
                    self.heard_stop = true;
                    self.say(Message::StopReply);
                    self.sent.push(Sent::ControlEnd);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Tells that the call is over.
    pub(super) fn clear(&mut self) {
        let call = self.ways.call_id;
        let message = match self.ways.clearing {
            Clearing::Request => Message::CallClear { call },
            Clearing::Notify => Message::CallDisconnected {
                call,
                result: 4,
                error: 0,
                cause: 0,
                statistics: String::new(),
            },
        };
        self.say(message);
    }

    /// Ends LCP with words.
    pub(super) fn terminate(&mut self, words: &str) {
        let packet = Packet::new(Code::TerminateRequest, 77, words.as_bytes().to_vec());
        self.frame(Protocol::Lcp, &packet.bytes());
    }

    pub(super) fn frame(&mut self, protocol: Protocol, packet: &[u8]) {
        let bytes = frame(protocol, packet);
        let out = if matches!(protocol, Protocol::Lcp | Protocol::Chap) {
            Some(bytes)
        } else {
            self.unit.send(&bytes)
        };
        self.sent.extend(out.map(Sent::Frame));
    }

    fn chap(&mut self, packet: ChapPacket) {
        self.frame(Protocol::Chap, &packet.bytes());
    }

    pub(super) fn on_frame(&mut self, bytes: &[u8], now: Monotonic) {
        // The kernel looks at a packet when it comes; the server, which does one thing after the
        // other, reads it only when it has set its flag.
        let (plain, encrypted) = self.unit.receive(bytes);
        if self.flag_at.is_some() {
            self.unread.push((plain, encrypted));
        } else {
            self.read(&plain, encrypted, now);
        }
    }

    fn read(&mut self, plain: &[u8], encrypted: bool, now: Monotonic) {
        let Some((protocol, bytes)) = split_frame(plain) else { panic!("an empty frame") };
        match protocol {
            Protocol::Lcp => {
                let Some(packet) = Packet::parse(bytes) else { panic!("a broken packet") };
                self.on_lcp_packet(packet, now);
            }
            Protocol::Chap => self.on_response(&ChapPacket::parse(bytes).unwrap(), now),
            Protocol::Ccp if self.ways.mppe.is_none() => {
                let packet = Packet::new(Code::ProtocolReject, 1, frame(Protocol::Ccp, bytes));
                self.frame(Protocol::Lcp, &packet.bytes());
            }
            Protocol::Ccp => {
                let outputs = self.ccp.receive(Packet::parse(bytes).unwrap(), now);
                self.on_ccp(outputs, now);
            }
            // pppd: what comes before its turn is answered by an end.
            Protocol::Ipcp if !self.ipcp.is_started() => {
                let packet = Packet::parse(bytes).unwrap();
                let answer = Packet::new(Code::TerminateAck, packet.id, Vec::new());
                self.frame(Protocol::Ipcp, &answer.bytes());
            }
            Protocol::Ipcp => {
                let outputs = self.ipcp.receive(Packet::parse(bytes).unwrap(), now);
                self.on_ipcp(outputs);
            }
            Protocol::Other(0x0021) => self.data.push(encrypted),
            Protocol::Encrypted | Protocol::Other(_) => {
                let packet = Packet::new(Code::ProtocolReject, 1, frame(protocol, bytes));
                self.frame(Protocol::Lcp, &packet.bytes());
            }
        }
    }

    fn on_lcp_packet(&mut self, packet: Packet, now: Monotonic) {
        match packet.code {
            Code::EchoRequest => {
                self.echoes += 1;
                if self.answers_echo {
                    let reply = Packet::new(Code::EchoReply, packet.id, vec![9; 4]);
                    self.frame(Protocol::Lcp, &reply.bytes());
                }
            }
            Code::EchoReply => {}
            Code::ProtocolReject => self.protocols_rejected += 1,
            Code::ConfigureAck if self.ways.asks_for_ever => {
                let data = packet.data;
                let again = Packet::new(Code::ConfigureRequest, packet.id.wrapping_add(1), data);
                self.frame(Protocol::Lcp, &again.bytes());
            }
            code => {
                self.heard_terminate |= code == Code::TerminateRequest;
                let outputs = self.lcp.receive(packet, now);
                self.on_lcp(outputs, now);
            }
        }
    }

    fn on_lcp(&mut self, outputs: Vec<Output>, now: Monotonic) {
        for output in outputs {
            match output {
                Output::Send(mut packet) => {
                    if packet.code == Code::ConfigureAck {
                        if self.ways.acks_with_other_ids {
                            packet.id ^= 0x55;
                        }
                        assert!(parse_options(&packet.data).is_some());
                    }
                    if self.ways.asks_for_ever && packet.code == Code::ConfigureAck {
                        continue;
                    }
                    self.frame(Protocol::Lcp, &packet.bytes());
                }
                Output::Up => self.challenge_at = Some(now),
                Output::Down | Output::Finished => self.challenge_at = None,
                Output::Terminated(_) | Output::EchoDue | Output::Failed(_) => {}
            }
        }
    }

    fn on_response(&mut self, packet: &ChapPacket, now: Monotonic) {
        assert_eq!(packet.code, ChapCode::Response);
        if let Some(success) = self.success.clone() {
            return self.chap(ChapPacket { code: ChapCode::Success, id: packet.id, data: success });
        }
        let peer = packet.data[1..17].try_into().unwrap();
        let response: [u8; 24] = packet.data[25..49].try_into().unwrap();
        let login = std::str::from_utf8(&packet.data[50..]).unwrap().to_owned();
        let hash = password_hash(self.ways.password);
        self.challenge_at = None;
        if response != nt_response(&CHALLENGE, &peer, &login, &hash) {
            let data = b"E=691 R=0 C=00 V=3 M=No".to_vec();
            return self.chap(ChapPacket { code: ChapCode::Failure, id: packet.id, data });
        }
        let mut data = authenticator_response(&hash, &response, &peer, &CHALLENGE, &login);
        if !self.ways.proves_itself {
            data.replace_range(4..6, "!!");
        }
        let data = (data + " M=Welcome").into_bytes();
        self.success = Some(data.clone());
        if !self.ways.loses_success {
            self.chap(ChapPacket { code: ChapCode::Success, id: packet.id, data });
        }
        if self.ways.wrong_keys {
            self.keys = Some(start_keys(&[7; 16], &response, Side::Server));
        } else {
            self.keys = Some(start_keys(&hash, &response, Side::Server));
        }
        self.start_network(now);
    }

    fn start_network(&mut self, now: Monotonic) {
        if self.ways.vj_and_ipv6 {
            let request = Packet::new(Code::ConfigureRequest, 1, Vec::new());
            self.frame(Protocol::Other(0x8057), &request.bytes());
        }
        if self.ways.mppe.is_some() {
            if self.ways.ccp_flag_after.is_zero() {
                self.unit.flags = Some(Flags::CcpOpen);
            } else {
                self.flag_at = Some(now + self.ways.ccp_flag_after);
            }
            let outputs = self.ccp.start(now);
            self.on_ccp(outputs, now);
        }
        if self.ways.ipcp_at_once || self.ways.mppe.is_none() {
            let outputs = self.ipcp.start(now);
            self.on_ipcp(outputs);
        }
    }

    fn on_ccp(&mut self, outputs: Vec<Output>, now: Monotonic) {
        for output in outputs {
            match output {
                Output::Send(packet) => {
                    if let Some(keys) = self.keys.clone()
                        && let Ok(option) = packet.data.as_slice().try_into()
                    {
                        let set = match packet.code {
                            Code::ConfigureRequest => Some((Direction::Receive, keys.receive)),
                            Code::ConfigureAck => Some((Direction::Transmit, keys.transmit)),
                            _ => None,
                        };
                        if let Some((direction, key)) = set {
                            self.unit.set(&Compressor { direction, option, key });
                        }
                    }
                    // One that is repeated: as our own side does it.
                    let again = packet.code == Code::ConfigureAck
                        && self.unit.flags == Some(Flags::Encrypting);
                    if again {
                        self.unit.flags = Some(Flags::CcpOpen);
                    }
                    self.frame(Protocol::Ccp, &packet.bytes());
                    if again {
                        self.unit.flags = Some(Flags::Encrypting);
                    }
                }
                Output::Up => {
                    self.unit.flags = Some(Flags::Encrypting);
                    self.flag_at = None;
                    if !self.ipcp.is_started() {
                        let outputs = self.ipcp.start(now);
                        self.on_ipcp(outputs);
                    }
                }
                Output::Down => self.unit.flags = Some(Flags::CcpOpen),
                _ => {}
            }
        }
    }

    fn on_ipcp(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            if let Output::Send(packet) = output {
                self.frame(Protocol::Ipcp, &packet.bytes());
            }
        }
    }
}
