//! The backend's port: the sockets that listen on it, and the processes that hold them.

use std::collections::BTreeSet;

use super::listeners::{self, Listener, ListenersError};
use super::owner::{self, Owner};
use crate::process::Proc;

/// A socket that listens on the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The socket.
    pub listener: Listener,
    /// The processes that hold it, those that handed it to others first. None where they can't be
    /// seen: in another pid namespace, or without the right to.
    pub owners: Vec<Owner>,
}

/// Looks who listens on the port.
///
/// # Errors
/// When the kernel does not tell who listens.
pub fn look(port: u16) -> Result<Vec<Listening>, ListenersError> {
    let listeners = listeners::on(port)?;
    let proc = Proc::host();
    let inodes: BTreeSet<u32> = listeners.iter().map(|listener| listener.inode).collect();
    let mut holders = owner::holders(proc, &inodes);
    let listening = |listener: Listener| {
        let pids = holders.remove(&listener.inode).unwrap_or_default();
        let mut owners: Vec<Owner> = pids.iter().filter_map(|&pid| owner::of(proc, pid)).collect();
        owners.sort_by_key(|owner| (pids.contains(&owner.parent), owner.pid));
        Listening { listener, owners }
    };
    Ok(listeners.into_iter().map(listening).collect())
}
