//! What the host has to reach, asked by address. It may have thousands of links, and each tunnel that comes
//! up asks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::servers::Servers;
use super::surroundings::{Clash, Subnet, Surroundings};
use crate::node::ServerAddr;

/// What the host has to reach beside its tunnels.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    gateways: BTreeSet<Ipv4Addr>,
    resolvers: BTreeSet<Ipv4Addr>,
    /// By the length of the prefix, the longest first, and by its bits; of equal ones the first by its link's name.
    subnets: BTreeMap<Reverse<u8>, BTreeMap<u32, Subnet>>,
}

impl From<Surroundings> for Reach {
    fn from(Surroundings { gateways, resolvers, subnets }: Surroundings) -> Self {
        let mut reach = Reach { gateways, resolvers, subnets: BTreeMap::new() };
        for subnet in subnets {
            let alike = reach.subnets.entry(Reverse(subnet.prefix)).or_default();
            alike.entry(prefix_bits(subnet.address, subnet.prefix)).or_insert(subnet);
        }
        reach
    }
}

impl Reach {
    /// What would be lost if this address were one of the host's own; the worst of it.
    pub(super) fn clash(&self, local: Ipv4Addr, servers: &Servers) -> Option<Clash> {
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

    /// The smallest subnet that has this address in it.
    pub(super) fn subnet_with(&self, address: Ipv4Addr) -> Option<&Subnet> {
        let mut alike = self.subnets.iter();
        alike.find_map(|(Reverse(prefix), subnets)| subnets.get(&prefix_bits(address, *prefix)))
    }
}

/// The first `prefix` bits of an address, in their places.
fn prefix_bits(address: Ipv4Addr, prefix: u8) -> u32 {
    let beyond = 32_u32.saturating_sub(prefix.into());
    address.to_bits() & u32::MAX.checked_shl(beyond).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::stage::node;
    use crate::node::{Node, NodeId};

    fn subnet(interface: &str, address: [u8; 4], prefix: u8) -> Subnet {
        Subnet { interface: interface.into(), address: address.into(), prefix }
    }

    fn said(local: [u8; 4]) -> Option<String> {
        let host = Reach::from(Surroundings {
            gateways: BTreeSet::from([[192, 0, 2, 1].into()]),
            resolvers: BTreeSet::from([[9, 9, 9, 9].into()]),
            subnets: BTreeSet::from([
                subnet("eth0", [192, 0, 2, 2], 24),
                subnet("eth1", [172, 16, 5, 1], 31),
                subnet("lo", [10, 255, 0, 1], 32),
            ]),
        });
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

    /// The link of the subnet that the host says to have this address.
    fn link_with(subnets: &[(&str, [u8; 4], u8)], address: [u8; 4]) -> Option<String> {
        let subnets = subnets.iter().map(|(name, address, prefix)| subnet(name, *address, *prefix));
        let reach =
            Reach::from(Surroundings { subnets: subnets.collect(), ..Surroundings::default() });
        Some(reach.subnet_with(address.into())?.interface.clone())
    }

    #[test]
    fn a_prefix_of_no_length_holds_every_address() {
        let all = ("x", [10, 0, 0, 1], 0);
        assert_eq!(link_with(&[all], [203, 0, 113, 9]).as_deref(), Some("x"));
    }

    #[test]
    fn of_several_subnets_with_an_address_the_smallest_is_named_and_of_equal_ones_the_first() {
        let wide = ("a", [10, 0, 0, 1], 8);
        let (first, second) = (("b", [10, 0, 0, 2], 24), ("c", [10, 0, 0, 3], 24));
        assert_eq!(link_with(&[wide, second, first], [10, 0, 0, 9]).as_deref(), Some("b"));
        assert_eq!(link_with(&[wide, second, first], [10, 0, 1, 9]).as_deref(), Some("a"));
    }
}
