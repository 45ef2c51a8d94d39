//! What links have carried, read only when somebody asks: RTM_GETSTATS (linux/if_link.h), which tells
//! counters and nothing else of each link.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::stats::{StatsAttribute, StatsFilterMask, StatsMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::time::{ClockId, clock_gettime};

use crate::core::event::IfIndex;
use crate::netlink::{self, Datagram};

/// The kernel answers within the call that reads; only a bug there would take longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of the one request on its socket.
const NUMBER: u32 = 1;

/// The counters of all links at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// When they were read: milliseconds by CLOCK_MONOTONIC (clock_gettime(2)), which all programs
    /// of this host share and nobody sets.
    pub(crate) monotonic_ms: u64,
    /// Each link's. One that was made or went while they were read may be missing.
    pub(crate) links: BTreeMap<IfIndex, Counters>,
}

/// What a link has carried since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Received, bytes.
    pub(crate) in_bytes: u64,
    /// Sent, bytes.
    pub(crate) out_bytes: u64,
    /// Received.
    pub(crate) in_packets: u64,
    /// Sent.
    pub(crate) out_packets: u64,
}

/// The kernel does not tell what links have carried.
#[derive(Debug, thiserror::Error)]
#[error(
    "rtnetlink: can't {what}: {source}; counters of links need Linux 4.7 or later and AF_NETLINK sockets"
)]
pub(crate) struct TrafficError {
    what: &'static str,
    source: io::Error,
}

/// Reads the counters of all links of this network namespace. Blocks, for some milliseconds where
/// there are a thousand links.
///
/// # Errors
/// When the kernel can't be asked, or refuses.
pub(crate) fn read() -> Result<Traffic, TrafficError> {
    let socket = Socket::new(NETLINK_ROUTE).map_err(failed("open a netlink socket"))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
        .map_err(|error| failed("limit the wait of a netlink socket")(error.into()))?;
    let mut request = StatsMessage::default();
    request.header.filter_mask = StatsFilterMask::Link64;
    let request = RouteNetlinkMessage::GetStats(request);
    netlink::send(&socket, NLM_F_REQUEST | NLM_F_DUMP, NUMBER, request)
        .map_err(failed("ask for counters"))?;
    let mut traffic = Traffic { monotonic_ms: monotonic_ms(), ..Traffic::default() };
    let mut datagram = Datagram::new();
    loop {
        let received = socket.recv_from(datagram.buffer(), 0);
        let (_, sender) = received.map_err(failed("read counters"))?;
        if netlink::is_kernel(&sender) && take(&mut datagram, &mut traffic.links)? {
            return Ok(traffic);
        }
    }
}

/// Whether the list is at its end.
fn take(
    datagram: &mut Datagram,
    links: &mut BTreeMap<IfIndex, Counters>,
) -> Result<bool, TrafficError> {
    let garbled = |error| failed("understand counters")(io::Error::other(error));
    while let Some(message) = datagram.next::<RouteNetlinkMessage>().map_err(garbled)? {
        if message.header.sequence_number != NUMBER {
            continue;
        }
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match message.payload {
            NetlinkPayload::Done(done) if done.code == 0 => return Ok(true),
            NetlinkPayload::Done(done) => {
                let error = io::Error::from_raw_os_error(done.code.saturating_abs());
                return Err(failed("list counters")(error));
            }
            NetlinkPayload::Error(error) => return Err(failed("list counters")(error.to_io())),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewStats(stats)) => {
                let index = IfIndex(stats.header.ifindex);
                links.extend(counters(&stats).map(|counters| (index, counters)));
            }
            _ => {}
        }
    }
    Ok(false)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
fn counters(stats: &StatsMessage) -> Option<Counters> {
    stats.attributes.iter().find_map(|attribute| match attribute {
        StatsAttribute::Link64(of) => Some(Counters {
            in_bytes: of.rx_bytes,
            out_bytes: of.tx_bytes,
            in_packets: of.rx_packets,
            out_packets: of.tx_packets,
        }),
        _ => None,
    })
}

fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let whole = u64::try_from(now.tv_sec).unwrap_or_default().saturating_mul(1000);
    whole.saturating_add(u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000_000)
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> TrafficError {
    move |source| TrafficError { what, source }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::netlink::testing::{in_namespace, ip};

    const LOOPBACK: IfIndex = IfIndex(1);

    #[test]
    fn what_a_link_has_carried_is_read_and_its_moment_rises() {
        in_namespace(async || {
            ip(["link set lo up".to_owned()]);
            let before = read().unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = socket.local_addr().unwrap();
            socket.send_to(&[0; 1000], to).unwrap();
            let after = read().unwrap();
            let [old, new] = [&before, &after].map(|traffic| traffic.links[&LOOPBACK]);
            // With 20 bytes of IP and 8 of UDP.
            assert_eq!(new.in_bytes - old.in_bytes, 1028);
            assert_eq!(new.out_bytes - old.out_bytes, 1028);
            assert_eq!(
                (new.in_packets - old.in_packets, new.out_packets - old.out_packets),
                (1, 1)
            );
            assert!(after.monotonic_ms >= before.monotonic_ms && before.monotonic_ms > 0);
        });
    }

    #[test]
    fn links_by_the_hundred_are_all_read() {
        in_namespace(async || {
            ip((0..400).map(|number| format!("tuntap add mode tun name t{number}")));
            // Beside them the loopback, and what a kernel makes in each namespace.
            assert!(read().unwrap().links.len() >= 401);
        });
    }
}
