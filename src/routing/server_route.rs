//! Routes to servers, which the peer file adds for a tunnel that may take the default route: without
//! one, a server that is reached by another default route would be sought in its own tunnel.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol,
};
use tokio::task::JoinSet;

use super::kernel::{OURS, RoutingError, is_ours, refused, table_of};

/// What marks such a route as ours, for `ip route add`.
pub(crate) const PROTOCOL: u8 = OURS;

/// Removes those to servers that no node has any more.
pub(crate) async fn sweep(servers: BTreeSet<Ipv4Addr>) {
    if let Err(error) = remove_others(&servers).await {
        tracing::warn!("{error}; routes to servers of removed nodes may be left");
    }
}

async fn remove_others(servers: &BTreeSet<Ipv4Addr>) -> Result<(), RoutingError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(RoutingError::Socket)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut filter = RouteMessage::default();
    filter.header.address_family = AddressFamily::Inet;
    filter.header.protocol = RouteProtocol::Other(OURS);
    let routes: Vec<RouteMessage> =
        handle.route().get(filter).execute().try_collect().await.map_err(refused("list routes"))?;
    for route in routes {
        if to_server(&route).is_some_and(|server| !servers.contains(&server)) {
            let removed = handle.route().del(route).execute().await;
            removed.map_err(refused("remove a route to a server"))?;
        }
    }
    Ok(())
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
