//! One netlink socket that tells of routes which the kernel keeps for addresses, lists them, and
//! removes them. The kernel carries out a request within the call that sends it, so nothing is
//! waited for between a route and its removal.

use std::io;

use netlink_packet_core::{NLM_F_DUMP_INTR, NetlinkMessage, NetlinkPayload};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::constants::{RTMGRP_IPV4_ROUTE, RTMGRP_LINK};
use rustix::io::Errno;
use socket2::SockRef;

use super::message::{AddressRoute, News, Request};
use super::{PeerRouteError, filter};
use crate::netlink::{self, Datagram, Inbox};

/// What comes out of the socket, in the kernel's order.
#[derive(Debug)]
pub(super) enum Heard {
    /// A change, or an item of a list.
    News(News),
    /// The kernel dropped changes.
    Lost,
}

pub(super) struct Session {
    inbox: Inbox,
    datagram: Datagram,
    /// A list is under way. The kernel makes one at a time.
    listing: bool,
    /// Another list is wanted after it.
    again: bool,
}

/// What requests are known by in the kernel's answers.
const LIST: u32 = 1;
const REMOVE: u32 = 2;

impl Session {
    /// Subscribes.
    pub(super) fn open() -> Result<Self, PeerRouteError> {
        let failed = |what| move |source| PeerRouteError::Socket { what, source };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed("open a netlink socket"))?;
        // Lets the kernel pick the routes out; older ones list all, which is as good.
        let _ = socket.set_netlink_get_strict_chk(true);
        // Without it all is heard, which costs more and harms nothing.
        if let Err(error) = SockRef::from(&socket).attach_filter(&filter::program()) {
            tracing::debug!("Routes of peers: foreign routes are heard too: {error}");
        }
        let groups = SocketAddr::new(0, RTMGRP_IPV4_ROUTE | RTMGRP_LINK);
        socket.bind(&groups).map_err(failed("subscribe to routes"))?;
        let inbox = Inbox::new(socket).map_err(failed("open a netlink socket"))?;
        Ok(Session { inbox, datagram: Datagram::new(), listing: false, again: false })
    }

    /// Asks for all routes, which come as if they were new.
    pub(super) fn list(&mut self) -> Result<(), PeerRouteError> {
        if self.listing {
            self.again = true;
            return Ok(());
        }
        self.listing = true;
        self.send(LIST, Request::List)
    }

    /// Removes a route.
    pub(super) fn remove(&mut self, route: AddressRoute) -> Result<(), PeerRouteError> {
        self.send(REMOVE, Request::Remove(route))
    }

    fn send(&mut self, number: u32, request: Request) -> Result<(), PeerRouteError> {
        netlink::send(self.inbox.socket(), request.flags(), number, request)
            .map_err(|source| PeerRouteError::Socket { what: "send a request", source })
    }

    /// The next thing that the kernel says. Dropping the future loses nothing.
    pub(super) async fn hear(&mut self) -> Result<Heard, PeerRouteError> {
        loop {
            loop {
                let Ok(message) = self.datagram.next() else { return Ok(Heard::Lost) };
                let Some(message) = message else { break };
                if let Some(heard) = self.understand(message)? {
                    return Ok(heard);
                }
            }
            let received = self.inbox.next(&mut self.datagram).await;
            if !received
                .map_err(|source| PeerRouteError::Socket { what: "hear of routes", source })?
            {
                return Ok(Heard::Lost);
            }
        }
    }

    fn understand(
        &mut self,
        message: NetlinkMessage<News>,
    ) -> Result<Option<Heard>, PeerRouteError> {
        let (header, payload) = message.into_parts();
        self.again |= header.flags & NLM_F_DUMP_INTR != 0;
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match payload {
            NetlinkPayload::InnerMessage(news) => Ok(Some(Heard::News(news))),
            NetlinkPayload::Done(_) => {
                self.listing = false;
                if std::mem::take(&mut self.again) {
                    self.list()?;
                }
                Ok(None)
            }
            NetlinkPayload::Error(error) => {
                let code = error.raw_code().saturating_abs();
                let is_gone =
                    header.sequence_number == REMOVE && code == Errno::SRCH.raw_os_error();
                if is_gone || code == 0 {
                    return Ok(None);
                }
                Err(PeerRouteError::Refused(io::Error::from_raw_os_error(code)))
            }
            _ => Ok(None),
        }
    }
}
