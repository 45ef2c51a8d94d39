//! What can't be read of a process for a moment, for want of descriptors say, is not there only for
//! that moment: no pppd is dialled beside, no pptp is ended and no pid file is removed for it.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use super::rounds;
use crate::gateway::{CONNEXAD, Gateway};
use crate::namespace::{lives, run};

/// A pptp with a call manager, both of which stay.
const PPTP: &str = r#"#!/bin/sh
if [ "$1" = manager ]; then
  echo $$ > "${0%/bin/*}/manager"
  read never < "${0%/bin/*}/never"
fi
("$0" manager < /dev/null > /dev/null 2>&1 &)
echo $$ > "${0%/bin/*}/gateway"
read never
"#;

/// A process of the call.
const WHOSE: [&str; 3] = ["pppd", "gateway", "manager"];
/// What the daemon reads of it.
const FILES: [&str; 8] =
    ["cmdline", "status", "comm", "exe", "mountinfo", "ns/mnt", "ns/net", "cwd"];

/// What fails once.
#[derive(Clone, Copy, Debug)]
struct Unreadable {
    whose: &'static str,
    file: &'static str,
    nth: u32,
}

/// A gateway whose node 1 has a call of all three processes, and no daemon.
fn gateway() -> (Gateway, [u32; 3]) {
    let mut gateway = Gateway::new();
    fs::remove_file(gateway.path("bin/pptp")).unwrap();
    gateway.script("pptp", PPTP);
    run(Command::new("mkfifo").arg(gateway.path("never")));
    gateway.nodes(1);
    gateway.server("10.9.0.1", &json!({ "pty": true }));
    let pppd = gateway.start().wait_state(1, "up").pid.unwrap();
    let pid = |name: &str| gateway.wait_for(name, || gateway.read(name).trim().parse::<u32>().ok());
    let pids = [pppd, pid("gateway"), pid("manager")];
    gateway.end(Signal::TERM);
    (gateway, pids)
}

/// The next daemon can't read this once. It clears up, by which it looks at every process.
fn costs_nothing(at: Unreadable) {
    let (mut gateway, pids) = gateway();
    let stale = gateway.path("run/ppp-connexa-node-99.pid");
    fs::write(&stale, "4194305\nppp7\n").unwrap();
    let place = WHOSE.iter().position(|whose| *whose == at.whose).unwrap();
    let path = format!("/proc/{}/{}", pids[place], at.file);
    let mut strace = gateway.namespace.command("strace");
    strace.args(["-D", "-f", "-b", "execve", "-P", &path]);
    strace.arg("-o").arg(gateway.path("strace"));
    strace.args(["-e", "trace=openat,readlink", "-e"]);
    strace.arg(format!("inject=openat,readlink:error=EMFILE:when={}", at.nth));
    strace.arg(CONNEXAD).arg("--config").arg(gateway.path("connexad.toml"));
    gateway.launch(strace);
    gateway.wait_for("all to be cleared", || (!stale.exists()).then_some(()));
    let node = gateway.wait_state(1, "up");
    assert_eq!(node.pid, Some(pids[0]), "{at:?}: {}", gateway.log());
    assert_eq!(gateway.dialled(1), 1, "{at:?}: {}", gateway.log());
    for (pid, whose) in pids.into_iter().zip(WHOSE) {
        assert!(lives(pid), "{at:?}: {whose} was ended: {}", gateway.log());
    }
    assert!(gateway.path("run/ppp-connexa-node-1.pid").exists(), "{at:?}");
    gateway.end(Signal::TERM);
}

#[test]
fn what_can_not_be_read_of_a_process_for_a_moment_costs_no_tunnel() {
    let all = (1..4).flat_map(|nth| {
        FILES.into_iter().flat_map(move |file| WHOSE.map(|whose| Unreadable { whose, file, nth }))
    });
    let all: Vec<Unreadable> = all.collect();
    let few = usize::try_from(rounds(6)).unwrap();
    let step = (all.len() / few).max(1);
    for chosen in all.into_iter().step_by(step).collect::<Vec<_>>().chunks(8) {
        std::thread::scope(|scope| {
            for &at in chosen {
                scope.spawn(move || costs_nothing(at));
            }
        });
    }
}
