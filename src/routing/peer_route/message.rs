//! The kernel's messages, as far as they are about routes that it keeps for addresses.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable,
};

use crate::core::event::IfIndex;
use crate::netlink;
use crate::netlink::numbers::{
    ROUTE_HEADER, RTM_DELLINK, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, RTPROT_KERNEL,
};

/// `AF_INET`, `RT_TABLE_MAIN`, `RT_SCOPE_LINK`, `RTN_UNICAST`.
const INET: u8 = 2;
pub(super) const MAIN: u8 = 254;
const LINK: u8 = 253;
const UNICAST: u8 = 1;

/// Attributes of a route (linux/rtnetlink.h).
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;

/// What one message tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A route is there.
    Route(AddressRoute),
    /// There is no such link any more.
    NoLink(IfIndex),
    /// Something else.
    Other,
}

/// A route of the main table that the kernel keeps for an address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressRoute {
    /// The link.
    pub index: IfIndex,
    /// Where it leads.
    pub destination: Ipv4Addr,
    /// As the kernel tells it, which names this very route.
    whole: Vec<u8>,
}

impl NetlinkDeserializable for News {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        let news = match header.message_type {
            RTM_NEWROUTE => route(payload).map(News::Route),
            RTM_DELLINK => no_link(payload).map(News::NoLink),
            _ => None,
        };
        Ok(news.unwrap_or(News::Other))
    }
}

fn route(payload: &[u8]) -> Option<AddressRoute> {
    let (header, attributes) = payload.split_at_checked(ROUTE_HEADER)?;
    let [INET, _, _, _, MAIN, RTPROT_KERNEL, LINK, UNICAST, ..] = *header else { return None };
    let index = netlink::attribute(attributes, RTA_OIF)?;
    Some(AddressRoute {
        index: IfIndex(u32::from_ne_bytes(index.try_into().ok()?)),
        destination: netlink::ipv4(attributes, RTA_DST)?,
        whole: payload.to_vec(),
    })
}

/// A byte of family, one of padding, two of hardware type, and the index. Bridges tell of their ports
/// under a family of their own.
fn no_link(payload: &[u8]) -> Option<IfIndex> {
    let index = payload.get(4..8)?.try_into().ok()?;
    payload.starts_with(&[0]).then_some(IfIndex(u32::from_ne_bytes(index)))
}

/// What is asked of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Tell all such routes. A kernel that does not choose tells every route.
    List,
    /// Remove this one. Answered only where that can't be done.
    Remove(AddressRoute),
}

impl Request {
    pub(super) fn flags(&self) -> u16 {
        match self {
            Request::List => NLM_F_REQUEST | NLM_F_DUMP,
            Request::Remove(_) => NLM_F_REQUEST,
        }
    }
}

impl NetlinkSerializable for Request {
    fn message_type(&self) -> u16 {
        match self {
            Request::List => RTM_GETROUTE,
            Request::Remove(_) => RTM_DELROUTE,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Request::List => ROUTE_HEADER,
            Request::Remove(route) => route.whole.len(),
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let list = [INET, 0, 0, 0, MAIN, RTPROT_KERNEL, 0, 0, 0, 0, 0, 0];
        let from = match self {
            Request::List => &list[..],
            Request::Remove(route) => &route.whole,
        };
        for (place, byte) in buffer.iter_mut().zip(from) {
            *place = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope};
    use rtnetlink::RouteMessageBuilder;

    use super::*;

    fn kept() -> RouteMessageBuilder<Ipv4Addr> {
        RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix([203, 0, 113, 7].into(), 32)
            .output_interface(4)
            .pref_source([10, 50, 0, 100].into())
            .protocol(RouteProtocol::Kernel)
            .scope(RouteScope::Link)
    }

    fn bytes(message: &impl NetlinkSerializable) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn decode(route: RouteMessage) -> News {
        let message = RouteNetlinkMessage::NewRoute(route);
        let mut header = NetlinkHeader::default();
        header.message_type = message.message_type();
        News::deserialize(&header, &bytes(&message)).unwrap()
    }

    #[test]
    fn a_route_that_the_kernel_keeps_for_an_address_is_removed_as_it_was_told() {
        let told = kept().build();
        let News::Route(route) = decode(told.clone()) else { panic!("no route") };
        assert_eq!((route.index, route.destination), (IfIndex(4), [203, 0, 113, 7].into()));
        let removal = Request::Remove(route);
        assert_eq!(bytes(&removal), bytes(&RouteNetlinkMessage::DelRoute(told)));
    }

    #[test]
    fn routes_that_somebody_made_and_those_of_other_tables_are_none_of_ours() {
        for other in [
            kept().protocol(RouteProtocol::Boot).build(),
            kept().protocol(RouteProtocol::Static).build(),
            kept().table_id(255).build(),
            kept().table_id(100).build(),
            kept().scope(RouteScope::Universe).build(),
        ] {
            assert_eq!(decode(other.clone()), News::Other, "{other:?}");
        }
    }

    #[test]
    fn a_route_of_no_link_is_none_of_ours() {
        let mut route = kept().build();
        route.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Oif(_)));
        assert_eq!(decode(route), News::Other);
    }

    #[test]
    fn what_is_cut_short_is_none_of_ours() {
        let whole = bytes(&RouteNetlinkMessage::NewRoute(kept().build()));
        let mut header = NetlinkHeader::default();
        header.message_type = RTM_NEWROUTE;
        for length in 0..12 {
            assert_eq!(News::deserialize(&header, &whole[..length]), Ok(News::Other), "{length}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::fuzz;
    use crate::netlink::Datagram;

    #[test]
    fn messages_of_routes_are_read_whatever_they_are_and_only_such_are_removed() {
        fuzz("tests/fuzz/corpus/netlink", |bytes| {
            let mut datagram = Datagram::new();
            datagram.buffer().extend(bytes);
            while let Ok(Some(message)) = datagram.next::<News>() {
                if let netlink_packet_core::NetlinkPayload::InnerMessage(News::Route(route)) =
                    message.payload
                {
                    let request = Request::Remove(route.clone());
                    let mut payload = vec![0; request.buffer_len()];
                    request.serialize(&mut payload);
                    assert_eq!(super::route(&payload), Some(route));
                }
            }
        });
    }
}
