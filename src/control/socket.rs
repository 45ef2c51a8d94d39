//! The socket file: made where nothing is, or in place of one that an earlier daemon left.

use std::fs::{Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use super::lock::{self, Inode, Made, Only};
use crate::atomic_file::kind;
use crate::config::{Config, Control};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Why the socket can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon holds the lock.
    #[error("another connexad runs already and holds {}; see `connexactl status`", lock.display())]
    AlreadyRunning {
        /// The lock file.
        lock: PathBuf,
    },
    /// The lock file is somebody else's.
    #[error("{} is not connexad's lock, and nothing of others is replaced; move it away, or set paths.run_dir", lock.display())]
    NoLock {
        /// The file.
        lock: PathBuf,
    },
    /// Something else stands where the socket is to be.
    #[error("control.socket: {} is {what}, and nothing of others is replaced; name a path where nothing is", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
        /// What stands there.
        what: &'static str,
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
    pub(super) fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        SocketError::File { what, path: path.to_owned(), source }
    }
}

/// Whether a daemon could have this configuration's socket, as far as that is seen without taking
/// the lock: one that runs may be ours.
///
/// # Errors
/// When something else stands there.
pub fn check(config: &Config) -> Result<(), SocketError> {
    let path = &config.control.socket;
    let Ok(there) = std::fs::symlink_metadata(path) else { return Ok(()) };
    must_be_ours(path, &there, lock::made(&config.paths), || true)
}

/// Opens the socket: root may read and write, and the group of the configuration, where it exists.
///
/// # Errors
/// When something else stands there, or the socket can't be made.
pub fn open(control: &Control, only: &Only) -> Result<UnixListener, SocketError> {
    let path = &control.socket;
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)
        .map_err(|source| SocketError::file("make the folder", folder, source))?;
    clear_the_place(path, only.made)?;
    let failed = |what| move |source| SocketError::file(what, path, source);
    only.remember(Made::Unsaid).map_err(failed("remember the socket"))?;
    let socket = bind(path).map_err(failed("make the socket"))?;
    let made = std::fs::symlink_metadata(path).map(|there| Made::This(Inode::of(&there)));
    made.and_then(|made| only.remember(made)).map_err(failed("remember the socket"))?;
    match group_id(&control.group) {
        Some(group) => {
            std::os::unix::fs::lchown(path, None, Some(group))
                .map_err(failed("give a group to"))?;
            std::fs::set_permissions(path, Permissions::from_mode(0o660))
                .map_err(failed("set the mode of"))?;
        }
        None => tracing::info!(
            "Group {} is not in /etc/group: only root may use {}",
            control.group,
            path.display()
        ),
    }
    UnixListener::from_std(socket.into()).map_err(failed("listen on"))
}

/// A listening socket that is root's alone from the moment its file exists: the file takes its mode
/// from the socket (unix(7)).
fn bind(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Removes the socket that an earlier daemon left, and nothing else.
fn clear_the_place(path: &Path, made: Made) -> Result<(), SocketError> {
    let there = match std::fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(SocketError::file("look at", path, source)),
    };
    must_be_ours(path, &there, made, || is_dead(path))?;
    std::fs::remove_file(path)
        .map_err(|source| SocketError::file("remove the old socket", path, source))
}

/// Removes the socket that the last daemon has made, where it is still that one, and nothing else.
///
/// # Errors
/// When it can't be removed.
pub(crate) fn remove_own(control: &Control, only: &Only) -> Result<(), SocketError> {
    let path = &control.socket;
    let there = std::fs::symlink_metadata(path).ok();
    if there.is_some_and(|there| must_be_ours(path, &there, only.made, || is_dead(path)).is_ok()) {
        std::fs::remove_file(path).map_err(|source| SocketError::file("remove", path, source))?;
    }
    Ok(())
}

/// Refuses what stands there unless a connexad has made it. Where none has said what it made, a
/// socket is judged by `unsaid`.
fn must_be_ours(
    path: &Path,
    there: &Metadata,
    made: Made,
    unsaid: impl FnOnce() -> bool,
) -> Result<(), SocketError> {
    if !there.file_type().is_socket() {
        return Err(taken(path, kind(there.file_type())));
    }
    let is_ours = match made {
        Made::Nothing => false,
        Made::This(inode) => inode == Inode::of(there),
        Made::Unsaid => unsaid(),
    };
    if is_ours { Ok(()) } else { Err(taken(path, ANOTHERS)) }
}

const ANOTHERS: &str = "a socket that connexad has not made";

fn taken(path: &Path, what: &'static str) -> SocketError {
    SocketError::Taken { path: path.to_owned(), what }
}

/// Whether nobody listens on this socket any more.
fn is_dead(path: &Path) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    connect().is_err_and(|error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The number of a group of this host, from `/etc/group` (group(5)).
pub(super) fn group_id(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// Nobody listens any more, as when a process ends. Closing the socket is not enough: a program that another test
/// starts may have it until that is loaded.
#[cfg(test)]
pub(crate) fn hang_up(listener: &impl std::os::fd::AsFd) {
    socket2::SockRef::from(listener).shutdown(std::net::Shutdown::Both).unwrap();
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener as Listener;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;
    use crate::config::Paths;

    struct Host {
        folder: tempfile::TempDir,
        config: Config,
    }

    impl Host {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let run_dir = folder.path().join("run");
            fs::create_dir(&run_dir).unwrap();
            let control = Control { socket: run_dir.join("connexad.sock"), ..Control::default() };
            let paths = Paths { run_dir, ..Paths::default() };
            let config = Config { control, paths, ..Config::default() };
            Host { folder, config }
        }

        fn socket(&self) -> &Path {
            &self.config.control.socket
        }

        fn open(&self) -> Result<(UnixListener, Only), SocketError> {
            let only = lock::be_the_only(&self.config.paths)?;
            open(&self.config.control, &only).map(|listener| (listener, only))
        }

        /// The daemon that has opened it dies.
        fn die((listener, only): (UnixListener, Only)) {
            hang_up(&listener);
            only.let_go();
        }

        fn is_refused(&self) -> bool {
            matches!(check(&self.config), Err(SocketError::Taken { .. }))
                && matches!(self.open(), Err(SocketError::Taken { .. }))
        }
    }

    /// A socket at which nobody listens.
    fn dead_socket(path: &Path) {
        hang_up(&Listener::bind(path).unwrap());
    }

    #[tokio::test]
    async fn the_socket_of_a_daemon_that_died_is_made_anew() {
        let host = Host::new();
        Host::die(host.open().unwrap());
        assert!(host.socket().exists());
        check(&host.config).unwrap();
        host.open().unwrap();
    }

    #[tokio::test]
    async fn the_dead_socket_of_a_daemon_that_did_not_say_what_it_made_is_made_anew() {
        let host = Host::new();
        fs::write(host.folder.path().join("run/connexad.lock"), "").unwrap();
        dead_socket(host.socket());
        check(&host.config).unwrap();
        host.open().unwrap();
    }

    #[tokio::test]
    async fn a_file_is_left_as_it_is() {
        let host = Host::new();
        fs::write(host.socket(), "precious").unwrap();
        assert!(host.is_refused());
        assert_eq!(fs::read_to_string(host.socket()).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_symbolic_link_is_left_as_it_is_wherever_it_leads() {
        let host = Host::new();
        symlink(host.folder.path().join("nowhere"), host.socket()).unwrap();
        assert!(host.is_refused());
        assert!(fs::symlink_metadata(host.socket()).unwrap().is_symlink());
    }

    #[tokio::test]
    async fn a_folder_and_a_pipe_are_left_as_they_are() {
        let host = Host::new();
        fs::create_dir(host.socket()).unwrap();
        assert!(host.is_refused());
        fs::remove_dir(host.socket()).unwrap();
        mknodat(CWD, host.socket(), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(host.is_refused());
    }

    #[tokio::test]
    async fn the_live_socket_of_another_program_goes_on() {
        let host = Host::new();
        let theirs = Listener::bind(host.socket()).unwrap();
        assert!(host.is_refused());
        std::os::unix::net::UnixStream::connect(host.socket()).unwrap();
        theirs.accept().unwrap();
    }

    #[tokio::test]
    async fn a_dead_socket_that_no_daemon_has_made_is_left() {
        let host = Host::new();
        dead_socket(host.socket());
        assert!(host.is_refused());
        assert!(host.socket().exists());
    }

    #[tokio::test]
    async fn a_file_beside_the_socket_is_left_as_it_is() {
        let host = Host::new();
        let beside = host.socket().with_extension("new");
        fs::write(&beside, "precious").unwrap();
        host.open().unwrap();
        assert_eq!(fs::read_to_string(beside).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_socket_is_closed_to_all_but_root_where_there_is_no_group() {
        let mut host = Host::new();
        host.config.control.group = "no such group".into();
        let _open = host.open().unwrap();
        assert_eq!(fs::metadata(host.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn groups_are_found_by_name() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no such group"), None);
    }
}
