//! The pure core against a simulated kernel, pppd and servers: random schedules, shrunk by
//! proptest when one fails.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]

mod world;

use std::time::Duration;

use connexa::core::Core;
use connexa::core::event::Input;
use proptest::prelude::*;
use world::{Action, World, policy};

/// Long enough for the longest back-off, a dial's time-out and a few tries.
const HEALED_WITHIN: Duration = Duration::from_secs(3600);

fn actions() -> impl Strategy<Value = Vec<(u16, Action)>> {
    let node = 0..6_u32;
    let server = 0..3_u8;
    let action = prop_oneof![
        4 => node.clone().prop_map(Action::Want),
        2 => node.clone().prop_map(Action::Drop),
        1 => node.clone().prop_map(Action::ChangePassword),
        1 => node.clone().prop_map(Action::ChangeStatus),
        1 => node.clone().prop_map(Action::SpoilPassword),
        2 => server.clone().prop_map(Action::ServerDies),
        2 => server.clone().prop_map(Action::ServerReturns),
        1 => server.prop_map(Action::ServerHangs),
        2 => node.clone().prop_map(Action::KillPppd),
        1 => node.clone().prop_map(Action::PppdIgnoresTerm),
        1 => node.prop_map(Action::LinkFlaps),
        1 => Just(Action::DatabaseUnreadable),
        1 => Just(Action::HostLosesPpp),
        1 => Just(Action::HostRegainsPpp),
        1 => Just(Action::DaemonCrashes),
    ];
    prop::collection::vec((0..20_000_u16, action), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_wanted_and_reachable_node_comes_up_again(
        schedule in actions(), seed: u64,
    ) {
        let mut world = World::new(seed);
        for (wait, action) in schedule {
            world.run_for(Duration::from_millis(u64::from(wait)));
            world.act(action);
        }
        world.heal();
        world.run_for(HEALED_WITHIN);
        prop_assert_eq!(world.up(), world.wanted());
        prop_assert_eq!(world.processes(), world.wanted());
    }

    #[test]
    fn once_all_is_up_no_timer_runs(seed: u64) {
        let mut world = World::new(seed);
        (0..6).for_each(|node| world.act(Action::Want(node)));
        world.run_for(HEALED_WITHIN);
        prop_assert_eq!(world.up().len(), 6);
        prop_assert_eq!(world.core.next_deadline(), None);
    }

    #[test]
    fn a_recorded_run_replays_byte_for_byte(schedule in actions(), seed: u64) {
        let mut world = World::new(seed);
        for (wait, action) in schedule {
            world.run_for(Duration::from_millis(u64::from(wait)));
            world.act(action);
        }
        let mut core = Core::new(policy());
        for (input, effects) in world.recording() {
            let input: Input = serde_json::from_str(input).unwrap();
            let replayed = serde_json::to_string(&core.handle(input)).unwrap();
            prop_assert_eq!(&replayed, effects);
        }
    }
}

#[test]
fn a_removed_node_leaves_nothing_behind() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.run_for(Duration::from_secs(60));
    assert!(world.files().contains(&1));
    world.act(Action::Drop(1));
    world.run_for(Duration::from_secs(60));
    assert!(world.processes().is_empty() && world.files().is_empty());
}

#[test]
fn a_status_that_changes_leaves_the_tunnel_alone() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.run_for(Duration::from_secs(60));
    let dials = world.dials();
    world.act(Action::ChangeStatus(1));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.dials(), dials);
}

#[test]
fn a_wrong_password_is_given_up_after_three_refusals() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.act(Action::SpoilPassword(1));
    world.run_for(HEALED_WITHIN);
    assert_eq!(world.state_of(1), "quarantined");
    assert_eq!(world.refused_dials(), 3);
}

#[test]
fn a_corrected_password_leaves_quarantine() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.act(Action::SpoilPassword(1));
    world.run_for(HEALED_WITHIN);
    world.act(Action::ChangePassword(1));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.state_of(1), "up");
}

#[test]
fn a_host_without_ppp_is_told_once_and_probed_by_one_dial_at_a_time() {
    let mut world = World::new(1);
    world.act(Action::HostLosesPpp);
    (0..6).for_each(|node| world.act(Action::Want(node)));
    world.run_for(HEALED_WITHIN);
    assert_eq!(world.told("No tunnel can be dialled"), 1);
    assert!(world.dials() < 30, "{} dials in an hour", world.dials());
}

#[test]
fn every_server_gone_means_three_windows_and_a_restart() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.run_for(Duration::from_secs(60));
    world.act(Action::ServerDies(1));
    world.run_for(Duration::from_secs(100));
    assert_eq!(world.told("Zero PPP interfaces"), 3);
    assert_eq!(world.restarts(), 1);
}

#[test]
fn a_fall_is_told_with_its_cause() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.run_for(Duration::from_secs(60));
    world.act(Action::KillPppd(1));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.told("Tunnel for node 1 is DOWN on ppp0: pppd was killed by signal 9"), 1);
    assert_eq!(world.told("✅ Tunnel for node 1 is UP"), 2);
}
