//! The control connection of PPTP (RFC 2637).

mod codes;
mod cutter;
mod message;

pub(super) use codes::{call_refused, connection_refused, disconnected, stopped};
pub(super) use cutter::Cutter;
pub use cutter::whole_messages;
pub(super) use message::Message;
#[cfg(test)]
pub(super) use message::{CallReply, StartReply};
