//! Routes to servers, which the peer file adds for a tunnel that may take the default route: without
//! one, a server that is reached by another default route would be sought in its own tunnel.

mod stale;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
};
use rtnetlink::{Error, Handle, RouteMessageBuilder};
use rustix::io::Errno;
use tokio::time::timeout;

use super::kernel::{LIMIT, OURS, RoutingError, but, is_ours, refused, table_of};
use crate::core::event::IfIndex;
use crate::netlink;

pub(crate) use stale::mend;

/// What marks such a route as ours, for `ip route add`.
pub(crate) const PROTOCOL: u8 = OURS;

/// Makes one by the present way to the server, unless there is one.
///
/// # Errors
/// When the kernel knows no way, or refuses.
pub(crate) async fn keep(handle: &Handle, server: Ipv4Addr) -> Result<(), Error> {
    let to_server = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(server, 32);
    let mut ways = handle.route().get(to_server.build()).execute();
    let Some(way) = ways.try_next().await? else { return Ok(()) };
    let route = message(server, Hop::of(&way));
    but(handle.route().add(route).execute().await, &[Errno::EXIST])
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hop {
    gateway: Option<Ipv4Addr>,
    link: Option<IfIndex>,
}

impl Hop {
    fn of(route: &RouteMessage) -> Self {
        let mut hop = Hop::default();
        for attribute in &route.attributes {
            if let RouteAttribute::Gateway(RouteAddress::Inet(gateway)) = attribute {
                hop.gateway = Some(*gateway);
            } else if let RouteAttribute::Oif(index) = attribute {
                hop.link = Some(IfIndex(*index));
            }
        }
        hop
    }
}

/// A route of ours to a server.
fn message(server: Ipv4Addr, Hop { gateway, link }: Hop) -> RouteMessage {
    let mut route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(server, 32)
        .protocol(RouteProtocol::Other(OURS))
        .scope(RouteScope::Link);
    if let Some(gateway) = gateway {
        route = route.gateway(gateway).scope(RouteScope::Universe);
    }
    if let Some(IfIndex(index)) = link {
        route = route.output_interface(index);
    }
    route.build()
}

/// Removes those to other servers than these, each whatever became of the others.
pub(crate) async fn sweep(servers: BTreeSet<Ipv4Addr>) {
    let swept = timeout(LIMIT, remove_others(&servers)).await;
    let failures = swept.unwrap_or(Err(RoutingError::Silent)).unwrap_or_else(|error| vec![error]);
    // Thousands may fail alike.
    if let Some(first) = failures.first() {
        let more = match failures.len() {
            1 => String::new(),
            all => format!(" (the first of {all} failures)"),
        };
        tracing::warn!("{first}{more}; routes to servers of removed nodes may be left");
    }
}

/// Returns what could not be removed.
async fn remove_others(servers: &BTreeSet<Ipv4Addr>) -> Result<Vec<RoutingError>, RoutingError> {
    let (handle, _serving) = netlink::connect_strict().map_err(RoutingError::Socket)?;
    let mut failures = Vec::new();
    for route in list(&handle, RouteProtocol::Other(OURS)).await? {
        let Some(server) = to_server(&route).filter(|server| !servers.contains(server)) else {
            continue;
        };
        let removed = handle.route().del(route).execute().await;
        // It may have gone with its link.
        let removed = but(removed, &[Errno::NOENT, Errno::SRCH]);
        failures.extend(removed.map_err(refused(format!("remove the one to {server}"))).err());
    }
    Ok(failures)
}

/// IPv4 routes of a protocol; of any, where it is unspecified.
async fn list(handle: &Handle, protocol: RouteProtocol) -> Result<Vec<RouteMessage>, RoutingError> {
    let mut filter = RouteMessage::default();
    filter.header.address_family = AddressFamily::Inet;
    filter.header.protocol = protocol;
    handle.route().get(filter).execute().try_collect().await.map_err(refused("list routes"))
}

/// The server that a route of ours leads to, in the main table.
fn to_server(route: &RouteMessage) -> Option<Ipv4Addr> {
    let header = &route.header;
    let is_main = table_of(route) == u32::from(RouteHeader::RT_TABLE_MAIN);
    if !is_ours(header.protocol) || !is_main || header.destination_prefix_length != 32 {
        return None;
    }
    route.attributes.iter().find_map(|attribute| {
        let RouteAttribute::Destination(RouteAddress::Inet(server)) = attribute else {
            return None;
        };
        Some(*server)
    })
}
