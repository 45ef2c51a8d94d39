//! What daemon and holder say to each other, a message a packet (`SOCK_SEQPACKET`): one byte of
//! version, one of kind, four of the tunnel's number, then bytes as the kind has them. Descriptors
//! come with it (`SCM_RIGHTS`).
//!
//! Each request has one answer. A holder is as old as the first tunnel that it keeps, so a daemon may
//! be of a later version: what stands here stays as it is. What may change is in the bytes that
//! daemons keep for daemons. Who hears another version says so and does nothing.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The version of all of this.
const VERSION: u8 = 1;
const HEADER: usize = 6;
/// Of the bytes that are kept with a tunnel.
const LONGEST_STATE: usize = 1024;
const ROOM: usize = HEADER + LONGEST_STATE;
/// Descriptors of a tunnel: its control connection, its call socket, its unit.
pub(super) const DESCRIPTORS: usize = 3;

/// A tunnel, as it is kept.
#[derive(Debug)]
pub(in crate::pptp) struct Kept {
    /// What daemons keep for daemons.
    pub(in crate::pptp) state: Vec<u8>,
    /// Its control connection, its call socket, its unit.
    pub(in crate::pptp) descriptors: [OwnedFd; DESCRIPTORS],
}

/// What a daemon asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// To keep a tunnel, in place of the one of this number.
    Keep(u32, Kept),
    /// To let one go; it ends unless others have it.
    LetGo(u32),
    /// For the kept tunnel of the next higher number.
    Next(u32),
}

/// What a holder answers.
#[derive(Debug)]
pub(super) enum Reply {
    /// It is so.
    Done,
    /// The next tunnel.
    Next(u32, Kept),
    /// There is no other.
    NoOther,
    /// It is not so, and why.
    Refused(String),
}

/// Why a message can't be had.
#[derive(Debug, thiserror::Error)]
pub(in crate::pptp) enum WireError {
    /// The socket fails.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// The other end is gone.
    #[error("it has closed the connection")]
    Closed,
    /// The other end is of another time.
    #[error("it speaks version {0} of the holder's language, and this is version {VERSION}")]
    Version(u8),
    /// The descriptors did not come through.
    #[error("this process may open no more files; raise LimitNOFILE in the unit")]
    NoRoom,
    /// Nothing that this version says.
    #[error("it says what this version does not know")]
    Unknown,
}

impl WireError {
    /// Whether another try a moment later may succeed.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            WireError::Socket(_) | WireError::Closed | WireError::NoRoom => true,
            WireError::Version(_) | WireError::Unknown => false,
        }
    }
}

mod kind {
    pub(super) const KEEP: u8 = 1;
    pub(super) const LET_GO: u8 = 2;
    pub(super) const NEXT: u8 = 3;
    pub(super) const DONE: u8 = 4;
    pub(super) const IS_NEXT: u8 = 5;
    pub(super) const NO_OTHER: u8 = 6;
    pub(super) const REFUSED: u8 = 7;
}

/// Sends the request to keep a tunnel, whose descriptors stay the caller's.
pub(super) fn send_keep(
    socket: impl AsFd,
    number: u32,
    state: &[u8],
    descriptors: [BorrowedFd<'_>; DESCRIPTORS],
) -> io::Result<()> {
    send(socket, kind::KEEP, number, state, &descriptors)
}

pub(super) fn send_let_go(socket: impl AsFd, number: u32) -> io::Result<()> {
    send(socket, kind::LET_GO, number, &[], &[])
}

pub(super) fn send_next(socket: impl AsFd, after: u32) -> io::Result<()> {
    send(socket, kind::NEXT, after, &[], &[])
}

pub(super) fn send_done(socket: impl AsFd) -> io::Result<()> {
    send(socket, kind::DONE, 0, &[], &[])
}

pub(super) fn send_is_next(socket: impl AsFd, number: u32, kept: &Kept) -> io::Result<()> {
    let descriptors = kept.descriptors.each_ref().map(AsFd::as_fd);
    send(socket, kind::IS_NEXT, number, &kept.state, &descriptors)
}

pub(super) fn send_no_other(socket: impl AsFd) -> io::Result<()> {
    send(socket, kind::NO_OTHER, 0, &[], &[])
}

pub(super) fn send_refused(socket: impl AsFd, why: &str) -> io::Result<()> {
    send(socket, kind::REFUSED, 0, why.as_bytes(), &[])
}

fn send(
    socket: impl AsFd,
    kind: u8,
    number: u32,
    rest: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if rest.len() > LONGEST_STATE {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut header = [VERSION, kind, 0, 0, 0, 0];
    header.iter_mut().skip(2).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let parts = [IoSlice::new(&header), IoSlice::new(rest)];
    // Who does not read what it asked for is not waited for.
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &parts, &mut control, flags)?;
    Ok(())
}

/// A message of this version.
struct Raw {
    kind: u8,
    number: u32,
    rest: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Raw {
    fn receive(socket: impl AsFd) -> Result<Self, WireError> {
        let mut bytes = [0; ROOM];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
            .map_err(io::Error::from)?;
        // Taken out at once: what is not wanted is closed with them.
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(WireError::NoRoom);
        }
        let bytes = bytes.get(..received.bytes).unwrap_or_default();
        match bytes {
            [] => Err(WireError::Closed),
            [VERSION, kind, a, b, c, d, rest @ ..] => Ok(Raw {
                kind: *kind,
                number: u32::from_be_bytes([*a, *b, *c, *d]),
                rest: rest.to_vec(),
                descriptors,
            }),
            [VERSION, ..] => Err(WireError::Unknown),
            [version, ..] => Err(WireError::Version(*version)),
        }
    }

    fn kept(self) -> Result<Kept, WireError> {
        let descriptors = self.descriptors.try_into().map_err(|_| WireError::Unknown)?;
        Ok(Kept { state: self.rest, descriptors })
    }
}

/// Takes a request off the socket, which has one.
pub(super) fn receive_request(socket: impl AsFd) -> Result<Request, WireError> {
    let raw = Raw::receive(socket)?;
    match raw.kind {
        kind::KEEP => Ok(Request::Keep(raw.number, raw.kept()?)),
        kind::LET_GO => Ok(Request::LetGo(raw.number)),
        kind::NEXT => Ok(Request::Next(raw.number)),
        _ => Err(WireError::Unknown),
    }
}

/// Takes an answer off the socket.
pub(super) fn receive_reply(socket: impl AsFd) -> Result<Reply, WireError> {
    let raw = Raw::receive(socket)?;
    match raw.kind {
        kind::DONE => Ok(Reply::Done),
        kind::IS_NEXT => Ok(Reply::Next(raw.number, raw.kept()?)),
        kind::NO_OTHER => Ok(Reply::NoOther),
        kind::REFUSED => Ok(Reply::Refused(String::from_utf8_lossy(&raw.rest).into_owned())),
        _ => Err(WireError::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    fn descriptors() -> [OwnedFd; DESCRIPTORS] {
        std::array::from_fn(|_| std::fs::File::open("/dev/null").unwrap().into())
    }

    fn raw(bytes: &[u8]) -> (OwnedFd, OwnedFd) {
        let (ours, theirs) = pair();
        rustix::io::write(&ours, bytes).unwrap();
        (ours, theirs)
    }

    #[test]
    fn a_tunnel_comes_with_its_number_its_state_and_three_descriptors_in_order() {
        let (daemon, holder) = pair();
        let (mut far, near) = UnixStream::pair().unwrap();
        let [second, third, _] = descriptors();
        let given = [near.as_fd(), second.as_fd(), third.as_fd()];
        send_keep(&daemon, 7, b"state", given).unwrap();
        drop(near);
        let Request::Keep(7, kept) = receive_request(&holder).unwrap() else { panic!("no tunnel") };
        assert_eq!(kept.state, b"state");
        let [first, ..] = kept.descriptors;
        UnixStream::from(first).write_all(b"x").unwrap();
        let mut byte = [0];
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
    }

    #[test]
    fn the_bytes_of_a_message_are_these_whatever_version_comes_later() {
        let (daemon, holder) = pair();
        send_let_go(&daemon, 0x0102_0304).unwrap();
        let mut bytes = [0; ROOM];
        let length = rustix::io::read(&holder, &mut bytes).unwrap();
        assert_eq!(bytes[..length], [1, 2, 1, 2, 3, 4]);
        for (bytes, is_it) in
            [(vec![1, 3, 0, 0, 0, 9], "Next(9)"), (vec![1, 2, 0, 0, 0, 9], "LetGo(9)")]
        {
            let (_other, end) = raw(&bytes);
            assert_eq!(format!("{:?}", receive_request(&end).unwrap()), is_it);
        }
        for (bytes, is_it) in [
            (vec![1, 4, 0, 0, 0, 0], "Done"),
            (vec![1, 6, 0, 0, 0, 0], "NoOther"),
            (b"\x01\x07\0\0\0\0no".to_vec(), "Refused(\"no\")"),
        ] {
            let (_other, end) = raw(&bytes);
            assert_eq!(format!("{:?}", receive_reply(&end).unwrap()), is_it);
        }
    }

    #[test]
    fn another_version_an_unknown_kind_and_half_a_message_are_told_apart() {
        let told = |bytes: &[u8]| receive_request(&raw(bytes).1).unwrap_err().to_string();
        assert!(told(&[2, 1, 0, 0, 0, 1]).contains("speaks version 2"));
        assert_eq!(told(&[1, 99, 0, 0, 0, 1]), WireError::Unknown.to_string());
        assert_eq!(told(&[1, 2, 0]), WireError::Unknown.to_string());
        let (ours, theirs) = pair();
        drop(ours);
        assert!(matches!(receive_request(&theirs), Err(WireError::Closed)));
    }

    #[test]
    fn a_tunnel_without_all_of_its_descriptors_is_none_and_nothing_of_it_stays_open() {
        let (daemon, holder) = pair();
        let (far, near) = UnixStream::pair().unwrap();
        send(&daemon, kind::KEEP, 1, b"", &[near.as_fd()]).unwrap();
        drop(near);
        assert!(matches!(receive_request(&holder), Err(WireError::Unknown)));
        assert_eq!((&far).read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn more_state_than_has_room_is_not_sent() {
        let (daemon, _holder) = pair();
        let all = descriptors();
        let long = vec![0; LONGEST_STATE + 1];
        assert!(send_keep(&daemon, 1, &long, all.each_ref().map(AsFd::as_fd)).is_err());
    }
}
