//! A process held by its pidfd, so that a signal can't go astray to whoever has its number next.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::core::effect::Signal;
use crate::core::event::Pid;
use crate::core::failure::PppdExit;

/// Takes hold of the process that has this number now.
///
/// # Errors
/// When there is none, or the kernel has no pidfds (before 5.3).
pub(super) fn take_hold(pid: Pid) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Whether a held process still lives; while it does, its number is its own.
pub(super) fn lives(pidfd: &OwnedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready == 0)
}

/// A held process whose end is heard.
#[derive(Debug)]
pub(super) struct Process {
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
    pub(super) fn new(pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Process { pidfd: AsyncFd::with_interest(pidfd, Interest::READABLE)? })
    }

    /// Returns once the process has ended; a child of ours is then still to be reaped.
    pub(super) async fn gone(&self) {
        // Fails only when the runtime itself ends.
        let _ = self.pidfd.readable().await;
    }

    /// Whether it has not ended yet.
    pub(super) fn lives(&self) -> bool {
        lives(self.pidfd.get_ref())
    }

    /// How a process that has ended did so; a child of ours leaves the kernel's table by this.
    pub(super) fn reap(&self) -> PppdExit {
        let id = WaitId::PidFd(self.pidfd.get_ref().as_fd());
        // Only its parent is told.
        let status = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok().flatten();
        let Some(status) = status else { return PppdExit::Unseen };
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => PppdExit::Code(code),
            (None, Some(signal)) => PppdExit::Signal(signal),
            (None, None) => PppdExit::Unseen,
        }
    }

    /// Sends it a signal; one that has ended is past caring.
    pub(super) fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::error!(
                "can't signal a process: {error}; connexad must run as root with CAP_KILL"
            ),
        }
    }
}
