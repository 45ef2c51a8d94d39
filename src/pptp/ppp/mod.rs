//! PPP (RFC 1661): frames, packets, the automaton, and the protocols that negotiate by it.

mod automaton;
pub(super) mod ccp;
pub(super) mod ipcp;
pub(super) mod lcp;
mod negotiation;
mod option;
mod packet;

#[cfg(test)]
pub(super) use negotiation::{Judgement, Options};
pub(super) use negotiation::{Manner, Negotiation, Output};
#[cfg(test)]
pub(super) use option::{Opt, parse_options};
pub(super) use packet::{Code, Packet, Protocol, frame, packet_bytes, split_frame, split_packet};
