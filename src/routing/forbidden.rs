//! Which addresses a server may not give to our end of a tunnel.
//!
//! Our end's address becomes one of the host's own, whatever is done: the table `local` is looked at
//! before all others. Packets that the host sends to it never leave, so it must be no address that the
//! host has to reach elsewhere. Nothing is read here.

use std::fmt;
use std::net::Ipv4Addr;

use crate::node::NodeId;

/// What the host has to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The servers of the rows.
    pub servers: Vec<(NodeId, Ipv4Addr)>,
    /// The next hops of its routes, whatever table they are in.
    pub gateways: Vec<Ipv4Addr>,
    /// The name servers of its resolver.
    pub resolvers: Vec<Ipv4Addr>,
    /// The subnets of its links. Those of tunnels are left out: servers may give two of them one
    /// address.
    pub subnets: Vec<Subnet>,
}

/// A subnet on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The link's name.
    pub interface: String,
    /// The host's own address there.
    pub address: Ipv4Addr,
    /// The length of its prefix, 0 to 32 bits.
    pub prefix: u8,
}

/// Why an address may not be ours. As text it ends a sentence that begins with the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clash {
    /// It is a row's server.
    Server(NodeId),
    /// It is a next hop.
    Gateway,
    /// It is a name server.
    Resolver,
    /// It lies on the subnet of a link.
    Subnet(Subnet),
}

impl Surroundings {
    /// What would be lost if this address were one of the host's own; the worst of it.
    pub fn clash(&self, local: Ipv4Addr) -> Option<Clash> {
        let server = self.servers.iter().find(|(_, server)| *server == local);
        server
            .map(|(node, _)| Clash::Server(*node))
            .or_else(|| self.gateways.contains(&local).then_some(Clash::Gateway))
            .or_else(|| self.resolvers.contains(&local).then_some(Clash::Resolver))
            .or_else(|| {
                let on = self.subnets.iter().find(|subnet| subnet.has(local));
                on.cloned().map(Clash::Subnet)
            })
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
            Clash::Server(node) => write!(f, "is the server of node {node}"),
            Clash::Gateway => f.write_str("is a gateway of this host's routes"),
            Clash::Resolver => f.write_str("is a name server of this host"),
            Clash::Subnet(Subnet { interface, address, prefix }) => {
                write!(f, "lies on the subnet of {interface} ({address}/{prefix})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Surroundings {
        let subnet = |interface: &str, address: [u8; 4], prefix| Subnet {
            interface: interface.into(),
            address: address.into(),
            prefix,
        };
        Surroundings {
            servers: vec![(NodeId(3), [10, 9, 0, 3].into())],
            gateways: vec![[192, 0, 2, 1].into()],
            resolvers: vec![[9, 9, 9, 9].into()],
            subnets: vec![
                subnet("eth0", [192, 0, 2, 2], 24),
                subnet("eth1", [172, 16, 5, 1], 31),
                subnet("lo", [10, 255, 0, 1], 32),
            ],
        }
    }

    fn said(local: [u8; 4]) -> Option<String> {
        host().clash(local.into()).map(|clash| clash.to_string())
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
    fn a_prefix_of_no_length_holds_every_address() {
        let all = Subnet { interface: "x".into(), address: [10, 0, 0, 1].into(), prefix: 0 };
        assert!(all.has([203, 0, 113, 9].into()));
    }
}
