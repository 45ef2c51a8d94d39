//! What the host has to reach beside its tunnels, and which addresses a server may therefore not give
//! to our end of one.
//!
//! Our end's address becomes one of the host's own, whatever is done: the kernel looks at its table
//! `local` before all others. Packets that the host sends to it never leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::call::OurEnd;
use super::change::Way;
use super::event::IfIndex;
use super::failure::{Failure, FailureKind};
use super::links::Addresses;
use super::notice::Notice;
use super::servers::Servers;
use super::stopping::Why;
use super::time::Monotonic;
use super::tunnel::{Phase, Tunnel};
use super::{Core, Turn};
use crate::node::{NodeId, ServerAddr};

/// What the host has to reach, as far as no row tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The next hops of its routes, whatever table they are in.
    pub gateways: BTreeSet<Ipv4Addr>,
    /// The name servers of its resolver.
    pub resolvers: BTreeSet<Ipv4Addr>,
    /// The subnets of its links. Those of PPP links are left out: servers may give two tunnels one
    /// address.
    pub subnets: BTreeSet<Subnet>,
}

/// A subnet on a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subnet {
    /// The link's name.
    pub interface: String,
    /// An address in it.
    pub address: Ipv4Addr,
    /// The length of its prefix, 0 to 32 bits.
    pub prefix: u8,
}

/// Why an address is one that this host reaches elsewhere. As text it ends a sentence that begins with
/// the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clash {
    /// It is none that a host can have.
    NoHost(String),
    /// It is a row's server.
    Server(NodeId),
    /// It is a next hop.
    Gateway,
    /// It is a name server.
    Resolver,
    /// It lies on the subnet of a link.
    Subnet(Subnet),
    /// One end of another point-to-point link had it before, which is no tunnel of ours.
    Link(String),
}

/// What is odd about the addresses of a tunnel that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The server calls its own end by an address that this host reaches elsewhere.
    Peer {
        /// The address.
        remote: Ipv4Addr,
        /// Where.
        clash: Clash,
    },
    /// Our end's address lies on a subnet that the host has got since the tunnel is up.
    OurEnd {
        /// The address.
        local: Ipv4Addr,
        /// The subnet.
        subnet: Subnet,
    },
}

impl Surroundings {
    /// What would be lost if this address were one of the host's own; the worst of it.
    fn clash(&self, local: Ipv4Addr, servers: &Servers) -> Option<Clash> {
        let local_as_server = match ServerAddr::new(local) {
            Ok(address) => address,
            Err(refused) => return Some(Clash::NoHost(refused.to_string())),
        };
        let server = servers.first_of(local_as_server).map(Clash::Server);
        server
            .or_else(|| self.gateways.contains(&local).then_some(Clash::Gateway))
            .or_else(|| self.resolvers.contains(&local).then_some(Clash::Resolver))
            .or_else(|| self.subnet_with(local).cloned().map(Clash::Subnet))
    }

    fn subnet_with(&self, address: Ipv4Addr) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.has(address))
    }
}

impl Subnet {
    fn has(&self, address: Ipv4Addr) -> bool {
        let beyond = 32_u32.saturating_sub(self.prefix.into());
        let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
        (address.to_bits() ^ self.address.to_bits()) & mask == 0
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clash::NoHost(refused) => write!(f, "is none of a host: {refused}"),
            Clash::Server(node) => write!(f, "is the server of node {node}"),
            Clash::Gateway => f.write_str("is a gateway of this host's routes"),
            Clash::Resolver => f.write_str("is a name server of this host"),
            Clash::Subnet(subnet) => write!(f, "lies on the subnet of {subnet}"),
            Clash::Link(name) => {
                write!(f, "is an address of {name}, a link that is no tunnel of connexad")
            }
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Peer { remote, clash } => write!(
                f,
                "the server calls its own end {remote}, which {clash}: without routing.peer_route, packets \
                 to it go where they went before, and only what is bound to the tunnel's link goes through it"
            ),
            Note::OurEnd { local, subnet } => write!(
                f,
                "our end's address {local} lies on the subnet of {subnet}, which is newer than the tunnel: no \
                 host with that address can be reached there, and the next dial is refused"
            ),
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subnet { interface, address, prefix } = self;
        write!(f, "{interface} ({address}/{prefix})")
    }
}

impl Core {
    /// The host's surroundings are others now.
    pub(super) fn surrounded(&mut self, surroundings: Surroundings, turn: &mut Turn) {
        let before = std::mem::replace(&mut self.surroundings, surroundings);
        self.judge_tunnels(turn);
        // What came up before they were known was not judged by them, and is now.
        if std::mem::replace(&mut self.known.surroundings, true) {
            self.tell_overlaps(&before, turn);
        }
    }

    /// Tells of subnets that are new and hold addresses of tunnels that are up, each with those.
    fn tell_overlaps(&self, before: &Surroundings, turn: &mut Turn) {
        let mut overlaps: BTreeMap<&Subnet, (Ipv4Addr, Vec<NodeId>)> = BTreeMap::new();
        for id in &self.up {
            let Some(up) = self.tunnels.get(id).and_then(|tunnel| tunnel.up()) else { continue };
            let local = up.addresses.local;
            let subnet = self.surroundings.subnet_with(local);
            if let Some(subnet) = subnet.filter(|_| before.subnet_with(local).is_none()) {
                overlaps.entry(subnet).or_insert((local, Vec::new())).1.push(*id);
            }
        }
        for (subnet, (local, nodes)) in overlaps {
            turn.tell(Notice::Overlap { subnet: subnet.clone(), local, nodes });
        }
    }

    /// What is odd about these addresses of a tunnel that is up.
    pub(super) fn notes(&self, Addresses { local, remote }: Addresses) -> Vec<Note> {
        let peer = remote.and_then(|remote| {
            let clash = self.surroundings.clash(remote, &self.servers)?;
            Some(Note::Peer { remote, clash })
        });
        let subnet = self.surroundings.subnet_with(local).cloned();
        let our_end = subnet.map(|subnet| Note::OurEnd { local, subnet });
        peer.into_iter().chain(our_end).collect()
    }

    /// What the host has to reach, or whom rows name as servers, has changed.
    pub(super) fn judge_tunnels(&mut self, turn: &mut Turn) {
        let ids: Vec<NodeId> = self.up.iter().copied().collect();
        for id in ids {
            self.reconcile(id, turn);
        }
    }

    /// The host's uplink may be a PPP link itself; that one which had the address before the node's link
    /// is not ours. One that a call may still prove to be its own is left out, for tunnels may share an
    /// address: then the node is judged again.
    fn other_link(&mut self, id: NodeId, local: Ipv4Addr, index: IfIndex) -> Option<Clash> {
        let since = match self.was_up_with(id) {
            Some(ours) if ours.local == local => ours.since,
            Some(_) | None => self.links.as_it_is_since(index)?,
        };
        let is_known = self.known.running && !self.adopting && self.second_calls.is_empty();
        let mut firsts = self.links.first_with(local, index, since).peekable();
        firsts.peek()?;
        if let Some((name, _)) = firsts.find(|(_, seen)| is_known && !self.may_be_a_call_s(*seen)) {
            return Some(Clash::Link(name.to_owned()));
        }
        drop(firsts);
        self.undecided.insert(id);
        None
    }

    /// Whether a link that this input first showed may be that of a call, or of one that has just ended.
    fn may_be_a_call_s(&self, first_seen: u64) -> bool {
        let is_sought = |id: &NodeId| {
            let sought = self.tunnels.get(id).and_then(Tunnel::sought);
            sought.is_some_and(|seen| seen.contains(&first_seen))
        };
        self.left_links.iter().any(|(seen, _)| seen.contains(&first_seen))
            || self.calls.values().any(is_sought)
    }

    /// When nodes are judged again though nothing happens.
    pub(super) fn undecided_until(&self) -> Option<Monotonic> {
        let first = self.left_links.iter().map(|(_, until)| *until).min();
        first.filter(|_| !self.undecided.is_empty())
    }

    /// Nodes whose address may be that of a link of others are judged again, now that calls have got
    /// links, or have ended.
    pub(super) fn judge_undecided(&mut self, turn: &mut Turn) {
        self.left_links.retain(|(_, until)| *until > turn.at());
        for id in std::mem::take(&mut self.undecided) {
            self.reconcile(id, turn);
        }
    }

    /// Our end's address when the node's call was up last.
    fn was_up_with(&self, id: NodeId) -> Option<OurEnd> {
        match &self.tunnels.get(&id)?.phase {
            Phase::Calling(call) => call.was_up_with,
            Phase::Resting(_) | Phase::Stopping(_) => None,
        }
    }

    /// Gives a call up whose server gives our end an address that the host has to reach elsewhere.
    /// Whether it does.
    ///
    /// A subnet that the host itself has got later ends no tunnel: it would end all of one provider at
    /// once, and what it may cost is one neighbour there. A server, gateway or name server that is the
    /// very address is out of reach for sure.
    pub(super) fn refuse_address(&mut self, id: NodeId, index: IfIndex, turn: &mut Turn) -> bool {
        let Some(local) = self.links.sight(index).local() else { return false };
        let clash = self.surroundings.clash(local, &self.servers);
        let Some(clash) = clash.or_else(|| self.other_link(id, local, index)) else {
            return false;
        };
        // What came up before the surroundings were known was not judged by them.
        let has_stood =
            self.known.surroundings && self.was_up_with(id).is_some_and(|ours| ours.local == local);
        if matches!(clash, Clash::Subnet(_)) && has_stood {
            return false;
        }
        turn.way(Way::Refused { node: id, index, local });
        let message = format!("the server gives our end of the tunnel {local}, which {clash}");
        let failure = Failure::new(FailureKind::AddressRefused, message);
        self.hang_up(id, Why::GivenUp(failure), turn);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::State;
    use crate::core::event::{
        CallId, Candidate, Event, FoundCall, Hearing, Link, LinkAddress, LinkChange,
    };
    use crate::core::stage::{NODE, Stage, node};
    use crate::node::{Engine, Node};

    fn subnet(interface: &str, address: [u8; 4], prefix: u8) -> Subnet {
        Subnet { interface: interface.into(), address: address.into(), prefix }
    }

    fn said(local: [u8; 4]) -> Option<String> {
        let host = Surroundings {
            gateways: BTreeSet::from([[192, 0, 2, 1].into()]),
            resolvers: BTreeSet::from([[9, 9, 9, 9].into()]),
            subnets: BTreeSet::from([
                subnet("eth0", [192, 0, 2, 2], 24),
                subnet("eth1", [172, 16, 5, 1], 31),
                subnet("lo", [10, 255, 0, 1], 32),
            ]),
        };
        let node = Node {
            id: NodeId(3),
            server: ServerAddr::new([10, 9, 0, 3].into()).unwrap(),
            ..node("secret")
        };
        let servers = Servers::from_iter([&node]);
        host.clash(local.into(), &servers).map(|clash| clash.to_string())
    }

    #[test]
    fn an_address_that_the_host_has_to_reach_elsewhere_clashes_with_what_is_named() {
        for (local, clash) in [
            ([10, 9, 0, 3], "is the server of node 3"),
            ([192, 0, 2, 1], "is a gateway of this host's routes"),
            ([9, 9, 9, 9], "is a name server of this host"),
            ([192, 0, 2, 77], "lies on the subnet of eth0 (192.0.2.2/24)"),
            ([172, 16, 5, 0], "lies on the subnet of eth1 (172.16.5.1/31)"),
            ([10, 255, 0, 1], "lies on the subnet of lo (10.255.0.1/32)"),
        ] {
            assert_eq!(said(local).as_deref(), Some(clash), "{local:?}");
        }
    }

    #[test]
    fn an_address_of_nobody_here_may_be_ours() {
        for local in [[10, 50, 0, 100], [192, 0, 3, 1], [172, 16, 5, 2], [10, 255, 0, 2]] {
            assert_eq!(said(local), None, "{local:?}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_host_may_not_be_ours() {
        for local in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 5], [250, 0, 0, 1], [255; 4]] {
            assert!(said(local).is_some_and(|said| said.contains("none of a host")), "{local:?}");
        }
    }

    #[test]
    fn a_prefix_of_no_length_holds_every_address() {
        assert!(subnet("x", [10, 0, 0, 1], 0).has([203, 0, 113, 9].into()));
    }

    /// The address that the stage's server gives to our end is that of a gateway.
    fn surrounded() -> Event {
        let gateways = BTreeSet::from([[10, 50, 0, 100].into()]);
        Event::Surroundings(Surroundings { gateways, ..Surroundings::default() })
    }

    const REASON: &str = "the server gives our end of the tunnel 10.50.0.100, which is a gateway";

    #[test]
    fn a_tunnel_whose_address_is_refused_is_never_up_and_its_node_waits() {
        let mut stage = Stage::in_state(State::Dialing);
        stage.feed(surrounded());
        stage.link(true, true);
        assert_eq!(stage.state(), "stopping");
        stage.exit(FailureKind::Killed);
        assert_eq!(
            (stage.state().as_str(), stage.last_error().as_str()),
            ("backoff", "address_refused")
        );
        assert!(stage.was_told(REASON), "{:?}", stage.told);
        assert!(!stage.was_told("is UP on"), "{:?}", stage.told);
        assert!(stage.changes.is_empty(), "{:?}", stage.changes);
    }

    #[test]
    fn an_address_is_refused_before_the_peer_s_is_there() {
        let mut stage = Stage::in_state(State::Negotiating);
        stage.feed(surrounded());
        stage.half_a_link();
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_tunnel_that_is_up_falls_when_its_address_becomes_one_that_the_host_has_to_reach() {
        let mut stage = Stage::in_state(State::Up);
        stage.feed(surrounded());
        assert_eq!(stage.state(), "stopping");
        assert!(stage.was_told(REASON), "{:?}", stage.told);
    }

    fn new_subnet() -> Event {
        let subnets = BTreeSet::from([subnet("docker0", [10, 50, 0, 1], 24)]);
        Event::Surroundings(Surroundings { subnets, ..Surroundings::default() })
    }

    #[test]
    fn a_subnet_that_the_host_gets_later_ends_no_tunnel_that_is_up_and_is_told_once() {
        let mut stage = Stage::in_state(State::Up);
        stage.feed(Event::Surroundings(Surroundings::default()));
        stage.told.clear();
        stage.feed(new_subnet());
        stage.feed(new_subnet());
        stage.link(false, true);
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
        let told = stage.told.iter().filter(|told| told.contains("docker0 (10.50.0.1/24)"));
        assert_eq!(told.count(), 1, "{:?}", stage.told);
        assert!(stage.was_told("10.50.0.100") && stage.was_told("node 1"), "{:?}", stage.told);
    }

    #[test]
    fn a_tunnel_that_was_up_before_the_surroundings_were_known_is_judged_once_they_are() {
        let mut stage = Stage::in_state(State::Up);
        stage.feed(new_subnet());
        assert_eq!(stage.state(), "stopping");
    }

    fn notes(stage: &Stage) -> Vec<String> {
        let node = stage.core.report_one(NODE).unwrap();
        node.notes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_odd_about_a_tunnel_s_addresses_is_shown_as_long_as_it_is_so() {
        let mut stage = Stage::in_state(State::Up);
        stage.feed(Event::Surroundings(Surroundings::default()));
        assert_eq!(notes(&stage), [""; 0]);
        stage.feed(new_subnet());
        let [peer, our_end] = &notes(&stage)[..] else { panic!("{:?}", notes(&stage)) };
        assert!(
            peer.contains("its own end 10.50.0.1, which lies on the subnet of docker0"),
            "{peer}"
        );
        assert!(our_end.contains("our end's address 10.50.0.100 lies on"), "{our_end}");
        stage.feed(Event::Surroundings(Surroundings::default()));
        stage.desire_a_server_at([10, 50, 0, 1]);
        let [peer] = &notes(&stage)[..] else { panic!("{:?}", notes(&stage)) };
        assert!(peer.contains("10.50.0.1, which is the server of node 8: "), "{peer}");
    }

    #[test]
    fn an_address_on_a_subnet_that_was_there_before_the_tunnel_is_refused() {
        let mut stage = Stage::in_state(State::Negotiating);
        stage.feed(new_subnet());
        stage.link(true, true);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_tunnel_that_is_up_falls_when_a_row_names_its_address_as_server() {
        let mut stage = Stage::in_state(State::Up);
        stage.desire_a_server_at([10, 50, 0, 100]);
        assert_eq!(stage.state(), "stopping");
        assert!(stage.was_told("which is the server of node 8"), "{:?}", stage.told);
    }

    /// A link has the address that the stage's server gives.
    fn show_with_it(stage: &mut Stage, index: u32, name: &str) {
        let [local, remote] = [[10, 50, 0, 100], [10, 50, 0, 1]].map(Ipv4Addr::from);
        let addresses = vec![LinkAddress { local, remote: Some(remote) }];
        let link = Some(Link { name: name.into(), up: true, addresses });
        let changes = vec![LinkChange { index: IfIndex(index), link }];
        stage.feed(Event::Links { changes, hearing: Hearing::default() });
    }

    /// A link of nobody has the address that the stage's server gives.
    fn other_link(stage: &mut Stage, index: u32) {
        show_with_it(stage, index, "wan");
    }

    #[test]
    fn the_address_of_an_older_ppp_link_of_nobody_is_refused() {
        let mut stage = Stage::in_state(State::Invalid);
        other_link(&mut stage, 3);
        stage.desire(Some(Candidate::Node(node("secret").into())));
        stage.link(true, true);
        assert_eq!(stage.state(), "stopping");
        stage.exit(FailureKind::Killed);
        assert!(
            stage.was_told("is an address of wan, a link that is no tunnel"),
            "{:?}",
            stage.told
        );
    }

    #[test]
    fn a_dial_that_began_after_a_link_was_seen_leaves_that_link_to_others() {
        let mut stage = Stage::in_state(State::Invalid);
        other_link(&mut stage, 3);
        stage.desire_a_server_at([10, 9, 0, 8]);
        stage.link(true, true);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_link_that_a_dial_may_prove_its_own_refuses_nobody_its_address() {
        let mut stage = Stage::in_state(State::Dialing);
        stage.desire_a_server_at([10, 9, 0, 8]);
        other_link(&mut stage, 3);
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn a_ppp_link_that_comes_later_with_the_address_of_a_tunnel_ends_it_not() {
        let mut stage = Stage::in_state(State::Up);
        other_link(&mut stage, 8);
        stage.link(false, true);
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn an_older_link_that_gets_the_address_of_a_tunnel_later_ends_it_not() {
        let mut stage = Stage::in_state(State::Up);
        other_link(&mut stage, 3);
        stage.link(false, true);
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn a_younger_ppp_link_of_nobody_that_had_the_address_first_refuses_it() {
        let mut stage = Stage::in_state(State::Negotiating);
        other_link(&mut stage, 8);
        stage.link(true, true);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_link_that_a_dial_could_have_had_refuses_its_address_once_that_dial_has_another() {
        let mut stage = Stage::in_state(State::Dialing);
        stage.desire_a_server_at([10, 9, 0, 8]);
        other_link(&mut stage, 3);
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
        stage.end(stage.rival, FailureKind::Hangup);
        assert_eq!(stage.state(), "up", "the kernel may still have the other's link");
        let until = stage.core.undecided_until().unwrap();
        stage.wait(until.since(stage.now()));
        assert_eq!(stage.state(), "stopping");
    }

    /// A pppd of this node is found, with a link of this name.
    fn found(number: u64, node: NodeId, interface: &str) -> FoundCall {
        let (call, interface) = (CallId::Found(number), Some(interface.to_owned()));
        let (engine, pid, renamed, dialled) = (Engine::Pppd, Some(7), false, None);
        FoundCall { call, node, engine, pid, interface, renamed, dialled }
    }

    fn with_two_links_of_one_address() -> Stage {
        let mut stage = Stage::in_state(State::Invalid);
        show_with_it(&mut stage, 3, "ppp3");
        show_with_it(&mut stage, 4, "ppp4");
        stage
    }

    #[test]
    fn links_of_calls_that_are_found_together_refuse_each_other_nothing() {
        let mut stage = with_two_links_of_one_address();
        let (one, other) = (NodeId(8), NodeId(9));
        stage.feed(Event::Found(vec![found(1, one, "ppp4"), found(2, other, "ppp3")]));
        let states = [one, other].map(|id| stage.core.state(id));
        assert_eq!(states, [Some(State::Up); 2], "{:?}", stage.told);
    }

    #[test]
    fn the_link_of_a_second_call_refuses_nothing_while_it_lives_and_while_it_goes() {
        let mut stage = with_two_links_of_one_address();
        let (id, second) = (NodeId(8), found(2, NodeId(8), "ppp3"));
        stage.feed(Event::Found(vec![found(1, id, "ppp4"), second.clone()]));
        assert_eq!(stage.hung_up, [second.call], "{:?}", stage.told);
        stage.end(second.call, FailureKind::Killed);
        assert_eq!(stage.core.state(id), Some(State::Up), "{:?}", stage.told);
    }

    #[test]
    fn a_second_call_whose_link_is_renamed_has_it_when_it_takes_the_place_of_the_first() {
        let mut stage = Stage::in_state(State::Invalid);
        let (id, link) = (NodeId(8), IfIndex(3));
        stage.show(link, Some("ppp3"));
        stage.feed(Event::Found(vec![found(1, id, "ppp4"), found(2, id, "ppp3")]));
        stage.show(link, Some("wan3"));
        stage.end(CallId::Found(1), FailureKind::Killed);
        let node = stage.core.report_one(id).unwrap();
        assert_eq!((node.state, node.index), (State::Negotiating, Some(link)), "{:?}", stage.told);
    }

    #[test]
    fn the_link_of_a_refused_address_is_to_lose_it_at_once() {
        let mut stage = Stage::in_state(State::Negotiating);
        stage.feed(surrounded());
        stage.ways.clear();
        stage.link(true, true);
        let (index, local) = (crate::core::stage::LINK, [10, 50, 0, 100].into());
        assert_eq!(stage.ways, [Way::Refused { node: NODE, index, local }]);
    }
}
