//! What the kernel need not tell: routes that somebody has made, and changes of links.
//!
//! A host with a routing daemon changes thousands of routes. A filter on the socket drops their
//! changes before they wake anybody, and those of the table `local`, of which each link that comes up has
//! some. Routes of the main table that the kernel keeps for addresses pass, removals of point-to-point
//! links, parts of lists, and errors.

use netlink_packet_core::{NLM_F_MULTIPART, NLMSG_ERROR};
use socket2::SockFilter;

use super::message::MAIN;
use crate::netlink::filter::{
    DROP, FLAGS, JEQ, JSET, LDB_ABS, LINK_FLAGS, PASS, POINT_TO_POINT, RET, ROUTE_PROTOCOL,
    ROUTE_TABLE, TYPE,
};
use crate::netlink::numbers::{RTM_DELLINK, RTM_NEWROUTE, RTPROT_KERNEL};

/// A jump's offsets count from the next step.
pub(super) fn program() -> [SockFilter; 14] {
    [
        SockFilter::new(LDB_ABS, 0, 0, FLAGS),
        SockFilter::new(JSET, 10, 0, u32::from(NLM_F_MULTIPART)),
        SockFilter::new(LDB_ABS, 0, 0, TYPE),
        SockFilter::new(JEQ, 8, 0, u32::from(NLMSG_ERROR)),
        SockFilter::new(JEQ, 5, 0, u32::from(RTM_DELLINK)),
        SockFilter::new(JEQ, 0, 7, u32::from(RTM_NEWROUTE)),
        SockFilter::new(LDB_ABS, 0, 0, ROUTE_PROTOCOL),
        SockFilter::new(JEQ, 0, 5, u32::from(RTPROT_KERNEL)),
        SockFilter::new(LDB_ABS, 0, 0, ROUTE_TABLE),
        SockFilter::new(JEQ, 2, 3, u32::from(MAIN)),
        SockFilter::new(LDB_ABS, 0, 0, LINK_FLAGS),
        SockFilter::new(JSET, 0, 1, POINT_TO_POINT),
        SockFilter::new(RET, 0, 0, PASS),
        SockFilter::new(RET, 0, 0, DROP),
    ]
}
