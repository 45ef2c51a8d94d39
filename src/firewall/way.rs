//! Which way packets go to a server.

use std::net::Ipv4Addr;

use futures::TryStreamExt;
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use rtnetlink::{Handle, RouteMessageBuilder};
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::netlink;

/// A PPTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its address.
    pub address: Ipv4Addr,
    /// The link by which it is reached; `None` where that is not known.
    pub link: Option<String>,
}

/// Asks the kernel for the way to each of these; what it does not tell stays unknown.
pub(crate) async fn servers(addresses: Vec<Ipv4Addr>) -> Vec<Server> {
    let Ok((handle, _serving)) = netlink::connect() else {
        return addresses.into_iter().map(|address| Server { address, link: None }).collect();
    };
    let mut servers = Vec::new();
    for address in addresses {
        servers.push(Server { address, link: link_to(&handle, address).await });
    }
    servers
}

async fn link_to(handle: &Handle, address: Ipv4Addr) -> Option<String> {
    let whither = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(address, 32).build();
    let route = handle.route().get(whither).execute().try_next().await.ok()??;
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    index_to_name(any, out(&route)?).ok()
}

fn out(route: &RouteMessage) -> Option<u32> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}
