//! Cutting the stream of the control connection into whole messages (RFC 2637 section 1.4).

use crate::pptp::bytes::Reader;

use super::message::{MAGIC_COOKIE, Message};

/// The longest message there is: Outgoing-Call-Request, 168 bytes (RFC 2637 section 2.7), with
/// room for a server that pads. What claims to be longer is none.
const LONGEST: u16 = 512;
/// The shortest: nothing but the header, with its reserved word.
const SHORTEST: u16 = 12;
/// Length, message type, cookie.
const HEADER: usize = 8;

/// What is no PPTP: the connection can't be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::pptp) enum Garbage {
    /// A length that no message has.
    #[error("a PPTP message of {0} bytes, where none is shorter than 12 or longer than 512")]
    Length(u16),
    /// The cookie of RFC 2637 is missing.
    #[error("bytes that are no PPTP (cookie {0:#010x})")]
    Cookie(u32),
}

/// Bytes that came, cut anywhere, until they make whole messages. It never holds more than one
/// message and what came with it.
#[derive(Debug, Default)]
pub(in crate::pptp) struct Cutter {
    bytes: Vec<u8>,
    /// How many of them are taken out.
    taken: usize,
}

/// How many of the bytes at hand are whole messages: a driver that takes only those from the
/// socket (`MSG_PEEK` first) leaves no half message to whoever reads on after it. Bytes that are
/// no PPTP count as a whole, so that they are taken and told.
pub fn whole_messages(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(rest) = bytes.get(whole..) {
        match message_length(rest) {
            Ok(Some(length)) => whole += length,
            Ok(None) => break,
            Err(_) => return bytes.len(),
        }
    }
    whole
}

impl Cutter {
    /// Takes bytes in.
    pub(in crate::pptp) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message; `None` where more bytes are needed first. Messages that have no
    /// meaning here are passed over.
    ///
    /// # Errors
    /// When what stands next is no PPTP.
    pub(in crate::pptp) fn next(&mut self) -> Result<Option<Message>, Garbage> {
        loop {
            let rest = self.bytes.get(self.taken..).unwrap_or_default();
            let Some(length) = message_length(rest)? else { return Ok(None) };
            let message = rest.get(..length).and_then(Message::parse);
            self.taken += length;
            if message.is_some() {
                return Ok(message);
            }
        }
    }
}

/// The length of the message that stands first, once all of it is there.
fn message_length(bytes: &[u8]) -> Result<Option<usize>, Garbage> {
    let mut reader = Reader::new(bytes);
    let Some(length) = reader.u16() else { return Ok(None) };
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err(Garbage::Length(length));
    }
    if bytes.len() >= HEADER {
        let cookie = reader.u16().and_then(|_| reader.u32()).unwrap_or_default();
        if cookie != MAGIC_COOKIE {
            return Err(Garbage::Cookie(cookie));
        }
    }
    let length = usize::from(length);
    Ok((bytes.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn echo(id: u32) -> Vec<u8> {
        Message::EchoRequest { id }.bytes()
    }

    #[test]
    fn a_message_that_comes_byte_by_byte_comes_whole() {
        let mut cutter = Cutter::default();
        let bytes = echo(7);
        for byte in &bytes[..bytes.len() - 1] {
            cutter.feed(&[*byte]);
            assert_eq!(cutter.next(), Ok(None));
        }
        cutter.feed(&bytes[bytes.len() - 1..]);
        assert_eq!(cutter.next(), Ok(Some(Message::EchoRequest { id: 7 })));
        assert_eq!(cutter.next(), Ok(None));
    }

    #[test]
    fn one_and_a_half_messages_are_one_now_and_one_later() {
        let mut cutter = Cutter::default();
        let two = [echo(1), echo(2)].concat();
        cutter.feed(&two[..20]);
        assert_eq!(cutter.next(), Ok(Some(Message::EchoRequest { id: 1 })));
        assert_eq!(cutter.next(), Ok(None));
        cutter.feed(&two[20..]);
        assert_eq!(cutter.next(), Ok(Some(Message::EchoRequest { id: 2 })));
    }

    #[test]
    fn only_whole_messages_are_to_be_taken_from_the_socket() {
        let two = [echo(1), echo(2)].concat();
        assert_eq!(whole_messages(&two[..20]), 16);
        assert_eq!(whole_messages(&two), 32);
        assert_eq!(whole_messages(&[]), 0);
        assert_eq!(whole_messages(b"HTTP/1.1"), 8);
    }

    #[test]
    fn lengths_that_no_message_has_are_told_before_anything_is_waited_for() {
        for length in [0_u16, 11, 513, 65_535] {
            let mut cutter = Cutter::default();
            cutter.feed(&length.to_be_bytes());
            assert_eq!(cutter.next(), Err(Garbage::Length(length)));
        }
    }

    #[test]
    fn a_wrong_cookie_is_no_pptp() {
        let mut cutter = Cutter::default();
        let mut bytes = echo(1);
        bytes[4] = 0;
        cutter.feed(&bytes);
        assert_eq!(cutter.next(), Err(Garbage::Cookie(0x002b_3c4d)));
    }

    #[test]
    fn a_message_of_an_unknown_type_is_passed_over() {
        let mut unknown = echo(1);
        unknown[9] = 99;
        let mut cutter = Cutter::default();
        cutter.feed(&[unknown, echo(2)].concat());
        assert_eq!(cutter.next(), Ok(Some(Message::EchoRequest { id: 2 })));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_end_in_messages_or_garbage(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            begins_well: bool,
        ) {
            let mut cutter = Cutter::default();
            if begins_well {
                cutter.feed(&echo(3));
            }
            for piece in pieces {
                cutter.feed(&piece);
                while let Ok(Some(_)) = cutter.next() {}
                prop_assert!(cutter.taken <= cutter.bytes.len());
            }
        }
    }
}
