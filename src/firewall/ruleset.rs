//! What a packet filter does to PPTP, as far as its rules can be understood.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::rules::Scope;
use super::tool::Filter;
use super::way::Server;

/// The two protocols of PPTP (RFC 2637): a control connection, and tunnelled data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// To TCP port 1723.
    Tcp,
    /// IP protocol 47.
    Gre,
}

/// A packet of ours, or of a server to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// It leaves this host.
    pub(super) out: bool,
    pub(super) protocol: Protocol,
    /// `None` for any.
    pub(super) server: Option<&'a Server>,
    /// What connection tracking says of it, as rules name it.
    pub(super) state: &'static str,
}

/// A network: its address and how many bits of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Net(pub(super) Ipv4Addr, pub(super) u32);

impl Net {
    /// As `10.0.0.1` or `10.0.0.0/8`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        Some(Net(address.parse().ok()?, bits.parse().ok().filter(|bits| *bits <= 32)?))
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        let Net(net, bits) = self;
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        (u32::from(net) ^ u32::from(address)) & mask == 0
    }
}

/// What a rule asks of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The interface that it comes by is one of these.
    In(Vec<String>),
    /// The interface that it leaves by is one of these.
    Out(Vec<String>),
    /// Its protocol is one of these, by name or number.
    Protocol(Vec<String>),
    /// It comes from one of these.
    Source(Vec<Net>),
    /// It goes to one of these.
    Destination(Vec<Net>),
    /// Its source port is in one of these ranges.
    SourcePort(Vec<(u16, u16)>),
    /// Its destination port is in one of these ranges.
    DestinationPort(Vec<(u16, u16)>),
    /// The state of its connection is one of these.
    State(Vec<String>),
    /// The opposite.
    Not(Box<Condition>),
    /// Something that is not understood here.
    Unknown,
}

/// Our own end of a connection has one of these (ip(7), ip_local_port_range's default).
const OWN_PORTS: std::ops::RangeInclusive<u16> = 32768..=60999;

impl Condition {
    /// Whether the packet fulfils it; `None` where that can't be known.
    fn holds(&self, packet: &Packet) -> Option<bool> {
        let port = |ranges: &[(u16, u16)], known: bool| match packet.protocol {
            Protocol::Gre => Some(false),
            Protocol::Tcp if known => Some(ranges.iter().any(|(a, b)| (*a..=*b).contains(&1723))),
            Protocol::Tcp if ranges.iter().all(|(_, last)| last < OWN_PORTS.start()) => Some(false),
            Protocol::Tcp
                if ranges.iter().any(|(a, b)| a <= OWN_PORTS.start() && b >= OWN_PORTS.end()) =>
            {
                Some(true)
            }
            Protocol::Tcp => None,
        };
        let address = |nets: &[Net], known: bool| match packet.server.filter(|_| known) {
            Some(server) => Some(nets.iter().any(|net| net.contains(server.address))),
            None if nets.iter().any(|net| net.1 == 0) => Some(true),
            None => None,
        };
        let link = |names: &[String], met: bool| match packet.server.and_then(|s| s.link.as_ref()) {
            // Nothing leaves by the link that it comes by.
            _ if !met => Some(false),
            Some(link) => Some(names.iter().any(|name| is_link(name, link))),
            // Servers are not reached by the loopback link.
            None => names.iter().all(|name| name == "lo").then_some(false),
        };
        match self {
            Condition::In(names) => link(names, !packet.out),
            Condition::Out(names) => link(names, packet.out),
            Condition::Protocol(names) => Some(names.iter().any(|name| match packet.protocol {
                Protocol::Tcp => ["tcp", "6"].contains(&name.as_str()),
                Protocol::Gre => ["gre", "47"].contains(&name.as_str()),
            })),
            Condition::Source(nets) => address(nets, !packet.out),
            Condition::Destination(nets) => address(nets, packet.out),
            Condition::SourcePort(ranges) => port(ranges, !packet.out),
            Condition::DestinationPort(ranges) => port(ranges, packet.out),
            Condition::State(states) => {
                Some(states.iter().any(|state| state.eq_ignore_ascii_case(packet.state)))
            }
            Condition::Not(condition) => condition.holds(packet).map(|holds| !holds),
            Condition::Unknown => None,
        }
    }
}

/// Whether a rule's name of links, which may end in `*` (nftables) or `+` (iptables), means this one.
fn is_link(name: &str, link: &str) -> bool {
    match name.strip_suffix(['*', '+']) {
        Some(beginning) => link.starts_with(beginning),
        None => name == link,
    }
}

/// What a rule does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This base chain lets it through.
    Accept,
    /// Dropped or rejected.
    Drop,
    /// On to another chain, and back at its end.
    Jump(String),
    /// On to another chain, for good.
    Goto(String),
    /// Back to the chain before.
    Return,
    /// Nothing that matters here.
    Nothing,
    /// Something that is not understood here, and may drop.
    Unknown,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) verdict: Verdict,
    /// This program's own.
    pub(super) ours: bool,
    /// Of those, one for the servers of the nodes.
    pub(super) of_nodes: bool,
    /// It has a helper follow the connection.
    pub(super) helps: bool,
    /// nftables' number of it.
    pub(super) handle: Option<u64>,
}

impl Rule {
    /// Whether the packet fulfils all of its conditions; `None` where that can't be known.
    pub(super) fn holds(&self, packet: &Packet) -> Option<bool> {
        let mut holds = Some(true);
        for condition in &self.conditions {
            match condition.holds(packet) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => holds = None,
            }
        }
        holds
    }
}

/// Where packets meet a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// On the way in.
    In,
    /// On the way out.
    Out,
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) by: Filter,
    pub(super) family: String,
    pub(super) table: String,
    pub(super) name: String,
    /// For a base chain: its hook, and whether its policy is to drop.
    pub(super) base: Option<(Hook, bool)>,
    pub(super) rules: Vec<Rule>,
}

/// All chains of the host that IPv4 packets to or from itself can meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ruleset {
    pub(super) chains: Vec<Chain>,
    /// nftables' table with the name of ours holds something that is not ours.
    pub(super) has_strangers_in_ours: bool,
}

impl Ruleset {
    /// Whom this program's own rules let through; any where they say nothing, or there are none.
    pub(super) fn scope(&self) -> Scope {
        let mut scope = Scope::default();
        let mut named = BTreeSet::new();
        let ours = self.chains.iter().flat_map(|chain| &chain.rules).filter(|rule| rule.ours);
        for rule in ours.filter(|rule| rule.verdict == Verdict::Accept) {
            scope.of_nodes |= rule.of_nodes;
            let before = named.len();
            for condition in &rule.conditions {
                if let Condition::Source(nets) | Condition::Destination(nets) = condition {
                    named.extend(nets.iter().filter(|net| net.1 == 32).map(|net| net.0));
                }
            }
            if named.is_empty() && before == 0 {
                return Scope::default();
            }
        }
        scope.named = named.into_iter().collect();
        scope
    }

    /// Without this program's own rules.
    pub(super) fn of_others(&self) -> Self {
        let mut others = self.clone();
        for chain in &mut others.chains {
            chain.rules.retain(|rule| !rule.ours);
        }
        others
    }
}
