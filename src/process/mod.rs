//! Processes: what the kernel tells of them, and one held by its pidfd, so that a signal can't go
//! astray to whoever has its number next.

mod proc;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub(crate) use proc::Proc;

use crate::core::event::Pid;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Only its parent is told how, and that is another process.
    Unseen,
}

/// Takes hold of the process that has this number now.
///
/// # Errors
/// When there is none, or the kernel has no pidfds (before 5.3).
pub(crate) fn take_hold(pid: Pid) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Whether it is for want of descriptors or memory that something can't be read: another time it
/// can, and until then nothing is known of it.
pub(crate) fn is_want(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN]
        .iter()
        .any(|want| error.raw_os_error() == Some(want.raw_os_error()))
}

/// What was read; nothing where it is not there, or another's.
///
/// # Errors
/// When that is not known, for want of descriptors or memory.
pub(crate) fn there<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_want(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether a held process still lives; while it does, its number is its own.
pub(crate) fn lives(pidfd: &OwnedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready == 0)
}

/// A held process whose end is heard.
#[derive(Debug)]
pub(crate) struct Process {
    pidfd: AsyncFd<OwnedFd>,
}

impl Process {
    /// Listens for the end of a held process.
    ///
    /// # Errors
    /// When the kernel can't watch one more file.
    #[expect(
        deprecated,
        reason = "deprecated for fds that may close early, which an OwnedFd can't"
    )]
    pub(crate) fn new(pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Process { pidfd: AsyncFd::with_interest(pidfd, Interest::READABLE)? })
    }

    /// Returns once the process has ended; a child of ours is then still to be reaped.
    pub(crate) async fn gone(&self) {
        // Fails only when the runtime itself ends.
        let _ = self.pidfd.readable().await;
    }

    /// Whether it has not ended yet.
    pub(crate) fn lives(&self) -> bool {
        lives(self.pidfd.get_ref())
    }

    /// How a process that has ended did so; a child of ours leaves the kernel's table by this.
    pub(crate) fn reap(&self) -> Ending {
        let id = WaitId::PidFd(self.pidfd.get_ref().as_fd());
        let status = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok().flatten();
        let Some(status) = status else { return Ending::Unseen };
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ending::Code(code),
            (None, Some(signal)) => Ending::Signal(signal),
            (None, None) => Ending::Unseen,
        }
    }

    /// Sends it a signal; one that has ended is past caring.
    pub(crate) fn signal(&self, signal: Signal) {
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::error!(
                "can't signal a process: {error}; connexad must run as root with CAP_KILL"
            ),
        }
    }
}
