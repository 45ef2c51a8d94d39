//! Real files, real processes; only pppd is a shell script.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::config::{Config, InterfaceName};
use crate::core::event::FoundCall;
use crate::core::failure::Explanation;
use crate::node::{Mppe, Node, NodeId, Secret};
use crate::process::Ending;

/// There is no other engine.
fn alone() -> Others<impl Future<Output = Vec<FoundCall>>> {
    Others { found: async { Vec::new() }, nodes: watch::channel(Nodes::new()).1 }
}

mod adoption;
mod dialling;
mod node_files;
mod slow_disk;

/// The longest that anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A host with a pppd of its own.
struct Stage {
    dir: tempfile::TempDir,
    /// No other stage's: the first look sees every process.
    pppd: String,
}

/// The module at work on a stage.
struct Work {
    engine: Engine,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Stage {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let pppd = format!("{}-{number}", std::process::id());
        let stage = Stage { dir: tempfile::tempdir().unwrap(), pppd };
        for folder in ["ppp", "run"] {
            fs::create_dir(stage.path(folder)).unwrap();
        }
        stage.script("pptp", "exit 0");
        stage
    }

    fn path(&self, inside: &str) -> PathBuf {
        let inside = if inside == "pppd" { &self.pppd } else { inside };
        self.dir.path().join(inside)
    }

    /// Makes a program. `$STAGE` in it is the stage's folder.
    fn script(&self, name: &str, body: &str) {
        let text = format!("#!/bin/sh\nSTAGE='{}'\n{body}\n", self.dir.path().display());
        // Written by a child: a file that this process has open for writing while another test
        // starts a program can't be run (ETXTBSY).
        let write = r#"printf %s "$1" > "$0" && chmod 755 "$0""#;
        let done = Command::new("sh").args(["-c", write]).arg(self.path(name)).arg(text).status();
        assert!(done.unwrap().success());
    }

    fn paths(&self) -> Paths {
        Paths {
            ppp_dir: self.path("ppp"),
            run_dir: self.path("run"),
            pppd: self.path("pppd"),
            pptp: self.path("pptp"),
            state_dir: self.path("state"),
        }
    }

    /// Sets to work, and waits for the first look.
    async fn work(&self) -> (Work, Vec<FoundCall>) {
        self.work_with(Arc::new(round::Round::work)).await
    }

    /// The same on a disk of its own.
    async fn work_with(&self, disk: Disk) -> (Work, Vec<FoundCall>) {
        let (events_in, events) = mpsc::channel(16);
        let (engine, calls) = engine_on(self.paths(), self.options(), events_in, disk, alone());
        let mut work = Work { engine, events, task: tokio::spawn(calls) };
        let found = work.found().await;
        (work, found)
    }

    /// Dials with this pppd and returns all that is heard of it.
    async fn call(&self, pppd: &str) -> Vec<Event> {
        self.script("pppd", pppd);
        let (mut work, _) = self.work().await;
        work.ask(self.write(2));
        work.ask(dial(1, 2));
        work.until_exit().await
    }

    fn options(&self) -> Options {
        Options { pptp: self.path("pptp"), ..Options::from(&Config::default()) }
    }

    fn write(&self, id: u32) -> Order {
        self.write_as(id, "secret")
    }

    fn write_as(&self, id: u32, password: &str) -> Order {
        Order::Keep(Arc::new(Node::example(NodeId(id), "admin", password)))
    }

    /// Starts pppd as an operator does, so that it is nobody's child here.
    fn by_hand(&self, node: u32) -> ByHand {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#""$0" call "$1" > /dev/null 2>&1 & echo $!"#]).arg(self.path("pppd"));
        let said = shell.arg(NodeId(node).peer_name()).output().unwrap().stdout;
        let pid = String::from_utf8(said).unwrap().trim().parse().unwrap();
        ByHand { pid, pidfd: crate::process::take_hold(pid).unwrap() }
    }

    fn pid_file(&self, node: u32) -> PathBuf {
        self.path("run").join(format!("ppp-connexa-node-{node}.pid"))
    }

    fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    fn peers(&self) -> Vec<String> {
        let mut names = crate::atomic_file::names(&self.path("ppp/peers")).unwrap();
        names.sort();
        names
    }
}

impl Work {
    fn ask(&self, order: Order) {
        self.engine.order(order);
    }

    /// Returns once all that was asked for is taken in.
    async fn settle(&self) {
        // Of one thread: the other tasks run now, until each of them waits.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    async fn next(&mut self) -> Event {
        timeout(DEADLINE, self.events.recv()).await.expect("an event in time").unwrap()
    }

    /// Calls that were found, without how old they are.
    async fn found(&mut self) -> Vec<FoundCall> {
        let event = self.next().await;
        let Event::Found(found) = event else { panic!("{event:?}") };
        found.into_iter().map(|found| FoundCall { age: Duration::ZERO, ..found }).collect()
    }

    /// The events up to the end of a call.
    async fn until_exit(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            all.push(self.next().await);
            if matches!(all.last(), Some(Event::Ended { .. })) {
                return all;
            }
        }
    }

    /// The end of a dial that came to nothing.
    async fn refusal(&mut self) -> Failure {
        let event = self.next().await;
        let Event::Ended { failure, .. } = event else { panic!("{event:?}") };
        failure
    }

    /// Returns once all that was asked for is done.
    async fn finish(self) -> mpsc::Receiver<Event> {
        drop(self.engine);
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
        self.events
    }
}

/// A process of an operator; it ends with the test.
struct ByHand {
    pid: u32,
    pidfd: OwnedFd,
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
    }
}

fn dial(call: u64, node: u32) -> Order {
    let engine = crate::node::Engine::Pppd;
    Order::Dial { call: CallId::Dialled(call), node: NodeId(node), engine }
}

fn hang_up(call: CallId) -> Order {
    Order::HangUp { call }
}

fn end(call: CallId) -> Order {
    Order::End { call }
}

/// What is told of a pppd that ended so and said nothing.
fn ended(ending: Ending) -> Failure {
    ending::judge(ending, &Explanation::default())
}

fn exit(event: &Event) -> Option<Failure> {
    if let Event::Ended { failure, .. } = event { Some(failure.clone()) } else { None }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
