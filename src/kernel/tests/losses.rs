//! What is lost on the way, and lists that don't come out whole.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::net::sockopt;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::truth::{by_core, by_ip};
use super::{Core, RECEIVE_BUFFER, Session, in_namespace, ip, subscribed_socket, tuns};
use crate::core::event::{Hearing, LinkChange};
use crate::kernel::dump::{self, Reading};
use crate::kernel::table::Table;

/// Links with many addresses: a list of them takes many reads.
const LINKS: u32 = 24;

/// Makes changes while the listener's socket has room for one; the rest of them are lost.
fn lose(socket: &OwnedFd, changes: impl FnOnce()) {
    sockopt::set_socket_recv_buffer_size_force(socket, 1).unwrap();
    changes();
    sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER).unwrap();
}

/// Addresses come and go in this namespace, thousands a second, until this is dropped.
struct Churn {
    ended: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
    ip: Child,
}

impl Churn {
    fn start() -> Self {
        let mut ip =
            Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = ip.stdin.take().unwrap();
        let step = "address add 10.99.0.1 dev lo\naddress del 10.99.0.1/32 dev lo\n";
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ended);
        let writer = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                input.write_all(step.as_bytes()).unwrap();
            }
        });
        Churn { ended, writer: Some(writer), ip }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let written = self.writer.take().unwrap().join();
        let ended = self.ip.wait();
        if !std::thread::panicking() {
            written.unwrap();
            assert!(ended.unwrap().success());
        }
    }
}

fn many_addresses() -> impl Iterator<Item = String> {
    let of_link = |n| (1..=250).map(move |m| format!("address add 10.60.{n}.{m} dev ppp{n}"));
    (0..LINKS).flat_map(of_link)
}

/// A change was lost and no list was whole since, and yet this new link was told.
async fn is_told_meanwhile(core: &mut Core, socket: &OwnedFd, name: &str) -> bool {
    let before = core.hearing;
    lose(socket, || ip((1..9).map(|n| format!("link set ppp1 mtu {}", 1400 + n))));
    core.until(|core| core.hearing.overruns > before.overruns).await;
    ip([format!("tuntap add mode tun name {name}")]);
    core.until(|core| core.links.values().any(|link| link.name == name)).await;
    core.hearing.resyncs == before.resyncs
}

#[test]
fn changes_are_told_while_no_list_is_whole() {
    in_namespace(async || {
        ip(tuns("add", 0..LINKS).into_iter().chain(many_addresses()));
        let mut core = Core::listening(RECEIVE_BUFFER);
        core.next().await;
        let socket = subscribed_socket();
        let _churn = Churn::start();
        // By luck a list may be whole.
        for n in 100.. {
            if is_told_meanwhile(&mut core, &socket, &format!("ppp{n}")).await {
                break;
            }
        }
        assert!(core.hearing.interrupted > 0, "{:?}", core.hearing);
    });
}

#[test]
fn lists_are_asked_for_until_one_is_whole() {
    in_namespace(async || {
        ip(tuns("add", 0..LINKS).into_iter().chain(many_addresses()));
        let mut core = Core::listening(RECEIVE_BUFFER);
        core.next().await;
        let socket = subscribed_socket();
        let churn = Churn::start();
        while core.hearing.interrupted == 0 {
            let before = core.hearing.overruns;
            lose(&socket, || ip(tuns("add", 100..104).into_iter().chain(tuns("del", 100..104))));
            core.until(|core| core.hearing.overruns > before).await;
        }
        drop(churn);
        let truth = by_ip();
        core.until(|core| by_core(&core.links) == truth).await;
    });
}

#[test]
fn an_index_that_is_used_again_is_told_as_another_link_though_changes_were_lost() {
    in_namespace(async || {
        ip(tuns("add", 0..1));
        let mut session = Session::open(RECEIVE_BUFFER).unwrap();
        let (mut table, mut hearing) = (Table::default(), Hearing::default());
        dump::read(&mut session, &mut table, &mut hearing).await.unwrap();
        let [LinkChange { index, .. }] = table.take_changes()[..] else { panic!("one link") };
        lose(&subscribed_socket(), there_and_back);
        while dump::read(&mut session, &mut table, &mut hearing).await.unwrap() != Reading::Whole {}
        let changes = table.take_changes().into_iter().filter(|change| change.index == index);
        assert_eq!(changes.map(|change| change.link.is_some()).collect::<Vec<_>>(), [false, true]);
        assert!(hearing.overruns > 0, "{hearing:?}");
    });
}

/// A link keeps its index when it goes to another namespace and comes back; to this one, it is as
/// if another link had got the index. What is made meanwhile overruns the buffer.
fn there_and_back() {
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut elsewhere = elsewhere.spawn().unwrap();
    let there = elsewhere.id().to_string();
    let here = rustix::thread::gettid().as_raw_nonzero();
    // It is there once it answers from there.
    elsewhere.stdin.as_mut().unwrap().write_all(&[0]).unwrap();
    elsewhere.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    ip([format!("link set ppp0 netns {there}")].into_iter().chain(tuns("add", 1..9)));
    let mut back = Command::new("nsenter");
    back.args(["--target", &there, "--net", "ip", "link", "set", "ppp0", "netns"]);
    assert!(back.arg(here.to_string()).status().unwrap().success());
    drop(elsewhere.stdin.take());
    assert!(elsewhere.wait().unwrap().success());
}

#[test]
fn without_the_right_to_force_it_the_receive_buffer_is_the_largest_that_is_allowed() {
    in_namespace(async || {
        let mut rights = capabilities(None).unwrap();
        rights.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, rights).unwrap();
        let session = Session::open(RECEIVE_BUFFER).unwrap();
        let allowed = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
        let allowed: usize = allowed.trim().parse().unwrap();
        let doubled = 2 * allowed.min(RECEIVE_BUFFER);
        assert_eq!(usize::try_from(session.receive_buffer()).unwrap(), doubled);
    });
}
