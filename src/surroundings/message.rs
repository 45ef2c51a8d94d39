//! The kernel's messages, as far as they tell of gateways and subnets.
//!
//! Only the fixed headers and a few attributes are read: an attribute that is new or odd must not make
//! the daemon deaf.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

use crate::core::event::IfIndex;
use crate::netlink::numbers::{
    ADDRESS_HEADER, ARPHRD_PPP, IFA_ADDRESS, IFA_LOCAL, IFLA_IFNAME, LINK_HEADER, ROUTE_HEADER,
    RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE,
};
use crate::netlink::{attribute, ipv4};

/// Message types (linux/rtnetlink.h).
const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;

/// Attributes of a route (linux/rtnetlink.h).
const RTA_GATEWAY: u16 = 5;
const RTA_MULTIPATH: u16 = 9;
/// The size of `struct rtnexthop`, which begins with its length and attributes (linux/rtnetlink.h).
const NEXT_HOP: usize = 8;

const AF_INET: u8 = 2;
/// A flag (linux/if.h).
const IFF_UP: u32 = 1;

/// What one message tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A link is there.
    Link { index: IfIndex, name: String, is_ppp: bool, is_up: bool },
    /// There is no such link any more.
    NoLink { index: IfIndex, is_ppp: bool },
    /// A link has an address, or has it no more.
    Address(Address),
    /// A route is there, or replaces another, by these next hops.
    Route(Vec<Ipv4Addr>),
    /// A route with these next hops is there no more.
    NoRoute(Vec<Ipv4Addr>),
    /// Something else.
    Other,
}

/// An IPv4 address of a link: our own, and the subnet, which is the peer's where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) index: IfIndex,
    pub(super) local: Ipv4Addr,
    pub(super) subnet: Ipv4Addr,
    pub(super) prefix: u8,
}

impl NetlinkDeserializable for News {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        let news = match header.message_type {
            RTM_NEWLINK => link(payload),
            RTM_DELLINK => link_header(payload)
                .map(|Header { index, is_ppp, .. }| News::NoLink { index, is_ppp }),
            RTM_NEWADDR | RTM_DELADDR => address(payload).map(News::Address),
            RTM_NEWROUTE => next_hops(payload).map(News::Route),
            RTM_DELROUTE => next_hops(payload).map(News::NoRoute),
            _ => None,
        };
        Ok(news.unwrap_or(News::Other))
    }
}

struct Header {
    index: IfIndex,
    is_ppp: bool,
    is_up: bool,
}

/// A byte of family, one of padding, two of hardware type, the index, the flags. Bridges tell of their
/// ports under a family of their own.
fn link_header(payload: &[u8]) -> Option<Header> {
    let [0, _, type_0, type_1, rest @ ..] = payload else { return None };
    let (index, rest) = rest.split_first_chunk()?;
    let (flags, _) = rest.split_first_chunk()?;
    Some(Header {
        index: IfIndex(u32::from_ne_bytes(*index)),
        is_ppp: u16::from_ne_bytes([*type_0, *type_1]) == ARPHRD_PPP,
        is_up: u32::from_ne_bytes(*flags) & IFF_UP != 0,
    })
}

fn link(payload: &[u8]) -> Option<News> {
    let Header { index, is_ppp, is_up } = link_header(payload)?;
    let name = attribute(payload.get(LINK_HEADER..)?, IFLA_IFNAME)?;
    let name = name.strip_suffix(&[0]).unwrap_or(&name);
    Some(News::Link { index, name: String::from_utf8_lossy(name).into_owned(), is_ppp, is_up })
}

/// Of a point-to-point address, IFA_LOCAL is our end and IFA_ADDRESS the peer's; of any other, both are
/// our own, or IFA_LOCAL is missing (linux/if_addr.h).
fn address(payload: &[u8]) -> Option<Address> {
    let (header, attributes) = payload.split_at_checked(ADDRESS_HEADER)?;
    let [AF_INET, prefix, _, _, index @ ..] = header else { return None };
    let index = IfIndex(u32::from_ne_bytes(index.try_into().ok()?));
    let far = ipv4(attributes, IFA_ADDRESS);
    let local = ipv4(attributes, IFA_LOCAL).or(far)?;
    Some(Address { index, local, subnet: far.unwrap_or(local), prefix: *prefix })
}

/// The IPv4 next hops of an IPv4 route.
fn next_hops(payload: &[u8]) -> Option<Vec<Ipv4Addr>> {
    let (header, attributes) = payload.split_at_checked(ROUTE_HEADER)?;
    let [AF_INET, ..] = header else { return None };
    let mut hops = Vec::from_iter(ipv4(attributes, RTA_GATEWAY));
    let several = attribute(attributes, RTA_MULTIPATH).unwrap_or_default();
    let mut rest = &several[..];
    while let [length_0, length_1, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([length_0, length_1]));
        let Some((hop, others)) = rest.split_at_checked(length.max(NEXT_HOP)) else { break };
        hops.extend(hop.get(NEXT_HOP..).and_then(|attributes| ipv4(attributes, RTA_GATEWAY)));
        rest = others.get(length.next_multiple_of(4).saturating_sub(hop.len())..).unwrap_or(&[]);
    }
    Some(hops)
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Links,
    Addresses,
    /// Of all tables.
    Routes,
}

impl NetlinkSerializable for List {
    fn message_type(&self) -> u16 {
        match self {
            List::Links => RTM_GETLINK,
            List::Addresses => RTM_GETADDR,
            List::Routes => RTM_GETROUTE,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            List::Links => LINK_HEADER,
            List::Addresses => ADDRESS_HEADER,
            List::Routes => ROUTE_HEADER,
        }
    }

    /// Nothing but the family is said.
    fn serialize(&self, buffer: &mut [u8]) {
        buffer.fill(0);
        let family = match self {
            List::Links => 0,
            List::Addresses | List::Routes => AF_INET,
        };
        if let Some(first) = buffer.first_mut() {
            *first = family;
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteNextHop};
    use rtnetlink::RouteMessageBuilder;

    use super::*;

    fn decode(message: &RouteNetlinkMessage) -> News {
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let mut header = NetlinkHeader::default();
        header.message_type = message.message_type();
        News::deserialize(&header, &bytes).unwrap()
    }

    #[test]
    fn the_next_hops_of_a_route_with_several_are_all_told() {
        let hop = |last| {
            let mut hop = RouteNextHop::default();
            let gateway = RouteAddress::Inet([192, 0, 2, last].into());
            hop.attributes.push(RouteAttribute::Gateway(gateway));
            hop
        };
        let mut route = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let hops = vec![hop(1), RouteNextHop::default(), hop(3)];
        route.attributes.push(RouteAttribute::MultiPath(hops));
        let told = decode(&RouteNetlinkMessage::NewRoute(route));
        assert_eq!(told, News::Route(vec![[192, 0, 2, 1].into(), [192, 0, 2, 3].into()]));
    }

    #[test]
    fn what_is_cut_short_tells_nothing() {
        let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway([192, 0, 2, 1].into()).build();
        let message = RouteNetlinkMessage::NewRoute(route);
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let mut header = NetlinkHeader::default();
        for kind in [RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE] {
            header.message_type = kind;
            for length in 0..8 {
                let told = News::deserialize(&header, &bytes[..length]);
                assert_eq!(told, Ok(News::Other), "{kind}, {length} bytes");
            }
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::fuzz;
    use crate::netlink::Datagram;

    #[test]
    fn messages_of_gateways_and_subnets_are_read_whatever_they_are() {
        fuzz("tests/fuzz/corpus/netlink", |bytes| {
            let mut datagram = Datagram::new();
            datagram.buffer().extend(bytes);
            while let Ok(Some(_)) = datagram.next::<News>() {}
        });
    }
}
