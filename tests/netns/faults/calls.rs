//! System calls that fail: each kind, for the n-th time that a thread makes it. strace does it
//! (strace(1), "Tampering"); the programs that the daemon starts are let go.

use std::process::Command;

use rustix::process::Signal;

use super::{Tunnels, rounds};
use crate::gateway::CONNEXAD;

/// What is to fail, and how.
#[derive(Clone, Copy, Debug)]
struct Failing {
    calls: &'static str,
    error: &'static str,
    /// On these files alone; on all where there is none.
    files: &'static [&'static str],
}

/// Starting processes and threads.
const FORKS: &[Failing] =
    &[Failing { calls: "clone,clone3,fork,vfork", error: "EAGAIN", files: &[] }];
/// Asking the kernel.
const NETLINK: &[Failing] = &[
    Failing { calls: "sendto,sendmsg", error: "ENOBUFS", files: &[] },
    Failing { calls: "socket,bind,setsockopt", error: "ENOMEM", files: &[] },
];
/// Descriptors, and what they are watched by.
const DESCRIPTORS: &[Failing] = &[
    Failing { calls: "openat,pidfd_open,pipe2,socket,inotify_init1", error: "EMFILE", files: &[] },
    Failing { calls: "epoll_ctl,inotify_add_watch", error: "ENOSPC", files: &[] },
];
/// Files that the daemon writes for its nodes.
const OF_NODES: &[&str] = &[
    "ppp",
    "ppp/peers",
    "ppp/peers/.connexa-node-1000.connexad-new",
    "ppp/peers/connexa-node-1000",
    "ppp/chap-secrets",
    "ppp/.chap-secrets.connexad-new",
];
/// Those without which it can't start.
const OF_A_START: &[&str] = &["run/connexad.lock", "control/connexad.sock", "control"];
/// A disk that is full, or fails.
const DISK: &[Failing] = &[
    Failing { calls: "openat,write,pwrite64,ftruncate,fsync", error: "ENOSPC", files: OF_NODES },
    Failing { calls: "rename,renameat,renameat2,linkat", error: "ENOSPC", files: OF_NODES },
    Failing { calls: "openat,write,fsync,renameat2,fchmod,chmod", error: "EIO", files: OF_NODES },
    Failing { calls: "openat,write,ftruncate,bind", error: "ENOSPC", files: OF_A_START },
];

/// Few are spread over what a start does; so many are one after the other.
const MANY: u32 = 50;

/// A daemon where the n-th of these calls fails.
fn daemon(tunnels: &Tunnels, failing: Failing, nth: u32) -> Command {
    let Failing { calls, error, files } = failing;
    let gateway = &tunnels.gateway;
    let mut strace = gateway.namespace.command("strace");
    strace.args(["-D", "-f", "-b", "execve", "-o"]).arg(gateway.path("strace"));
    for file in files {
        strace.arg("-P").arg(gateway.path(file));
    }
    strace.arg("-e").arg(format!("trace={calls}"));
    strace.arg("-e").arg(format!("inject={calls}:error={error}:when={nth}"));
    strace.arg(CONNEXAD).arg("--config").arg(gateway.path("connexad.toml"));
    for name in ["CONNEXA_DB", "NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC"] {
        strace.env_remove(name);
    }
    strace
}

/// Each of the calls fails once, for the first time that a thread makes it, the second, and so on:
/// few of them, or as many as there are.
fn costs_nothing(failing: Failing) {
    let mut tunnels = Tunnels::left();
    let (most, mut nth) = (rounds(4), 1);
    for round in 0..most {
        let _ = std::fs::remove_file(tunnels.gateway.path("strace"));
        let daemon = daemon(&tunnels, failing, nth);
        tunnels.gateway.launch(daemon);
        // Its files are those of `OF_NODES`.
        tunnels.assert_served(0);
        // One that is asked to end could miss that: a signal goes through a socket, too.
        tunnels.gateway.end(Signal::KILL);
        if !tunnels.gateway.read("strace").contains("(INJECTED)") {
            assert!(round > 0, "{failing:?}: none has failed");
            break;
        }
        nth += if most < MANY { nth + 1 } else { 1 };
    }
}

/// Side by side: they wait more than they work.
fn cost_nothing(failing: &[Failing]) {
    std::thread::scope(|scope| {
        for &failing in failing {
            scope.spawn(move || costs_nothing(failing));
        }
    });
}

#[test]
fn a_process_or_a_thread_that_can_not_be_started_costs_no_tunnel() {
    cost_nothing(FORKS);
}

#[test]
fn a_kernel_that_refuses_a_question_costs_no_tunnel() {
    cost_nothing(NETLINK);
}

#[test]
fn a_descriptor_that_is_not_to_be_had_costs_no_tunnel() {
    cost_nothing(DESCRIPTORS);
}

#[test]
fn a_disk_that_is_full_or_fails_at_any_write_costs_no_tunnel() {
    cost_nothing(DISK);
}
