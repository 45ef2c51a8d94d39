//! Gateways and subnets, by rtnetlink(7). Lists are asked for by sockets of their own, so that what is
//! heard of changes never stands between their parts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkPayload};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::constants::{RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_LINK};
use socket2::SockRef;
use tokio::time::{sleep, timeout};

use super::message::{Address, List, News};
use super::{SurroundingsError, filter};
use crate::core::event::IfIndex;
use crate::core::surroundings::Subnet;
use crate::netlink::{self, Datagram, Inbox, Received};

/// For one list. A million routes take some seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// From one change to the next that is looked at: links that flicker wake nobody for each of their
/// changes.
const REST: Duration = Duration::from_millis(20);

/// Receive buffer asked for, in bytes; the kernel books twice as much. It holds some 900 unread messages: the
/// quickest storm measured makes some 500 in a rest, and a loss costs a list of everything.
const RECEIVE_BUFFER: usize = 1024 * 1024;

fn failed(what: &'static str) -> impl FnOnce(std::io::Error) -> SurroundingsError {
    move |source| SurroundingsError::Socket { what, source }
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A gateway or a subnet may be there that is not known.
    New,
    /// One may be there no more, or more may be reached by it.
    Other,
}

/// Hears of changes.
pub(super) struct Ear {
    inbox: Inbox,
    datagram: Datagram,
    /// Nothing came since the last rest.
    is_quiet: bool,
    /// PPP links, whose addresses matter to nobody here.
    ppp: BTreeSet<IfIndex>,
}

impl Ear {
    pub(super) fn open() -> Result<Self, SurroundingsError> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed("open a netlink socket"))?;
        if let Err(error) = netlink::enlarge(&socket, RECEIVE_BUFFER) {
            tracing::debug!("The host's surroundings: the receive buffer stays as it is: {error}");
        }
        // Without it all is heard, which costs more and harms nothing.
        if let Err(error) = SockRef::from(&socket).attach_filter(&filter::program()) {
            tracing::debug!("The host's surroundings: changes of tunnels are heard too: {error}");
        }
        let groups = SocketAddr::new(0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE);
        socket.bind(&groups).map_err(failed("subscribe to routes"))?;
        let inbox = Inbox::new(socket).map_err(failed("open a netlink socket"))?;
        Ok(Ear { inbox, datagram: Datagram::new(), is_quiet: true, ppp: BTreeSet::new() })
    }

    /// The next change that matters. Dropping the future loses nothing.
    pub(super) async fn hear(
        &mut self,
        is_known: impl Fn(Ipv4Addr) -> bool,
    ) -> std::io::Result<Heard> {
        loop {
            loop {
                // What can't be understood may matter.
                let Ok(message) = self.datagram.next() else { return Ok(Heard::New) };
                let Some(message) = message else { break };
                let NetlinkPayload::InnerMessage(news) = message.payload else { continue };
                if let Some(heard) = self.meaning(news, &is_known) {
                    return Ok(heard);
                }
            }
            match self.inbox.receive(&mut self.datagram)? {
                Received::Datagram => self.is_quiet = false,
                Received::Lost => return Ok(Heard::New),
                Received::Nothing if self.is_quiet => self.inbox.wait().await?,
                Received::Nothing => {
                    self.inbox.mute();
                    sleep(REST).await;
                    self.is_quiet = true;
                }
            }
        }
    }

    fn meaning(&mut self, news: News, is_known: impl Fn(Ipv4Addr) -> bool) -> Option<Heard> {
        match news {
            News::Link { index, is_ppp: true, .. } => {
                self.ppp.insert(index);
                None
            }
            News::NoLink { index, is_ppp: true } => {
                self.ppp.remove(&index);
                None
            }
            // The routes of a link that goes down go without a word.
            News::Link { is_up: false, .. } | News::NoLink { .. } => Some(Heard::Other),
            News::Address(Address { index, .. }) if self.ppp.contains(&index) => None,
            News::Address(_) => Some(Heard::New),
            News::Route(hops) if hops.is_empty() => None,
            // Whom it leads to, a server perhaps, is another question.
            News::Route(hops) if hops.iter().all(|&hop| is_known(hop)) => Some(Heard::Other),
            News::Route(_) => Some(Heard::New),
            News::NoRoute(hops) => (!hops.is_empty()).then_some(Heard::Other),
            News::Link { .. } | News::Other => None,
        }
    }
}

/// Lists gateways and subnets. A list that is torn by a change is no harm: the change is heard.
pub(super) async fn list(
    ear: &mut Ear,
) -> Result<(BTreeSet<Ipv4Addr>, BTreeSet<Subnet>), SurroundingsError> {
    let mut names = BTreeMap::new();
    ear.ppp.clear();
    ask(List::Links, |news| match news {
        News::Link { index, is_ppp: true, .. } => _ = ear.ppp.insert(index),
        News::Link { index, name, .. } => _ = names.insert(index, name),
        News::NoLink { .. } | News::Address(_) | News::Route(_) | News::NoRoute(_) => {}
        News::Other => {}
    })
    .await?;
    let mut subnets = BTreeSet::new();
    ask(List::Addresses, |news| {
        let News::Address(Address { index, local, subnet, prefix }) = news else { return };
        let Some(interface) = names.get(&index) else { return };
        let subnet_of = |address, prefix| Subnet { interface: interface.clone(), address, prefix };
        subnets.insert(subnet_of(subnet, prefix));
        if local != subnet {
            subnets.insert(subnet_of(local, 32));
        }
    })
    .await?;
    let mut gateways = BTreeSet::new();
    ask(List::Routes, |news| {
        let News::Route(hops) = news else { return };
        gateways.extend(hops);
    })
    .await?;
    Ok((gateways, subnets))
}

async fn ask(list: List, mut take: impl FnMut(News)) -> Result<(), SurroundingsError> {
    let limit = failed("list links, addresses and routes");
    match timeout(LIMIT, answer(list, &mut take)).await {
        Ok(answered) => answered.map_err(limit),
        Err(_) => Err(limit(std::io::ErrorKind::TimedOut.into())),
    }
}

async fn answer(list: List, take: &mut impl FnMut(News)) -> std::io::Result<()> {
    let mut inbox = Inbox::new(Socket::new(NETLINK_ROUTE)?)?;
    netlink::send(inbox.socket(), NLM_F_REQUEST | NLM_F_DUMP, 1, list)?;
    let mut datagram = Datagram::new();
    loop {
        if !inbox.next(&mut datagram).await? {
            continue;
        }
        // The kernel fills a list up as it is read, so that nothing would be waited for until its end.
        tokio::task::yield_now().await;
        while let Ok(Some(message)) = datagram.next() {
            #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
            match message.payload {
                NetlinkPayload::InnerMessage(news) => take(news),
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                _ => {}
            }
        }
    }
}
