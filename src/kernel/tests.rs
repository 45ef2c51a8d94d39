//! The listener against a real kernel, in network namespaces of their own.

mod losses;
mod schedules;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use netlink_packet_core::{NLM_F_MULTIPART, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::process;
use socket2::{SockFilter, SockRef};
use tokio::sync::mpsc;
use truth::{by_core, by_ip};

use super::listen::listen_with;
use super::message::News;
use super::session::{Heard, Session};
use super::{RECEIVE_BUFFER, snapshot};
use crate::core::event::{Event, Hearing, IfIndex, Link, LinkChange};
use crate::netlink::testing::{in_namespace, ip};

fn tuns(verb: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|n| format!("tuntap {verb} mode tun name ppp{n}")).collect()
}

/// What the core would know.
struct Core {
    events: mpsc::Receiver<Event>,
    links: BTreeMap<IfIndex, Link>,
    hearing: Hearing,
}

impl Core {
    fn listening(receive_buffer: usize) -> Self {
        let (sender, events) = mpsc::channel(1);
        tokio::spawn(listen_with(sender, receive_buffer));
        Core { events, links: BTreeMap::new(), hearing: Hearing::default() }
    }

    async fn next(&mut self) -> Vec<LinkChange> {
        let Some(Event::Links { changes, hearing }) = self.events.recv().await else {
            panic!("the listener sends links and does not end");
        };
        for LinkChange { index, link } in changes.clone() {
            match link {
                Some(link) => self.links.insert(index, link),
                None => self.links.remove(&index),
            };
        }
        self.hearing = hearing;
        changes
    }

    async fn until(&mut self, reached: impl Fn(&Core) -> bool) {
        while !reached(self) {
            self.next().await;
        }
    }

    /// The only link as `name`, then `local>remote` of each address.
    fn only(&self) -> String {
        let [link] = self.links.values().collect::<Vec<_>>()[..] else { return String::new() };
        let addresses = link.addresses.iter().map(|a| match a.remote {
            Some(remote) => format!(" {}>{remote}", a.local),
            None => format!(" {}", a.local),
        });
        link.name.clone() + &addresses.collect::<String>()
    }
}

#[test]
fn the_first_event_is_sent_even_when_there_is_no_link() {
    in_namespace(async || {
        let mut core = Core::listening(RECEIVE_BUFFER);
        assert_eq!(core.next().await, []);
        assert_eq!((core.hearing.links, core.hearing.resyncs), (0, 1));
        assert!(core.hearing.receive_buffer >= 32 * 1024 * 1024, "{:?}", core.hearing);
    });
}

#[test]
fn the_first_event_is_the_whole_table() {
    in_namespace(async || {
        ip(tuns("add", 0..2));
        ip(["address add 10.50.0.100 peer 10.50.0.1 dev ppp1".to_owned()]);
        let mut core = Core::listening(RECEIVE_BUFFER);
        core.next().await;
        assert_eq!(by_core(&core.links), by_ip());
        assert_eq!(core.hearing.links, 2);
    });
}

#[test]
fn a_snapshot_is_the_whole_table() {
    in_namespace(async || {
        ip(tuns("add", 0..1));
        ip(["address add 10.50.0.100 peer 10.50.0.1 dev ppp0".to_owned()]);
        let changes = snapshot().await.unwrap();
        let links: Vec<_> = changes.into_iter().filter_map(|change| change.link).collect();
        let [Link { name, addresses, .. }] = &links[..] else { panic!("{links:?}") };
        assert_eq!((name.as_str(), addresses.len()), ("ppp0", 1));
    });
}

#[test]
fn a_link_is_followed_from_its_coming_to_its_going() {
    in_namespace(async || {
        let mut core = Core::listening(RECEIVE_BUFFER);
        core.next().await;
        let steps = [
            ("tuntap add mode tun name ppp0", "ppp0"),
            ("link set ppp0 name cx7", "cx7"),
            ("address add 10.50.0.100 dev cx7", "cx7 10.50.0.100"),
            ("address del 10.50.0.100/32 dev cx7", "cx7"),
            ("address add 10.50.0.100 peer 10.50.0.1 dev cx7", "cx7 10.50.0.100>10.50.0.1"),
            ("link del cx7", ""),
        ];
        for (command, expected) in steps {
            ip([command.to_owned()]);
            core.until(|core| core.only() == expected).await;
        }
        assert_eq!((core.hearing.overruns, core.hearing.resyncs), (0, 1));
    });
}

#[test]
fn a_slow_core_is_told_the_end_of_a_long_story_in_a_few_events() {
    in_namespace(async || {
        ip(tuns("add", 0..1));
        let mut core = Core::listening(RECEIVE_BUFFER);
        core.next().await;
        for n in 0..50 {
            ip([format!("link set ppp{n} name ppp{}", n + 1)]);
            tokio::task::yield_now().await;
        }
        let mut events = 0;
        while core.only() != "ppp50" {
            core.next().await;
            events += 1;
        }
        assert!(events <= 2, "{events} events");
    });
}

#[test]
fn links_removed_unheard_leave_no_ghosts() {
    in_namespace(async || {
        ip(tuns("add", 0..300));
        let mut core = Core::listening(1);
        core.next().await;
        assert_eq!(core.hearing.links, 300);
        ip(tuns("del", 0..300));
        core.until(|core| core.hearing.overruns > 0).await;
        assert_eq!(by_core(&core.links), by_ip());
        assert!(core.hearing.resyncs >= 2, "{:?}", core.hearing);
    });
}

#[test]
fn links_made_and_removed_unheard_leave_no_ghosts() {
    in_namespace(async || {
        let mut core = Core::listening(32 * 1024);
        core.next().await;
        // The buffer keeps the makings and loses the removals.
        ip([tuns("add", 0..60), tuns("del", 0..60), tuns("add", 60..61)].concat());
        core.until(|core| core.hearing.overruns > 0).await;
        assert_eq!(by_core(&core.links), by_ip());
    });
}

#[test]
fn the_word_of_another_process_is_not_taken_for_the_kernels() {
    in_namespace(async || {
        ip(tuns("add", 0..1));
        let mut core = Core::listening(RECEIVE_BUFFER);
        core.next().await;
        // The first netlink socket of a namespace has its process's id for port (netlink(7)).
        send_forged_removals(std::process::id(), core.links.keys().copied());
        ip(["link set ppp0 name ppp1".to_owned()]);
        assert_eq!(core.next().await.len(), 1);
        assert_eq!(core.only(), "ppp1");
    });
}

fn send_forged_removals(port: u32, links: impl Iterator<Item = IfIndex>) {
    let socket = Socket::new(NETLINK_ROUTE).unwrap();
    for IfIndex(index) in links {
        let mut link = LinkMessage::default();
        link.header.index = index;
        // Without it the socket's filter drops the message.
        link.header.flags = LinkFlags::Pointopoint;
        let payload = NetlinkPayload::from(RouteNetlinkMessage::DelLink(link));
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        socket.send_to(&bytes, &SocketAddr::new(port, 0), 0).unwrap();
    }
}

#[test]
fn changes_of_foreign_links_never_reach_the_socket() {
    in_namespace(async || {
        let mut session = Session::open(RECEIVE_BUFFER).unwrap();
        ip((0..50).map(|n| format!("tuntap add mode tap name foreign{n}")));
        ip((0..50).map(|n| format!("tuntap del mode tap name foreign{n}")));
        ip(tuns("add", 0..1));
        let heard = session.hear().await.unwrap();
        assert!(matches!(heard, Heard::Change(News::Link { .. })), "{heard:?}");
    });
}

#[test]
fn a_change_that_arrives_cut_is_made_good_by_a_full_read() {
    in_namespace(async || {
        let mut core = Core::listening(RECEIVE_BUFFER);
        core.next().await;
        cut_changes(&subscribed_socket());
        ip(tuns("add", 0..1));
        core.until(|core| core.only() == "ppp0").await;
        assert!(core.hearing.resyncs > 1, "{:?}", core.hearing);
        assert!(core.hearing.undecodable > 0 && core.hearing.overruns == 0, "{:?}", core.hearing);
    });
}

/// The socket of the listener, found as the only one of this namespace that has subscribed.
fn subscribed_socket() -> OwnedFd {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let rows = sockets.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let inode = rows.filter(|row| row[3] != "00000000").map(|row| row[9].to_owned()).last();
    let link = format!("socket:[{}]", inode.unwrap());
    let is_it = |fd: &i32| {
        std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|l| l.as_os_str() == &*link)
    };
    let fds = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = fds.filter_map(|fd| fd.unwrap().file_name().to_str()?.parse().ok());
    let me = process::pidfd_open(process::getpid(), process::PidfdFlags::empty()).unwrap();
    let fd = numbers.into_iter().find(is_it).unwrap();
    process::pidfd_getfd(me, fd, process::PidfdGetfdFlags::empty()).unwrap()
}

/// Leaves 20 bytes of each change: the header of a message that is longer. Lists stay whole; their
/// parts have NLM_F_MULTIPART in the low byte of `nlmsg_flags`, the sixth (of little-endian
/// machines).
fn cut_changes(socket: &OwnedFd) {
    let steps = [
        SockFilter::new(0x30, 0, 0, 6), // load that byte
        SockFilter::new(0x45, 0, 1, u32::from(NLM_F_MULTIPART)), // any of these bits?
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 20),
    ];
    SockRef::from(socket).attach_filter(&steps).unwrap();
}
