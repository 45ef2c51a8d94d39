//! Frames as `/dev/ppp` carries them, and packets of the protocols that negotiate (RFC 1661
//! sections 2 and 5).

use std::fmt;

use crate::pptp::bytes::Reader;

/// Protocol numbers that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Protocol {
    Lcp,
    Chap,
    Ccp,
    Ipcp,
    /// A compressed or encrypted packet that the kernel could not read (RFC 3078 section 3).
    Encrypted,
    Other(u16),
}

impl Protocol {
    pub(in crate::pptp) fn number(self) -> u16 {
        match self {
            Protocol::Lcp => 0xC021,
            Protocol::Chap => 0xC223,
            Protocol::Ccp => 0x80FD,
            Protocol::Ipcp => 0x8021,
            Protocol::Encrypted => 0x00FD,
            Protocol::Other(number) => number,
        }
    }

    pub(in crate::pptp) fn of(number: u16) -> Self {
        match number {
            0xC021 => Protocol::Lcp,
            0xC223 => Protocol::Chap,
            0x80FD => Protocol::Ccp,
            0x8021 => Protocol::Ipcp,
            0x00FD => Protocol::Encrypted,
            other => Protocol::Other(other),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol {:#06x}", self.number())
    }
}

/// A frame for `/dev/ppp`: the protocol, uncompressed, then the packet.
pub(in crate::pptp) fn frame(protocol: Protocol, packet: &[u8]) -> Vec<u8> {
    let mut frame = protocol.number().to_be_bytes().to_vec();
    frame.extend(packet);
    frame
}

/// Protocol and packet of a frame; `None` where it is too short to have both. Address and control
/// field are passed over, and a protocol of one byte is read, should they still be there (RFC 1661
/// sections 6.5 and 6.6).
pub(in crate::pptp) fn split_frame(frame: &[u8]) -> Option<(Protocol, &[u8])> {
    let frame = frame.strip_prefix(&[0xFF, 0x03]).unwrap_or(frame);
    let mut reader = Reader::new(frame);
    let first = reader.u8()?;
    let number =
        if first & 1 == 1 { u16::from(first) } else { u16::from_be_bytes([first, reader.u8()?]) };
    Some((Protocol::of(number), reader.rest()))
}

/// Codes of packets (RFC 1661 section 5; the resets RFC 1962 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the RFC calls it Code-Reject")]
pub(in crate::pptp) enum Code {
    ConfigureRequest,
    ConfigureAck,
    ConfigureNak,
    ConfigureReject,
    TerminateRequest,
    TerminateAck,
    CodeReject,
    ProtocolReject,
    EchoRequest,
    EchoReply,
    DiscardRequest,
    ResetRequest,
    ResetAck,
    Other(u8),
}

impl Code {
    fn number(self) -> u8 {
        match self {
            Code::ConfigureRequest => 1,
            Code::ConfigureAck => 2,
            Code::ConfigureNak => 3,
            Code::ConfigureReject => 4,
            Code::TerminateRequest => 5,
            Code::TerminateAck => 6,
            Code::CodeReject => 7,
            Code::ProtocolReject => 8,
            Code::EchoRequest => 9,
            Code::EchoReply => 10,
            Code::DiscardRequest => 11,
            Code::ResetRequest => 14,
            Code::ResetAck => 15,
            Code::Other(number) => number,
        }
    }

    fn of(number: u8) -> Self {
        match number {
            1 => Code::ConfigureRequest,
            2 => Code::ConfigureAck,
            3 => Code::ConfigureNak,
            4 => Code::ConfigureReject,
            5 => Code::TerminateRequest,
            6 => Code::TerminateAck,
            7 => Code::CodeReject,
            8 => Code::ProtocolReject,
            9 => Code::EchoRequest,
            10 => Code::EchoReply,
            11 => Code::DiscardRequest,
            14 => Code::ResetRequest,
            15 => Code::ResetAck,
            other => Code::Other(other),
        }
    }
}

/// A packet of LCP, CCP or IPCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) struct Packet {
    pub(in crate::pptp) code: Code,
    pub(in crate::pptp) id: u8,
    pub(in crate::pptp) data: Vec<u8>,
}

impl Packet {
    pub(in crate::pptp) fn new(code: Code, id: u8, data: Vec<u8>) -> Self {
        Packet { code, id, data }
    }

    /// Reads a packet; what stands behind its length is padding. `None` where the length is wrong.
    pub(in crate::pptp) fn parse(bytes: &[u8]) -> Option<Self> {
        let (code, id, data) = split_packet(bytes)?;
        Some(Packet { code: Code::of(code), id, data: data.to_vec() })
    }

    /// The packet as it is sent.
    pub(in crate::pptp) fn bytes(&self) -> Vec<u8> {
        packet_bytes(self.code.number(), self.id, &self.data)
    }
}

/// Code, id and data of a packet of LCP, CHAP, CCP or IPCP (RFC 1661 section 5, RFC 1994 section 4).
pub(in crate::pptp) fn split_packet(bytes: &[u8]) -> Option<(u8, u8, &[u8])> {
    let mut reader = Reader::new(bytes);
    let (code, id, length) = (reader.u8()?, reader.u8()?, reader.u16()?);
    Some((code, id, reader.take(usize::from(length).checked_sub(4)?)?))
}

/// Such a packet as it is sent.
pub(in crate::pptp) fn packet_bytes(code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![code, id];
    bytes.extend(u16::try_from(data.len() + 4).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn compressed_headers_are_read_too() {
        for bytes in [&[0xC0, 0x21, 7][..], &[0xFF, 0x03, 0xC0, 0x21, 7]] {
            assert_eq!(split_frame(bytes), Some((Protocol::Lcp, &[7][..])));
        }
        assert_eq!(split_frame(&[0xFD, 9]), Some((Protocol::Encrypted, &[9][..])));
        assert_eq!(split_frame(&[0xC0]), None);
        assert_eq!(split_frame(&[]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            code: u8, id: u8, data in prop::collection::vec(any::<u8>(), 0..100), padding in 0_usize..5,
        ) {
            let packet = Packet::new(Code::of(code), id, data);
            let mut bytes = packet.bytes();
            bytes.resize(bytes.len() + padding, 0);
            prop_assert_eq!(Packet::parse(&bytes), Some(packet));
        }

        #[test]
        fn frames_are_read_back(number in 0_u16..0x7FFF, data in prop::collection::vec(any::<u8>(), 0..50)) {
            // Protocols are even in the first byte and odd in the second (RFC 1661 section 2).
            let protocol = Protocol::of((number << 1 | 1) & !0x0100);
            let frame = frame(protocol, &data);
            prop_assert_eq!(split_frame(&frame), Some((protocol, &data[..])));
        }

        #[test]
        fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = split_frame(&bytes);
            let _ = Packet::parse(&bytes);
        }
    }
}
