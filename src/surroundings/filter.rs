//! What the kernel need not tell: what changes neither gateways nor subnets.
//!
//! Tunnels come and go, and each time the kernel tells of their links and of the routes that it keeps for
//! their addresses, which lead by no gateway. A filter on the socket drops those before they wake anybody,
//! and foreign links that are up. PPP links that are up pass: their addresses matter to nobody, so they are
//! to be known.

use socket2::SockFilter;

use crate::netlink::filter::{
    DROP, JEQ, JSET, LDB_ABS, LINK_FLAGS, LINK_TYPE, PASS, RET, ROUTE_PROTOCOL, TYPE, UP,
};
use crate::netlink::numbers::{ARPHRD_PPP, RTM_DELROUTE, RTM_NEWLINK, RTM_NEWROUTE, RTPROT_KERNEL};

/// A jump's offsets count from the next step.
pub(super) fn program() -> [SockFilter; 16] {
    let [first, second] = ARPHRD_PPP.to_ne_bytes().map(u32::from);
    [
        SockFilter::new(LDB_ABS, 0, 0, TYPE),
        SockFilter::new(JEQ, 2, 0, u32::from(RTM_NEWROUTE)),
        SockFilter::new(JEQ, 1, 0, u32::from(RTM_DELROUTE)),
        SockFilter::new(JEQ, 2, 10, u32::from(RTM_NEWLINK)),
        SockFilter::new(LDB_ABS, 0, 0, ROUTE_PROTOCOL),
        SockFilter::new(JEQ, 9, 8, u32::from(RTPROT_KERNEL)),
        SockFilter::new(LDB_ABS, 0, 0, LINK_TYPE[0]),
        SockFilter::new(JEQ, 0, 4, first),
        SockFilter::new(LDB_ABS, 0, 0, LINK_TYPE[1]),
        SockFilter::new(JEQ, 0, 2, second),
        SockFilter::new(LDB_ABS, 0, 0, LINK_FLAGS),
        SockFilter::new(JSET, 2, 3, UP),
        // Of another kind of link.
        SockFilter::new(LDB_ABS, 0, 0, LINK_FLAGS),
        SockFilter::new(JSET, 1, 0, UP),
        SockFilter::new(RET, 0, 0, PASS),
        SockFilter::new(RET, 0, 0, DROP),
    ]
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_sys::protocols::NETLINK_ROUTE;
    use netlink_sys::{Socket, SocketAddr};
    use rtnetlink::constants::{RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_LINK};
    use socket2::SockRef;

    use super::*;
    use crate::netlink::numbers::{RTM_DELLINK, RTM_NEWADDR};
    use crate::netlink::testing::{in_namespace, ip};
    use crate::netlink::{Datagram, Inbox, Received};

    /// Which kinds of messages pass, of what the kernel tells while these commands run.
    fn passing(commands: &[&str]) -> Vec<u16> {
        let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
        SockRef::from(&socket).attach_filter(&program()).unwrap();
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE;
        socket.bind(&SocketAddr::new(0, groups)).unwrap();
        let mut inbox = Inbox::new(socket).unwrap();
        ip(commands.iter().map(ToString::to_string));
        let (mut datagram, mut kinds) = (Datagram::new(), Vec::new());
        while let Received::Datagram = inbox.receive(&mut datagram).unwrap() {
            while let Some(message) = datagram.next::<RouteNetlinkMessage>().unwrap() {
                kinds.push(message.header.message_type);
            }
        }
        kinds
    }

    #[test]
    fn what_the_kernel_says_of_a_link_that_comes_up_does_not_pass() {
        in_namespace(async || {
            ip(["tuntap add tun0 mode tun", "address add 10.60.0.2 peer 10.60.0.1 dev tun0"]
                .map(str::to_owned));
            assert_eq!(passing(&["link set tun0 up"]), [0; 0]);
        });
    }

    #[test]
    fn whatever_may_change_gateways_or_subnets_passes() {
        in_namespace(async || {
            ip(["tuntap add tun0 mode tun", "link set tun0 up"].map(str::to_owned));
            let passed = passing(&[
                "address add 10.60.0.2/24 dev tun0",
                "route add 10.20.0.0/16 via 10.60.0.3",
                "route del 10.20.0.0/16 via 10.60.0.3",
                "link set tun0 down",
                "link del tun0",
            ]);
            for kind in [RTM_NEWADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWLINK, RTM_DELLINK] {
                assert!(passed.contains(&kind), "{kind} is not among {passed:?}");
            }
        });
    }
}
