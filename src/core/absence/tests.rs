use std::time::Duration;

use super::*;
use crate::core::State;
use crate::core::event::{Ask, Candidate, Event};
use crate::core::failure::FailureKind;
use crate::core::stage::{GRACE, NODE, Stage, candidate, invalid};

const ALMOST: Duration = Duration::from_millis(4999);

fn row() -> Option<Candidate> {
    Some(candidate("secret"))
}

/// A tunnel that is up, and its row is gone for a moment.
fn away() -> Stage {
    let mut stage = Stage::in_state(State::Up);
    stage.desire(None);
    stage.told.clear();
    stage
}

#[test]
fn a_row_that_is_back_in_time_was_never_gone() {
    let mut stage = away();
    stage.wait(ALMOST);
    stage.desire(row());
    stage.wait(GRACE * 10);
    assert_eq!((stage.state().as_str(), stage.attempts()), ("up", 1));
    assert_eq!(stage.told, ["Node 1: its row is back in time; its tunnel stays"]);
    assert_eq!(stage.core.next_deadline(), None);
}

#[test]
fn a_row_that_stays_away_is_gone_and_both_is_told() {
    let mut stage = Stage::in_state(State::Up);
    stage.desire(None);
    assert!(
        stage
            .was_told("Node 1: its row is gone or no longer selected; its tunnel is hung up in 5s"),
        "{:?}",
        stage.told
    );
    stage.wait(GRACE);
    assert_eq!(stage.state(), "stopping");
    assert!(stage.was_told("is DOWN on ppp0: its row is gone or no longer selected"));
}

#[test]
fn a_row_that_can_not_be_dialled_for_a_moment_costs_no_tunnel() {
    let mut stage = Stage::in_state(State::Up);
    stage.desire(Some(invalid()));
    assert!(stage.was_told("can't be dialled any more: "), "{:?}", stage.told);
    stage.wait(ALMOST);
    stage.desire(row());
    stage.wait(GRACE);
    assert_eq!(stage.state(), "up");
}

#[test]
fn a_row_that_can_not_be_dialled_for_longer_ends_the_tunnel() {
    let mut stage = Stage::in_state(State::Up);
    stage.desire(Some(invalid()));
    stage.wait(GRACE);
    assert_eq!(stage.state(), "stopping");
    stage.exit(FailureKind::Killed);
    assert_eq!(stage.state(), "invalid");
}

#[test]
fn a_row_that_is_gone_in_one_way_after_the_other_is_given_no_more_time() {
    let mut stage = Stage::in_state(State::Up);
    stage.desire(Some(invalid()));
    stage.wait(ALMOST);
    stage.desire(None);
    stage.wait(Duration::from_millis(1));
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn nothing_is_dialled_for_a_row_that_is_away() {
    for ask in [None, Some(Ask::Retry)] {
        let mut stage = Stage::in_state(State::Up);
        stage.configure(|policy| policy.absence_grace = GRACE * 100);
        stage.desire(None);
        stage.exit(FailureKind::Hangup);
        assert_eq!(stage.state(), "backoff");
        ask.into_iter().for_each(|ask| stage.ask(ask));
        stage.wait(GRACE * 10);
        assert_eq!(stage.state(), "waiting", "{ask:?}");
    }
}

#[test]
fn a_call_that_ends_while_its_row_is_away_is_not_said_to_be_retried_at_a_time() {
    let mut stage = away();
    stage.exit(FailureKind::Hangup);
    assert!(stage.was_told("Node 1: retrying when its row is back: "), "{:?}", stage.told);
}

#[test]
fn a_row_that_is_back_is_dialled_when_its_call_has_ended_meanwhile() {
    let mut stage = away();
    stage.exit(FailureKind::Hangup);
    stage.ask(Ask::Retry);
    assert_eq!(stage.state(), "waiting");
    stage.desire(row());
    assert_eq!(stage.state(), "dialing");
}

#[test]
fn a_row_that_is_back_with_another_password_is_dialled_anew_at_once() {
    let mut stage = away();
    stage.desire(Some(candidate("another")));
    assert_eq!(stage.state(), "stopping");
    assert!(stage.was_told("its row changed; it is dialled again"), "{:?}", stage.told);
}

#[test]
fn a_stop_hangs_up_at_once() {
    let mut stage = away();
    stage.ask(Ask::Stop);
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn a_changed_configuration_hangs_up_at_once_what_it_leaves_out() {
    let mut stage = away();
    stage.reselect(None);
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn a_configuration_that_changes_while_the_table_is_written_anew_costs_no_tunnel() {
    let mut stage = Stage::in_state(State::Up);
    stage.reselect_of_nothing();
    stage.wait(ALMOST);
    assert_eq!(stage.state(), "up");
    stage.desire(row());
    stage.wait(GRACE);
    assert_eq!(stage.state(), "up");
}

#[test]
fn without_a_grace_a_row_that_goes_is_gone() {
    let mut stage = Stage::in_state(State::Up);
    stage.configure(|policy| policy.absence_grace = Duration::ZERO);
    stage.desire(None);
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn a_database_that_can_not_be_read_is_no_absence() {
    let mut stage = away();
    stage.wait(ALMOST);
    stage.feed(Event::DesiredUnavailable("locked".into()));
    stage.wait(GRACE * 100);
    assert_eq!(stage.state(), "up");
    stage.desire(None);
    stage.wait(ALMOST);
    assert_eq!(stage.state(), "up");
    stage.wait(Duration::from_millis(1));
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn what_was_known_of_the_login_stays_known() {
    let mut stage = away();
    stage.desire(row());
    stage.exit(FailureKind::Hangup);
    for _ in 0..3 {
        stage.wait_for_deadline();
        stage.exit(FailureKind::AuthRefused);
    }
    assert_eq!(stage.state(), "backoff", "it worked, so it is given time");
}

#[test]
fn a_tunnel_that_was_found_is_held_though_the_first_read_has_no_row_of_it() {
    let mut stage = Stage::adopting_before_the_rows(Some("secret"));
    stage.link(true, true);
    stage.desire(None);
    stage.wait(ALMOST);
    assert_eq!(stage.state(), "up");
    stage.desire(row());
    stage.wait(GRACE);
    assert_eq!(stage.state(), "up");
}

#[test]
fn a_tunnel_that_is_found_after_the_first_read_is_held_as_long() {
    let mut stage = Stage::in_state(State::Up);
    stage.reselect(None);
    stage.exit(FailureKind::Killed);
    assert_eq!(stage.state(), "forgotten");
    stage.find(5);
    stage.wait(ALMOST);
    assert_eq!(stage.state(), "dialing");
    stage.wait(Duration::from_millis(1));
    assert_eq!(stage.state(), "stopping");
}

#[test]
fn an_invalid_row_is_shown_once_the_tunnel_that_was_found_has_ended() {
    let mut stage = Stage::adopting_before_the_rows(Some("secret"));
    stage.desire(Some(invalid()));
    assert_eq!(stage.state(), "dialing");
    stage.exit(FailureKind::Hangup);
    assert_eq!(stage.state(), "invalid");
}

#[test]
fn an_invalid_row_is_shown_at_once_where_the_tunnel_that_was_found_had_ended_before() {
    let mut stage = Stage::adopting_before_the_rows(Some("secret"));
    stage.desire(None);
    stage.exit(FailureKind::Hangup);
    assert_eq!(stage.state(), "waiting");
    stage.desire(Some(invalid()));
    assert_eq!(stage.state(), "invalid");
}

#[test]
fn a_row_that_can_not_be_dialled_stays_known_while_its_tunnel_is_told_of_again() {
    let mut stage = Stage::adopting_before_the_rows(Some("secret"));
    stage.desire(Some(invalid()));
    stage.name_link();
    stage.exit(FailureKind::Hangup);
    assert_eq!(stage.state(), "invalid");
}

#[test]
fn the_files_of_a_tunnel_that_was_found_are_kept_whether_it_or_the_rows_come_first() {
    let mut stage = Stage::adopting_before_the_rows(Some("secret"));
    stage.desire(None);
    assert_eq!(stage.kept_only, Some(vec![NODE]));
    let mut stage = Stage::with_no_calls_known();
    stage.desire(None);
    assert_eq!(stage.kept_only, None);
    stage.find(5);
    assert_eq!(stage.kept_only, Some(vec![NODE]));
}

#[test]
fn its_place_is_kept_for_a_row_that_is_away() {
    let mut stage = Stage::in_state(State::Up);
    stage.prefer_rival(row());
    stage.prefer_rival(None);
    assert_eq!((stage.state().as_str(), stage.state_of_rival()), ("up", "forgotten"));
    stage.prefer_rival(row());
    stage.wait(GRACE);
    assert_eq!((stage.state().as_str(), stage.state_of_rival()), ("up", "forgotten"));
}

#[test]
fn many_rows_that_go_and_return_are_told_in_a_line_each() {
    let nodes: Vec<NodeId> = (1..=7).map(NodeId).collect();
    let within = GRACE;
    let away = Notice::RowsAway { nodes: nodes.clone(), within }.to_string();
    assert_eq!(
        away,
        "The rows of 7 nodes are gone or no longer selected (1, 2, 3, 4, 5, …); their tunnels \
         are hung up in 5s unless the rows come back"
    );
    let back = Notice::RowsBack { nodes }.to_string();
    assert_eq!(back, "The rows of 7 nodes are back in time (1, 2, 3, 4, 5, …); their tunnels stay");
}

#[test]
fn of_a_row_that_is_gone_only_a_tunnel_or_a_dial_is_told_to_be_kept() {
    for (state, is_told) in [(State::Up, true), (State::Dialing, true), (State::Backoff, false)] {
        let mut stage = Stage::in_state(state);
        stage.desire(None);
        assert_eq!(stage.was_told("its row is gone"), is_told, "{state:?}: {:?}", stage.told);
    }
}
