//! What the kernel does with the frames of a unit (`ppp_ccp_peek`, `ppp_send_frame` and
//! `ppp_receive_nonmp_frame` in drivers/net/ppp/ppp_generic.c), keys and counters in clear.

use crate::pptp::order::{Compressor, Direction, Flags, KernelOrder};
use crate::pptp::ppp::{Code, Packet, Protocol, frame, split_frame};

/// The keys and the mode of one direction.
type Cipher = ([u8; 16], [u8; 6]);

#[derive(Debug, Default)]
pub(super) struct Unit {
    flags: Option<Flags>,
    set_receive: Option<Cipher>,
    set_transmit: Option<Cipher>,
    /// Running, and how many packets have gone through.
    receive: Option<(Cipher, u32)>,
    transmit: Option<(Cipher, u32)>,
}

impl Unit {
    pub(super) fn carry_out(&mut self, order: &KernelOrder) {
        match order {
            KernelOrder::SetCompressor(compressor) => self.set(compressor),
            KernelOrder::SetFlags(flags) => self.flags = Some(*flags),
            KernelOrder::ConnectData { .. } | KernelOrder::MakeUnit | KernelOrder::Configure(_) => {
            }
        }
    }

    fn set(&mut self, compressor: &Compressor) {
        let cipher = Some((*compressor.key.reveal(), compressor.option));
        match compressor.direction {
            Direction::Receive => self.set_receive = cipher,
            Direction::Transmit => self.set_transmit = cipher,
        }
    }

    /// A frame written to the unit or sent by the network stack, as it goes out, if it does.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (protocol, packet) = split_frame(bytes)?;
        if protocol == Protocol::Ccp {
            self.peek(packet, false);
            return Some(bytes.to_vec());
        }
        let Some((cipher, count)) = &mut self.transmit else { return Some(bytes.to_vec()) };
        if self.flags != Some(Flags::Encrypting) {
            return None;
        }
        *count += 1;
        let sealed = [&cipher.0[..], &cipher.1, &count.to_be_bytes(), bytes].concat();
        Some(frame(Protocol::Encrypted, &sealed))
    }

    /// A frame that came from the other side, as it comes out, and whether it was encrypted.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let Some((protocol, packet)) = split_frame(bytes) else { return (bytes.to_vec(), false) };
        if protocol == Protocol::Ccp {
            self.peek(packet, true);
        }
        if protocol != Protocol::Encrypted {
            return (bytes.to_vec(), false);
        }
        let Some((cipher, count)) = &mut self.receive else { return (bytes.to_vec(), false) };
        let sent = u32::from_be_bytes(packet[22..26].try_into().unwrap());
        // Stateless: later counts are reached by stepping; earlier ones never.
        if packet[16..22] != cipher.1 || sent <= *count {
            return (bytes.to_vec(), false);
        }
        *count = sent;
        if packet[..16] == cipher.0 {
            (packet[26..].to_vec(), true)
        } else {
            // What a wrong key makes of it.
            (vec![0x40, 0x41, packet[25]], true)
        }
    }

    fn peek(&mut self, packet: &[u8], inbound: bool) {
        let Some(packet) = Packet::parse(packet) else { return };
        if self.flags.is_none() {
            return;
        }
        match packet.code {
            Code::ConfigureRequest if inbound => self.transmit = None,
            Code::ConfigureRequest => self.receive = None,
            Code::TerminateRequest | Code::TerminateAck => {
                (self.transmit, self.receive) = (None, None)
            }
            Code::ConfigureAck if self.flags == Some(Flags::CcpOpen) => {
                let (set, running) = if inbound {
                    (self.set_receive, &mut self.receive)
                } else {
                    (self.set_transmit, &mut self.transmit)
                };
                *running = set.map(|(key, _)| ((key, packet.data[..6].try_into().unwrap()), 0));
            }
            _ => {}
        }
    }
}
