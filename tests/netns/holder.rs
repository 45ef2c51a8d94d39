//! The holder by itself, `connexad --hold`: what it is given it keeps, whoever dies, and gives back.
//! What is said to it stands here in bytes: it is the language of its first version, which daemons of
//! later ones speak with a holder that was started before them.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    listen, recvmsg, sendmsg, socket_with,
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::gateway::CONNEXAD;
use crate::namespace::kill;

const DEADLINE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

struct Holder {
    process: Child,
    folder: TempDir,
}

fn seqpacket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

impl Holder {
    /// As a daemon starts it.
    fn start() -> Self {
        Holder::by(Command::new(CONNEXAD).arg("--hold"))
    }

    fn by(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = seqpacket();
        bind(&listener, &SocketAddrUnix::new(folder.path().join("socket")).unwrap()).unwrap();
        listen(&listener, 16).unwrap();
        let process = command.stdin(Stdio::from(listener)).spawn().unwrap();
        Holder { process, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn connect(&self) -> Client {
        let socket = seqpacket();
        connect(&socket, &SocketAddrUnix::new(self.path()).unwrap()).unwrap();
        Client(socket)
    }

    /// How many descriptors it has open, whoever else has the same files.
    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// Its end, in order.
    fn ended(mut self) {
        assert!(self.process.wait().unwrap().success());
        assert!(!self.path().exists(), "its socket is left");
    }

    fn kill(mut self) {
        kill(self.process.id(), Signal::KILL);
        self.process.wait().unwrap();
    }
}

struct Client(OwnedFd);

impl Client {
    fn say(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        sendmsg(&self.0, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    fn hear(&self) -> (Vec<u8>, Vec<OwnedFd>) {
        let ready = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&DEADLINE)).unwrap();
        assert_eq!(ready, 1, "no answer");
        let mut bytes = [0; 2048];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        let length = recvmsg(&self.0, parts, &mut control, RecvFlags::empty()).unwrap().bytes;
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        (bytes[..length].to_vec(), descriptors)
    }

    /// Has three ends kept, whose other ends tell when nobody has them any more.
    fn keep(&self, number: u8, state: &str) -> [UnixStream; 3] {
        let pairs: [_; 3] = std::array::from_fn(|_| UnixStream::pair().unwrap());
        let near: [_; 3] = pairs.each_ref().map(|(near, _)| near.as_fd());
        self.say(&[&[1, 1, 0, 0, 0, number], state.as_bytes()].concat(), &near);
        assert_eq!(self.hear().0, DONE);
        pairs.map(|(_, far)| far)
    }

    fn let_go(&self, number: u8) {
        self.say(&[1, 2, 0, 0, 0, number], &[]);
        assert_eq!(self.hear().0, DONE);
    }

    /// All that is kept: numbers, states, and how many descriptors each has.
    fn all(&self) -> Vec<(u8, String, usize)> {
        let mut all: Vec<(u8, String, usize)> = Vec::new();
        loop {
            let last = all.last().map_or(0, |(number, ..)| *number);
            self.say(&[1, 3, 0, 0, 0, last], &[]);
            match self.hear() {
                (message, _) if message == NO_OTHER => return all,
                (message, descriptors) => {
                    assert_eq!(message[..5], [1, 5, 0, 0, 0]);
                    let state = String::from_utf8(message[6..].to_vec()).unwrap();
                    all.push((message[5], state, descriptors.len()));
                }
            }
        }
    }
}

const DONE: [u8; 6] = [1, 4, 0, 0, 0, 0];
const NO_OTHER: [u8; 6] = [1, 6, 0, 0, 0, 0];

/// Whether somebody has the other end. A program that another test has just started may have it for a moment, with all
/// that this process has open.
fn is_open(mut end: &UnixStream) -> bool {
    end.set_nonblocking(true).unwrap();
    match end.read(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => true,
        Ok(0) => false,
        other => panic!("{other:?}"),
    }
}

fn wait_for_end(mut end: &UnixStream) {
    end.set_nonblocking(false).unwrap();
    end.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
}

#[test]
fn what_a_daemon_hands_over_is_given_to_the_next_one_when_that_daemon_is_gone() {
    let holder = Holder::start();
    let first = holder.connect();
    let ends = [first.keep(7, "seven"), first.keep(9, "nine")];
    // As the kernel does for a daemon that is killed.
    drop(first);
    let next = holder.connect();
    assert_eq!(next.all(), [(7, "seven".to_owned(), 3), (9, "nine".to_owned(), 3)]);
    assert!(ends.iter().flatten().all(is_open));
    holder.kill();
}

#[test]
fn what_is_let_go_is_closed_by_the_time_that_this_is_answered() {
    let holder = Holder::start();
    let daemon = holder.connect();
    let [gone, kept] = [daemon.keep(1, "one"), daemon.keep(2, "two")];
    let held = holder.descriptors();
    daemon.let_go(1);
    assert_eq!(holder.descriptors(), held - gone.len());
    gone.iter().for_each(wait_for_end);
    assert!(kept.iter().all(is_open));
    assert_eq!(daemon.all(), [(2, "two".to_owned(), 3)]);
    // Nobody has that one.
    daemon.let_go(5);
    holder.kill();
}

#[test]
fn a_tunnel_that_is_handed_over_again_takes_the_place_of_itself() {
    let holder = Holder::start();
    let daemon = holder.connect();
    let before = daemon.keep(1, "before");
    let held = holder.descriptors();
    let after = daemon.keep(1, "after");
    assert_eq!(holder.descriptors(), held);
    assert_eq!(daemon.all(), [(1, "after".to_owned(), 3)]);
    before.iter().for_each(wait_for_end);
    assert!(after.iter().all(is_open));
    holder.kill();
}

#[test]
fn it_ends_when_it_has_nothing_and_nobody_is_connected() {
    let holder = Holder::start();
    let daemon = holder.connect();
    let ends = daemon.keep(1, "one");
    drop(daemon);
    let next = holder.connect();
    next.let_go(1);
    ends.iter().for_each(wait_for_end);
    drop(next);
    holder.ended();
}

#[test]
fn one_whose_daemon_has_died_before_it_connected_ends_by_itself() {
    Holder::start().ended();
}

#[test]
fn a_message_of_another_version_or_an_unknown_kind_is_refused_in_words_and_changes_nothing() {
    let holder = Holder::start();
    let daemon = holder.connect();
    let _ends = daemon.keep(1, "one");
    for message in [&[2, 2, 0, 0, 0, 1][..], &[1, 99, 0, 0, 0, 1], &[1]] {
        daemon.say(message, &[]);
        let (answer, _) = daemon.hear();
        assert_eq!(answer[..2], [1, 7]);
        assert!(answer.len() > 20, "no words");
    }
    assert_eq!(daemon.all().len(), 1);
    holder.kill();
}

#[test]
fn one_that_may_open_no_more_files_refuses_and_stays_within_reach() {
    let limited = ["-c", "ulimit -n 32; exec \"$0\" --hold", CONNEXAD];
    let holder = Holder::by(Command::new("sh").args(limited));
    let daemon = holder.connect();
    let mut ends = Vec::new();
    let (held, refused) = loop {
        let held = holder.descriptors();
        let pairs: [_; 3] = std::array::from_fn(|_| UnixStream::pair().unwrap());
        let number = u8::try_from(ends.len() + 1).unwrap();
        let near = pairs.each_ref().map(|(near, _)| near.as_fd());
        daemon.say(&[1, 1, 0, 0, 0, number], &near);
        let (answer, _) = daemon.hear();
        let [a, b, c] = pairs.map(|(_, far)| far);
        if answer != DONE {
            break (held, (answer, [a, b, c]));
        }
        ends.push([a, b, c]);
    };
    assert!(String::from_utf8_lossy(&refused.0[6..]).contains("LimitNOFILE"));
    assert_eq!(holder.descriptors(), held, "what was refused is held");
    refused.1.iter().for_each(wait_for_end);
    assert!(!ends.is_empty() && ends.iter().flatten().all(is_open));
    assert_eq!(holder.connect().all().len(), ends.len());
    holder.kill();
}

#[test]
fn the_socket_of_another_holder_in_its_place_stays() {
    let holder = Holder::start();
    let daemon = holder.connect();
    let _end = daemon.keep(1, "one");
    std::fs::remove_file(holder.path()).unwrap();
    let other = seqpacket();
    bind(&other, &SocketAddrUnix::new(holder.path()).unwrap()).unwrap();
    daemon.let_go(1);
    drop(daemon);
    let Holder { mut process, folder } = holder;
    assert!(process.wait().unwrap().success());
    assert!(Path::exists(&folder.path().join("socket")));
}
