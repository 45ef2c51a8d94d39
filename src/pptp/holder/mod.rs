//! The holder: a process that keeps the descriptors of tunnels, so that they outlive the daemon.
//!
//! The kernel ends a tunnel when the last descriptor of it is closed. So there is one process beside
//! the daemon that has each of them a second time, with some bytes that only daemons understand, and
//! does nothing else: it reads no packet, knows no password and has no reason to end. It is the
//! daemon's own program (`connexad --hold`), started with the first tunnel that is up; a daemon that
//! comes later finds it by its socket and takes all over. It ends when it has nothing to keep and no
//! daemon is connected to it.

mod client;
mod process;
mod wire;

use std::path::{Path, PathBuf};

use crate::config::Paths;

pub(in crate::pptp) use client::{Connection, HolderError};
pub use process::hold;
pub(in crate::pptp) use wire::Kept;

/// Where the socket of the holder is.
pub(crate) fn socket(paths: &Paths) -> PathBuf {
    paths.run_dir.join("connexad-holder.sock")
}

/// Removes the socket of a holder that was killed, and nothing else.
///
/// # Errors
/// When it is there and can't be removed.
pub(crate) fn clear_the_place(path: &Path) -> std::io::Result<()> {
    client::clear_the_place(path)
}

#[cfg(test)]
pub(in crate::pptp) mod testing {
    use std::path::Path;
    use std::thread::JoinHandle;

    /// A holder in a thread; it ends when nobody needs it.
    pub(in crate::pptp) fn holder_at(place: &Path) -> JoinHandle<()> {
        let listener = super::client::listener(place).unwrap();
        std::thread::spawn(move || super::process::keep_by(listener).unwrap())
    }
}
