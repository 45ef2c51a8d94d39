//! A call and a server, the lines between them, and the client's kernel, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::fuzz::Transcript;
use super::kernel::Unit;
use super::server::{Sent, Server, Ways};
use crate::core::time::Monotonic;
use crate::node::Secret;
use crate::pptp::ppp::{Protocol, frame, split_frame};
use crate::pptp::{
    Addresses, Call, Dice, Encryption, Ending, Event, KernelOrder, Order, Phase, Settings, Via,
};

/// What the way of GRE does to packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    /// Nothing comes through to the server, or to the client.
    pub(super) server_cut_off: bool,
    pub(super) client_cut_off: bool,
    /// In percent.
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// Milliseconds, at most, on top of 5.
    pub(super) jitter: u64,
    /// Late and doubled packets come through, which the kernel's GRE would drop.
    pub(super) unsorted: bool,
}

enum Happening {
    ServerHears(Vec<u8>),
    ClientHears(Vec<u8>),
    ClientHearsEnd,
    ServerGets(u64, Vec<u8>),
    ClientGets(u64, Vec<u8>),
    OrderDone(KernelOrder),
}

pub(in crate::pptp) fn settings() -> Settings {
    Settings {
        server: Ipv4Addr::new(192, 0, 2, 1),
        own_call_id: 4711,
        login: "user".to_owned(),
        password: Some(Secret::parse("secret").unwrap()),
        encryption: Encryption::Required { stateful: false, short_key: false },
        mtu: 1400,
        mru: 1400,
        ask_resolvers: false,
        answered_within: Duration::from_secs(20),
        echo_failures: 3,
    }
}

pub(super) fn dice(seed: u64) -> Dice {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    Dice::new(bytes)
}

pub(super) struct World {
    pub(super) now: Monotonic,
    pub(super) call: Call,
    pub(super) server: Server,
    pub(super) line: Line,
    dice: u64,
    agenda: BTreeMap<(Monotonic, u64), Happening>,
    number: u64,
    latest: [u64; 2],
    orders: VecDeque<Order>,
    busy: bool,
    connected: bool,
    pub(super) unit: Unit,
    servers_unit: Unit,
    pub(super) addresses: Option<Addresses>,
    pub(super) ended: Option<Ending>,
    /// IP packets that came to the client, and whether they were encrypted.
    pub(super) data: Vec<bool>,
    /// Every order as it was carried out, by name, for the order of things.
    pub(super) done: Vec<String>,
    /// What the call was told by its server.
    pub(super) transcript: Transcript,
}

impl World {
    pub(super) fn new(settings: Settings, ways: Ways, line: Line, seed: u64) -> Self {
        let now = Monotonic(1_000);
        let (call, orders) = Call::new(settings, dice(seed), now);
        let mut world = World {
            now,
            call,
            server: Server::new(ways),
            line,
            dice: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            agenda: BTreeMap::new(),
            number: 0,
            latest: [0; 2],
            orders: orders.into(),
            busy: false,
            connected: false,
            unit: Unit::default(),
            servers_unit: Unit::default(),
            addresses: None,
            ended: None,
            data: Vec::new(),
            done: Vec::new(),
            transcript: Transcript::default(),
        };
        world.carry_out();
        world
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides.max(1)
    }

    fn plan(&mut self, millis: u64, happening: Happening) {
        self.number += 1;
        self.agenda.insert((self.now + Duration::from_millis(millis), self.number), happening);
    }

    fn send_to_server(&mut self, frame: &[u8]) {
        if !self.line.server_cut_off {
            self.over_gre(frame, Happening::ServerGets);
        }
    }

    fn over_gre(&mut self, bytes: &[u8], happening: fn(u64, Vec<u8>) -> Happening) {
        self.number += 1;
        let sequence = self.number;
        let copies = 1 + u64::from(self.roll(100) < self.line.doubled);
        for _ in 0..copies {
            let lost = self.roll(100) < self.line.lost;
            let delay = 5 + self.roll(self.line.jitter + 1);
            if !lost {
                self.plan(delay, happening(sequence, bytes.to_vec()));
            }
        }
    }

    fn carry_out(&mut self) {
        while !self.busy
            && let Some(order) = self.orders.pop_front()
        {
            match order {
                Order::Control(bytes) => {
                    self.done.push(format!("control {}", bytes[9]));
                    self.plan(5, Happening::ServerHears(bytes));
                }
                Order::Frame(via, frame) => {
                    let (protocol, packet) = split_frame(&frame).unwrap();
                    self.done.push(format!("{via:?} {:04x} {}", protocol.number(), packet[0]));
                    let out = match via {
                        Via::Channel => Some(frame),
                        Via::Unit => self.unit.send(&frame),
                    };
                    if let Some(out) = out {
                        self.send_to_server(&out);
                    }
                }
                Order::Kernel(order) => {
                    self.done.push(match &order {
                        KernelOrder::SetCompressor(set) => format!("keys {:?}", set.direction),
                        KernelOrder::SetFlags(flags) => format!("{flags:?}"),
                        order => format!("{:?}", order.step()),
                    });
                    let slow = matches!(
                        order,
                        KernelOrder::ConnectData { .. }
                            | KernelOrder::MakeUnit
                            | KernelOrder::Configure(_)
                    );
                    let millis = if slow { 20 + self.roll(20) } else { 0 };
                    self.busy = true;
                    self.plan(millis, Happening::OrderDone(order));
                }
                Order::Ended(ending) => {
                    assert!(self.ended.is_none() && self.orders.is_empty());
                    self.ended = Some(ending);
                }
            }
        }
    }

    pub(super) fn tell(&mut self, event: Event<'_>) {
        self.transcript.add(&event);
        let orders = self.call.handle(event, self.now);
        self.orders.extend(orders);
        self.carry_out();
    }

    fn collect(&mut self) {
        for sent in std::mem::take(&mut self.server.sent) {
            match sent {
                Sent::Control(bytes) => self.plan(5, Happening::ClientHears(bytes)),
                Sent::ControlEnd => self.plan(6, Happening::ClientHearsEnd),
                Sent::Frame(via, frame) => {
                    let out = match via {
                        Via::Channel => Some(frame),
                        Via::Unit => self.servers_unit.send(&frame),
                    };
                    if let Some(out) = out.filter(|_| !self.line.client_cut_off) {
                        self.over_gre(&out, Happening::ClientGets);
                    }
                }
                Sent::Kernel(order) => self.servers_unit.carry_out(&order),
            }
        }
    }

    /// Drops what comes late or twice, as the kernel does.
    fn is_late(&mut self, side: usize, sequence: u64) -> bool {
        let late = !self.line.unsorted && sequence <= self.latest[side];
        self.latest[side] = self.latest[side].max(sequence);
        late
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ServerHears(bytes) => self.server.on_control(&bytes, self.now),
            Happening::ClientHears(bytes) => {
                let (first, second) = bytes.split_at(bytes.len() / 3);
                self.tell(Event::Control(first));
                self.tell(Event::Control(second));
            }
            Happening::ClientHearsEnd => self.tell(Event::ControlEnded(None)),
            Happening::ServerGets(sequence, frame) => {
                if !self.is_late(0, sequence) {
                    let (plain, encrypted) = self.servers_unit.receive(&frame);
                    self.server.on_frame(&plain, encrypted, self.now);
                }
            }
            Happening::ClientGets(sequence, frame) => {
                // What comes before the call socket is connected is dropped.
                if !self.connected || self.is_late(1, sequence) {
                    return;
                }
                let (plain, encrypted) = self.unit.receive(&frame);
                match split_frame(&plain) {
                    Some((Protocol::Other(0x0021), _)) => self.data.push(encrypted),
                    _ => self.tell(Event::Frame(&plain)),
                }
            }
            Happening::OrderDone(order) => {
                self.unit.carry_out(&order);
                match &order {
                    KernelOrder::Configure(addresses) => self.addresses = Some(addresses.clone()),
                    KernelOrder::ConnectData { .. } => self.connected = true,
                    KernelOrder::MakeUnit
                    | KernelOrder::SetCompressor(_)
                    | KernelOrder::SetFlags(_) => {}
                }
                self.busy = false;
                self.tell(Event::Done(order.step()));
                self.carry_out();
            }
        }
    }

    /// Another process takes the call over.
    pub(super) fn go_on(&mut self, standing: crate::pptp::Standing) {
        let settings = Settings { password: None, ..settings() };
        let (call, orders) = Call::resume(settings, standing, Dice::new([8; 32]), self.now);
        self.call = call;
        self.orders = orders.into();
        self.carry_out();
    }

    /// Goes on until `seconds` have passed.
    pub(super) fn run(&mut self, seconds: u64) -> &mut Self {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.step(end);
        }
        self
    }

    /// The next thing that happens, or `end`.
    pub(super) fn step(&mut self, end: Monotonic) {
        self.collect();
        let next = self.agenda.keys().next().map(|(at, _)| *at);
        let (call, server) = (self.call.next_deadline(), self.server.deadline());
        let at = [next, call, server].into_iter().flatten().min().filter(|at| *at <= end);
        let Some(at) = at else {
            self.now = end;
            return;
        };
        self.now = self.now.max(at);
        if next == Some(at) {
            if let Some((_, happening)) = self.agenda.pop_first() {
                self.happen(happening);
            }
        } else if server == Some(at) {
            self.server.on_deadline(self.now);
        } else {
            self.tell(Event::Deadline);
            assert_ne!(self.call.next_deadline(), Some(at), "a deadline that does not move");
        }
    }

    /// Sends a packet each way; whether both came, and both encrypted or not.
    pub(super) fn carries(&mut self, encrypted: bool) -> bool {
        let line = std::mem::take(&mut self.line);
        let packet = frame(Protocol::Other(0x0021), b"ping");
        if let Some(out) = self.unit.send(&packet) {
            self.send_to_server(&out);
        }
        self.server.frame(Protocol::Other(0x0021), b"ping");
        self.run(1);
        self.line = line;
        self.server.data.last() == Some(&encrypted) && self.data.last() == Some(&encrypted)
    }

    pub(super) fn is_up(&self) -> bool {
        self.call.phase() == Phase::Up
    }
}
