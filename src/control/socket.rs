//! The socket file, and the lock that keeps a second daemon away.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

use crate::config::{Control, Paths};

/// Why the socket can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon holds the lock.
    #[error("another connexad runs already and holds {}; see `connexactl status`", lock.display())]
    AlreadyRunning {
        /// The lock file.
        lock: PathBuf,
    },
    /// A file can't be made.
    #[error("can't {what} {}: {source}; check control.socket and that the daemon runs as root", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl SocketError {
    /// Whether rights were missing.
    pub fn is_permission(&self) -> bool {
        match self {
            SocketError::AlreadyRunning { .. } => false,
            SocketError::File { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
        }
    }
}

/// The one daemon: holds its lock while it lives.
#[derive(Debug)]
pub struct Only {
    /// The lock goes with the file handle.
    _lock: File,
}

/// Makes sure that this is the only daemon for these pppds. The lock stands beside pppd's pid
/// files, which are what two daemons would fight for, whatever their sockets.
///
/// # Errors
/// When another one runs, or the lock file can't be made.
pub fn be_the_only(paths: &Paths) -> Result<Only, SocketError> {
    std::fs::create_dir_all(&paths.run_dir)
        .map_err(|source| file_error("make the folder", &paths.run_dir, source))?;
    let path = paths.run_dir.join("connexad.lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| file_error("open", &path, source))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Only { _lock: lock }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SocketError::AlreadyRunning { lock: path }),
        Err(errno) => Err(file_error("lock", &path, errno.into())),
    }
}

/// Opens the socket: root may read and write, and the group of the configuration, where it
/// exists. It appears under its name with these rights already set.
///
/// # Errors
/// When the socket can't be made.
pub fn open(control: &Control, _only: &Only) -> Result<UnixListener, SocketError> {
    let path = &control.socket;
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)
        .map_err(|source| file_error("make the folder", folder, source))?;
    let new = path.with_extension("new");
    let fail = |what| {
        let path = path.clone();
        move |source| SocketError::File { what, path, source }
    };
    // Left over by a daemon that died between bind and rename; usually not there.
    let _ = std::fs::remove_file(&new);
    let listener = UnixListener::bind(&new).map_err(fail("make the socket"))?;
    let group = group_id(&control.group);
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    std::os::unix::fs::chown(&new, None, group).map_err(fail("give a group to"))?;
    std::fs::set_permissions(&new, Permissions::from_mode(mode))
        .map_err(fail("set the mode of"))?;
    std::fs::rename(&new, path).map_err(fail("put in place"))?;
    if group.is_none() {
        tracing::info!(
            "Group {} is not in /etc/group: only root may use {}",
            control.group,
            path.display()
        );
    }
    Ok(listener)
}

fn file_error(what: &'static str, path: &Path, source: io::Error) -> SocketError {
    SocketError::File { what, path: path.to_owned(), source }
}

/// The number of a group of this host, from `/etc/group` (group(5)).
fn group_id(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_turned_away_while_the_first_lives() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { run_dir: folder.path().to_owned(), ..Paths::default() };
        let first = be_the_only(&paths).unwrap();
        assert!(matches!(be_the_only(&paths), Err(SocketError::AlreadyRunning { .. })));
        drop(first);
        assert!(be_the_only(&paths).is_ok());
    }

    #[test]
    fn groups_are_found_by_name() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no such group"), None);
    }
}
