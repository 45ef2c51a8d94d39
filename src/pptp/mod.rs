//! The protocols of a PPTP call, pure: bytes, a clock and dice in; bytes and orders out.
//!
//! A [`Call`] lives from a connected TCP socket to the end of the call. Whoever drives it owns the
//! sockets and `/dev/ppp`, hands in what happens ([`Event`]), carries out what comes back
//! ([`Order`]), strictly in the order in which it comes, and calls again at [`Call::next_deadline`].
//!
//! ```text
//! TCP connected ─► Call::new ─► SCCRQ … OCRP ─► ConnectData ─► LCP, MS-CHAPv2 (channel)
//!   ─► MakeUnit ─► CCP with MPPE (unit) ─► IPCP (unit) ─► Configure ─► up ─► … ─► Ended
//! ```

mod auth;
mod bytes;
mod call;
mod control;
mod dice;
pub(crate) mod driver;
mod event;
mod failure;
pub(crate) mod holder;
mod order;
mod ppp;
mod secret;
mod settings;
mod sys;
#[cfg(test)]
mod tests;

pub use call::{Call, Phase, Standing};
pub use control::whole_messages;
pub use dice::Dice;
pub use event::{Event, Step};
pub use failure::Failure;
pub use holder::hold;
pub use order::{Addresses, Compressor, Direction, Ending, Flags, KernelOrder, Order, Via};
pub use secret::StartKey;
pub use settings::{Encryption, Settings};
