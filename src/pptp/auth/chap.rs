//! CHAP with MS-CHAPv2, the side that is asked (RFC 1994 section 4, RFC 2759 sections 3 to 6).

use crate::node::Secret;
use crate::pptp::bytes::Reader;
use crate::pptp::dice::Dice;
use crate::pptp::failure::Failure;
use crate::pptp::ppp::{packet_bytes, split_packet};

use super::keys::{Side, StartKeys, start_keys};
use super::mschapv2::{authenticator_response, nt_response, password_hash};
use super::refusal;

/// Codes of CHAP (RFC 1994 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Code {
    Challenge,
    Response,
    Success,
    Failure,
}

/// A packet of CHAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) struct Packet {
    pub(in crate::pptp) code: Code,
    pub(in crate::pptp) id: u8,
    pub(in crate::pptp) data: Vec<u8>,
}

impl Packet {
    /// Reads a packet; `None` for a short one or an unknown code.
    pub(in crate::pptp) fn parse(bytes: &[u8]) -> Option<Self> {
        let (code, id, data) = split_packet(bytes)?;
        let code = match code {
            1 => Code::Challenge,
            2 => Code::Response,
            3 => Code::Success,
            4 => Code::Failure,
            _ => return None,
        };
        Some(Packet { code, id, data: data.to_vec() })
    }

    /// The packet as it is sent.
    pub(in crate::pptp) fn bytes(&self) -> Vec<u8> {
        let code = match self.code {
            Code::Challenge => 1,
            Code::Response => 2,
            Code::Success => 3,
            Code::Failure => 4,
        };
        packet_bytes(code, self.id, &self.data)
    }
}

/// What a packet of the server led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Outcome {
    /// Nothing: it does not belong here.
    Ignored,
    /// This is to be answered.
    Answer(Vec<u8>),
    /// Both sides have proved themselves.
    Proven(StartKeys),
    /// The end of the call.
    Failed(Failure),
}

/// What was answered, and what the server must say to it.
#[derive(Debug)]
struct Answered {
    challenge: Vec<u8>,
    id: u8,
    packet: Vec<u8>,
    expected: String,
    keys: StartKeys,
}

/// The side that is asked.
#[derive(Debug, Default)]
pub(in crate::pptp) struct Chap {
    answered: Option<Answered>,
}

impl Chap {
    /// Takes a packet in. It may come again, and at any time of the call (RFC 1994 section 2).
    pub(in crate::pptp) fn handle(
        &mut self,
        bytes: &[u8],
        login: &str,
        password: &Secret,
        dice: &mut Dice,
    ) -> Outcome {
        let Some(packet) = Packet::parse(bytes) else { return Outcome::Ignored };
        match packet.code {
            Code::Challenge => self.challenged(&packet, login, password, dice),
            Code::Success => self.succeeded(&packet),
            Code::Failure if self.is_answer(&packet) => {
                Outcome::Failed(refusal::read(&packet.data))
            }
            Code::Failure | Code::Response => Outcome::Ignored,
        }
    }

    /// The latest answer, as it was sent.
    pub(in crate::pptp) fn answer(&self) -> Option<&[u8]> {
        self.answered.as_ref().map(|answered| answered.packet.as_slice())
    }

    fn is_answer(&self, packet: &Packet) -> bool {
        self.answered.as_ref().is_some_and(|answered| answered.id == packet.id)
    }

    /// A challenge (RFC 2759 section 3): sixteen bytes, then the server's name. One that comes
    /// again is answered by the same bytes.
    fn challenged(
        &mut self,
        packet: &Packet,
        login: &str,
        password: &Secret,
        dice: &mut Dice,
    ) -> Outcome {
        if let Some(answered) = &self.answered
            && self.is_answer(packet)
            && answered.challenge == packet.data
        {
            return Outcome::Answer(answered.packet.clone());
        }
        let mut reader = Reader::new(&packet.data);
        let (Some(16), Some(server)) = (reader.u8(), reader.array()) else {
            return Outcome::Ignored;
        };
        let peer = dice.draw();
        let hash = password_hash(password.reveal());
        let response = nt_response(&server, &peer, login, &hash);
        let answer = Packet {
            code: Code::Response,
            id: packet.id,
            data: response_value(&peer, &response, login),
        };
        let bytes = answer.bytes();
        self.answered = Some(Answered {
            challenge: packet.data.clone(),
            id: packet.id,
            packet: bytes.clone(),
            expected: authenticator_response(&hash, &response, &peer, &server, login),
            keys: start_keys(&hash, &response, Side::Client),
        });
        Outcome::Answer(bytes)
    }

    /// A success (RFC 2759 section 5) must carry the server's own proof.
    fn succeeded(&self, packet: &Packet) -> Outcome {
        let Some(answered) = self.answered.as_ref().filter(|_| self.is_answer(packet)) else {
            return Outcome::Ignored;
        };
        let said = packet.data.get(..answered.expected.len()).unwrap_or_default();
        if !said.starts_with(b"S=") {
            return Outcome::Failed(Failure::ServerNotProven("its success says no S="));
        }
        if said.eq_ignore_ascii_case(answered.expected.as_bytes()) {
            Outcome::Proven(answered.keys.clone())
        } else {
            Outcome::Failed(Failure::ServerNotProven("its S= is wrong"))
        }
    }
}

/// The value of a Response (RFC 2759 section 4), then the login.
fn response_value(peer: &[u8; 16], response: &[u8; 24], login: &str) -> Vec<u8> {
    let mut value = vec![49];
    value.extend(peer);
    value.extend([0; 8]);
    value.extend(response);
    value.push(0);
    value.extend(login.bytes());
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn challenge(id: u8, byte: u8) -> Vec<u8> {
        let data = [&[16][..], &[byte; 16], b"server"].concat();
        Packet { code: Code::Challenge, id, data }.bytes()
    }

    fn chap() -> (Chap, impl FnMut(&mut Chap, &[u8]) -> Outcome) {
        let mut dice = Dice::new([5; 32]);
        let password = Secret::parse("secret").unwrap();
        (Chap::default(), move |chap: &mut Chap, bytes: &[u8]| {
            chap.handle(bytes, "user", &password, &mut dice)
        })
    }

    /// The answer that a server which knows the password gives.
    fn proof(answer: &[u8], byte: u8) -> String {
        let answer = Packet::parse(answer).unwrap();
        let peer = answer.data[1..17].try_into().unwrap();
        let response = answer.data[25..49].try_into().unwrap();
        authenticator_response(&password_hash("secret"), &response, &peer, &[byte; 16], "user")
    }

    #[test]
    fn a_server_that_knows_the_password_is_believed() {
        let (mut chap, mut handle) = chap();
        let Outcome::Answer(answer) = handle(&mut chap, &challenge(3, 9)) else { panic!() };
        let data = format!("{} M=Welcome", proof(&answer, 9)).into_bytes();
        let success = Packet { code: Code::Success, id: 3, data };
        assert!(matches!(handle(&mut chap, &success.bytes()), Outcome::Proven(_)));
    }

    #[test]
    fn a_server_that_does_not_is_not() {
        let (mut chap, mut handle) = chap();
        handle(&mut chap, &challenge(3, 9));
        for data in [format!("S={}", "0".repeat(40)), "welcome".to_owned(), String::new()] {
            let success = Packet { code: Code::Success, id: 3, data: data.into_bytes() };
            let outcome = handle(&mut chap, &success.bytes());
            assert!(matches!(outcome, Outcome::Failed(Failure::ServerNotProven(_))), "{outcome:?}");
        }
    }

    #[test]
    fn a_success_that_nothing_was_sent_for_is_ignored() {
        let (mut chap, mut handle) = chap();
        let success = Packet { code: Code::Success, id: 3, data: b"S=".to_vec() };
        assert_eq!(handle(&mut chap, &success.bytes()), Outcome::Ignored);
        handle(&mut chap, &challenge(4, 9));
        assert_eq!(handle(&mut chap, &success.bytes()), Outcome::Ignored);
    }

    #[test]
    fn a_challenge_that_comes_again_is_answered_alike_and_a_new_one_afresh() {
        let (mut chap, mut handle) = chap();
        let first = handle(&mut chap, &challenge(1, 9));
        assert_eq!(handle(&mut chap, &challenge(1, 9)), first);
        assert_ne!(handle(&mut chap, &challenge(1, 8)), first);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(id: u8, data in prop::collection::vec(any::<u8>(), 0..100)) {
            for code in [Code::Challenge, Code::Response, Code::Success, Code::Failure] {
                let packet = Packet { code, id, data: data.clone() };
                prop_assert_eq!(Packet::parse(&packet.bytes()), Some(packet));
            }
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..100), code in 0_u8..6) {
            let (mut chap, mut handle) = chap();
            handle(&mut chap, &challenge(1, 9));
            handle(&mut chap, &bytes);
            let mut framed = vec![code, 1, 0, u8::try_from(bytes.len() + 4).unwrap()];
            framed.extend(bytes);
            handle(&mut chap, &framed);
        }
    }
}
