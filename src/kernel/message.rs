//! Kernel messages, as far as the table needs them.
//!
//! Only the fixed headers and three attributes are read: an attribute of some foreign link that
//! is new or odd must not make the daemon deaf.

use std::convert::Infallible;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressHeader, AddressScope};
use netlink_packet_route::link::{LinkFlags, LinkHeader};

use crate::core::event::{IfIndex, LinkAddress};
use crate::netlink::numbers::{
    ADDRESS_HEADER, IFA_ADDRESS, IFA_LOCAL, IFLA_IFNAME, LINK_HEADER, RTM_DELADDR, RTM_DELLINK,
    RTM_NEWADDR, RTM_NEWLINK,
};
use crate::netlink::{attribute, ipv4};

/// What one message tells of links and addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A point-to-point link is like this.
    Link {
        /// Which link.
        index: IfIndex,
        /// Its name.
        name: String,
        /// IFF_UP and IFF_LOWER_UP.
        up: bool,
    },
    /// There is no such link, or it is not a point-to-point one.
    NoLink(IfIndex),
    /// A link has an address.
    Address(IfIndex, Assigned),
    /// A link has an address no more.
    NoAddress(IfIndex, Assigned),
    /// Not about links or IPv4 addresses.
    Other,
    /// About links or addresses, but not to be understood.
    Undecodable,
}

/// An address with what sets it apart from others of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    /// The address.
    pub address: LinkAddress,
    /// Length of its prefix, in bits.
    pub prefix: u8,
}

impl NetlinkDeserializable for News {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        let news = match header.message_type {
            RTM_NEWLINK => link(payload),
            RTM_DELLINK => no_link(payload),
            RTM_NEWADDR => address(payload, News::Address),
            RTM_DELADDR => address(payload, News::NoAddress),
            _ => Some(News::Other),
        };
        Ok(news.unwrap_or(News::Undecodable))
    }
}

/// The header of a message about a link itself. Bridges tell of their ports with the same message
/// types under another family: there, a removal is that of a port and not of the link.
fn link_header(payload: &[u8]) -> Option<Result<LinkHeader, News>> {
    let header = LinkHeader::parse(payload).ok()?;
    Some(if header.interface_family == AddressFamily::Unspec {
        Ok(header)
    } else {
        Err(News::Other)
    })
}

fn link(payload: &[u8]) -> Option<News> {
    let header = match link_header(payload)? {
        Ok(header) => header,
        Err(other) => return Some(other),
    };
    let index = IfIndex(header.index);
    if !header.flags.contains(LinkFlags::Pointopoint) {
        return Some(News::NoLink(index));
    }
    let name = attribute(payload.get(LINK_HEADER..)?, IFLA_IFNAME)?;
    let name = name.strip_suffix(&[0]).unwrap_or(&name);
    Some(News::Link {
        index,
        name: String::from_utf8_lossy(name).into_owned(),
        up: header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
    })
}

fn no_link(payload: &[u8]) -> Option<News> {
    let header = link_header(payload)?;
    Some(header.map_or_else(|other| other, |header| News::NoLink(IfIndex(header.index))))
}

/// Of a point-to-point address, IFA_LOCAL is our end and IFA_ADDRESS the peer's; of any other,
/// both are our own, or IFA_LOCAL is missing (linux/if_addr.h).
fn address(payload: &[u8], news: fn(IfIndex, Assigned) -> News) -> Option<News> {
    let header = AddressHeader::parse(payload).ok()?;
    if header.family != AddressFamily::Inet {
        return Some(News::Other);
    }
    // The daemon's own, which keep a place for pppd's (src/routing/address.rs).
    if header.scope == AddressScope::Host {
        return Some(News::Other);
    }
    let attributes = payload.get(ADDRESS_HEADER..)?;
    let far = ipv4(attributes, IFA_ADDRESS);
    let local = ipv4(attributes, IFA_LOCAL).or(far)?;
    let address = LinkAddress { local, remote: far.filter(|&far| far != local) };
    Some(news(IfIndex(header.index), Assigned { address, prefix: header.prefix_len }))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use netlink_packet_core::NetlinkSerializable;
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::address::{AddressAttribute, AddressMessage};
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};

    use super::*;

    fn decode(message: &RouteNetlinkMessage) -> News {
        let mut payload = vec![0; message.buffer_len()];
        message.serialize(&mut payload);
        decode_bytes(message.message_type(), &payload)
    }

    fn decode_bytes(message_type: u16, payload: &[u8]) -> News {
        let mut header = NetlinkHeader::default();
        header.message_type = message_type;
        News::deserialize(&header, payload).unwrap()
    }

    fn ppp0(flags: LinkFlags) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 4;
        message.header.flags = flags;
        message.attributes.push(LinkAttribute::Mtu(1400));
        message.attributes.push(LinkAttribute::IfName("ppp0".into()));
        message
    }

    fn told_up(flags: LinkFlags) -> bool {
        let news = decode(&RouteNetlinkMessage::NewLink(ppp0(flags)));
        matches!(news, News::Link { index: IfIndex(4), name, up: true } if name == "ppp0")
    }

    fn address_with(attributes: Vec<AddressAttribute>) -> News {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.index = 4;
        message.header.prefix_len = 32;
        message.attributes = attributes;
        decode(&RouteNetlinkMessage::NewAddress(message))
    }

    fn told(local: [u8; 4], remote: Option<[u8; 4]>) -> News {
        let address = LinkAddress { local: local.into(), remote: remote.map(Into::into) };
        News::Address(IfIndex(4), Assigned { address, prefix: 32 })
    }

    #[test]
    fn up_is_both_flags_together() {
        let ppp = LinkFlags::Pointopoint;
        assert!(told_up(ppp | LinkFlags::Up | LinkFlags::LowerUp));
        assert!(!told_up(ppp | LinkFlags::Up));
        assert!(!told_up(ppp | LinkFlags::LowerUp));
    }

    #[test]
    fn a_link_that_is_not_point_to_point_counts_as_none() {
        let news = decode(&RouteNetlinkMessage::NewLink(ppp0(LinkFlags::Up)));
        assert_eq!(news, News::NoLink(IfIndex(4)));
    }

    #[test]
    fn a_port_leaving_a_bridge_is_no_removal_of_its_link() {
        let mut message = ppp0(LinkFlags::Pointopoint);
        message.header.interface_family = AddressFamily::Bridge;
        assert_eq!(decode(&RouteNetlinkMessage::DelLink(message)), News::Other);
    }

    #[test]
    fn the_peer_is_the_address_that_differs_from_the_local_one() {
        let (ours, theirs) = ([10, 50, 0, 100], [10, 50, 0, 1]);
        let far = AddressAttribute::Address(Ipv4Addr::from(theirs).into());
        let local = AddressAttribute::Local(Ipv4Addr::from(ours).into());
        assert_eq!(address_with(vec![far, local]), told(ours, Some(theirs)));
    }

    #[test]
    fn an_address_equal_to_the_local_one_is_no_peer() {
        let ours = Ipv4Addr::new(10, 50, 0, 100);
        let twice =
            vec![AddressAttribute::Address(ours.into()), AddressAttribute::Local(ours.into())];
        assert_eq!(address_with(twice), told(ours.octets(), None));
    }

    #[test]
    fn an_address_that_only_keeps_a_place_is_none() {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.scope = AddressScope::Host;
        message.attributes.push(AddressAttribute::Local(Ipv4Addr::new(127, 201, 0, 1).into()));
        assert_eq!(decode(&RouteNetlinkMessage::NewAddress(message)), News::Other);
    }

    #[test]
    fn without_a_local_attribute_the_address_is_the_local_one() {
        let ours = Ipv4Addr::new(10, 50, 0, 100);
        let news = address_with(vec![AddressAttribute::Address(ours.into())]);
        assert_eq!(news, told(ours.octets(), None));
    }

    #[test]
    fn a_cut_message_is_known_to_be_undecodable() {
        let message = RouteNetlinkMessage::NewLink(ppp0(LinkFlags::Pointopoint));
        let mut payload = vec![0; message.buffer_len()];
        message.serialize(&mut payload);
        assert_eq!(decode_bytes(RTM_NEWLINK, &payload[..10]), News::Undecodable);
        assert_eq!(decode_bytes(RTM_NEWLINK, &payload[..30]), News::Undecodable);
        assert_eq!(decode_bytes(RTM_DELADDR, &[2, 32, 0, 0, 4, 0, 0, 0]), News::Undecodable);
    }

    #[test]
    fn an_attribute_nobody_knows_hides_nothing() {
        let mut message = ppp0(LinkFlags::Pointopoint);
        let odd = netlink_packet_core::DefaultNla::new(999, vec![1, 2, 3]);
        message.attributes.insert(0, LinkAttribute::Other(odd));
        let news = decode(&RouteNetlinkMessage::NewLink(message));
        assert_eq!(news, News::Link { index: IfIndex(4), name: "ppp0".into(), up: false });
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::fuzz;
    use crate::kernel::table::Table;
    use crate::netlink::Datagram;

    #[test]
    fn messages_of_links_and_addresses_are_read_whatever_they_are() {
        fuzz("tests/fuzz/corpus/netlink", |bytes| {
            let (mut datagram, mut table) = (Datagram::new(), Table::default());
            datagram.buffer().extend(bytes);
            while let Ok(Some(message)) = datagram.next::<News>() {
                if let netlink_packet_core::NetlinkPayload::InnerMessage(news) = message.payload {
                    table.apply(news);
                }
            }
            table.take_changes();
            assert!(!table.is_dirty());
        });
    }
}
