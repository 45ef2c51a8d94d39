//! Faults of the host, of what stands around the daemon and of the daemon itself, each so many
//! times: no tunnel is lost, none is dialled twice, and the daemon does its work once the fault is
//! over. `FAULT_ROUNDS` says how many times; without it a few.

mod around;
mod calls;
mod crowds;
mod kills;
mod limits;
mod processes;

use connexa::control::api::{Node, Status};
use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::lives;

/// How many times a fault happens: a few, or what `FAULT_ROUNDS` says.
fn rounds(few: u32) -> u32 {
    match std::env::var("FAULT_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("FAULT_ROUNDS is a number"),
        Err(_) => few,
    }
}

/// So many nodes are up all the while.
const NODES: u32 = 3;
/// Exit codes at which the unit starts no other daemon (`RestartPreventExitStatus=`).
const FOR_GOOD: [i32; 4] = [1, 2, 77, 78];

/// A gateway whose nodes are up.
struct Tunnels {
    gateway: Gateway,
    /// Their pppds.
    pids: Vec<u32>,
}

impl Tunnels {
    /// Dialled by a daemon that runs.
    fn up() -> Self {
        Self::up_on(Gateway::new())
    }

    fn up_on(mut gateway: Gateway) -> Self {
        gateway.nodes(NODES);
        gateway.start();
        let pids = (1..=NODES).map(|id| gateway.wait_state(id, "up").pid.unwrap()).collect();
        Tunnels { gateway, pids }
    }

    /// The same, and the daemon has ended.
    fn left() -> Self {
        let mut tunnels = Self::up();
        tunnels.gateway.end(Signal::TERM);
        tunnels
    }

    /// Waits until the status is as wished. A daemon that ends is followed by another, as by systemd.
    fn wait_until(&mut self, what: &str, wish: impl Fn(&Status) -> bool) {
        let is_so =
            |gateway: &Gateway| gateway.status().filter(|status| wish(status)).map(|_| true);
        loop {
            let gateway = &self.gateway;
            let ended = || (!gateway.lives()).then_some(false);
            if gateway.wait_for(what, || is_so(gateway).or_else(ended)) {
                return;
            }
            let code = self.gateway.end(Signal::TERM).code();
            let is_over = code.is_some_and(|code| FOR_GOOD.contains(&code));
            assert!(!is_over, "systemd would start no other: {code:?}\n{}", self.gateway.log());
            self.gateway.start();
        }
    }

    /// The daemon does its work: it answers, all tunnels are as before, a row that comes is dialled,
    /// and ended when it goes.
    fn assert_served(&mut self, round: u32) {
        let id = 1000 + round;
        let ip = format!("10.9.1.{}", 1 + round % 250);
        self.gateway.server(&ip, &json!({}));
        self.gateway.node(id, &ip, "secret");
        let is_up = |node: &Node| node.id == id && node.state == "up";
        self.wait_until("a new row to be dialled", |status| status.nodes.iter().any(is_up));
        self.assert_kept();
        self.gateway.sql(&format!("DELETE FROM nodes WHERE id = {id}"));
        self.wait_until("its end", |status| status.nodes.iter().all(|node| node.id != id));
    }

    /// No tunnel was lost, none is dialled twice.
    fn assert_kept(&mut self) {
        let pids = self.pids.clone();
        let has_all = |status: &Status| {
            let has = |(id, pid): (u32, &u32)| {
                let is_it = |n: &Node| n.id == id && n.state == "up" && n.pid == Some(*pid);
                status.nodes.iter().any(is_it)
            };
            (1..).zip(&pids).all(has)
        };
        self.wait_until("all to be up as before", has_all);
        for (id, pid) in (1..).zip(pids) {
            assert!(lives(pid), "node {id} was lost\n{}", self.gateway.log());
            assert_eq!(self.gateway.dialled(id), 1, "node {id}: {}", self.gateway.log());
            let fell = self.gateway.logged(&format!("Tunnel for node {id} is DOWN"));
            assert_eq!(fell, 0, "{}", self.gateway.log());
        }
    }
}
