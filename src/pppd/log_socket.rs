//! A socket that stands for `/dev/log` before a call's pptp: what that has to say of its control
//! connection it says to syslog alone.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram as Blocking;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;

use crate::atomic_file;
use crate::node::NodeId;

/// The socket of a call that runs; its file goes with it.
#[derive(Debug)]
pub(super) struct LogSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

/// Where a node's socket is. The peer file names it.
pub(super) fn path(run_dir: &Path, node: NodeId) -> PathBuf {
    run_dir.join(format!("{}.log", node.peer_name()))
}

/// The longest path of a Unix socket, in bytes (`sun_path` of unix(7), less the NUL at its end).
pub(super) const LONGEST: usize = 107;

impl LogSocket {
    /// Opens the socket of a node's next call. Call it within the runtime.
    ///
    /// # Errors
    /// When there can be none. The call goes on without, and less is known of its end.
    pub(super) fn open(run_dir: &Path, node: NodeId) -> io::Result<Self> {
        let path = path(run_dir, node);
        if is_ours(&path) {
            std::fs::remove_file(&path)?;
        }
        let socket = Blocking::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(LogSocket { socket: UnixDatagram::from_std(socket)?, path })
    }

    /// Returns when there is something to be read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Takes one line in, if there is one.
    pub(super) fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_recv(buffer)
    }
}

/// An earlier daemon's; anything but a socket is not ours.
fn is_ours(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|there| there.file_type().is_socket())
}

/// Removes the sockets that a daemon which was killed has left. Not while one runs.
pub(super) fn remove_left(run_dir: &Path) {
    for name in atomic_file::names(run_dir).unwrap_or_default() {
        let node = name.strip_suffix(".log").and_then(NodeId::from_peer_name);
        let path = run_dir.join(&name);
        if node.is_some() && is_ours(&path) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

impl Drop for LogSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
