//! The daemon is killed at each system call that changes a file: the next one finds every file as it
//! was or as it was to be, and no tunnel is lost. For `make soak`, as it takes minutes.

use std::fs;
use std::process::Command;

use connexa::control::api::{Node, Status};
use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{CONNEXAD, Gateway};
use crate::namespace::Mount;

/// System calls that change a file, or after which one is changed.
pub(crate) const CHANGES: [&str; 13] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fchmod",
    "chmod",
    "fallocate",
    "ftruncate",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
];
/// The files of pppd that are changed, in the sandbox.
const FILES: [&str; 8] = [
    "ppp/peers/connexa-node-2",
    "ppp/peers/.connexa-node-2.connexad-new",
    "ppp/peers/connexa-node-3",
    "ppp/peers/.connexa-node-3.connexad-new",
    "ppp/chap-secrets",
    "ppp/.chap-secrets.connexad-new",
    "ppp/.chap-secrets.connexad-half",
    "ppp/.chap-secrets.connexad-old",
];
/// No thread of a daemon makes one of these calls on one of these files so often here.
pub(crate) const MOST: u32 = 10;

const OTHERS: &str = "# theirs\nbob * pw *\n";

/// A gateway whose node 1 is up, and no daemon.
fn gateway() -> Gateway {
    let mut gateway = Gateway::new();
    fs::write(gateway.path("ppp/chap-secrets"), OTHERS).unwrap();
    gateway.nodes(1);
    for id in [2, 3] {
        gateway.server(&format!("10.9.0.{id}"), &json!({}));
    }
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::TERM);
    gateway
}

/// Where the daemon is to be killed: a thread of it makes this call on this file for the `nth` time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) file: &'static str,
    pub(crate) call: &'static str,
    pub(crate) nth: u32,
}

/// A daemon that is killed there. The programs that it starts are let go.
pub(crate) fn killed_at(gateway: &Gateway, At { file, call, nth }: At) -> Command {
    let mut strace = gateway.namespace.command("strace");
    strace.args(["-D", "-f", "-b", "execve", "-o", "/dev/null", "-P"]);
    strace.arg(gateway.path(file)).arg("-e").arg(format!("trace={call}"));
    strace.arg("-e").arg(format!("inject={call}:signal=KILL:when={nth}"));
    strace.arg(CONNEXAD).arg("--config").arg(gateway.path("connexad.toml"));
    for name in ["CONNEXA_DB", "NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC"] {
        strace.env_remove(name);
    }
    strace
}

/// Whether the file has its block, of whole lines, and what others have written below it.
fn is_whole(secrets: &str) -> bool {
    let block = secrets.strip_suffix(OTHERS);
    let block = block.and_then(|block| block.strip_prefix("# BEGIN connexad\n"));
    let lines = block.and_then(|block| block.strip_suffix("# END connexad\n"));
    let is_entry =
        |line: &str| line.starts_with("\"admin\" \"connexa-node-") && line.ends_with("\" *");
    lines.is_some_and(|lines| lines.lines().all(is_entry))
}

pub(crate) fn names(gateway: &Gateway, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(gateway.path(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether all nodes are up and no other is there.
fn are_up(status: &Status, nodes: usize) -> bool {
    status.nodes.len() == nodes && status.nodes.iter().all(|node| node.state == "up")
}

/// A gateway whose daemons are killed.
struct Victim {
    gateway: Gateway,
    /// The file that secrets are kept in.
    secrets: &'static str,
    /// It is written in place, and so may be half written after a kill; the next daemon mends it.
    in_place: bool,
    /// The pppd of node 1, which is up all the while.
    pid: Option<u32>,
    rounds: u32,
}

impl Victim {
    fn new(mut gateway: Gateway, secrets: &'static str, in_place: bool) -> Self {
        let pid = gateway.start().wait_state(1, "up").pid;
        gateway.end(Signal::TERM);
        Victim { gateway, secrets, in_place, pid, rounds: 0 }
    }

    /// Has another password for node 2, and node 3 or not, and a daemon that is killed when it takes
    /// that in; then one that is not. Whether it was killed.
    fn is_killed(&mut self, at: At, has_third: bool) -> bool {
        self.rounds += 1;
        let gateway = &mut self.gateway;
        let password = format!("secret-{}", self.rounds);
        gateway.server("10.9.0.2", &json!({ "password": password }));
        gateway.node(2, "10.9.0.2", &password);
        let third = has_third.then_some("connexa-node-3");
        match third {
            Some(_) => gateway.node(3, "10.9.0.3", "secret"),
            None => gateway.sql("DELETE FROM nodes WHERE id = 3"),
        }
        let nodes = 2 + third.iter().count();
        let command = killed_at(gateway, at);
        gateway.launch(command);
        let peers: Vec<&str> =
            ["connexa-node-1", "connexa-node-2"].into_iter().chain(third).collect();
        let was_killed = gateway.wait_for("its end, or its work to be done", || {
            let is_redialled = |node: &Node| node.id == 2 && !node.adopted;
            let status = gateway.status().filter(|status| are_up(status, nodes));
            let done = status.is_some_and(|status| status.nodes.iter().any(is_redialled))
                && names(gateway, "ppp/peers") == peers;
            (done || !gateway.lives()).then_some(!gateway.lives())
        });
        let secrets = gateway.read(self.secrets);
        assert!(self.in_place || is_whole(&secrets), "{at:?}: {secrets}");
        gateway.end(Signal::TERM);
        gateway.start();
        gateway.wait_until("all up", |status| are_up(status, nodes));
        let (pid, secrets) = (gateway.wait_state(1, "up").pid, gateway.read(self.secrets));
        assert_eq!(pid, self.pid, "{at:?}: the first tunnel was lost");
        assert!(is_whole(&secrets) && secrets.contains(&password), "{at:?}: {secrets}");
        let is_clean = || {
            let has_only = |folder, wanted: &[&str]| names(gateway, folder) == wanted;
            let clean =
                has_only("ppp/peers", &peers) && has_only("ppp", &["chap-secrets", "peers"]);
            clean.then_some(())
        };
        gateway.wait_for(&format!("the files of these nodes alone, {at:?}"), is_clean);
        gateway.end(Signal::TERM);
        was_killed
    }

    fn killed_everywhere(mut self) {
        let mut killed = 0;
        for (file, call) in FILES.iter().flat_map(|file| CHANGES.map(|call| (file, call))) {
            for nth in 1..MOST {
                let at = At { file, call, nth };
                let here = [true, false].map(|has_third| self.is_killed(at, has_third));
                killed += here.iter().filter(|was_killed| **was_killed).count();
                if here == [false, false] {
                    break;
                }
            }
        }
        assert!(killed > 20, "strace has killed it {killed} times only");
    }
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn a_daemon_that_is_killed_at_any_change_of_a_file_leaves_whole_files_and_all_tunnels() {
    Victim::new(gateway(), "ppp/chap-secrets", false).killed_everywhere();
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn a_daemon_that_is_killed_while_it_writes_in_place_leaves_files_that_the_next_one_mends() {
    let gateway = gateway();
    fs::copy(gateway.path("ppp/chap-secrets"), gateway.path("secrets")).unwrap();
    let _mount = Mount::bind(&gateway.path("secrets"), gateway.path("ppp/chap-secrets"));
    Victim::new(gateway, "secrets", true).killed_everywhere();
}
