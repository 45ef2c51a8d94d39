//! What a packet filter does to PPTP, as far as its rules can be understood.

use std::net::Ipv4Addr;

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
pub(super) struct Packet {
    /// It leaves this host.
    pub(super) out: bool,
    pub(super) protocol: Protocol,
    /// `None` for any.
    pub(super) server: Option<Ipv4Addr>,
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
            Some(server) => Some(nets.iter().any(|net| net.contains(server))),
            None if nets.iter().any(|net| net.1 == 0) => Some(true),
            None => None,
        };
        // Servers are not reached by the loopback link.
        let interface = |names: &[String]| (names.iter().all(|name| name == "lo")).then_some(false);
        match self {
            Condition::In(names) | Condition::Out(names) => interface(names),
            Condition::Protocol(names) => Some(names.iter().any(|name| match packet.protocol {
                Protocol::Tcp => ["tcp", "6"].contains(&name.as_str()),
                Protocol::Gre => ["gre", "47"].contains(&name.as_str()),
            })),
            Condition::Source(nets) => address(nets, !packet.out),
            Condition::Destination(nets) => address(nets, packet.out),
            Condition::SourcePort(ranges) => port(ranges, !packet.out),
            Condition::DestinationPort(ranges) => port(ranges, packet.out),
            Condition::State(states) => {
                let ours = if packet.out { "new" } else { "established" };
                Some(states.iter().any(|state| state.eq_ignore_ascii_case(ours)))
            }
            Condition::Not(condition) => condition.holds(packet).map(|holds| !holds),
            Condition::Unknown => None,
        }
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
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) verdict: Verdict,
    /// Marked as this program's own.
    pub(super) ours: bool,
    /// nftables' number of it.
    pub(super) handle: Option<u64>,
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
}

/// What becomes of a packet in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It gets through.
    Passes,
    /// That depends on what is not understood.
    Unsure,
    /// It is dropped.
    Dropped,
}

/// Where a walk through a chain has ended.
enum End {
    Accepted,
    Dropped,
    /// At the chain's end, or at a return.
    Through,
}

/// Chains lead to each other this deep at most (NFT_JUMP_STACK_SIZE, net/netfilter/nf_tables.h).
const DEEPEST: u32 = 16;

impl Ruleset {
    /// Base chains of others with what they do to the packet; those that let it pass left out.
    pub(super) fn trouble(&self, packet: &Packet) -> Vec<(&Chain, Fate)> {
        let hook = if packet.out { Hook::Out } else { Hook::In };
        let met = self.chains.iter().filter(|chain| chain.base.is_some_and(|(at, _)| at == hook));
        met.map(|chain| (chain, self.fate(chain, packet)))
            .filter(|(_, fate)| *fate > Fate::Passes)
            .collect()
    }

    fn fate(&self, chain: &Chain, packet: &Packet) -> Fate {
        let mut unsure = false;
        let drops = match self.walk(chain, packet, DEEPEST, &mut unsure) {
            End::Accepted => false,
            End::Dropped => true,
            End::Through => chain.base.is_some_and(|(_, drops)| drops),
        };
        match (drops, unsure) {
            (_, true) => Fate::Unsure,
            (true, false) => Fate::Dropped,
            (false, false) => Fate::Passes,
        }
    }

    fn walk(&self, chain: &Chain, packet: &Packet, depth: u32, unsure: &mut bool) -> End {
        for rule in &chain.rules {
            let mut holds = Some(true);
            for condition in &rule.conditions {
                holds = match (holds, condition.holds(packet)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (None, _) | (_, None) => None,
                    (Some(true), Some(true)) => Some(true),
                };
            }
            if holds == Some(false) {
                continue;
            }
            let (end, is_goto) = match &rule.verdict {
                Verdict::Nothing => continue,
                Verdict::Accept => (End::Accepted, false),
                Verdict::Drop => (End::Dropped, false),
                Verdict::Return => (End::Through, true),
                Verdict::Jump(name) => (self.follow(chain, name, packet, depth, unsure), false),
                Verdict::Goto(name) => (self.follow(chain, name, packet, depth, unsure), true),
            };
            if holds.is_none() {
                *unsure |= is_goto || !matches!(end, End::Through);
            } else if is_goto || !matches!(end, End::Through) {
                return end;
            }
        }
        End::Through
    }

    fn follow(
        &self,
        from: &Chain,
        name: &str,
        packet: &Packet,
        depth: u32,
        unsure: &mut bool,
    ) -> End {
        let beside = |chain: &&Chain| {
            chain.name == name && chain.table == from.table && chain.family == from.family
        };
        match (self.chains.iter().find(beside), depth.checked_sub(1)) {
            (Some(chain), Some(depth)) => self.walk(chain, packet, depth, unsure),
            (None, _) | (_, None) => {
                *unsure = true;
                End::Through
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(conditions: Vec<Condition>, verdict: Verdict) -> Rule {
        Rule { conditions, verdict, ours: false, handle: None }
    }

    /// What an input chain with a drop policy and these rules does to GRE of 10.0.0.1.
    fn fate(rules: Vec<Rule>) -> Option<Fate> {
        let [family, table, name] = ["inet", "f", "input"].map(String::from);
        let chain = Chain { family, table, name, base: Some((Hook::In, true)), rules };
        let ruleset = Ruleset { chains: vec![chain] };
        let server = Some(Ipv4Addr::new(10, 0, 0, 1));
        let packet = Packet { out: false, protocol: Protocol::Gre, server };
        ruleset.trouble(&packet).first().map(|(_, fate)| *fate)
    }

    fn of(net: &str) -> Condition {
        Condition::Source(vec![Net::parse(net).unwrap()])
    }

    #[test]
    fn the_policy_counts_where_no_rule_does() {
        assert_eq!(fate(vec![]), Some(Fate::Dropped));
    }

    #[test]
    fn an_accept_of_the_server_lets_it_through() {
        assert_eq!(fate(vec![rule(vec![of("10.0.0.0/8")], Verdict::Accept)]), None);
    }

    #[test]
    fn an_accept_of_another_does_not() {
        assert_eq!(fate(vec![rule(vec![of("10.0.0.2")], Verdict::Accept)]), Some(Fate::Dropped));
    }

    #[test]
    fn a_drop_before_the_accept_drops() {
        let rules = vec![rule(vec![], Verdict::Drop), rule(vec![], Verdict::Accept)];
        assert_eq!(fate(rules), Some(Fate::Dropped));
    }

    #[test]
    fn what_is_not_understood_makes_unsure() {
        assert_eq!(fate(vec![rule(vec![Condition::Unknown], Verdict::Accept)]), Some(Fate::Unsure));
    }

    #[test]
    fn loopback_rules_are_not_for_servers() {
        let rules = vec![rule(vec![Condition::In(vec!["lo".into()])], Verdict::Accept)];
        assert_eq!(fate(rules), Some(Fate::Dropped));
    }
}
