//! The daemon is killed at each system call that changes a file of its own state: which nodes are
//! stopped, its lock, its socket. The next one starts, knows what the last answer said, and has lost no
//! tunnel. For `make soak`, as it takes minutes.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::gateway::Gateway;
use crate::kills::{At, CHANGES, MOST, killed_at, names};

/// What a daemon writes, replaces, binds or removes beside pppd's files.
const FILES: [&str; 8] = [
    "state/stopped",
    "state/.stopped.connexad-new",
    "run/connexad.lock",
    "control/connexad.sock",
    "control/connexad.sock.new",
    "run/connexa-node-2.log",
    DEAD_PID_FILE,
    "run/.ppp-connexa-node-99.pid.connexad-old",
];

/// Of a pppd that is no more, and of no node.
const DEAD_PID_FILE: &str = "run/ppp-connexa-node-99.pid";

/// Changes of sockets' files, beside those of any.
const OF_SOCKETS: [&str; 4] = ["bind", "chown", "fchownat", "link"];

/// The ids of the list; nothing of it may be half written.
fn stopped(gateway: &Gateway) -> Vec<u32> {
    let text = gateway.read("state/stopped");
    assert!(text.is_empty() || text.ends_with('\n'), "half of a list: {text:?}");
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

struct Victim {
    gateway: Gateway,
    /// The pppd of node 1, which is up all the while.
    pid: Option<u32>,
    /// Whether node 2 is to be stopped.
    stops: bool,
}

impl Victim {
    fn new() -> Self {
        let mut gateway = Gateway::new();
        gateway.nodes(2);
        let pid = gateway.start().wait_state(1, "up").pid;
        gateway.wait_state(2, "up");
        gateway.end(Signal::TERM);
        Victim { gateway, pid, stops: false }
    }

    /// Has node 2 stopped or started under a daemon that is killed there, or before. Whether it was.
    fn is_killed(&mut self, at: At) -> bool {
        self.stops = !self.stops;
        let gateway = &mut self.gateway;
        let before = stopped(gateway);
        fs::write(gateway.path(DEAD_PID_FILE), "4194305\nppp7\n").unwrap();
        let command = killed_at(gateway, at);
        gateway.launch(command);
        let is_ready = gateway.wait_for("its end, or its answer", || {
            if !gateway.lives() {
                return Some(false);
            }
            let status = gateway.status()?;
            (status.nodes.len() == 2 && status.nodes.iter().all(|node| node.ip.is_some()))
                .then_some(true)
        });
        let ask = if self.stops { "stop" } else { "start" };
        let was_answered = is_ready && client(gateway, &[ask, "2"]);
        let was_killed = if was_answered {
            let state = if self.stops { "stopped" } else { "up" };
            gateway.wait_for("its end, or node 2 as asked", || {
                if !gateway.lives() {
                    return Some(true);
                }
                let nodes = gateway.status()?.nodes;
                nodes.iter().any(|node| node.id == 2 && node.state == state).then_some(false)
            })
        } else {
            true
        };
        let now = stopped(gateway);
        let asked: Vec<u32> = self.stops.then_some(2).into_iter().collect();
        assert!(now == before || now == asked, "{at:?}: {before:?} became {now:?}");
        assert!(!was_answered || now == asked, "{at:?}: answered, and not kept: {now:?}");
        // strace's own end, where the daemon was not killed.
        gateway.end(Signal::TERM);
        gateway.start();
        assert_eq!(gateway.wait_state(1, "up").pid, self.pid, "{at:?}: the first tunnel was lost");
        let state = if now.contains(&2) { "stopped" } else { "up" };
        gateway.wait_state(2, state);
        let is_clean = || names(gateway, "run").iter().all(|name| !name.contains("node-99"));
        gateway.wait_for("nothing of the dead pppd", || is_clean().then_some(()));
        self.stops = now.contains(&2);
        gateway.end(Signal::TERM);
        was_killed
    }
}

fn client(gateway: &Gateway, arguments: &[&str]) -> bool {
    let mut command: Command = gateway.connexactl(arguments);
    command.output().unwrap().status.success()
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn a_daemon_that_is_killed_at_any_change_of_its_own_state_is_followed_by_one_that_knows_it() {
    assert!(Path::new("/usr/bin/strace").exists(), "apt install strace");
    let mut victim = Victim::new();
    let mut killed = 0;
    let calls = || CHANGES.into_iter().chain(OF_SOCKETS);
    for (file, call) in FILES.iter().flat_map(|file| calls().map(move |call| (*file, call))) {
        for nth in 1..MOST {
            let at = At { file, call, nth };
            // A stop and a start, whichever comes first.
            let here = [(); 2].map(|()| victim.is_killed(at));
            killed += here.iter().filter(|was_killed| **was_killed).count();
            if here == [false, false] {
                break;
            }
        }
    }
    assert!(killed > 10, "strace has killed it {killed} times only");
}
