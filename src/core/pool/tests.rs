use super::*;
use crate::node::{Login, Secret, ServerAddr};

fn candidate(id: u32) -> Node {
    Node::new(
        NodeId(id),
        ServerAddr::parse("10.9.0.1").unwrap(),
        Login::parse("admin").unwrap(),
        Secret::parse("secret").unwrap(),
    )
}

/// A pool whose candidates 1, 2, … wait in this order.
fn pool(places: u32, candidates: u32) -> Pool {
    let mut pool = Pool::new(places);
    (1..=candidates).for_each(|id| pool.add_row(candidate(id).into(), id));
    pool
}

fn fill(pool: &mut Pool) -> Vec<(Option<u32>, u32)> {
    std::iter::from_fn(|| pool.next())
        .map(|change| (change.from.map(|from| from.0), change.to.0))
        .collect()
}

#[test]
fn free_places_go_by_rank() {
    assert_eq!(fill(&mut pool(2, 3)), [(None, 1), (None, 2)]);
}

#[test]
fn without_a_limit_everybody_has_a_place() {
    assert_eq!(fill(&mut pool(0, 3)).len(), 3);
}

#[test]
fn who_keeps_failing_yields_to_who_waits() {
    let mut pool = pool(2, 3);
    fill(&mut pool);
    pool.note(NodeId(2), Need::KeepsFailing { rank: 2 });
    assert_eq!(fill(&mut pool), [(Some(2), 3)]);
}

#[test]
fn of_several_that_keep_failing_the_last_in_the_order_yields() {
    let mut pool = pool(2, 2);
    fill(&mut pool);
    pool.note(NodeId(1), Need::KeepsFailing { rank: 9 });
    pool.note(NodeId(2), Need::KeepsFailing { rank: 2 });
    pool.add_row(candidate(3).into(), 3);
    assert_eq!(fill(&mut pool), [(Some(1), 3)]);
}

#[test]
fn who_fails_now_and_then_keeps_the_place() {
    let mut pool = pool(2, 3);
    fill(&mut pool);
    pool.note(NodeId(2), Need::Waits);
    assert_eq!(fill(&mut pool), []);
}

#[test]
fn who_keeps_failing_keeps_the_place_while_nobody_else_wants_it() {
    let mut pool = pool(2, 2);
    fill(&mut pool);
    pool.note(NodeId(2), Need::KeepsFailing { rank: 2 });
    assert!(fill(&mut pool).is_empty() && pool.holds(NodeId(2)));
}

#[test]
fn who_comes_back_queues_behind_those_that_have_not_failed() {
    let mut pool = pool(1, 3);
    fill(&mut pool);
    pool.note(NodeId(1), Need::KeepsFailing { rank: 2 });
    fill(&mut pool);
    pool.note(NodeId(1), Need::Ready { rank: 1, has_failed: true });
    pool.note(NodeId(2), Need::KeepsFailing { rank: 2 });
    assert_eq!(fill(&mut pool), [(Some(2), 3)]);
    pool.note(NodeId(3), Need::KeepsFailing { rank: 2 });
    assert_eq!(fill(&mut pool), [(Some(3), 1)]);
}

#[test]
fn a_stopped_node_gives_its_place_back() {
    let mut pool = pool(1, 2);
    fill(&mut pool);
    pool.note(NodeId(1), Need::Nothing);
    assert_eq!(fill(&mut pool), [(None, 2)]);
}

#[test]
fn a_better_candidate_takes_no_place_from_one_that_is_up() {
    let mut pool = pool(1, 1);
    fill(&mut pool);
    pool.note(NodeId(1), Need::Runs);
    pool.add_row(candidate(7).into(), 0);
    assert_eq!(fill(&mut pool), []);
}

#[test]
fn who_waits_can_be_asked_for_with_its_row_and_who_has_a_place_waits_not() {
    let mut pool = pool(1, 2);
    fill(&mut pool);
    assert_eq!([1, 2].map(|id| pool.lets_wait(NodeId(id))), [false, true]);
    assert_eq!(pool.row(NodeId(2)).map(|node| node.id), Some(NodeId(2)));
    assert!(pool.row(NodeId(77)).is_none());
}

#[test]
fn who_has_failed_and_is_noted_again_keeps_its_turn() {
    let mut pool = pool(1, 1);
    fill(&mut pool);
    let failed = |rank| Need::Ready { rank, has_failed: true };
    pool.note(NodeId(8), failed(8));
    pool.note(NodeId(9), failed(1));
    // A better rank is no better turn.
    pool.note(NodeId(8), failed(8));
    pool.note(NodeId(1), Need::Nothing);
    assert_eq!(fill(&mut pool), [(None, 8)]);
}

#[test]
fn who_fails_anew_after_it_waited_as_one_that_had_not_queues_behind_the_others() {
    let mut pool = pool(1, 1);
    fill(&mut pool);
    pool.note(NodeId(8), Need::Ready { rank: 1, has_failed: false });
    pool.note(NodeId(9), Need::Ready { rank: 2, has_failed: true });
    pool.note(NodeId(8), Need::Ready { rank: 1, has_failed: true });
    pool.note(NodeId(1), Need::Nothing);
    assert_eq!(fill(&mut pool), [(None, 9)]);
}

#[test]
fn a_row_waits_on_while_the_call_of_an_earlier_one_leaves() {
    let mut pool = pool(1, 2);
    fill(&mut pool);
    pool.note(NodeId(2), Need::Nothing);
    assert!(pool.lets_wait(NodeId(2)));
    pool.note(NodeId(3), Need::Ready { rank: 3, has_failed: false });
    pool.note(NodeId(3), Need::Nothing);
    assert!(!pool.lets_wait(NodeId(3)));
}

#[test]
fn a_place_is_given_with_whether_who_gets_it_has_failed() {
    let mut pool = pool(0, 1);
    pool.note(NodeId(8), Need::Ready { rank: 8, has_failed: true });
    let given = |change: Option<Handover>| change.map(|change| (change.to, change.has_failed));
    assert_eq!(given(pool.next()), Some((NodeId(1), false)));
    assert_eq!(given(pool.next()), Some((NodeId(8), true)));
}
