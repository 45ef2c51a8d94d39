//! What the kernel need not tell: changes of links that are not point-to-point.
//!
//! A host with thousands of containers changes thousands of foreign links. A classic BPF program
//! (bpf(4) of BSD, Documentation/networking/filter.rst in the kernel) on the socket drops their
//! changes before they take room in its receive buffer. It sees one message at a time, except in
//! lists, whose parts it lets pass. Changes of addresses don't tell the kind of their link, so
//! they pass too. A PPP link is made point-to-point and stays so; some foreign tunnels may cease to be
//! when they are reconfigured, and are then counted until the next full read.

use std::io;
use std::os::fd::AsFd;

use netlink_packet_core::NLM_F_MULTIPART;
use socket2::{SockFilter, SockRef};

use crate::netlink::filter::{
    DROP, FLAGS, JEQ, JSET, LDB_ABS, LINK_FLAGS, PASS, POINT_TO_POINT, RET, TYPE,
};
use crate::netlink::numbers::{RTM_DELLINK, RTM_NEWLINK};

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
