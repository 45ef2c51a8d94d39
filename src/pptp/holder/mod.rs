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
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::config::Paths;
use crate::core::event::Pid;

pub(in crate::pptp) use client::{Connection, HolderError};
pub use process::hold;
pub(in crate::pptp) use wire::Kept;

/// Between two looks whether it goes on.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

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

/// Waits for the holder to end, for so long. Its process, where it goes on.
pub(crate) async fn outlives(place: &Path, within: Duration) -> Option<Pid> {
    let until = Instant::now() + within;
    loop {
        // One of others is none of ours.
        let pid = Connection::open(place).ok()??.pid;
        if Instant::now() >= until {
            return Some(pid);
        }
        sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_holder_that_goes_on_is_told_and_one_that_nobody_needs_ends() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("socket");
        let holder = testing::holder_at(&place);
        let daemon = Connection::open(&place).unwrap();
        assert_eq!(outlives(&place, Duration::ZERO).await, Some(std::process::id()));
        drop(daemon);
        assert_eq!(outlives(&place, Duration::from_secs(60)).await, None);
        holder.join().unwrap();
    }
}

#[cfg(test)]
pub(in crate::pptp) mod testing {
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::thread::JoinHandle;

    pub(in crate::pptp) use super::client::listener;

    /// A holder in a thread; it ends when nobody needs it.
    pub(in crate::pptp) fn holder_at(place: &Path) -> JoinHandle<()> {
        keep_by(listener(place).unwrap())
    }

    /// The same, behind a socket that daemons may have connected to before.
    pub(in crate::pptp) fn keep_by(listener: OwnedFd) -> JoinHandle<()> {
        std::thread::spawn(move || super::process::keep_by(listener).unwrap())
    }
}
