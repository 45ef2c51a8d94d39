//! The outage rule, case by case. Random schedules are played in the simulation.

use super::*;
use crate::core::event::RestartFault;
use std::time::Duration;

fn outage() -> Outage {
    Outage::new(OutagePolicy {
        interval: Duration::from_secs(30),
        windows: 3,
        startup_delay: Duration::from_secs(10),
        restart_with_no_nodes: false,
        restart_limit: Duration::from_secs(60),
    })
}

/// None is up, and some are wanted.
const DOWN: Tunnels = Tunnels::Down { wanted: true };

fn second(n: u64) -> Monotonic {
    Monotonic(n * 1000)
}

/// Lets every deadline come until a restart; returns its second.
fn next_restart(outage: &mut Outage) -> u64 {
    loop {
        let at = outage.deadline().unwrap();
        if let Some(Verdict::Empty { question: Some(question), .. }) = outage.expire(at, Wall(0)) {
            let restart = outage.judged(question, true, at, Wall(0)).unwrap();
            outage.restarted(restart, RestartOutcome::Ready(1), at);
            return at.0 / 1000;
        }
    }
}

#[test]
fn three_empty_windows_after_the_startup_delay_mean_a_restart() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    assert_eq!(next_restart(&mut outage), 10 + 3 * 30);
}

#[test]
fn the_startup_delay_counts_from_the_daemons_start() {
    let mut outage = outage();
    outage.observe(DOWN, second(60));
    assert_eq!(next_restart(&mut outage), 60 + 3 * 30);
}

#[test]
fn a_tunnel_that_was_up_within_a_window_starts_the_count_again() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    outage.expire(second(40), Wall(0));
    outage.expire(second(70), Wall(0));
    outage.observe(Tunnels::Up, second(80));
    outage.observe(DOWN, second(81));
    assert_eq!(next_restart(&mut outage), 81 + 3 * 30);
}

#[test]
fn no_timer_runs_while_a_tunnel_is_up() {
    let mut outage = outage();
    outage.observe(Tunnels::Up, second(0));
    assert_eq!(outage.deadline(), None);
}

#[test]
fn nothing_wanted_is_no_outage() {
    let mut outage = outage();
    outage.observe(Tunnels::Down { wanted: false }, second(0));
    assert_eq!(outage.deadline(), None);
}

#[test]
fn a_tunnel_in_doubt_is_no_outage() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    outage.expire(second(40), Wall(0));
    outage.observe(Tunnels::InDoubt, second(41));
    assert_eq!((outage.deadline(), outage.count()), (None, 0));
}

#[test]
fn a_tunnel_in_doubt_makes_no_window_short_again() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    let at = next_restart(&mut outage);
    outage.observe(Tunnels::InDoubt, second(at + 1));
    outage.observe(DOWN, second(at + 2));
    assert_eq!(next_restart(&mut outage), at + 2 + 180);
}

#[test]
fn each_restart_in_vain_doubles_the_windows_up_to_sixteen_times() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    let mut last = next_restart(&mut outage);
    let mut gaps = Vec::new();
    for _ in 0..6 {
        let at = next_restart(&mut outage);
        gaps.push((at - last) / 90);
        last = at;
    }
    assert_eq!(gaps, [2, 4, 8, 16, 16, 16]);
}

/// A restart begins, a tunnel comes and goes, and the restart has not reported back yet when
/// this many more windows have ended.
fn restart_still_running(windows: u64) -> Outage {
    let mut outage = restarting();
    outage.observe(Tunnels::Up, second(101));
    outage.observe(DOWN, second(102));
    for window in 1..=windows {
        outage.expire(second(102 + 30 * window), Wall(0));
    }
    outage
}

#[test]
fn a_restart_that_still_runs_is_not_joined_by_another() {
    assert_eq!(restart_still_running(3).begun, 1);
}

#[test]
fn while_a_restart_runs_the_count_stays_at_its_limit() {
    assert_eq!(restart_still_running(4).count(), 3);
}

#[test]
fn a_tunnel_up_once_makes_windows_short_again() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    let at = next_restart(&mut outage);
    outage.observe(Tunnels::Up, second(at + 1));
    outage.observe(DOWN, second(at + 2));
    assert_eq!(next_restart(&mut outage), at + 2 + 90);
}

/// A restart is due, and held back.
fn held() -> Outage {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    for at in [40, 70, 100] {
        outage.expire(second(at), Wall(0));
    }
    assert_eq!(outage.judged(1, false, second(100), Wall(0)), None);
    outage
}

#[test]
fn a_restart_that_is_held_back_is_judged_again_after_the_next_window() {
    let verdict = held().expire(second(130), Wall(0));
    assert_eq!(verdict, Some(Verdict::Empty { count: 3, question: Some(2) }));
}

#[test]
fn a_restart_that_is_held_back_counts_for_none() {
    assert_eq!(held().restarts(), 0);
}

#[test]
fn a_tunnel_that_came_up_while_the_restart_was_judged_keeps_the_backend_running() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    for at in [40, 70, 100] {
        outage.expire(second(at), Wall(0));
    }
    outage.observe(Tunnels::Up, second(101));
    assert_eq!(outage.judged(1, true, second(101), Wall(0)), None);
}

#[test]
fn a_restart_that_nobody_judges_in_time_begins() {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    for at in [40, 70, 100] {
        outage.expire(second(at), Wall(0));
    }
    assert_eq!(outage.expire(second(115), Wall(0)), Some(Verdict::Restart(1)));
}

/// One restart has begun, at the hundredth second.
fn restarting() -> Outage {
    let mut outage = outage();
    outage.observe(DOWN, second(0));
    for at in [40, 70, 100] {
        outage.expire(second(at), Wall(0));
    }
    assert_eq!(outage.judged(1, true, second(100), Wall(5)), Some(1));
    outage
}

/// The same, and this is its report.
fn reported(outcome: RestartOutcome) -> Outage {
    let mut outage = restarting();
    outage.restarted(1, outcome, second(101));
    outage
}

fn failed() -> RestartOutcome {
    RestartOutcome::Failed { kind: RestartFault::Exit, message: "ended with 1".into() }
}

#[test]
fn a_restart_whose_command_worked_counts() {
    assert_eq!(reported(RestartOutcome::Ready(9)).restarts(), 1);
    assert_eq!(reported(RestartOutcome::NotReady("shut".into())).restarts(), 1);
}

#[test]
fn a_restart_whose_command_failed_counts_for_none() {
    assert_eq!(reported(failed()).restarts(), 0);
}

#[test]
fn how_the_last_restart_went_stays_known() {
    let mut outage = reported(failed());
    outage.observe(Tunnels::Up, second(102));
    let last =
        Restart { began: Wall(5), overdue_at: second(165), progress: Progress::Over(failed()) };
    assert_eq!(outage.last_restart(), Some(&last));
}

#[test]
fn a_restart_in_vain_makes_longer_windows_also_when_its_command_failed() {
    let mut outage = reported(failed());
    assert_eq!(next_restart(&mut outage), 101 + 180);
}

#[test]
fn a_restart_that_never_reports_holds_no_later_one_up_though_a_tunnel_was_up_beside_it() {
    let mut outage = restarting();
    outage.observe(Tunnels::Up, second(101));
    outage.observe(DOWN, second(200));
    assert!(outage.gives_up_restart(second(201)));
    assert_eq!(next_restart(&mut outage), 200 + 3 * 30);
}

#[test]
fn a_report_that_comes_too_late_is_still_how_the_restart_went() {
    let mut outage = restarting();
    assert!(!outage.gives_up_restart(second(164)) && outage.gives_up_restart(second(165)));
    assert_eq!(outage.last_restart().unwrap().progress, Progress::Overdue);
    assert!(outage.restarted(1, RestartOutcome::Ready(70_000), second(170)));
    assert_eq!(outage.restarts(), 1);
}

#[test]
fn from_the_first_empty_window_until_a_tunnel_is_up_it_is_not_healthy() {
    let mut outage = outage();
    assert!(outage.is_healthy());
    outage.observe(DOWN, second(0));
    assert!(outage.is_healthy(), "no window was empty yet");
    outage.expire(second(40), Wall(0));
    assert!(!outage.is_healthy());
    next_restart(&mut outage);
    assert!(!outage.is_healthy(), "a restart alone brings no tunnel up");
    outage.observe(Tunnels::Up, second(200));
    assert!(outage.is_healthy());
}

#[test]
fn the_end_of_the_open_window_is_shown_and_none_where_no_window_is_open() {
    let mut outage = outage();
    assert_eq!(outage.next_evaluation(), None);
    outage.observe(DOWN, second(0));
    for ends in [40, 70, 100] {
        assert_eq!(outage.next_evaluation(), Some(second(ends)));
        outage.expire(second(ends), Wall(0));
    }
    assert_eq!(outage.next_evaluation(), None, "the backend is judged");
}
