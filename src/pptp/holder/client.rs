//! The daemon's side: finding the holder, or starting one, and asking it.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, recv,
    socket_with,
};
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Command;
use tokio::time::timeout;

use super::wire::{self, DESCRIPTORS, Kept, Reply, WireError};
use crate::core::event::Pid;
use crate::process::Proc;

/// This program, whatever has become of its file since it was started.
const PROGRAM: &str = "/proc/self/exe";
const BACKLOG: i32 = 16;
/// A holder does nothing but answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Why the holder does not do it.
#[derive(Debug, thiserror::Error)]
pub(in crate::pptp) enum HolderError {
    /// It can't be started.
    #[error("it can't be started: can't {what}: {source}")]
    Start {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// Something else stands where its socket is to be.
    #[error("{} is there, and nothing of others is replaced; move it away", .0.display())]
    Taken(PathBuf),
    /// Somebody else is behind its socket.
    #[error("what listens at its socket is of user {0}")]
    Stranger(u32),
    /// It lives in another network namespace, and so do its tunnels.
    #[error(
        "the one there (pid {0}) keeps tunnels of another network namespace; set another paths.run_dir"
    )]
    Elsewhere(Pid),
    /// It keeps silent.
    #[error("it does not answer")]
    Silent,
    /// It answers something else.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// What it keeps can't be looked at.
    #[error("a tunnel that it keeps can't be looked at: {0}")]
    Unseen(String),
    /// It does not want to.
    #[error("{0}")]
    Refused(String),
}

impl HolderError {
    /// Whether another try a moment later may succeed.
    pub(in crate::pptp) fn may_pass(&self) -> bool {
        match self {
            HolderError::Silent | HolderError::Unseen(_) | HolderError::Start { .. } => true,
            HolderError::Wire(error) => error.may_pass(),
            HolderError::Taken(_)
            | HolderError::Stranger(_)
            | HolderError::Elsewhere(_)
            | HolderError::Refused(_) => false,
        }
    }
}

impl From<io::Error> for HolderError {
    fn from(error: io::Error) -> Self {
        HolderError::Wire(WireError::Socket(error))
    }
}

/// A connection to the holder.
#[derive(Debug)]
pub(in crate::pptp) struct Connection {
    socket: AsyncFd<OwnedFd>,
    /// The holder's process.
    pub(in crate::pptp) pid: Pid,
}

impl Connection {
    /// Connects to the holder; `None` where there is none.
    pub(in crate::pptp) fn open(path: &Path) -> Result<Option<Self>, HolderError> {
        let socket = seqpacket()?;
        match connect(&socket, &address(path)?) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(None),
            // A socket of another kind is none of a holder.
            Err(Errno::PROTOTYPE) => return Err(HolderError::Taken(path.to_owned())),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let peer = socket_peercred(&socket).map_err(io::Error::from)?;
        if peer.uid != geteuid() {
            return Err(HolderError::Stranger(peer.uid.as_raw()));
        }
        let pid = Pid::try_from(peer.pid.as_raw_nonzero().get()).unwrap_or_default();
        if !Proc::host().is_here(pid) {
            return Err(HolderError::Elsewhere(pid));
        }
        Connection::new(socket, pid).map(Some)
    }

    /// Starts a holder and connects to it.
    pub(in crate::pptp) fn start(path: &Path) -> Result<Self, HolderError> {
        let failed = |verb: &str| {
            let what = format!("{verb} {}", path.display());
            move |source| HolderError::Start { what, source }
        };
        clear_the_place(path).map_err(failed("remove the last one's socket"))?;
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(HolderError::Taken(path.to_owned()));
        }
        let listener = listener(path).map_err(failed("make its socket"))?;
        let mut command = Command::new(PROGRAM);
        command.arg0("connexad").arg("--hold").stdin(listener);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                drop(std::fs::remove_file(path));
                let what = "run connexad --hold".to_owned();
                return Err(HolderError::Start { what, source: error });
            }
        };
        // It is waited for by the runtime, where it ends before the daemon.
        let pid = child.id().unwrap_or_default();
        let socket = seqpacket()?;
        connect(&socket, &address(path)?).map_err(|error| failed("connect to")(error.into()))?;
        Connection::new(socket, pid)
    }

    #[expect(
        deprecated,
        reason = "deprecated for fds that may close early, which an OwnedFd can't"
    )]
    fn new(socket: OwnedFd, pid: Pid) -> Result<Self, HolderError> {
        Ok(Connection { socket: AsyncFd::with_interest(socket, Interest::READABLE)?, pid })
    }

    /// Has a tunnel kept, in place of the one of this number.
    pub(in crate::pptp) async fn keep(
        &self,
        number: u32,
        state: &[u8],
        descriptors: [BorrowedFd<'_>; DESCRIPTORS],
    ) -> Result<(), HolderError> {
        wire::send_keep(self.socket.as_fd(), number, state, descriptors)?;
        self.done().await
    }

    /// Has a tunnel let go.
    pub(in crate::pptp) async fn let_go(&self, number: u32) -> Result<(), HolderError> {
        wire::send_let_go(self.socket.as_fd(), number)?;
        self.done().await
    }

    /// All that is kept.
    pub(in crate::pptp) async fn all(&self) -> Result<Vec<(u32, Kept)>, HolderError> {
        let mut all: Vec<(u32, Kept)> = Vec::new();
        loop {
            let last = all.last().map_or(0, |(number, _)| *number);
            wire::send_next(self.socket.as_fd(), last)?;
            match self.reply().await? {
                Reply::Next(number, kept) if number > last => all.push((number, kept)),
                Reply::NoOther => return Ok(all),
                Reply::Refused(why) => return Err(HolderError::Refused(why)),
                Reply::Next(..) | Reply::Done => return Err(WireError::Unknown.into()),
            }
        }
    }

    async fn done(&self) -> Result<(), HolderError> {
        match self.reply().await? {
            Reply::Done => Ok(()),
            Reply::Refused(why) => Err(HolderError::Refused(why)),
            Reply::Next(..) | Reply::NoOther => Err(WireError::Unknown.into()),
        }
    }

    async fn reply(&self) -> Result<Reply, HolderError> {
        let heard = async {
            loop {
                let mut ready = self.socket.readable().await?;
                match wire::receive_reply(self.socket.as_fd()) {
                    Err(WireError::Socket(error)) if error.kind() == ErrorKind::WouldBlock => {
                        ready.clear_ready();
                    }
                    heard => return Ok(heard?),
                }
            }
        };
        timeout(ANSWERS_WITHIN, heard).await.unwrap_or(Err(HolderError::Silent))
    }

    /// Returns when the holder is gone, or says what nobody has asked for.
    pub(in crate::pptp) async fn gone(&self) {
        loop {
            let Ok(mut ready) = self.socket.readable().await else { return };
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            match recv(self.socket.as_fd(), &mut [0; 1], flags) {
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Ok(_) | Err(_) => return,
            }
        }
    }
}

fn seqpacket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new(path)?)
}

/// A listening socket that is root's alone from the moment its file exists: the file takes its mode
/// from the socket (unix(7)).
pub(in crate::pptp) fn listener(path: &Path) -> io::Result<OwnedFd> {
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &address(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Removes the socket that a killed holder has left: a socket of this user at which nobody listens.
pub(super) fn clear_the_place(path: &Path) -> io::Result<()> {
    let Ok(there) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let is_ours = there.file_type().is_socket() && there.uid() == geteuid().as_raw();
    let is_dead = || {
        let socket = seqpacket()?;
        io::Result::Ok(match connect(&socket, &address(path)?) {
            Err(error) => error == Errno::CONNREFUSED,
            Ok(()) => false,
        })
    };
    if is_ours && is_dead()? { std::fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
