//! Addresses of our ends that are the daemon's business: one that keeps a place, and one that may not be.
//!
//! The kernel keeps a route to a tunnel's peer in the main table, which is removed ([`super::peer_route`])
//! but stands for a moment. Not where an address with the flag `noprefixroute` is on the link when pppd
//! sets its own: pppd's ioctls change the first address that is there and leave its flags as they are
//! (`devinet_ioctl` in the kernel's net/ipv4/devinet.c). So a link that appears gets one to be changed,
//! of 127.0.0.0/8, which changes no way. It comes a while before pppd's, but nothing makes sure that it
//! does; so both is done. Where it comes right between the ioctl that sets our address and the one that
//! sets the peer's, it is that one which gets the peer; the peer is given to our address then.
//!
//! An address that our end may not have is taken off the link at once: its call takes a while to end, and
//! until then packets of the host to that address would stay here.

use std::net::{IpAddr, Ipv4Addr};

use futures::TryStreamExt as _;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use rtnetlink::{Error, Handle};
use rustix::io::Errno;
use tokio::sync::watch;

use super::kernel::is_one_of;
use super::links::{Link, Links};
use crate::core::event::IfIndex;
use crate::netlink;

/// Keeps the place. Its scope says that it is no address to be seen by others; the daemon itself takes no
/// address of that scope for a tunnel's.
const KEEPER: Ipv4Addr = Ipv4Addr::new(127, 201, 0, 1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// Keep a place for pppd's address.
    Keep(IfIndex),
    /// No place is to be kept; mostly it is taken by now.
    Free(IfIndex),
    /// Our end may not have this address.
    Remove(IfIndex, Ipv4Addr),
}

/// Does each of these once.
pub(super) async fn run(mut links: watch::Receiver<Links>) {
    let mut before = Links::none(links.borrow().peer_route);
    loop {
        let now = links.borrow_and_update().clone();
        if now.ending {
            return;
        }
        let deeds = deeds(&before, &now);
        if !deeds.is_empty() {
            carry_out(deeds).await;
        }
        before = now;
        if links.changed().await.is_err() {
            return;
        }
    }
}

/// What is to be done, where it was like this before.
fn deeds(before: &Links, now: &Links) -> Vec<Deed> {
    let of_links = now.last.iter().filter_map(|(node, link)| {
        let is_it = |known: &&Link| (known.index, known.call) == (link.index, link.call);
        let known = before.last.get(node).filter(is_it);
        if link.risen {
            let has_risen = known.is_some_and(|known| known.risen);
            return (!has_risen).then_some(Deed::Free(link.index));
        }
        // Where the route may stand, nothing keeps a place.
        let is_new = known.is_none() || before.peer_route;
        (is_new && !now.peer_route).then_some(Deed::Keep(link.index))
    });
    let refused = now.refused.iter().filter(|(node, ends)| before.refused.get(node) != Some(ends));
    let refused = refused.map(|(_, (index, local))| Deed::Remove(*index, *local));
    of_links.chain(refused).collect()
}

/// What fails is done without: routes to peers are removed, and a refused address goes with its link.
async fn carry_out(deeds: Vec<Deed>) {
    // Strict, so that addresses are listed of the link that is asked for alone.
    let (handle, _serving) = match netlink::connect_strict() {
        Ok(opened) => opened,
        Err(error) => return tracing::debug!("Addresses of tunnels stay as they are: {error}"),
    };
    for deed in deeds {
        let done = deed.carry_out(&handle).await;
        if let Err(error) = done
            && !is_one_of(&error, &[Errno::ADDRNOTAVAIL, Errno::NODEV, Errno::EXIST])
        {
            tracing::debug!("An address of a tunnel stays as it is ({deed:?}): {error}");
        }
    }
}

impl Deed {
    async fn carry_out(self, handle: &Handle) -> Result<(), Error> {
        match self {
            Deed::Keep(index) => {
                // pppd is setting its own already.
                if !ends_on(index, handle).await?.is_empty() {
                    return Ok(());
                }
                add(index, Ends { local: KEEPER, peer: KEEPER }, AddressScope::Host, handle).await
            }
            Deed::Free(index) => {
                let there = ends_on(index, handle).await?;
                if let Some(keeper) = there.iter().find(|ends| ends.local == KEEPER) {
                    delete(index, *keeper, handle).await?;
                }
                if let Some(mended) = mended(&there) {
                    add(index, mended, AddressScope::Universe, handle).await?;
                    let without = Ends { peer: mended.local, ..mended };
                    delete(index, without, handle).await?;
                }
                Ok(())
            }
            Deed::Remove(index, local) => {
                handle.address().del(address(index, local)).execute().await
            }
        }
    }
}

/// Both ends of an address. Where there is no peer, it is the address itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Ours.
    pub(crate) local: Ipv4Addr,
    /// Theirs.
    pub(crate) peer: Ipv4Addr,
}

impl Ends {
    /// The two on a link, without flags.
    pub(crate) fn message(self, index: IfIndex) -> AddressMessage {
        let mut message = address(index, self.local);
        message.attributes.push(AddressAttribute::Address(self.peer.into()));
        message
    }
}

/// What pppd has meant, where the keeper got the peer of its address.
fn mended(there: &[Ends]) -> Option<Ends> {
    let keeper = there.iter().find(|ends| ends.local == KEEPER && ends.peer != KEEPER)?;
    let own = there.iter().find(|ends| ends.local != KEEPER && ends.peer == ends.local)?;
    Some(Ends { local: own.local, peer: keeper.peer })
}

/// The IPv4 addresses of a link.
async fn ends_on(index: IfIndex, handle: &Handle) -> Result<Vec<Ends>, Error> {
    let mut request = handle.address().get();
    request.message_mut().header.family = AddressFamily::Inet;
    request.message_mut().header.index = index.0;
    let found: Vec<AddressMessage> = request.execute().try_collect().await?;
    // A kernel before 5.0 lists those of all links.
    Ok(found.iter().filter(|found| found.header.index == index.0).filter_map(ends).collect())
}

fn ends(message: &AddressMessage) -> Option<Ends> {
    let (mut local, mut peer) = (None, None);
    for attribute in &message.attributes {
        if let AddressAttribute::Local(IpAddr::V4(address)) = attribute {
            local = Some(*address);
        } else if let AddressAttribute::Address(IpAddr::V4(address)) = attribute {
            peer = Some(*address);
        }
    }
    Some(Ends { local: local?, peer: peer? })
}

/// Without a route to the peer.
async fn add(
    index: IfIndex,
    ends: Ends,
    scope: AddressScope,
    handle: &Handle,
) -> Result<(), Error> {
    let mut request = handle.address().add(index.0, ends.local.into(), 32);
    let message = request.message_mut();
    *message = ends.message(index);
    message.header.scope = scope;
    message.attributes.push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
    request.execute().await
}

async fn delete(index: IfIndex, ends: Ends, handle: &Handle) -> Result<(), Error> {
    handle.address().del(ends.message(index)).execute().await
}

/// Where it is to be deleted, whatever its peer is.
fn address(index: IfIndex, local: Ipv4Addr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = 32;
    message.header.index = index.0;
    message.attributes.push(AddressAttribute::Local(local.into()));
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::testing::{in_namespace, ip};

    /// What `ip` shows of the link's addresses and of the main table's routes by it.
    fn shown() -> [String; 2] {
        let ip = |arguments: &[&str]| {
            let output = std::process::Command::new("ip").args(arguments).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        [ip(&["-4", "-oneline", "address", "show", "dev", "ppp0"]), ip(&["route"])]
    }

    fn ppp0() -> IfIndex {
        ip(["tuntap add ppp0 mode tun", "link set ppp0 up"].map(str::to_owned));
        let text = std::fs::read_to_string("/proc/thread-self/net/dev_snmp6/ppp0").unwrap();
        IfIndex(text.split_whitespace().nth(1).unwrap().parse().unwrap())
    }

    #[test]
    fn a_call_that_comes_to_another_link_has_a_place_kept_there_too() {
        let (node, call) = (crate::node::NodeId(2), crate::core::event::CallId::Dialled(1));
        let [before, now] = [7, 8].map(|index| {
            let mut links = Links::none(false);
            links.linked(node, IfIndex(index), call);
            links
        });
        assert_eq!(deeds(&before, &now), [Deed::Keep(IfIndex(8))]);
        assert_eq!(deeds(&now, &now), []);
    }

    #[test]
    fn a_place_is_kept_without_a_route_and_freed() {
        in_namespace(async || {
            let index = ppp0();
            carry_out(vec![Deed::Keep(index)]).await;
            let [addresses, routes] = shown();
            assert!(addresses.contains("127.201.0.1/32 scope host noprefixroute"), "{addresses}");
            assert_eq!(routes, "");
            carry_out(vec![Deed::Free(index)]).await;
            assert_eq!(shown()[0], "");
        });
    }

    #[test]
    fn no_place_is_kept_where_an_address_is_already() {
        in_namespace(async || {
            let index = ppp0();
            ip(["address add 10.50.0.100/32 dev ppp0".to_owned()]);
            carry_out(vec![Deed::Keep(index)]).await;
            assert!(!shown()[0].contains("127.201.0.1"), "{}", shown()[0]);
        });
    }

    #[test]
    fn a_peer_that_the_kept_place_got_is_given_to_the_address_it_was_meant_for() {
        in_namespace(async || {
            let index = ppp0();
            ip([
                "address add 10.50.0.100/32 dev ppp0".to_owned(),
                "address add 127.201.0.1 peer 10.50.0.1 dev ppp0 scope host noprefixroute"
                    .to_owned(),
            ]);
            carry_out(vec![Deed::Free(index)]).await;
            let [addresses, routes] = shown();
            assert!(addresses.contains("inet 10.50.0.100 peer 10.50.0.1/32"), "{addresses}");
            assert_eq!(
                (addresses.matches("inet ").count(), routes.as_str()),
                (1, ""),
                "{addresses}"
            );
        });
    }

    #[test]
    fn a_refused_address_goes_whatever_its_peer_is() {
        in_namespace(async || {
            let index = ppp0();
            ip(["address add 10.50.0.100 peer 10.50.0.1 dev ppp0".to_owned()]);
            carry_out(vec![Deed::Remove(index, [10, 50, 0, 100].into())]).await;
            assert_eq!(shown()[0], "");
        });
    }
}
