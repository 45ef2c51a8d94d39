use super::*;
use crate::core::failure::{Failure, FailureKind};

const NODE: NodeId = NodeId(2);

fn nodes(count: u32) -> Vec<NodeId> {
    (1..=count).map(NodeId).collect()
}

fn read(nodes: usize, stopped: usize, invalid: usize) -> String {
    Notice::DatabaseRead { nodes, stopped, invalid }.to_string()
}

#[test]
fn a_read_of_the_database_names_only_what_there_is() {
    assert_eq!(read(0, 0, 0), "Node database read: 0 nodes wanted");
    assert_eq!(read(1, 1, 0), "Node database read: 1 node wanted, 1 stopped by the operator");
    assert_eq!(read(2, 0, 1), "Node database read: 2 nodes wanted, 1 can't be dialled");
}

#[test]
fn a_quarantine_tells_refusals_where_there_was_more_than_one() {
    let text = |refusals| {
        let failure = Failure::new(FailureKind::AuthRefused, "refused");
        Notice::Quarantined { node: NODE, failure, refusals, repeated: false }.to_string()
    };
    assert!(text(1).starts_with("Node 2 is quarantined: refused; "), "{}", text(1));
    assert!(
        text(2).starts_with("Node 2 is quarantined: refused, 2 times in a row; "),
        "{}",
        text(2)
    );
}

#[test]
fn one_lost_probe_is_a_probe() {
    let text = |count| {
        let (interface, target) = ("ppp0".to_owned(), "10.50.0.1".to_owned());
        let why = WhyKept::NeverAnswered;
        Notice::ProbesLost { node: NODE, interface, target, count, why }.to_string()
    };
    for (count, said) in [(1, ": 1 probe of 10.50.0.1 "), (2, ": 2 probes of 10.50.0.1 ")] {
        assert!(text(count).contains(said), "{}", text(count));
    }
}

#[test]
fn a_wait_is_told_in_whole_seconds_and_never_as_none() {
    for (millis, said) in [(1, 1), (1000, 1), (1001, 2)] {
        let failure = Failure::new(FailureKind::Unreachable, "no answer");
        let wait = Duration::from_millis(millis);
        let (attempt, repeated, away) = (3, false, false);
        let notice =
            Notice::Retrying { node: NODE, wait, attempt, failure, repeated, away }.to_string();
        assert!(
            notice.starts_with(&format!("Node 2: retrying in {said}s (attempt 3): no answer")),
            "{notice}"
        );
    }
}

#[test]
fn a_process_is_named_where_it_is_known() {
    let text = |pid, kept| Notice::SecondCall { node: NODE, pid, kept }.to_string();
    assert_eq!(text(None, None), "Node 2: a second pppd is ended");
    let both = "Node 2: a second pppd (pid 40) is ended: the tunnel belongs to pid 30";
    assert_eq!(text(Some(40), Some(30)), both);
}

#[test]
fn of_more_nodes_than_five_the_first_are_named() {
    let text = |count| Notice::RowsBack { nodes: nodes(count) }.to_string();
    assert!(text(5).contains("(1, 2, 3, 4, 5);"), "{}", text(5));
    assert!(text(6).contains("6 nodes are back in time (1, 2, 3, 4, 5, …);"), "{}", text(6));
}

#[test]
fn the_time_of_a_restart_is_told_to_a_tenth_of_a_second() {
    for (millis, said) in [(0, "0.0"), (1999, "1.9"), (12_345, "12.3")] {
        let outcome = RestartOutcome::Ready(millis);
        let notice = Notice::Restarted { outcome, repeated: false };
        assert_eq!(notice.to_string(), format!("Backend ready after {said} s"));
    }
}
