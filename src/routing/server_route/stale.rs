//! Routes of ours to servers when the host's gateway becomes another: they lead by the old one, and no
//! dial would ever reach its server again.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use futures::{StreamExt, TryStreamExt};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkLayerType;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::{Error, Handle};
use rustix::io::Errno;
use tokio::time::timeout;

use super::{Hop, list, message, to_server};
use crate::core::event::IfIndex;
use crate::netlink;
use crate::routing::kernel::{LIMIT, OURS, RoutingError, is_one_of, refused, table_of};

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
        let changed = change(&handle, message(moved.server, moved.to)).await;
        if changed.map_err(refused(format!("replace the one to {}", moved.server)))? {
            tracing::info!("{moved}");
        }
    }
    Ok(())
}

/// Puts a route in the place of the one to the same destination, as `ip route change` does. False where
/// there is none any more: it may have been removed since it was listed, and is not to come back.
async fn change(handle: &Handle, route: RouteMessage) -> Result<bool, Error> {
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewRoute(route));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE;
    let mut answers = handle.clone().request(request)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(refusal) = answer.payload
            && refusal.code.is_some()
        {
            let error = Error::NetlinkError(refusal);
            return if is_one_of(&error, &[Errno::NOENT]) { Ok(false) } else { Err(error) };
        }
    }
    Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::testing::{in_namespace, ip};

    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    /// Whether the route to the server is changed to lead by the second of two neighbours, in a namespace with these
    /// routes; and by whom those lead that are there then.
    async fn changed(routes: &[&str]) -> (bool, Vec<Ipv4Addr>) {
        let link = [
            "link add to0 type veth peer name far0",
            "address add 10.0.0.9/24 dev to0",
            "link set to0 up",
            "link set far0 up",
        ];
        ip(link.iter().chain(routes).map(ToString::to_string));
        let (handle, _serving) = netlink::connect_strict().unwrap();
        let second = Hop { gateway: Some(Ipv4Addr::new(10, 0, 0, 2)), link: None };
        let is_changed = change(&handle, message(SERVER, second)).await.unwrap();
        let left = list(&handle, RouteProtocol::Other(OURS)).await.unwrap();
        (is_changed, left.iter().flat_map(next_hops).collect())
    }

    #[test]
    fn a_route_to_a_server_that_is_there_leads_elsewhere() {
        in_namespace(async || {
            let (is_changed, left) = changed(&["route add 192.0.2.1 via 10.0.0.1 proto 201"]).await;
            assert!(is_changed);
            assert_eq!(left, [Ipv4Addr::new(10, 0, 0, 2)]);
        });
    }

    #[test]
    fn a_route_to_a_server_that_was_removed_meanwhile_does_not_come_back() {
        in_namespace(async || assert_eq!(changed(&[]).await, (false, vec![])));
    }
}
