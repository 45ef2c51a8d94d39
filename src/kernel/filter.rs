//! What the kernel need not tell: changes of links that are not point-to-point.
//!
//! A host with thousands of containers changes thousands of foreign links. A classic BPF program
//! (bpf(4) of BSD, Documentation/networking/filter.rst in the kernel) on the socket drops their
//! changes before they take room in its receive buffer. It sees one message at a time, except in
//! lists, whose parts it lets pass. Changes of addresses don't tell the kind of their link, so
//! they pass too.

use std::io;
use std::os::fd::AsFd;

use netlink_packet_core::NLM_F_MULTIPART;
use socket2::{SockFilter, SockRef};

use super::message::{RTM_DELLINK, RTM_NEWLINK};

/// Load a byte; jump if equal; jump if any bit is set; return (linux/bpf_common.h).
const LDB_ABS: u16 = 0x30;
const JEQ: u16 = 0x15;
const JSET: u16 = 0x45;
const RET: u16 = 0x06;

/// Where the low bytes are, of 2 and of 4, in the machine's order.
const LOW_OF_2: u32 = if cfg!(target_endian = "big") { 1 } else { 0 };
const LOW_OF_4: u32 = if cfg!(target_endian = "big") { 3 } else { 0 };

/// `nlmsg_type` and `nlmsg_flags` of `struct nlmsghdr` (linux/netlink.h); `ifi_flags` of
/// `struct ifinfomsg` behind it (linux/rtnetlink.h).
const TYPE: u32 = 4 + LOW_OF_2;
const FLAGS: u32 = 6 + LOW_OF_2;
const LINK_FLAGS: u32 = 16 + 8 + LOW_OF_4;

/// `IFF_POINTOPOINT` (linux/if.h). A PPP link is made with it and keeps it; some foreign tunnels
/// may lose it when they are reconfigured, and are then counted until the next full read.
const POINT_TO_POINT: u32 = 0x10;

const PASS: u32 = u32::MAX;
const DROP: u32 = 0;

/// Has the kernel drop the changes of links that are not point-to-point.
///
/// # Errors
/// When the kernel takes no filter; then all changes are heard, which costs more and harms nothing.
pub(super) fn attach(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&program())
}

/// A jump's offsets count from the next step.
fn program() -> [SockFilter; 9] {
    [
        SockFilter::new(LDB_ABS, 0, 0, TYPE),
        SockFilter::new(JEQ, 1, 0, u32::from(RTM_NEWLINK)),
        SockFilter::new(JEQ, 0, 4, u32::from(RTM_DELLINK)),
        SockFilter::new(LDB_ABS, 0, 0, FLAGS),
        SockFilter::new(JSET, 2, 0, u32::from(NLM_F_MULTIPART)),
        SockFilter::new(LDB_ABS, 0, 0, LINK_FLAGS),
        SockFilter::new(JSET, 0, 1, POINT_TO_POINT),
        SockFilter::new(RET, 0, 0, PASS),
        SockFilter::new(RET, 0, 0, DROP),
    ]
}
