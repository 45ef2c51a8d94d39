//! Point-to-point links of the kernel, by rtnetlink (rtnetlink(7)), as events for the core.
//!
//! Requests and announcements share one socket, read in the kernel's order by one task. What is
//! read goes into a table at once; the core gets the table's changes when it has room for them,
//! so a slow core makes events rarer and never makes a queue longer.

mod dump;
mod filter;
mod listen;
mod message;
mod session;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod traffic;

use std::io;

use dump::Reading;
pub(crate) use listen::listen;
use session::Session;
use table::Table;

use crate::core::event::{Hearing, LinkChange};

/// Receive buffer asked for, in bytes; the kernel books twice as much. It holds some 14,500 unread
/// announcements of links.
const RECEIVE_BUFFER: usize = 16 * 1024 * 1024;

/// Why the kernel's links can't be read.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No socket.
    #[error(
        "rtnetlink: can't {what}: {source}; it needs AF_NETLINK sockets (in a unit file: RestrictAddressFamilies)"
    )]
    Socket {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Reading failed.
    #[error("rtnetlink: the socket can't be read any more: {0}; it is opened anew")]
    Unreadable(io::Error),
    /// The kernel answered a request with an error.
    #[error("rtnetlink: the kernel refused to list links or addresses: {0}; look at its log")]
    Refused(io::Error),
    /// Every list was interrupted by a change.
    #[error(
        "rtnetlink: links or addresses change too quickly for a whole list of them; until one is whole, what was missed before may be shown as it was; see what changes them"
    )]
    Restless,
    /// Changes were lost while links were listed.
    #[error("rtnetlink: changes were lost while links were listed; try again")]
    Lossy,
    /// A dump did not end.
    #[error(
        "rtnetlink: the kernel did not finish listing links within {0} s; the socket is opened anew"
    )]
    Silent(u64),
}

/// Reads the point-to-point links of this network namespace once.
///
/// # Errors
/// When no netlink socket can be had, or the kernel does not list its links.
pub(crate) async fn snapshot() -> Result<Vec<LinkChange>, KernelError> {
    let mut session = Session::open(RECEIVE_BUFFER)?;
    let mut table = Table::default();
    match dump::read(&mut session, &mut table, &mut Hearing::default()).await? {
        Reading::Whole => Ok(table.take_changes()),
        Reading::Torn => Err(KernelError::Restless),
        Reading::Lossy => Err(KernelError::Lossy),
    }
}
