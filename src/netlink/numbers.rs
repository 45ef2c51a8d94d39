//! Numbers of the kernel's interface that more than one listener goes by.

/// Message types (linux/rtnetlink.h).
pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;
pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_GETROUTE: u16 = 26;

/// Sizes of `struct ifinfomsg`, `struct rtmsg` (linux/rtnetlink.h) and `struct ifaddrmsg`
/// (linux/if_addr.h).
pub(crate) const LINK_HEADER: usize = 16;
pub(crate) const ADDRESS_HEADER: usize = 8;
pub(crate) const ROUTE_HEADER: usize = 12;

/// Attributes (linux/if_link.h, linux/if_addr.h).
pub(crate) const IFLA_IFNAME: u16 = 3;
pub(crate) const IFA_ADDRESS: u16 = 1;
pub(crate) const IFA_LOCAL: u16 = 2;

/// `ARPHRD_PPP` (linux/if_arp.h) and `RTPROT_KERNEL` (linux/rtnetlink.h).
pub(crate) const ARPHRD_PPP: u16 = 512;
pub(crate) const RTPROT_KERNEL: u8 = 2;
