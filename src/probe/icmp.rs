//! An ICMP echo request to the target (RFC 792).

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Outcome;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// Asks through the interface and waits for the answer, for as long as it is polled.
pub(super) async fn ask(target: Ipv4Addr, interface: &str) -> Outcome {
    match echo(target, interface).await {
        Ok(()) => Outcome::Answered,
        Err(error) => Outcome::of(error),
    }
}

/// The socket is a raw one, for the group of the other kind is empty on many hosts
/// (`net.ipv4.ping_group_range`).
#[expect(deprecated, reason = "deprecated for fds that may close early, which a Socket can't")]
async fn echo(target: Ipv4Addr, interface: &str) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    // From here on the kernel hands over only what the target sends.
    socket.connect(&SocketAddrV4::new(target, 0).into())?;
    let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
    let request = Message::next();
    socket.get_ref().write_all(&request.encode())?;
    // The longest header and an answer; the rest of others' longer ones is of no interest.
    let mut buffer = [0; 128];
    loop {
        let mut ready = socket.readable().await?;
        let Ok(read) = ready.try_io(|socket| socket.get_ref().read(&mut buffer)) else {
            continue;
        };
        if buffer.get(..read?).is_some_and(|packet| request.is_answered_by(packet)) {
            return Ok(());
        }
    }
}

/// An echo request, known by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    process: u32,
    number: u32,
}

impl Message {
    /// One that no other probe of this daemon's is like.
    fn next() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Message { process: std::process::id(), number }
    }

    /// Type, code, checksum, identifier, sequence number, and both numbers in full as data.
    fn encode(self) -> [u8; 16] {
        let [_, _, id_high, id_low] = self.process.to_be_bytes();
        let [_, _, sequence_high, sequence_low] = self.number.to_be_bytes();
        let [p0, p1, p2, p3] = self.process.to_be_bytes();
        let [n0, n1, n2, n3] = self.number.to_be_bytes();
        let data = [p0, p1, p2, p3, n0, n1, n2, n3];
        let message = |high, low| {
            let head = [ECHO_REQUEST, 0, high, low, id_high, id_low, sequence_high, sequence_low];
            let mut message = [0; 16];
            for (place, byte) in message.iter_mut().zip(head.into_iter().chain(data)) {
                *place = byte;
            }
            message
        };
        let [high, low] = checksum(&message(0, 0)).to_be_bytes();
        message(high, low)
    }

    /// Whether this IP packet is the answer: type and checksum differ, the rest is the same.
    fn is_answered_by(self, packet: &[u8]) -> bool {
        let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
        let (Some(answer), asked) = (packet.get(header..), self.encode()) else { return false };
        answer.starts_with(&[ECHO_REPLY, 0]) && answer.get(4..) == asked.get(4..)
    }
}

/// The Internet checksum of whole 16-bit words (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let add = |sum: u16, word: u16| {
        let (sum, carried) = sum.overflowing_add(word);
        sum + u16::from(carried)
    };
    let words =
        bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
    !words.fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Message = Message { process: 0x0001_0203, number: 7 };

    /// An answer as a raw socket hands it over, with an IP header of 20 bytes.
    fn answer(to: Message) -> Vec<u8> {
        let mut packet = vec![0x45; 20];
        packet.extend(to.encode());
        packet[20] = ECHO_REPLY;
        packet
    }

    #[test]
    fn a_request_with_its_checksum_sums_up_to_nothing() {
        assert_eq!(checksum(&ASKED.encode()), 0);
    }

    #[test]
    fn the_answer_is_known_by_all_numbers() {
        assert!(ASKED.is_answered_by(&answer(ASKED)));
        for other in [Message { number: 8, ..ASKED }, Message { process: 0x0002_0203, ..ASKED }] {
            assert!(!ASKED.is_answered_by(&answer(other)), "{other:?}");
        }
    }

    #[test]
    fn the_request_itself_and_what_is_cut_short_are_no_answers() {
        let mut request = answer(ASKED);
        request[20] = ECHO_REQUEST;
        assert!(!ASKED.is_answered_by(&request));
        for length in 0..36 {
            assert!(!ASKED.is_answered_by(&answer(ASKED)[..length]), "{length}");
        }
    }
}
