//! The server's side of a call by the same protocol code, with the ways of real servers and worse.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::auth::{
    Code as ChapCode, Packet as ChapPacket, Side, StartKeys, authenticator_response, nt_response,
    password_hash, start_keys,
};
use crate::pptp::control::{CallReply, Cutter, Message, StartReply};
use crate::pptp::failure::Failure;
use crate::pptp::order::{Addresses, Compressor, Direction, Flags, KernelOrder, Via};
use crate::pptp::ppp::{
    Code, Judgement, Manner, Negotiation, Opt, Options, Output, Packet, Protocol, frame,
    parse_options, split_frame,
};

/// Of its interface; what any client of the tests takes, encrypted or not.
const MTU: u16 = 1396;
const CHALLENGE: [u8; 16] = [0xA5; 16];
pub(in crate::pptp) const STATELESS: u32 = 0x0100_0000;
pub(in crate::pptp) const BITS_128: u32 = 0x40;
pub(in crate::pptp) const BITS_40: u32 = 0x20;

/// How it calls the end of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::pptp) enum Clearing {
    #[default]
    Notify,
    Request,
}

/// A server's ways.
#[derive(Clone, Debug)]
pub(in crate::pptp) struct Ways {
    pub(in crate::pptp) call_id: u16,
    pub(in crate::pptp) start_result: u8,
    pub(in crate::pptp) starts_twice: bool,
    pub(in crate::pptp) silent: bool,
    pub(in crate::pptp) call_result: (u8, u16),
    pub(in crate::pptp) answers_other_call: bool,
    pub(in crate::pptp) sets_link_info: bool,
    pub(in crate::pptp) clearing: Clearing,
    /// The authentication option, insisted on.
    pub(in crate::pptp) authentication: Option<Vec<u8>>,
    pub(in crate::pptp) odd_lcp: Vec<Opt>,
    /// How long it takes from the call to its PPP.
    pub(in crate::pptp) lcp_after: Duration,
    /// A new request for whatever is answered.
    pub(in crate::pptp) asks_for_ever: bool,
    /// Every LCP request of the client is refused.
    pub(in crate::pptp) naks_for_ever: bool,
    pub(in crate::pptp) acks_with_other_ids: bool,
    pub(in crate::pptp) password: &'static str,
    pub(in crate::pptp) proves_itself: bool,
    /// Its first word of success does not come through.
    pub(in crate::pptp) loses_success: bool,
    /// Bits that are asked for, and those that are taken; no CCP at all without.
    pub(in crate::pptp) mppe: Option<(u32, u32)>,
    /// MPPE bits that are repeated whatever is answered.
    pub(in crate::pptp) stubborn: bool,
    /// Other bits are rejected, where most name theirs: pppd's way with a key length that it must not use.
    pub(in crate::pptp) rejects_other_bits: bool,
    pub(in crate::pptp) wrong_keys: bool,
    /// accel-ppp: CCP and IPCP at once, and the kernel is told that late.
    pub(in crate::pptp) ipcp_at_once: bool,
    pub(in crate::pptp) ccp_flag_after: Duration,
    pub(in crate::pptp) vj_and_ipv6: bool,
    /// Its own end of the tunnel, and the client's.
    pub(in crate::pptp) own_end: Ipv4Addr,
    pub(in crate::pptp) hands_out: Ipv4Addr,
    /// Options of IPCP that it has values for.
    pub(in crate::pptp) name_servers: Vec<Opt>,
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
            rejects_other_bits: false,
            wrong_keys: false,
            ipcp_at_once: false,
            ccp_flag_after: Duration::ZERO,
            vj_and_ipv6: true,
            own_end: Ipv4Addr::new(10, 0, 0, 1),
            hands_out: Ipv4Addr::new(10, 0, 0, 2),
            name_servers: Vec::new(),
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
    rejects: bool,
}

impl Options for Ccp {
    const NAME: &'static str = "CCP";
    fn wanted(&self) -> Vec<Opt> {
        vec![Opt::new(18, self.asked.to_be_bytes())]
    }
    fn judge(&mut self, asked: &[Opt], _patience: bool) -> Judgement {
        let taken = Opt::new(18, self.taken.to_be_bytes());
        if asked == [taken.clone()] {
            Judgement::Ack
        } else if self.rejects {
            Judgement::Reject(asked.to_vec())
        } else {
            Judgement::Nak(vec![taken])
        }
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
    own_end: Ipv4Addr,
    /// Its values.
    hands_out: Vec<Opt>,
}

impl Options for Ipcp {
    const NAME: &'static str = "IPCP";
    fn wanted(&self) -> Vec<Opt> {
        let mut wanted = vec![Opt::new(3, self.own_end.octets())];
        if self.vj {
            wanted.push(Opt::new(2, [0, 0x2D, 15, 1]));
        }
        wanted
    }
    fn judge(&mut self, asked: &[Opt], _patience: bool) -> Judgement {
        let has = |option: &Opt| self.hands_out.iter().find(|has| has.kind == option.kind);
        let rejected: Vec<_> =
            asked.iter().filter(|option| has(option).is_none()).cloned().collect();
        if !rejected.is_empty() {
            return Judgement::Reject(rejected);
        }
        let naks: Vec<_> = asked.iter().filter_map(has).cloned().collect();
        if naks == asked { Judgement::Ack } else { Judgement::Nak(naks) }
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
pub(in crate::pptp) enum Sent {
    Control(Vec<u8>),
    ControlEnd,
    Frame(Via, Vec<u8>),
    Kernel(KernelOrder),
}

pub(in crate::pptp) struct Server {
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
    /// What its unit is told.
    flags: Option<Flags>,
    unread: Vec<(Vec<u8>, bool)>,
    pub(in crate::pptp) sent: Vec<Sent>,
    /// Whether the client parted in order.
    pub(in crate::pptp) heard_terminate: bool,
    pub(in crate::pptp) heard_clear: bool,
    pub(in crate::pptp) heard_stop: bool,
    /// IP packets that came through, and whether they were encrypted.
    pub(in crate::pptp) data: Vec<bool>,
    pub(in crate::pptp) answers_echo: bool,
    pub(in crate::pptp) echoes: u32,
    pub(in crate::pptp) protocols_rejected: u32,
}

impl Server {
    pub(in crate::pptp) fn new(ways: Ways) -> Self {
        let lcp = Lcp {
            authentication: ways.authentication.clone(),
            odd: ways.odd_lcp.clone(),
            naks_for_ever: ways.naks_for_ever,
        };
        let (asked, taken) = ways.mppe.unwrap_or_default();
        let ccp = Ccp { asked, taken, stubborn: ways.stubborn, rejects: ways.rejects_other_bits };
        let hands_out = [&[Opt::new(3, ways.hands_out.octets())], &ways.name_servers[..]].concat();
        let ipcp = Ipcp { vj: ways.vj_and_ipv6, own_end: ways.own_end, hands_out };
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
            flags: None,
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

    fn keeps_state(&self) -> bool {
        self.ways.mppe.is_some_and(|(asked, _)| asked & STATELESS == 0)
    }

    fn say(&mut self, message: Message) {
        self.sent.push(Sent::Control(message.bytes()));
    }

    fn set(&mut self, flags: Flags) {
        self.flags = Some(flags);
        self.sent.push(Sent::Kernel(KernelOrder::SetFlags(flags)));
    }

    pub(in crate::pptp) fn deadline(&self) -> Option<Monotonic> {
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

    pub(in crate::pptp) fn on_deadline(&mut self, now: Monotonic) {
        if self.flag_at.is_some_and(|at| at <= now) {
            self.flag_at = None;
            self.set(Flags::CcpOpen);
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

    pub(in crate::pptp) fn on_control(&mut self, bytes: &[u8], now: Monotonic) {
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
                    let connect = KernelOrder::ConnectData { server_call_id: self.client_call };
                    self.sent.push(Sent::Kernel(connect));
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
                Message::EchoRequest { id } => self.say(Message::EchoReply { id }),
                // Of pptp.
                Message::SetLinkInfo => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Tells that the call is over.
    pub(in crate::pptp) fn clear(&mut self) {
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
    pub(in crate::pptp) fn terminate(&mut self, words: &str) {
        let packet = Packet::new(Code::TerminateRequest, 77, words.as_bytes().to_vec());
        self.frame(Protocol::Lcp, &packet.bytes());
    }

    pub(in crate::pptp) fn frame(&mut self, protocol: Protocol, packet: &[u8]) {
        let via = match protocol {
            Protocol::Lcp | Protocol::Chap => Via::Channel,
            Protocol::Ccp | Protocol::Ipcp | Protocol::Encrypted | Protocol::Other(_) => Via::Unit,
        };
        self.sent.push(Sent::Frame(via, frame(protocol, packet)));
    }

    fn chap(&mut self, packet: ChapPacket) {
        self.frame(Protocol::Chap, &packet.bytes());
    }

    /// A frame as the kernel hands it out, and whether it came encrypted.
    pub(in crate::pptp) fn on_frame(&mut self, plain: &[u8], encrypted: bool, now: Monotonic) {
        // The kernel looks at a packet when it comes; the server, which does one thing after the
        // other, reads it only when it has set its flag.
        if self.flag_at.is_some() {
            self.unread.push((plain.to_vec(), encrypted));
        } else {
            self.read(plain, encrypted, now);
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
                let packet = Packet::parse(bytes).unwrap();
                match packet.code {
                    // Its kernel begins anew as the answer passes it.
                    Code::ResetRequest => {
                        let answer = Packet::new(Code::ResetAck, packet.id, Vec::new());
                        self.frame(Protocol::Ccp, &answer.bytes());
                    }
                    Code::ResetAck => {}
                    _ => {
                        let outputs = self.ccp.receive(packet, now);
                        self.on_ccp(outputs, now);
                    }
                }
            }
            // Where each packet hangs on the one before, a loss is no surprise.
            Protocol::Encrypted if self.keeps_state() => {
                let request = Packet::new(Code::ResetRequest, 1, Vec::new());
                self.frame(Protocol::Ccp, &request.bytes());
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
        self.sent.push(Sent::Kernel(KernelOrder::MakeUnit));
        if self.ways.vj_and_ipv6 {
            let request = Packet::new(Code::ConfigureRequest, 1, Vec::new());
            self.frame(Protocol::Other(0x8057), &request.bytes());
        }
        if self.ways.mppe.is_some() {
            if self.ways.ccp_flag_after.is_zero() {
                self.set(Flags::CcpOpen);
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
                            let set = Compressor { direction, option, key };
                            self.sent.push(Sent::Kernel(KernelOrder::SetCompressor(set)));
                        }
                    }
                    // One that is repeated: as our own side does it.
                    let again =
                        packet.code == Code::ConfigureAck && self.flags == Some(Flags::Encrypting);
                    if again {
                        self.set(Flags::CcpOpen);
                    }
                    self.frame(Protocol::Ccp, &packet.bytes());
                    if again {
                        self.set(Flags::Encrypting);
                    }
                }
                Output::Up => {
                    self.set(Flags::Encrypting);
                    self.flag_at = None;
                    if !self.ipcp.is_started() {
                        let outputs = self.ipcp.start(now);
                        self.on_ipcp(outputs);
                    }
                }
                Output::Down => self.set(Flags::CcpOpen),
                _ => {}
            }
        }
    }

    fn on_ipcp(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(packet) => self.frame(Protocol::Ipcp, &packet.bytes()),
                Output::Up => {
                    let (local, peer) = (self.ways.own_end, Some(self.ways.hands_out));
                    let addresses = Addresses { local, peer, mtu: MTU, resolvers: Vec::new() };
                    self.sent.push(Sent::Kernel(KernelOrder::Configure(addresses)));
                }
                _ => {}
            }
        }
    }
}
