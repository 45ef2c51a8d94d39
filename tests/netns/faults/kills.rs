//! The daemon is killed at random moments.

use std::time::Duration;

use rustix::process::Signal;

use super::{Tunnels, rounds};

/// Every moment of a start, and of the work after it, is within this.
const LONGEST_LIFE: Duration = Duration::from_millis(400);

/// From nothing to one.
fn chance() -> f64 {
    let mut byte = [0];
    rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::empty()).unwrap();
    f64::from(byte[0]) / 255.0
}

#[test]
fn a_daemon_that_is_killed_at_random_costs_no_tunnel() {
    let mut tunnels = Tunnels::up();
    for round in 0..rounds(10) {
        // So that there is work under way.
        let id = 1001 + round % 2;
        let gone = 1001 + (round + 1) % 2;
        tunnels.gateway.server(&format!("10.9.1.{round}"), &serde_json::json!({}));
        tunnels.gateway.node(id, &format!("10.9.1.{}", round % 250), "secret");
        tunnels.gateway.sql(&format!("DELETE FROM nodes WHERE id = {gone}"));
        let life = LONGEST_LIFE.mul_f64(chance());
        std::thread::sleep(life);
        tunnels.gateway.end(Signal::KILL);
        tunnels.gateway.start();
    }
    tunnels.gateway.sql("DELETE FROM nodes WHERE id > 1000");
    tunnels.wait_until("the others to be gone", |status| {
        status.nodes.iter().all(|node| node.id < 1000)
    });
    tunnels.assert_served(0);
}
