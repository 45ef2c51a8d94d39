//! Authentication: MS-CHAPv2 (RFC 2759) over CHAP (RFC 1994), and the keys that come of it
//! (RFC 3079).

mod chap;
mod keys;
mod mschapv2;
mod refusal;

pub(super) use chap::{Chap, Outcome};
#[cfg(test)]
pub(super) use chap::{Code, Packet};
pub(super) use keys::StartKeys;
#[cfg(test)]
pub(super) use keys::{Side, start_keys};
#[cfg(test)]
pub(super) use mschapv2::{authenticator_response, nt_response, password_hash};
