//! One netlink socket: subscribed to links and IPv4 addresses, asked for lists of both.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::constants::{RTMGRP_IPV4_IFADDR, RTMGRP_LINK};

use super::message::News;
use super::{KernelError, filter};
use crate::netlink::{self, Datagram, Inbox, Received};

/// What can be listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    /// All links.
    Links,
    /// All IPv4 addresses.
    Addresses,
}

/// What comes out of the socket, in the kernel's order.
#[derive(Debug)]
pub(super) enum Heard {
    /// A change.
    Change(News),
    /// An item of the list asked for last. Torn lists have gaps.
    Item {
        /// The item.
        news: News,
        /// The kernel says that the list is torn.
        torn: bool,
    },
    /// The list asked for last is at its end.
    End {
        /// The kernel says that the list is torn.
        torn: bool,
    },
    /// The kernel dropped changes, later ones than some that are still to come.
    Lost,
    /// What may have been a change can't be understood.
    Undecodable,
}

/// The socket. It is read here and nowhere else, so what the kernel says keeps its order; unread,
/// it waits in the kernel's buffer, where a loss is noticed.
pub(super) struct Session {
    inbox: Inbox,
    /// What was read last.
    datagram: Datagram,
    sequence: u32,
    receive_buffer: u32,
}

impl Session {
    /// Opens the socket and subscribes. From here on, nothing goes unnoticed.
    pub(super) fn open(receive_buffer: usize) -> Result<Self, KernelError> {
        let failed = |what| move |source| KernelError::Socket { what, source };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed("open a netlink socket"))?;
        let receive_buffer = netlink::enlarge(&socket, receive_buffer)
            .map_err(failed("set the receive buffer of a netlink socket"))?;
        // Without it all is heard, which costs more and harms nothing.
        if let Err(error) = filter::attach(&socket) {
            tracing::debug!("rtnetlink: changes of foreign links are heard too: {error}");
        }
        socket
            .bind(&SocketAddr::new(0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR))
            .map_err(failed("subscribe to link and address changes"))?;
        let inbox = Inbox::new(socket).map_err(failed("open a netlink socket"))?;
        Ok(Session { inbox, datagram: Datagram::new(), sequence: 0, receive_buffer })
    }

    /// The receive buffer, in bytes as the kernel counts them.
    pub(super) fn receive_buffer(&self) -> u32 {
        self.receive_buffer
    }

    /// Asks for a list, which comes through [`Session::hear`].
    pub(super) fn ask(&mut self, list: List) -> Result<(), KernelError> {
        self.sequence = self.sequence.wrapping_add(1);
        let flags = NLM_F_REQUEST | NLM_F_DUMP;
        netlink::send(self.inbox.socket(), flags, self.sequence, list.request())
            .map_err(|source| KernelError::Socket { what: "send a request", source })
    }

    /// The next thing that the kernel says. Dropping the future loses nothing.
    pub(super) async fn hear(&mut self) -> Result<Heard, KernelError> {
        loop {
            if let Some(heard) = self.hear_now()? {
                return Ok(heard);
            }
            self.inbox.wait().await.map_err(KernelError::Unreadable)?;
        }
    }

    /// The same, where it is there already.
    pub(super) fn hear_now(&mut self) -> Result<Option<Heard>, KernelError> {
        loop {
            loop {
                let Ok(message) = self.datagram.next() else {
                    return Ok(Some(Heard::Undecodable));
                };
                let Some(message) = message else { break };
                if let Some(heard) = self.understand(message)? {
                    return Ok(Some(heard));
                }
            }
            let received = self.inbox.receive(&mut self.datagram);
            match received.map_err(KernelError::Unreadable)? {
                Received::Datagram => {}
                Received::Lost => return Ok(Some(Heard::Lost)),
                Received::Nothing => return Ok(None),
            }
        }
    }

    /// Until there is nothing to be read, what the kernel says wakes nobody.
    pub(super) fn mute(&mut self) {
        self.inbox.mute();
    }

    fn understand(&self, message: NetlinkMessage<News>) -> Result<Option<Heard>, KernelError> {
        let (header, payload) = message.into_parts();
        // Changes carry the sequence number of whoever made them, which may equal ours; but only
        // lists come in parts.
        let is_answer = header.sequence_number == self.sequence;
        let is_part = header.flags & NLM_F_MULTIPART != 0;
        let torn = header.flags & NLM_F_DUMP_INTR != 0;
        #[allow(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow")]
        match payload {
            NetlinkPayload::InnerMessage(news) if is_part => {
                Ok(is_answer.then_some(Heard::Item { news, torn }))
            }
            NetlinkPayload::InnerMessage(News::Undecodable) => Ok(Some(Heard::Undecodable)),
            NetlinkPayload::InnerMessage(news) => Ok(Some(Heard::Change(news))),
            NetlinkPayload::Done(done) if is_answer => match done.code {
                0 => Ok(Some(Heard::End { torn })),
                code => Err(refused(code)),
            },
            NetlinkPayload::Error(error) if is_answer => Err(refused(error.raw_code())),
            _ => Ok(None),
        }
    }
}

fn refused(code: i32) -> KernelError {
    KernelError::Refused(io::Error::from_raw_os_error(code.saturating_abs()))
}

impl List {
    fn request(self) -> RouteNetlinkMessage {
        match self {
            List::Links => {
                let mut message = LinkMessage::default();
                // Counters are half of each answer, and nobody reads them.
                let mask = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
                message.attributes.push(mask);
                RouteNetlinkMessage::GetLink(message)
            }
            List::Addresses => {
                let mut message = AddressMessage::default();
                message.header.family = AddressFamily::Inet;
                RouteNetlinkMessage::GetAddress(message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::IfIndex;

    /// A removal of link 4, of which the kernel would send 16 bytes at least.
    fn removal(payload: usize) -> Vec<u8> {
        let mut header = vec![0; 16];
        header[..4].copy_from_slice(&u32::try_from(16 + payload).unwrap().to_ne_bytes());
        header[4..6].copy_from_slice(&crate::netlink::numbers::RTM_DELLINK.to_ne_bytes());
        let link = [&[0, 0, 0, 0][..], &4_u32.to_ne_bytes(), &[0; 8]].concat();
        [&header, &link[..payload]].concat()
    }

    #[tokio::test]
    async fn a_message_that_can_not_be_understood_hides_none_behind_it() {
        let mut session = Session::open(1).unwrap();
        session.datagram.buffer().extend([removal(8), removal(16)].concat());
        assert!(matches!(session.hear().await.unwrap(), Heard::Undecodable));
        let next = session.hear().await.unwrap();
        assert!(matches!(next, Heard::Change(News::NoLink(IfIndex(4)))), "{next:?}");
    }
}
