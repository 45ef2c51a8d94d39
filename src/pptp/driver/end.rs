//! An open `/dev/ppp`: one end of a call's frames.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The handle of a channel or a unit.
pub(super) struct End {
    fd: Arc<OwnedFd>,
    /// `None` once it has ended: it would be ready for ever.
    heard: Option<AsyncFd<Arc<OwnedFd>>>,
}

/// What reading has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A frame of so many bytes.
    Frame(usize),
    /// No more for now.
    Nothing,
    /// Nothing any more, and why.
    Ended(String),
}

impl End {
    /// Hears what comes. A unit must have its channel by now: without one it is always ready.
    #[expect(
        deprecated,
        reason = "deprecated for fds that may close early, which an OwnedFd can't"
    )]
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let fd = Arc::new(fd);
        let heard = AsyncFd::with_interest(fd.clone(), Interest::READABLE)?;
        Ok(End { fd, heard: Some(heard) })
    }

    /// It, to be worked on by a thread.
    pub(super) fn handle(&self) -> Arc<OwnedFd> {
        self.fd.clone()
    }

    /// Reads one frame.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        let Some(heard) = &self.heard else { return Read::Nothing };
        let read = heard.try_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, buffer)?));
        let words = match read {
            Ok(0) => "the kernel has ended it".to_owned(),
            Ok(length) => return Read::Frame(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::Nothing,
            // A frame that no buffer holds is dropped by the kernel.
            Err(error) if error.raw_os_error() == Some(Errno::OVERFLOW.raw_os_error()) => {
                return Read::Nothing;
            }
            Err(error) => error.to_string(),
        };
        self.heard = None;
        Read::Ended(words)
    }

    /// Writes one frame; one that can't be written is lost, as one on its way may be.
    pub(super) fn write(&self, frame: &[u8]) {
        if let Err(error) = rustix::io::write(&self.fd, frame) {
            tracing::debug!("A frame of a call is lost: {error}");
        }
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Returns when there is something to read; never where there is nothing to be heard.
pub(super) async fn readable(end: Option<&End>) {
    match end.and_then(|end| end.heard.as_ref()) {
        // Only the end of the runtime fails it.
        Some(heard) => drop(heard.readable().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[tokio::test]
    async fn frames_are_read_one_by_one_until_there_is_none() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut end = End::new(ours.into()).unwrap();
        theirs.send(b"one").unwrap();
        theirs.send(b"two").unwrap();
        readable(Some(&end)).await;
        let mut buffer = [0; 8];
        let read: Vec<Read> = (0..3).map(|_| end.read(&mut buffer)).collect();
        assert_eq!(read, [Read::Frame(3), Read::Frame(3), Read::Nothing]);
    }

    #[tokio::test]
    async fn after_its_end_nothing_is_heard() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut end = End::new(ours.into()).unwrap();
        // As long as nothing, which is what an end looks like.
        theirs.send(b"").unwrap();
        readable(Some(&end)).await;
        let mut buffer = [0; 8];
        assert!(matches!(end.read(&mut buffer), Read::Ended(_)));
        theirs.send(b"more").unwrap();
        assert_eq!(end.read(&mut buffer), Read::Nothing);
    }
}
