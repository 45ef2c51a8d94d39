//! Routes of ours to servers when the host's gateway becomes another: they lead by the old one, and no
//! dial would ever reach its server again.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use futures::TryStreamExt;
use netlink_packet_route::link::LinkLayerType;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use tokio::time::timeout;

use super::{Hop, list, message, to_server};
use crate::core::event::IfIndex;
use crate::netlink;
use crate::routing::kernel::{LIMIT, OURS, RoutingError, refused, table_of};

/// A route of ours to a server that leads elsewhere from now on.
#[derive(Debug, PartialEq, Eq)]
struct Moved {
    server: Ipv4Addr,
    from: Ipv4Addr,
    to: Hop,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moved { server, from, to } = self;
        write!(
            f,
            "The route to server {server} led by {from}, which is no gateway of this host any more; "
        )?;
        match to.gateway {
            Some(gateway) => write!(f, "it leads by {gateway} now"),
            None => f.write_str("it leads to its own subnet now"),
        }
    }
}

/// Has those that lead by a gateway which the host has no more lead where the server is reached now.
pub(crate) async fn mend() {
    let mended = timeout(LIMIT, look()).await;
    if let Err(error) = mended.unwrap_or(Err(RoutingError::Silent)) {
        tracing::warn!(
            "{error}; if the host's gateway is another, routes to servers may lead by the old one"
        );
    }
}

async fn look() -> Result<(), RoutingError> {
    let (handle, _serving) = netlink::connect_strict().map_err(RoutingError::Socket)?;
    let ours = list(&handle, RouteProtocol::Other(OURS)).await?;
    if !ours.iter().any(|route| to_server(route).is_some()) {
        return Ok(());
    }
    let routes = list(&handle, RouteProtocol::Unspec).await?;
    let links = handle.link().get().execute();
    let links: Vec<_> = links.try_collect().await.map_err(refused("list links"))?;
    let is_tunnel = |layer| matches!(layer, LinkLayerType::Ppp);
    let tunnels = links.iter().filter(|link| is_tunnel(link.header.link_layer_type));
    let tunnels = tunnels.map(|link| IfIndex(link.header.index)).collect();
    for moved in all_moved(&routes, &tunnels) {
        let route = message(moved.server, moved.to);
        let replaced = handle.route().add(route).replace().execute().await;
        replaced.map_err(refused(format!("replace the one to {}", moved.server)))?;
        tracing::info!("{moved}");
    }
    Ok(())
}

/// What is to lead elsewhere. The way to a server by a rule and another table may be meant, so only a
/// gateway by which no other route leads counts as gone.
fn all_moved(routes: &[RouteMessage], tunnels: &BTreeSet<IfIndex>) -> Vec<Moved> {
    let others = || routes.iter().filter(|route| to_server(route).is_none());
    let gateways: BTreeSet<Ipv4Addr> = others().flat_map(next_hops).collect();
    let moved = |route: &RouteMessage| {
        let (server, hop) = (to_server(route)?, Hop::of(route));
        let from = hop.gateway.filter(|gateway| !gateways.contains(gateway))?;
        let to = Hop::of(best(others(), server, tunnels)?);
        Some(Moved { server, from, to })
    };
    routes.iter().filter_map(moved).collect()
}

fn next_hops(route: &RouteMessage) -> Vec<Ipv4Addr> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
    let of = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => vec![*gateway],
        RouteAttribute::MultiPath(hops) => hops
            .iter()
            .flat_map(|hop| &hop.attributes)
            .filter_map(|attribute| {
                let RouteAttribute::Gateway(RouteAddress::Inet(gateway)) = attribute else {
                    return None;
                };
                Some(*gateway)
            })
            .collect(),
        _ => Vec::new(),
    };
    route.attributes.iter().flat_map(of).collect()
}

/// The route of the main table that packets to this server take without one of ours and without
/// tunnels: the longest, and of those that with the lowest metric.
fn best<'a>(
    routes: impl Iterator<Item = &'a RouteMessage>,
    server: Ipv4Addr,
    tunnels: &BTreeSet<IfIndex>,
) -> Option<&'a RouteMessage> {
    let leads = |route: &&RouteMessage| {
        let is_main = table_of(route) == u32::from(RouteHeader::RT_TABLE_MAIN);
        let by_link = Hop::of(route).link.is_some_and(|link| !tunnels.contains(&link));
        is_main && route.header.kind == RouteType::Unicast && by_link && covers(route, server)
    };
    routes.filter(leads).max_by_key(|route| {
        (route.header.destination_prefix_length, std::cmp::Reverse(metric(route)))
    })
}

fn covers(route: &RouteMessage, server: Ipv4Addr) -> bool {
    let destination = route.attributes.iter().find_map(|attribute| {
        let RouteAttribute::Destination(RouteAddress::Inet(destination)) = attribute else {
            return None;
        };
        Some(destination.to_bits())
    });
    let bits = 32_u32.saturating_sub(route.header.destination_prefix_length.into());
    let mask = u32::MAX.checked_shl(bits).unwrap_or(0);
    destination.unwrap_or(0) & mask == server.to_bits() & mask
}

fn metric(route: &RouteMessage) -> u32 {
    let metric = |attribute: &RouteAttribute| {
        let RouteAttribute::Priority(metric) = attribute else { return None };
        Some(*metric)
    };
    route.attributes.iter().find_map(metric).unwrap_or(0)
}
