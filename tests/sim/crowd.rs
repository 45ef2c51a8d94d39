//! Many nodes at once, and servers that do not answer.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::world::{Action, Server, World, policy};

const NODES: u32 = 200;
const SERVERS: u32 = 40;
const DEAD: u32 = 10;

/// From a dial to an address, at most, in the simulated world; and the time that news take.
const DIAL: Duration = Duration::from_millis(2000);

fn crowd() -> World {
    let mut world = World::with(7, SERVERS as usize, true);
    (0..NODES).for_each(|node| world.act(Action::Want(node)));
    world
}

#[test]
fn two_hundred_nodes_on_forty_servers_come_up_without_a_failure() {
    let mut world = crowd();
    let rounds = NODES.div_ceil(policy().dial_concurrency);
    world.run_for(DIAL * rounds);
    assert_eq!(world.verdict(), Ok(()));
    assert_eq!(world.up().len(), NODES as usize);
    assert_eq!(world.dials, NODES);
}

/// Dead servers are met once each, with all slots at most: one time-out per `dial_concurrency` of
/// them. Doubted from then on, they never have more than half of the slots.
#[test]
fn ten_dead_servers_delay_the_others_by_their_first_calls_only() {
    let mut world = crowd();
    (0..DEAD).for_each(|server| world.act(Action::ServerIs(server as usize, Server::Hangs)));
    let policy = policy();
    let slots = policy.dial_concurrency;
    let first_calls = (policy.dial_timeout + policy.stop_grace) * DEAD.div_ceil(slots);
    let alive: BTreeSet<u32> = (0..NODES).filter(|node| node % SERVERS >= DEAD).collect();
    let rounds = (alive.len() as u32).div_ceil(slots / 2);
    world.run_for(first_calls + DIAL * rounds);
    assert_eq!(world.verdict(), Ok(()));
    assert_eq!(world.up(), alive);
}

/// All live tunnels fall at once, after the dead servers are known: now no first call is in the
/// way.
#[test]
fn dead_servers_that_are_known_delay_nobody() {
    let mut world = crowd();
    (0..DEAD).for_each(|server| world.act(Action::ServerIs(server as usize, Server::Hangs)));
    world.run_for(Duration::from_secs(3600));
    let alive: Vec<u32> = (0..NODES).filter(|node| node % SERVERS >= DEAD).collect();
    alive.iter().for_each(|node| world.act(Action::KillPppd(*node)));
    let backoff = policy().backoff.min * 12 / 10;
    let rounds = (alive.len() as u32).div_ceil(policy().dial_concurrency / 2);
    world.run_for(backoff + DIAL * rounds);
    assert_eq!(world.verdict(), Ok(()));
    assert_eq!(world.up().len(), alive.len());
}
