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
use super::reach::Reach;
use super::stopping::Why;
use super::time::Monotonic;
use super::tunnel::Phase;
use super::{Core, Turn};
use crate::node::NodeId;

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
        let before = std::mem::replace(&mut self.reach, surroundings.into());
        self.judge_tunnels(turn);
        // What came up before they were known was not judged by them, and is now.
        if std::mem::replace(&mut self.known.surroundings, true) {
            self.tell_overlaps(&before, turn);
        }
    }

    /// Tells of subnets that are new and hold addresses of tunnels that are up, each with those.
    fn tell_overlaps(&self, before: &Reach, turn: &mut Turn) {
        let mut overlaps: BTreeMap<&Subnet, (Ipv4Addr, Vec<NodeId>)> = BTreeMap::new();
        for id in &self.up {
            let Some(up) = self.tunnels.get(id).and_then(|tunnel| tunnel.up()) else { continue };
            let local = up.addresses.local;
            let subnet = self.reach.subnet_with(local);
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
            let clash = self.reach.clash(remote, &self.servers)?;
            Some(Note::Peer { remote, clash })
        });
        let subnet = self.reach.subnet_with(local).cloned();
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
            let sought = self.tunnels.get(id).and_then(|tunnel| tunnel.sought());
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
        let clash = self.reach.clash(local, &self.servers);
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
mod tests;
