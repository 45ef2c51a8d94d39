//! The holder's own process: it waits, takes in, hands out, and ends when nobody needs it.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::io;
use std::ops::Bound;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketAddrUnix, SocketFlags, accept_with, getsockname, listen};
use rustix::process::{Resource, Rlimit, chdir, geteuid, getrlimit, setrlimit, setsid};
use rustix::thread::set_name;

use super::wire::{self, Kept, Request, WireError};

/// What the process is called, beside its command line.
const NAME: &CStr = c"connexad-hold";
/// The daemon that has started it connects at once, unless it has died.
const FIRST_WITHIN: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
const BACKLOG: i32 = 16;
/// Descriptors that are left for daemons to connect by.
const SPARE: u64 = 16;
/// The pause after a connection that could not be taken: the kernel has no file for it.
const PAUSE: Duration = Duration::from_millis(100);

/// Keeps what it is given until it has nothing and nobody is connected. Its standard input is the
/// socket that daemons connect to.
///
/// # Errors
/// When the standard input is no such socket, or the kernel fails it.
pub fn hold() -> io::Result<()> {
    // Whatever ends the daemon's session, or its process group, is not meant for this.
    let _ = setsid();
    // No file system is held.
    let _ = chdir("/");
    let _ = set_name(NAME);
    // Three files a tunnel: as many as its starter might have raised its own limit to.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let listener = io::stdin().as_fd().try_clone_to_owned()?;
    // Again, so that who connects sees this process behind it and not the one that made the socket.
    listen(&listener, BACKLOG)?;
    keep_by(listener)
}

/// Until nobody needs it.
pub(super) fn keep_by(listener: OwnedFd) -> io::Result<()> {
    let holder = Holder {
        place: Place::of(&listener),
        listener,
        clients: Vec::new(),
        kept: BTreeMap::new(),
    };
    holder.run()
}

/// The file of its socket.
struct Place {
    path: PathBuf,
    inode: (u64, u64),
}

impl Place {
    fn of(listener: &OwnedFd) -> Option<Self> {
        let address = SocketAddrUnix::try_from(getsockname(listener).ok()?).ok()?;
        let path = PathBuf::from(OsStr::from_bytes(address.path()?.to_bytes()));
        let inode = Place::inode(&path)?;
        Some(Place { path, inode })
    }

    fn inode(path: &Path) -> Option<(u64, u64)> {
        let there = std::fs::symlink_metadata(path).ok()?;
        Some((there.dev(), there.ino()))
    }

    /// Another holder may have taken the place by now.
    fn remove(&self) {
        if Place::inode(&self.path) == Some(self.inode) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

struct Holder {
    place: Option<Place>,
    listener: OwnedFd,
    clients: Vec<OwnedFd>,
    kept: BTreeMap<u32, Kept>,
}

impl Holder {
    fn run(mut self) -> io::Result<()> {
        let mut patience = Some(FIRST_WITHIN);
        let ended = loop {
            let is_needed = !self.clients.is_empty() || !self.kept.is_empty();
            match self.wait(patience.filter(|_| !is_needed)) {
                Ok(true) => patience = Some(Timespec::default()),
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if let Some(place) = &self.place {
            place.remove();
        }
        ended
    }

    /// Takes in what comes; whether anything did.
    fn wait(&mut self, patience: Option<Timespec>) -> io::Result<bool> {
        let ends = std::iter::once(&self.listener).chain(&self.clients);
        let mut ends: Vec<PollFd<'_>> = ends.map(|end| PollFd::new(end, PollFlags::IN)).collect();
        match poll(&mut ends, patience.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::INTR) => return self.wait(patience),
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = ends.iter().map(|end| !end.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let is_asked_for = ready.next().unwrap_or_default();
        let clients = std::mem::take(&mut self.clients);
        for (client, is_ready) in clients.into_iter().zip(ready) {
            if !is_ready || self.serve(&client).is_ok() {
                self.clients.push(client);
            }
        }
        if is_asked_for {
            self.accept();
        }
        Ok(true)
    }

    /// Only who has this process' own user may ask for anything.
    fn accept(&mut self) {
        match accept_with(&self.listener, SocketFlags::CLOEXEC) {
            Ok(client) => {
                if socket_peercred(&client).is_ok_and(|peer| peer.uid == geteuid()) {
                    self.clients.push(client);
                }
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }

    /// Answers one request; an error is the end of the connection.
    fn serve(&mut self, client: &OwnedFd) -> Result<(), WireError> {
        match wire::receive_request(client) {
            Ok(Request::Keep(number, kept)) if has_room_after(&kept) => {
                self.kept.insert(number, kept);
                wire::send_done(client)?;
            }
            Ok(Request::Keep(_, kept)) => {
                // Whoever hears the refusal finds these closed.
                drop(kept);
                wire::send_refused(client, &WireError::NoRoom.to_string())?;
            }
            Ok(Request::LetGo(number)) => {
                self.kept.remove(&number);
                wire::send_done(client)?;
            }
            Ok(Request::Next(after)) => {
                match self.kept.range((Bound::Excluded(after), Bound::Unbounded)).next() {
                    Some((number, kept)) => wire::send_is_next(client, *number, kept)?,
                    None => wire::send_no_other(client)?,
                }
            }
            Err(error @ (WireError::Version(_) | WireError::NoRoom | WireError::Unknown)) => {
                wire::send_refused(client, &error.to_string())?;
            }
            Err(error @ (WireError::Socket(_) | WireError::Closed)) => return Err(error),
        }
        Ok(())
    }
}

/// Whether daemons can still connect once this is kept.
fn has_room_after(kept: &Kept) -> bool {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(SPARE);
    let highest = kept.descriptors.iter().map(AsRawFd::as_raw_fd).max().unwrap_or_default();
    u64::try_from(highest).is_ok_and(|highest| highest < most)
}
