//! The lock that keeps a second daemon away, and what it remembers: which socket file is ours.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::socket::SocketError;
use crate::config::Paths;
use crate::core::event::Pid;
use crate::process;

/// What the line in the lock file begins with.
const MARK: &str = "connexad socket";
const NOTHING: &str = "none";
const UNSAID: &str = "unsaid";
/// The line is no longer than this, in bytes.
const LONGEST: u64 = 128;

/// A program that a killed daemon was about to start has its lock, too, until it is loaded.
const LOADED_WITHIN: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(20);

/// A socket file, by what no other file has while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Inode { device: metadata.dev(), number: metadata.ino() }
    }

    fn parse(text: &str) -> Option<Self> {
        let (device, number) = text.split_once(' ')?;
        Some(Inode { device: device.parse().ok()?, number: number.parse().ok()? })
    }
}

/// Which socket file daemons of these pppds have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// None.
    Nothing,
    /// The last one made this file.
    This(Inode),
    /// A daemon may have made one and has not said which: it died at it, or was of before 0.2.
    Unsaid,
}

impl Made {
    fn parse(text: &str) -> Self {
        let Some(rest) = text.strip_prefix(MARK) else { return Made::Unsaid };
        match rest.trim() {
            NOTHING => Made::Nothing,
            inode => Inode::parse(inode).map_or(Made::Unsaid, Made::This),
        }
    }

    fn line(self) -> String {
        match self {
            Made::Nothing => format!("{MARK} {NOTHING}\n"),
            Made::This(Inode { device, number }) => format!("{MARK} {device} {number}\n"),
            Made::Unsaid => format!("{MARK} {UNSAID}\n"),
        }
    }
}

/// The one daemon: holds its lock while it lives.
#[derive(Debug)]
pub struct Only {
    lock: File,
    pub(super) made: Made,
}

impl Only {
    /// Remembers, for the next daemon, which socket file this one has made.
    ///
    /// # Errors
    /// When the lock file can't be written.
    pub(super) fn remember(&self, made: Made) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.lock.write_all_at(made.line().as_bytes(), 0)
    }
}

/// Makes sure that this is the only daemon for these pppds. The lock stands beside pppd's pid
/// files, which are what two daemons would fight for, whatever their sockets.
///
/// # Errors
/// When another one runs, or the lock file can't be made.
pub(crate) fn be_the_only(paths: &Paths) -> Result<Only, SocketError> {
    be_the_only_within(paths, LOADED_WITHIN)
}

fn be_the_only_within(paths: &Paths, limit: Duration) -> Result<Only, SocketError> {
    std::fs::create_dir_all(&paths.run_dir)
        .map_err(|source| SocketError::file("make the folder", &paths.run_dir, source))?;
    let path = file(paths);
    let is_new = std::fs::symlink_metadata(&path).is_err();
    let lock = open(&path, true).map_err(|source| SocketError::file("open", &path, source))?;
    let taken = take(&lock, limit);
    if !taken.map_err(|errno| SocketError::file("lock", &path, errno.into()))? {
        return Err(SocketError::AlreadyRunning { lock: path });
    }
    if !is_a_lock(&lock).map_err(|source| SocketError::file("read", &path, source))? {
        return Err(SocketError::NoLock { lock: path });
    }
    let said = read(&lock).map_err(|source| SocketError::file("read", &path, source))?;
    let made = if is_new { Made::Nothing } else { said };
    let only = Only { lock, made };
    only.remember(made).map_err(|source| SocketError::file("write", &path, source))?;
    Ok(only)
}

/// Whether nobody has the lock after so long, so that it is ours now.
fn take(lock: &File, limit: Duration) -> Result<bool, Errno> {
    let until = Instant::now() + limit;
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if Instant::now() >= until || taker_lives(lock) => {
                return Ok(false);
            }
            Err(Errno::WOULDBLOCK) => sleep(GLANCE),
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether the process that took the lock lives. One that has the lock from it counts for nothing.
fn taker_lives(lock: &File) -> bool {
    let held = taker(lock).and_then(|pid| process::take_hold(pid).ok());
    held.is_some_and(|taker| process::lives(&taker))
}

/// Who took the lock, where `/proc/locks` tells (proc(5)).
fn taker(lock: &File) -> Option<Pid> {
    let about = lock.metadata().ok()?;
    let (major, minor) = (rustix::fs::major(about.dev()), rustix::fs::minor(about.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", about.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| taker_in(line, &place))
}

/// Who took the lock at this place, if the line is about it, such as `1: FLOCK ADVISORY WRITE 42 00:19:7 0 EOF`.
fn taker_in(line: &str, place: &str) -> Option<Pid> {
    let mut words = line.split_whitespace().skip(1);
    let (kind, taker) = (words.next()?, words.nth(2)?);
    let is_it = kind == "FLOCK" && words.next() == Some(place);
    is_it.then(|| taker.parse().ok()).flatten()
}

/// Which socket file was made last, without the lock.
pub(super) fn made(paths: &Paths) -> Made {
    match open(&file(paths), false) {
        Ok(lock) => read(&lock).unwrap_or(Made::Unsaid),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Made::Nothing,
        Err(_) => Made::Unsaid,
    }
}

/// Where the lock is.
pub(crate) fn file(paths: &Paths) -> PathBuf {
    paths.run_dir.join("connexad.lock")
}

fn open(path: &Path, write: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(write).create(write).truncate(false).mode(0o600);
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)
}

/// Whether the file is one that a daemon has made: empty, or with a daemon's line.
fn is_a_lock(mut lock: &File) -> io::Result<bool> {
    if !lock.metadata()?.is_file() {
        return Ok(false);
    }
    let mut text = Vec::new();
    lock.rewind()?;
    lock.take(LONGEST).read_to_end(&mut text)?;
    Ok(text.is_empty() || text.starts_with(MARK.as_bytes()))
}

fn read(mut lock: &File) -> io::Result<Made> {
    let mut text = Vec::new();
    lock.rewind()?;
    lock.take(LONGEST).read_to_end(&mut text)?;
    Ok(Made::parse(&String::from_utf8_lossy(&text)))
}

#[cfg(test)]
impl Only {
    /// As the end of the daemon's process does. Closing it is not enough: a program that another test starts may
    /// have it until that is loaded, and this process, which took it, goes on.
    pub(super) fn let_go(self) {
        flock(&self.lock, FlockOperation::Unlock).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_second_daemon_is_turned_away_at_once_while_the_first_lives() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { run_dir: folder.path().to_owned(), ..Paths::default() };
        let first = be_the_only(&paths).unwrap();
        let for_ever = Duration::from_hours(24);
        assert!(matches!(
            be_the_only_within(&paths, for_ever),
            Err(SocketError::AlreadyRunning { .. })
        ));
        first.let_go();
        assert!(be_the_only(&paths).is_ok());
    }

    #[test]
    fn a_program_that_a_killed_daemon_was_about_to_start_keeps_the_next_daemon_waiting_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        // flock(1) takes the lock, and the program that it starts keeps it, as a daemon's does until it is loaded.
        let mut killed = Command::new("flock");
        killed.arg(&path).arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut killed = killed.spawn().unwrap();
        let (mut input, mut output) = (killed.stdin.take().unwrap(), killed.stdout.take().unwrap());
        input.write_all(b"?").unwrap();
        output.read_exact(&mut [0]).unwrap();
        killed.kill().unwrap();
        killed.wait().unwrap();
        let next = open(&path, true).unwrap();
        assert!(!take(&next, Duration::ZERO).unwrap());
        let loaded = std::thread::spawn(move || drop(input));
        assert!(take(&next, Duration::from_secs(60)).unwrap());
        loaded.join().unwrap();
    }

    #[test]
    fn the_next_daemon_knows_which_socket_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { run_dir: folder.path().to_owned(), ..Paths::default() };
        let only = be_the_only(&paths).unwrap();
        let socket = Made::This(Inode { device: 7, number: u64::MAX });
        for said in [Made::This(Inode { device: 1 << 40, number: 1 }), socket, Made::Unsaid] {
            only.remember(said).unwrap();
            assert_eq!(made(&paths), said);
        }
    }

    #[test]
    fn a_daemon_that_got_no_socket_has_made_none() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { run_dir: folder.path().to_owned(), ..Paths::default() };
        drop(be_the_only(&paths).unwrap());
        assert_eq!(made(&paths), Made::Nothing);
    }

    #[test]
    fn what_has_the_name_of_the_lock_and_is_none_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { run_dir: folder.path().to_owned(), ..Paths::default() };
        let lock = folder.path().join("connexad.lock");
        std::fs::write(&lock, "precious").unwrap();
        assert!(matches!(be_the_only(&paths), Err(SocketError::NoLock { .. })));
        assert_eq!(std::fs::read_to_string(&lock).unwrap(), "precious");
        std::fs::remove_file(&lock).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &lock,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(matches!(be_the_only(&paths), Err(SocketError::NoLock { .. })));
    }

    #[test]
    fn the_empty_lock_of_an_older_daemon_says_nothing() {
        assert_eq!(Made::parse(""), Made::Unsaid);
    }
}
