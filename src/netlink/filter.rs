//! What programs are written with that drop messages before they are read: classic BPF on a netlink
//! socket (Documentation/networking/filter.rst in the kernel). Such a program sees the first message
//! of a datagram; only lists have more than one.

/// Load a byte; jump if equal; jump if any bit is set; return (linux/bpf_common.h).
pub(crate) const LDB_ABS: u16 = 0x30;
pub(crate) const JEQ: u16 = 0x15;
pub(crate) const JSET: u16 = 0x45;
pub(crate) const RET: u16 = 0x06;

pub(crate) const PASS: u32 = u32::MAX;
pub(crate) const DROP: u32 = 0;

/// Where the low bytes are, of 2 and of 4, in the machine's order.
const LOW_OF_2: u32 = if cfg!(target_endian = "big") { 1 } else { 0 };
const LOW_OF_4: u32 = if cfg!(target_endian = "big") { 3 } else { 0 };

/// `nlmsg_type` and `nlmsg_flags` of `struct nlmsghdr` (linux/netlink.h).
pub(crate) const TYPE: u32 = 4 + LOW_OF_2;
pub(crate) const FLAGS: u32 = 6 + LOW_OF_2;
/// Behind it, both bytes of `ifi_type` and the low one of `ifi_flags` of `struct ifinfomsg`, or
/// `rtm_table` and `rtm_protocol` of `struct rtmsg` (linux/rtnetlink.h).
pub(crate) const LINK_TYPE: [u32; 2] = [16 + 2, 16 + 3];
pub(crate) const LINK_FLAGS: u32 = 16 + 8 + LOW_OF_4;
pub(crate) const ROUTE_TABLE: u32 = 16 + 4;
pub(crate) const ROUTE_PROTOCOL: u32 = 16 + 5;

/// `IFF_UP` and `IFF_POINTOPOINT` (linux/if.h).
pub(crate) const UP: u32 = 1;
pub(crate) const POINT_TO_POINT: u32 = 0x10;
