//! The messages of the control connection (RFC 2637 section 2).

use crate::pptp::bytes::{Reader, shown};

/// RFC 2637 section 1.4.
pub(super) const MAGIC_COOKIE: u32 = 0x1A2B_3C4D;
const CONTROL_MESSAGE: u16 = 1;
/// 1.0 (RFC 2637 section 2.1).
const VERSION: u16 = 0x0100;
/// Asynchronous and synchronous framing, analog and digital access: any.
const ANY: u32 = 3;
/// What a gateway calls itself to a server.
const NAME: &str = "connexa";
/// Packets that the server may send before it hears of one; the kernel keeps no window.
const RECEIVE_WINDOW: u16 = 64;

/// Start-Control-Connection-Reply (section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pptp) struct StartReply {
    /// 1 is yes.
    pub(in crate::pptp) result: u8,
    /// General error code.
    pub(in crate::pptp) error: u8,
}

/// Outgoing-Call-Reply (section 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pptp) struct CallReply {
    /// The server's id of the call.
    pub(in crate::pptp) call: u16,
    /// The id of the request.
    pub(in crate::pptp) peer_call: u16,
    /// 1 is yes.
    pub(in crate::pptp) result: u8,
    /// General error code.
    pub(in crate::pptp) error: u8,
    /// Why, as the line under the server says it.
    pub(in crate::pptp) cause: u16,
}

/// A message, as far as its content matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Message {
    /// Section 2.1.
    StartRequest,
    /// Section 2.2.
    StartReply(StartReply),
    /// Section 2.3.
    StopRequest {
        /// Why.
        reason: u8,
    },
    /// Section 2.4.
    StopReply,
    /// Section 2.5.
    EchoRequest {
        /// Comes back.
        id: u32,
    },
    /// Section 2.6.
    EchoReply {
        /// As asked.
        id: u32,
    },
    /// Section 2.7.
    CallRequest {
        /// The asking side's id.
        call: u16,
    },
    /// Section 2.8.
    CallReply(CallReply),
    /// Section 2.12.
    CallClear {
        /// The clearing side's id.
        call: u16,
    },
    /// Section 2.13.
    CallDisconnected {
        /// The id of the side that tells.
        call: u16,
        /// Why.
        result: u8,
        /// General error code.
        error: u8,
        /// Why, as the line says it.
        cause: u16,
        /// Words of the server, shown as they are.
        statistics: String,
    },
    /// Section 2.14.
    WanError,
    /// Section 2.15.
    SetLinkInfo,
}

impl Message {
    fn number(&self) -> u16 {
        match self {
            Message::StartRequest => 1,
            Message::StartReply(_) => 2,
            Message::StopRequest { .. } => 3,
            Message::StopReply => 4,
            Message::EchoRequest { .. } => 5,
            Message::EchoReply { .. } => 6,
            Message::CallRequest { .. } => 7,
            Message::CallReply(_) => 8,
            Message::CallClear { .. } => 12,
            Message::CallDisconnected { .. } => 13,
            Message::WanError => 14,
            Message::SetLinkInfo => 15,
        }
    }

    /// Reads one whole message; `None` for types that have no meaning here and for short ones.
    pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
        let mut reader = Reader::new(bytes);
        let (_length, kind, _cookie) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let (number, _reserved) = (reader.u16()?, reader.u16()?);
        if kind != CONTROL_MESSAGE {
            return None;
        }
        Some(match number {
            1 => Message::StartRequest,
            2 => {
                let (_version, result, error) = (reader.u16()?, reader.u8()?, reader.u8()?);
                Message::StartReply(StartReply { result, error })
            }
            3 => Message::StopRequest { reason: reader.u8()? },
            4 => Message::StopReply,
            5 => Message::EchoRequest { id: reader.u32()? },
            6 => Message::EchoReply { id: reader.u32()? },
            7 => Message::CallRequest { call: reader.u16()? },
            8 => {
                let (call, peer_call) = (reader.u16()?, reader.u16()?);
                let (result, error, cause) = (reader.u8()?, reader.u8()?, reader.u16()?);
                Message::CallReply(CallReply { call, peer_call, result, error, cause })
            }
            12 => Message::CallClear { call: reader.u16()? },
            13 => {
                let (call, result, error) = (reader.u16()?, reader.u8()?, reader.u8()?);
                let (cause, _reserved) = (reader.u16()?, reader.u16()?);
                let statistics = shown(reader.rest());
                Message::CallDisconnected { call, result, error, cause, statistics }
            }
            14 => Message::WanError,
            15 => Message::SetLinkInfo,
            _ => return None,
        })
    }

    /// The message as it is sent.
    pub(in crate::pptp) fn bytes(&self) -> Vec<u8> {
        let body = self.body();
        let length = u16::try_from(body.len() + 12).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(usize::from(length));
        bytes.extend(length.to_be_bytes());
        bytes.extend(CONTROL_MESSAGE.to_be_bytes());
        bytes.extend(MAGIC_COOKIE.to_be_bytes());
        bytes.extend(self.number().to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(body);
        bytes
    }

    fn body(&self) -> Vec<u8> {
        match self {
            Message::StartRequest => start(0, 0),
            Message::StartReply(StartReply { result, error }) => start(*result, *error),
            Message::StopRequest { reason } => vec![*reason, 0, 0, 0],
            Message::StopReply => vec![1, 0, 0, 0],
            Message::EchoRequest { id } => id.to_be_bytes().to_vec(),
            Message::EchoReply { id } => {
                let mut body = id.to_be_bytes().to_vec();
                // Result 1: it is well (section 2.6).
                body.extend([1, 0, 0, 0]);
                body
            }
            Message::CallRequest { call } => call_request(*call),
            Message::CallReply(reply) => call_reply(reply),
            Message::CallClear { call } => [call.to_be_bytes(), [0, 0]].concat(),
            Message::CallDisconnected { call, result, error, cause, statistics } => {
                let mut body = call.to_be_bytes().to_vec();
                body.extend([*result, *error]);
                body.extend(cause.to_be_bytes());
                body.extend([0, 0]);
                body.extend(fixed::<128>(statistics));
                body
            }
            // Call id, reserved, six counters (section 2.14).
            Message::WanError => vec![0; 28],
            // Call id, reserved, both ACCMs (section 2.15).
            Message::SetLinkInfo => [&[0; 4][..], &[0xFF; 8]].concat(),
        }
    }
}

/// Both directions of Start-Control-Connection have one layout (sections 2.1 and 2.2).
fn start(result: u8, error: u8) -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    body.extend([result, error]);
    body.extend(ANY.to_be_bytes());
    body.extend(ANY.to_be_bytes());
    // Maximum channels: for a server to say. Firmware revision: none.
    body.extend([0, 0, 0, 1]);
    body.extend(fixed::<64>(NAME));
    body.extend(fixed::<64>(NAME));
    body
}

fn call_request(call: u16) -> Vec<u8> {
    let mut body = call.to_be_bytes().to_vec();
    // Serial number: the same is as good as any.
    body.extend(call.to_be_bytes());
    // Least and most bits a second.
    body.extend(2_400_u32.to_be_bytes());
    body.extend(1_000_000_000_u32.to_be_bytes());
    body.extend(ANY.to_be_bytes());
    body.extend(ANY.to_be_bytes());
    body.extend(RECEIVE_WINDOW.to_be_bytes());
    // Processing delay, length of the phone number, reserved.
    body.extend([0; 6]);
    // Phone number and subaddress.
    body.extend([0; 128]);
    body
}

fn call_reply(reply: &CallReply) -> Vec<u8> {
    let mut body = reply.call.to_be_bytes().to_vec();
    body.extend(reply.peer_call.to_be_bytes());
    body.extend([reply.result, reply.error]);
    body.extend(reply.cause.to_be_bytes());
    body.extend(1_000_000_000_u32.to_be_bytes());
    body.extend(RECEIVE_WINDOW.to_be_bytes());
    // Processing delay, physical channel.
    body.extend([0; 6]);
    body
}

fn fixed<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    field.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    field
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lengths of RFC 2637 section 2.
    #[test]
    fn messages_have_the_lengths_of_the_rfc() {
        let reply = CallReply { call: 0, peer_call: 1, result: 1, error: 0, cause: 0 };
        for (message, length) in [
            (Message::StartRequest, 156),
            (Message::StartReply(StartReply { result: 1, error: 0 }), 156),
            (Message::StopRequest { reason: 1 }, 16),
            (Message::StopReply, 16),
            (Message::EchoRequest { id: 1 }, 16),
            (Message::EchoReply { id: 1 }, 20),
            (Message::CallRequest { call: 1 }, 168),
            (Message::CallReply(reply), 32),
            (Message::CallClear { call: 1 }, 16),
            (Message::WanError, 40),
            (Message::SetLinkInfo, 24),
        ] {
            let bytes = message.bytes();
            assert_eq!(bytes.len(), length, "{message:?}");
            assert_eq!(bytes[..2], u16::try_from(length).unwrap().to_be_bytes(), "{message:?}");
        }
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let reply =
            any::<(u16, u16, u8, u8, u16)>().prop_map(|(call, peer_call, result, error, cause)| {
                Message::CallReply(CallReply { call, peer_call, result, error, cause })
            });
        let disconnected = (any::<(u16, u8, u8, u16)>(), "[a-z]{0,100}").prop_map(
            |((call, result, error, cause), statistics)| Message::CallDisconnected {
                call,
                result,
                error,
                cause,
                statistics,
            },
        );
        prop_oneof![
            Just(Message::StartRequest),
            any::<(u8, u8)>()
                .prop_map(|(result, error)| Message::StartReply(StartReply { result, error })),
            any::<u8>().prop_map(|reason| Message::StopRequest { reason }),
            Just(Message::StopReply),
            any::<u32>().prop_map(|id| Message::EchoRequest { id }),
            any::<u32>().prop_map(|id| Message::EchoReply { id }),
            any::<u16>().prop_map(|call| Message::CallRequest { call }),
            reply,
            any::<u16>().prop_map(|call| Message::CallClear { call }),
            disconnected,
            Just(Message::WanError),
            Just(Message::SetLinkInfo),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(message in any_message()) {
            prop_assert_eq!(Message::parse(&message.bytes()), Some(message));
        }

        #[test]
        fn any_bytes_are_read_or_passed_over(bytes in prop::collection::vec(any::<u8>(), 0..200), number: u8) {
            let _ = Message::parse(&bytes);
            let mut framed = Message::EchoRequest { id: 0 }.bytes()[..12].to_vec();
            framed[9] = number;
            framed.extend(bytes);
            let _ = Message::parse(&framed);
        }
    }
}
