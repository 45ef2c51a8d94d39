//! A socket that stands for `/dev/log` before a call's pptp: what that has to say of its control
//! connection it says to syslog alone.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
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
    /// Device and inode of the file.
    file: (u64, u64),
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
        if is_left(&path) {
            std::fs::remove_file(&path)?;
        }
        let socket = Blocking::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        let file = file_at(&path)?;
        Ok(LogSocket { socket: UnixDatagram::from_std(socket)?, path, file })
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

/// Whether an earlier daemon has left it: a socket at which nobody listens. Anything else is not ours.
fn is_left(path: &Path) -> bool {
    let is_socket = path.symlink_metadata().is_ok_and(|there| there.file_type().is_socket());
    let answer = || Blocking::unbound()?.connect(path);
    is_socket && answer().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    path.symlink_metadata().map(|there| (there.dev(), there.ino()))
}

/// Removes the sockets that a daemon which was killed has left. Not while one runs.
pub(super) fn remove_left(run_dir: &Path) {
    for name in atomic_file::names(run_dir).unwrap_or_default() {
        let node = name.strip_suffix(".log").and_then(NodeId::from_peer_name);
        let path = run_dir.join(&name);
        if node.is_some() && is_left(&path) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

impl Drop for LogSocket {
    fn drop(&mut self) {
        if file_at(&self.path).is_ok_and(|there| there == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    use super::*;

    const NODE: NodeId = NodeId(2);

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), NODE);
        (folder, path)
    }

    /// The socket of a daemon that was killed. A program that another test starts may have it until that is loaded.
    fn leave(path: &Path) {
        drop(Blocking::bind(path).unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        while !is_left(path) {
            assert!(Instant::now() < until, "somebody listens still");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_socket_that_a_killed_daemon_has_left_makes_place_for_the_next() {
        let (folder, path) = folder();
        leave(&path);
        LogSocket::open(folder.path(), NODE).unwrap();
        assert!(!path.exists());
        leave(&path);
        remove_left(folder.path());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_at_which_somebody_listens_stays() {
        let (folder, path) = folder();
        let _datagrams = Blocking::bind(&path).unwrap();
        assert!(LogSocket::open(folder.path(), NODE).is_err());
        remove_left(folder.path());
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        let _stream = UnixListener::bind(&path).unwrap();
        assert!(LogSocket::open(folder.path(), NODE).is_err());
        remove_left(folder.path());
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let (folder, path) = folder();
        fs::write(&path, "of others").unwrap();
        assert!(LogSocket::open(folder.path(), NODE).is_err());
        remove_left(folder.path());
        assert_eq!(fs::read_to_string(&path).unwrap(), "of others");
    }

    #[tokio::test]
    async fn what_has_taken_its_place_stays_when_the_call_ends() {
        let (folder, path) = folder();
        let log = LogSocket::open(folder.path(), NODE).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "of others").unwrap();
        drop(log);
        assert_eq!(fs::read_to_string(&path).unwrap(), "of others");
    }
}
