//! The pure core against a simulated kernel, pppd and servers: random schedules, shrunk by
//! proptest when one fails.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_wrap,
    reason = "a test"
)]

mod cases;
mod crowd;
mod golden;
mod ledger;
mod pool;
mod rules;
mod schedules;
mod wire;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use schedules::{HEALED_WITHIN, any_schedule};
use world::{Action, Server, World};

/// Inputs that the random schedules feed the core, at least.
const INPUTS: u64 = 1_000_000;

/// `SIM_SEED=SEED` runs the schedule of one seed, `SOAK=SECONDS` fresh ones for so long.
#[test]
fn whatever_happens_every_wanted_and_reachable_node_comes_up_again() {
    let verdict = match (number("SIM_SEED"), number("SOAK")) {
        (Some(seed), _) => schedules::run_one(seed),
        (None, Some(seconds)) => schedules::run_for(Duration::from_secs(seconds)),
        (None, None) => schedules::run_until_fed(INPUTS).inspect(|fed| assert!(*fed >= INPUTS)),
    };
    verdict.unwrap_or_else(|failure| panic!("{failure}"));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn once_all_is_up_no_timer_runs(seed: u64) {
        let mut world = World::with(seed, 3, false);
        (0..6).for_each(|node| world.act(Action::Want(node)));
        world.run_for(HEALED_WITHIN);
        prop_assert_eq!(world.up().len(), 6);
        prop_assert_eq!(world.daemon.deadline(), None);
        prop_assert_eq!(world.check_settled(), Ok(()));
    }

    #[test]
    fn a_recorded_run_replays_byte_for_byte(schedule in any_schedule(), seed: u64) {
        let mut world = World::new(seed);
        for (wait, action) in schedule {
            world.run_for(Duration::from_millis(u64::from(wait)));
            world.act(action);
        }
        let told = world.daemon.recording.iter().map(|(input, _)| input.clone());
        let replayed = wire::replay(world.first_policy.clone(), told);
        for (effects, (_, recorded)) in replayed.iter().zip(&world.daemon.recording) {
            prop_assert_eq!(effects, recorded);
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
    assert!(world.running().is_empty() && world.files().is_empty());
}

#[test]
fn a_status_that_changes_leaves_the_tunnel_alone() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.run_for(Duration::from_secs(60));
    let dials = world.dials;
    world.act(Action::ChangeStatus(1));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.dials, dials);
}

#[test]
fn a_wrong_password_is_given_up_after_three_refusals() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.act(Action::SpoilPassword(1));
    world.run_for(HEALED_WITHIN);
    assert_eq!(world.state_of(1), "quarantined");
    assert_eq!(world.refused_dials, 3);
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
    assert!(world.dials < 30, "{} dials in an hour", world.dials);
}

#[test]
fn every_server_gone_means_three_windows_and_a_restart() {
    let mut world = World::new(1);
    world.act(Action::Want(1));
    world.run_for(Duration::from_secs(60));
    world.act(Action::ServerIs(1, Server::Dead));
    world.run_for(Duration::from_secs(100));
    assert_eq!(world.told("Zero PPP interfaces"), 3);
    assert_eq!(world.restarts, 1);
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
