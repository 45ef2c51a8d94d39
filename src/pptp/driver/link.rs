//! The interface of a call, by rtnetlink. All of it waits for the kernel's lock of links (rtnl), so
//! it is for threads that may wait.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::route::RouteScope;
use rtnetlink::{Error, Handle, LinkUnspec, RouteMessageBuilder};
use rustix::io::Errno;
use tokio::runtime::Builder;

use super::super::order::Addresses;
use super::resolver;
use crate::core::event::IfIndex;
use crate::netlink::{self, ALLOW_NETLINK};
use crate::os_answer::with_remedy;
use crate::routing::{Ends, is_one_of, server_route};

/// Why the kernel does not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// No netlink.
    #[error("can't open a netlink socket: {}", with_remedy(.0, ALLOW_NETLINK))]
    Socket(#[from] io::Error),
    /// Another link has the name.
    #[error("{0}, the name of its link, is another link's; rename that one")]
    NameTaken(String),
    /// The kernel refused.
    #[error("the kernel refuses: {0}")]
    Refused(#[from] Error),
}

/// How the interface of a call is to be.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    /// The kernel may make a route to the peer.
    pub(super) peer_route: bool,
    /// It may take the default route.
    pub(super) default_route: bool,
    /// Whom the call goes to.
    pub(super) server: Ipv4Addr,
    /// Where the name servers that the server names are written to, if they are.
    pub(super) resolver: Option<PathBuf>,
}

/// Names a link that is down.
pub(super) fn rename(index: u32, name: &str) -> Result<(), LinkError> {
    let message = LinkUnspec::new_with_index(index).name(name).build();
    let taken = |error: &Error| is_one_of(error, &[Errno::EXIST]);
    match ask(async |handle| handle.link().set(message).execute().await) {
        Err(LinkError::Refused(error)) if taken(&error) => {
            Err(LinkError::NameTaken(name.to_owned()))
        }
        other => other,
    }
}

/// Gives a link its MTU and its addresses and sets it up.
pub(super) fn configure(index: u32, addresses: &Addresses, ways: &Ways) -> Result<(), LinkError> {
    // Before the tunnel is up: whoever hears of that finds them.
    if let Some(file) = &ways.resolver {
        resolver::keep(file, ways.server, &addresses.resolvers);
    }
    let link = LinkUnspec::new_with_index(index).mtu(addresses.mtu.into()).up().build();
    ask(async |handle| {
        let mut request = handle.address().add(index, addresses.local.into(), 32);
        *request.message_mut() = address(index, addresses, ways.peer_route);
        request.execute().await?;
        if ways.default_route {
            keep_way_to(&handle, ways.server).await;
        }
        handle.link().set(link).execute().await?;
        if ways.default_route {
            take_default_route(&handle, index).await;
        }
        Ok(())
    })
}

/// Our end, and theirs where they have named one. Without its own prefix's route there is none to
/// the peer: what a server calls itself changes no way of this host's packets.
fn address(index: u32, addresses: &Addresses, peer_route: bool) -> AddressMessage {
    let local = addresses.local;
    let ends = Ends { local, peer: addresses.peer.unwrap_or(local) };
    let mut message = ends.message(IfIndex(index));
    if !peer_route {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
    }
    message
}

/// A route to the server by the present way, or its packets would be sent into its own tunnel.
async fn keep_way_to(handle: &Handle, server: Ipv4Addr) {
    if let Err(error) = server_route::keep(handle, server).await {
        tracing::warn!("The route to {server} can't be kept out of its own tunnel: {error}");
    }
}

/// Where there is one already, it stays.
async fn take_default_route(handle: &Handle, index: u32) {
    let route = RouteMessageBuilder::<Ipv4Addr>::new().output_interface(index);
    let route = route.scope(RouteScope::Link).build();
    if let Err(error) = handle.route().add(route).execute().await {
        tracing::warn!(
            "The default route is not taken by the tunnel (tunnel.default_route): {error}; another \
             one is there, or `ip route` tells why"
        );
    }
}

/// Asks the kernel, and waits.
fn ask<T>(question: impl AsyncFnOnce(Handle) -> Result<T, Error>) -> Result<T, LinkError> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (handle, _serving) = netlink::connect()?;
        Ok(question(handle).await?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::traffic;
    use crate::netlink::testing::{in_namespace, ip};

    const WAYS: Ways = Ways {
        peer_route: false,
        default_route: false,
        server: Ipv4Addr::new(10, 9, 0, 2),
        resolver: None,
    };

    fn addresses() -> Addresses {
        let peer = Some([10, 50, 0, 1].into());
        Addresses { local: [10, 50, 0, 100].into(), peer, mtu: 1400, resolvers: Vec::new() }
    }

    fn shown(arguments: &[&str]) -> String {
        let output = std::process::Command::new("ip").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// A link that is down, in a namespace of its own; what becomes of it.
    fn with_link(check: impl FnOnce(u32) + Send + 'static) {
        in_namespace(async || {
            ip(["tuntap add ppp0 mode tun".to_owned()]);
            let text = shown(&["-oneline", "link", "show", "dev", "ppp0"]);
            let index = text.split(':').next().unwrap().parse().unwrap();
            // A thread that may wait is in its maker's namespace.
            std::thread::scope(|threads| threads.spawn(|| check(index)).join().unwrap());
        });
    }

    #[test]
    fn a_link_gets_its_addresses_without_a_route_to_the_peer() {
        with_link(|index| {
            configure(index, &addresses(), &WAYS).unwrap();
            let text = shown(&["-4", "-oneline", "address", "show", "dev", "ppp0"]);
            assert!(text.contains("10.50.0.100 peer 10.50.0.1/32"), "{text}");
            let text = shown(&["link", "show", "dev", "ppp0"]);
            assert!(text.contains("mtu 1400") && text.contains(",UP"), "{text}");
            assert_eq!(shown(&["route"]), "");
        });
    }

    #[test]
    fn a_route_to_the_peer_stands_where_it_may() {
        with_link(|index| {
            configure(index, &addresses(), &Ways { peer_route: true, ..WAYS }).unwrap();
            assert!(shown(&["route"]).starts_with("10.50.0.1 dev ppp0"), "{}", shown(&["route"]));
        });
    }

    #[test]
    fn a_tunnel_that_may_takes_the_default_route() {
        with_link(|index| {
            configure(index, &addresses(), &Ways { default_route: true, ..WAYS }).unwrap();
            assert!(shown(&["route"]).contains("default dev ppp0"), "{}", shown(&["route"]));
        });
    }

    #[test]
    fn a_name_that_is_taken_is_told() {
        with_link(|index| {
            ip(["tuntap add cx2 mode tun".to_owned()]);
            let taken = rename(index, "cx2").unwrap_err();
            assert!(matches!(taken, LinkError::NameTaken(name) if name == "cx2"));
            rename(index, "cx7").unwrap();
            assert!(traffic::read().unwrap().links.contains_key(&IfIndex(index)));
        });
    }
}
