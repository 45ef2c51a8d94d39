//! Hears of changes of rules and IPv4 routes by others.
//!
//! What is unread waits in the kernel's buffer, and an overrun of it is a change like any other. So
//! nothing grows here, and answers to requests, which come by another socket, are never lost in it.

use std::collections::BTreeSet;
use std::io;

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::constants::{RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE, RTMGRP_LINK};

use super::kernel::{RoutingError, is_of_ours, is_ours, table_of};
use super::plan::{Plan, Route};
use crate::core::event::IfIndex;
use crate::netlink::{Datagram, Inbox, Received};

/// The bit of the group `RTNLGRP_IPV6_RULE` (linux/rtnetlink.h).
const IPV6_RULE: u32 = 1 << 18;

/// The listening socket.
pub(super) struct Listener {
    inbox: Inbox,
    datagram: Datagram,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A rule or route of ours was removed, or may have been: the kernel has dropped messages.
    Taken,
    /// Any other change that matters, or one that can't be understood.
    Other,
}

impl Heard {
    fn of(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        let is_taken = match payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(route)) => {
                is_ours(route.header.protocol)
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRule(rule)) => {
                rule.attributes.iter().any(is_of_ours)
            }
            NetlinkPayload::Overrun(_) => true,
            _ => false,
        };
        if is_taken { Heard::Taken } else { Heard::Other }
    }
}

/// Whose changes matter.
#[derive(Debug, Default)]
pub(super) struct Interest {
    tables: BTreeSet<u32>,
    links: BTreeSet<IfIndex>,
}

impl Interest {
    /// What a plan's routes depend on.
    pub(super) fn of(plan: &Plan) -> Self {
        Interest {
            tables: plan.routes.iter().map(|route| route.table).collect(),
            links: plan.routes.iter().filter_map(Route::link).collect(),
        }
    }

    fn has(&self, payload: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match payload {
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route),
            ) => self.has_route(route),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                self.links.contains(&IfIndex(link.header.index))
            }
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewRule(_) | RouteNetlinkMessage::DelRule(_),
            )
            | NetlinkPayload::Overrun(_) => true,
            _ => false,
        }
    }

    /// A link that goes down, or loses its address, takes its routes with it and no message tells
    /// of them (fib_flush in the kernel's net/ipv4/fib_frontend.c). But the link itself is told of, and
    /// so are the routes that the kernel keeps for an address that comes back.
    fn has_route(&self, route: &RouteMessage) -> bool {
        is_ours(route.header.protocol)
            || self.tables.contains(&table_of(route))
            || route.attributes.iter().any(|attribute| {
                let RouteAttribute::Oif(index) = attribute else { return false };
                self.links.contains(&IfIndex(*index))
            })
    }
}

impl Listener {
    /// Subscribes.
    pub(super) fn open() -> Result<Self, RoutingError> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(RoutingError::Socket)?;
        let groups = RTMGRP_IPV4_RULE | RTMGRP_IPV4_ROUTE | RTMGRP_LINK | IPV6_RULE;
        let groups = SocketAddr::new(0, groups);
        socket.bind(&groups).map_err(RoutingError::Socket)?;
        let inbox = Inbox::new(socket).map_err(RoutingError::Socket)?;
        Ok(Listener { inbox, datagram: Datagram::new() })
    }

    /// Returns when something has changed that matters.
    ///
    /// # Errors
    /// When the socket is of no more use.
    pub(super) async fn disturbed(&mut self, interest: &Interest) -> io::Result<Heard> {
        loop {
            loop {
                match self.datagram.next() {
                    Ok(Some(message)) if !interest.has(&message.payload) => {}
                    Ok(Some(message)) => return Ok(Heard::of(&message.payload)),
                    Err(_) => return Ok(Heard::Other),
                    Ok(None) => break,
                }
            }
            if !self.inbox.next(&mut self.datagram).await? {
                return Ok(Heard::Taken);
            }
        }
    }

    /// Forgets the changes that have come so far: a look that follows sees them.
    pub(super) fn skip(&mut self) {
        while let Ok(Received::Datagram) = self.inbox.receive(&mut self.datagram) {}
    }
}
