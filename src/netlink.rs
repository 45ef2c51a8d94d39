//! Netlink datagrams, cut into their messages (netlink(7)).

mod asking;
pub(crate) mod filter;
pub(crate) mod numbers;
#[cfg(test)]
pub(crate) mod testing;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use netlink_packet_core::{
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
    NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub(crate) use asking::{connect, connect_strict};

/// What to do where no netlink socket can be had.
pub(crate) const ALLOW_NETLINK: &str = "allow AF_NETLINK in the unit";

/// The kernel's address; nobody else can have its number.
pub(crate) fn kernel() -> SocketAddr {
    SocketAddr::new(0, 0)
}

/// Whether a datagram came from the kernel, and not from a process that found our number.
pub(crate) fn is_kernel(sender: &SocketAddr) -> bool {
    sender.port_number() == 0
}

/// Forces the receive buffer to twice `size` bytes (socket(7), SO_RCVBUFFORCE), or as much of it
/// as net.core.rmem_max allows to those without CAP_NET_ADMIN. Returns what it has then, in bytes.
pub(crate) fn enlarge(socket: &Socket, size: usize) -> io::Result<u32> {
    if sockopt::set_socket_recv_buffer_size_force(socket, size).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, size)?;
    }
    let achieved = sockopt::socket_recv_buffer_size(socket)?;
    Ok(u32::try_from(achieved).unwrap_or(u32::MAX))
}

/// Sends a request. The kernel takes it in within the call, so this never waits.
pub(crate) fn send(
    socket: &Socket,
    flags: u16,
    number: u32,
    request: impl NetlinkSerializable,
) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = number;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &kernel(), 0).map(drop)
}

/// A socket that is read without a wait in the system call. While it is [muted](Inbox::mute), what
/// arrives waits in the kernel's buffer and wakes nobody.
pub(crate) struct Inbox {
    socket: Arc<Socket>,
    /// What wakes who waits; none while it is muted.
    arrivals: Option<AsyncFd<Arc<Socket>>>,
    /// Nothing was there when it was read last.
    is_empty: bool,
}

/// What came of a look into the inbox.
pub(crate) enum Received {
    Datagram,
    /// The kernel has dropped some, because nobody read them.
    Lost,
    Nothing,
}

impl Inbox {
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        socket.set_non_blocking(true)?;
        Ok(Inbox { socket: Arc::new(socket), arrivals: None, is_empty: false })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Arrivals wake nobody until the next [`Inbox::wait`] finds nothing to be read.
    pub(crate) fn mute(&mut self) {
        self.arrivals = None;
        self.is_empty = false;
    }

    /// Waits until there may be something to be read. Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) -> io::Result<()> {
        if !self.is_empty {
            return Ok(());
        }
        let arrivals = match &mut self.arrivals {
            Some(arrivals) => arrivals,
            none => none.insert(arrivals(Arc::clone(&self.socket))?),
        };
        arrivals.readable().await?.clear_ready();
        self.is_empty = false;
        Ok(())
    }

    /// Waits for the kernel's next datagram. False where it has dropped some, because nobody read
    /// them. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, datagram: &mut Datagram) -> io::Result<bool> {
        loop {
            self.wait().await?;
            match self.receive(datagram)? {
                Received::Datagram => return Ok(true),
                Received::Lost => return Ok(false),
                Received::Nothing => {}
            }
        }
    }

    /// The kernel's next datagram, without waiting.
    pub(crate) fn receive(&mut self, datagram: &mut Datagram) -> io::Result<Received> {
        loop {
            match self.socket.recv_from(datagram.buffer(), 0) {
                Ok((_, sender)) if is_kernel(&sender) => return Ok(Received::Datagram),
                Ok(_) => datagram.clear(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_empty = true;
                    return Ok(Received::Nothing);
                }
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    return Ok(Received::Lost);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[expect(deprecated, reason = "deprecated for fds that may close early, which a Socket can't")]
fn arrivals(socket: Arc<Socket>) -> io::Result<AsyncFd<Arc<Socket>>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// The value of the first attribute of this kind. One that is odd hides none before it.
pub(crate) fn attribute(attributes: &[u8], kind: u16) -> Option<Vec<u8>> {
    NlasIterator::new(attributes)
        .filter_map(Result::ok)
        .find(|attribute| attribute.kind() == kind)
        .map(|attribute| attribute.value().to_vec())
}

/// The address in the first attribute of this kind.
pub(crate) fn ipv4(attributes: &[u8], kind: u16) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(attribute(attributes, kind)?).ok().map(Ipv4Addr::from)
}

/// Messages in a datagram begin at multiples of this (NLMSG_ALIGNTO, linux/netlink.h).
const ALIGNMENT: usize = 4;

/// The kernel fills at most 32 KiB of a datagram with a list (linux/netlink.h), and a change is
/// one message.
const LARGEST: usize = 64 * 1024;

/// A datagram, and how much of it is read.
#[derive(Debug)]
pub(crate) struct Datagram {
    bytes: Vec<u8>,
    done: usize,
}

/// A message that is none; where the next one begins, nobody knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel's message can't be decoded: {0}")]
pub(crate) struct Garbled(String);

impl Datagram {
    /// An empty one, with room for the largest.
    pub(crate) fn new() -> Self {
        Datagram { bytes: Vec::with_capacity(LARGEST), done: 0 }
    }

    /// Its bytes, for the next one to be put into; what was there is dropped.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        self.clear();
        &mut self.bytes
    }

    /// Drops what is left of it.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.done = 0;
    }

    /// The next message; `None` at its end.
    ///
    /// # Errors
    /// When that is none. What is left is dropped.
    pub(crate) fn next<T: NetlinkDeserializable>(
        &mut self,
    ) -> Result<Option<NetlinkMessage<T>>, Garbled> {
        let Some(rest) = self.bytes.get(self.done..).filter(|rest| !rest.is_empty()) else {
            return Ok(None);
        };
        match NetlinkMessage::deserialize(rest) {
            Ok(message) => {
                let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
                let length = length.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
                self.done = self.done.saturating_add(length);
                Ok(Some(message))
            }
            Err(error) => {
                self.clear();
                Err(Garbled(error.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NetlinkPayload;
    use netlink_packet_route::RouteNetlinkMessage;

    use super::*;

    /// A message of this type without a payload, with bytes behind it.
    fn message(kind: u16, behind: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes[..4].copy_from_slice(&16_u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        [&bytes, behind].concat()
    }

    fn next(
        datagram: &mut Datagram,
    ) -> Result<Option<NetlinkPayload<RouteNetlinkMessage>>, Garbled> {
        datagram.next().map(|message| message.map(|message| message.payload))
    }

    #[test]
    fn messages_come_one_by_one_and_then_no_more() {
        // NLMSG_NOOP (linux/netlink.h).
        let noop = message(1, &[]);
        let mut datagram = Datagram::new();
        datagram.buffer().extend([noop.clone(), noop].concat());
        for _ in 0..2 {
            assert!(matches!(next(&mut datagram), Ok(Some(NetlinkPayload::Noop))));
        }
        assert_eq!(next(&mut datagram), Ok(None));
    }

    #[test]
    fn what_follows_a_garbled_message_is_dropped() {
        let mut datagram = Datagram::new();
        datagram.buffer().extend(message(1, &[1, 0, 0, 0]));
        assert!(matches!(next(&mut datagram), Ok(Some(NetlinkPayload::Noop))));
        assert!(next(&mut datagram).is_err());
        assert_eq!(next(&mut datagram), Ok(None));
    }
}
