//! Who listens on a TCP port, by sock_diag(7): it knows the sockets, not their processes.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::netlink::{self, Datagram};

/// The kernel answers within the call that asks; only a bug there would take longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A TCP socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The socket's number, by which `/proc/PID/fd` names it.
    pub inode: u32,
    /// The user who made the socket.
    pub uid: u32,
    /// The address that it listens on.
    pub address: IpAddr,
    /// An IPv6 socket that takes no IPv4 (IPV6_V6ONLY, ipv6(7)).
    pub v6_only: bool,
}

impl Listener {
    /// Whether it takes what is sent to 127.0.0.1, so that another can't listen there or on all
    /// addresses.
    pub fn takes_ipv4_loopback(&self) -> bool {
        match self.address.to_canonical() {
            IpAddr::V4(address) => address.is_unspecified() || address.is_loopback(),
            IpAddr::V6(address) => address.is_unspecified() && !self.v6_only,
        }
    }
}

/// The kernel does not tell who listens.
#[derive(Debug, thiserror::Error)]
#[error("can't see who listens on a port: can't {what}: {source}; does this kernel have tcp_diag?")]
pub struct ListenersError {
    what: &'static str,
    source: io::Error,
}

/// All sockets of this network namespace that listen on the port, of both address families.
///
/// # Errors
/// When the kernel can't be asked, or has no `tcp_diag`.
pub fn on(port: u16) -> Result<Vec<Listener>, ListenersError> {
    let socket = Socket::new(NETLINK_SOCK_DIAG).map_err(failed("open a netlink socket"))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
        .map_err(|error| failed("limit the wait of a netlink socket")(error.into()))?;
    let mut found = Vec::new();
    for (sequence, socket_id) in [(1, SocketId::new_v4()), (2, SocketId::new_v6())] {
        ask(&socket, sequence, SocketId { source_port: port, ..socket_id })?;
        read_list(&socket, sequence, port, &mut found)?;
    }
    Ok(found)
}

fn ask(socket: &Socket, sequence: u32, socket_id: SocketId) -> Result<(), ListenersError> {
    let request = InetRequest {
        family: if socket_id.source_address.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::LISTEN,
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.sequence_number = sequence;
    let payload = NetlinkPayload::from(SockDiagMessage::InetRequest(request));
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &netlink::kernel(), 0).map(drop).map_err(failed("send a request"))
}

/// Reads one list to its end.
fn read_list(
    socket: &Socket,
    sequence: u32,
    port: u16,
    found: &mut Vec<Listener>,
) -> Result<(), ListenersError> {
    let mut datagram = Datagram::new();
    loop {
        let received = socket.recv_from(datagram.buffer(), 0);
        let (_, sender) = received.map_err(failed("read the answer"))?;
        if netlink::is_kernel(&sender) && read_datagram(&mut datagram, sequence, port, found)? {
            return Ok(());
        }
    }
}

/// Returns whether the list is at its end.
fn read_datagram(
    datagram: &mut Datagram,
    sequence: u32,
    port: u16,
    found: &mut Vec<Listener>,
) -> Result<bool, ListenersError> {
    let garbled = |error| failed("understand the answer")(io::Error::other(error));
    while let Some(message) = datagram.next::<SockDiagMessage>().map_err(garbled)? {
        let (header, payload) = message.into_parts();
        if header.sequence_number != sequence {
            continue;
        }
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(failed("get a list")(error.to_io())),
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => {
                found.extend(listener(&socket, port));
            }
            _ => {}
        }
    }
    Ok(false)
}

fn listener(socket: &InetResponse, port: u16) -> Option<Listener> {
    let header = &socket.header;
    (header.socket_id.source_port == port).then(|| Listener {
        inode: header.inode,
        uid: header.uid,
        address: header.socket_id.source_address,
        v6_only: socket.nlas.contains(&Nla::SkV6Only(true)),
    })
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> ListenersError {
    move |source| ListenersError { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes_ipv4_loopback(address: &str, v6_only: bool) -> bool {
        let address = address.parse().unwrap();
        Listener { inode: 1, uid: 0, address, v6_only }.takes_ipv4_loopback()
    }

    #[test]
    fn a_listener_on_loopback_or_everywhere_is_in_the_way_of_another() {
        for address in ["127.0.0.1", "127.8.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
            assert!(takes_ipv4_loopback(address, false), "{address}");
        }
    }

    #[test]
    fn a_listener_on_another_address_is_in_nobodys_way() {
        for (address, v6_only) in [("10.0.0.1", false), ("::1", true), ("::", true)] {
            assert!(!takes_ipv4_loopback(address, v6_only), "{address}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::fuzz;

    #[test]
    fn answers_on_listeners_are_read_whatever_they_are() {
        fuzz("tests/fuzz/corpus/listeners", |bytes| {
            let (mut datagram, mut found) = (Datagram::new(), Vec::new());
            datagram.buffer().extend(bytes);
            let _ = read_datagram(&mut datagram, 1, 8001, &mut found);
        });
    }
}
