use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::*;

/// A pppd that lives until something is written into `$STAGE/end`, or until it is killed.
const PPPD: &str = "mkfifo $STAGE/end 2>/dev/null
    echo $$ > $STAGE/run/ppp-$2.pid
    echo 'Using interface ppp7'
    read x < $STAGE/end";

/// A stage whose disk keeps the files of node 1 back for as long as the second lives.
async fn stage() -> (Stage, Work, Sender<()>) {
    let stage = Stage::new();
    stage.script("pppd", PPPD);
    let (sender, stuck) = channel();
    let stuck = Mutex::new(stuck);
    let disk = move |round: round::Round| {
        if round.nodes().contains(&NodeId(1)) {
            let _ = stuck.lock().unwrap().recv();
        }
        round.work()
    };
    let (work, _) = stage.work_with(Arc::new(disk)).await;
    (stage, work, sender)
}

/// The same with a call of node 2 that runs, and the files of node 1 under way.
async fn stage_with_a_call() -> (Stage, Work, Sender<()>) {
    let (stage, mut work, sender) = stage().await;
    work.ask(dial(1, 2));
    while !matches!(work.next().await, Event::Link { .. }) {}
    work.ask(stage.write(1));
    (stage, work, sender)
}

#[tokio::test]
async fn a_dial_waits_for_the_files_of_its_own_node_only() {
    let (stage, mut work, _disk) = stage().await;
    for id in [1, 2] {
        work.ask(stage.write(id));
    }
    work.ask(dial(1, 2));
    let event = work.next().await;
    assert!(matches!(event, Event::Started { call: CallId::Dialled(1), .. }), "{event:?}");
    assert_eq!(stage.peers(), ["connexa-node-2"]);
    work.ask(end(CallId::Dialled(1)));
    work.until_exit().await;
}

#[tokio::test]
async fn a_signal_does_not_wait_for_files() {
    let (_stage, mut work, _disk) = stage_with_a_call().await;
    work.settle().await;
    work.ask(end(CallId::Dialled(1)));
    assert_eq!(exit(work.until_exit().await.last().unwrap()), Some(ended(Ending::Signal(9))));
}

#[tokio::test]
async fn the_end_of_a_call_is_told_while_files_wait_for_the_disk() {
    let (stage, mut work, _disk) = stage_with_a_call().await;
    work.settle().await;
    fs::write(stage.path("end"), "x\n").unwrap();
    assert_eq!(exit(work.until_exit().await.last().unwrap()), Some(ended(Ending::Code(0))));
}

#[tokio::test]
async fn a_call_made_by_hand_is_found_while_files_wait_for_the_disk() {
    let (stage, mut work, _disk) = stage_with_a_call().await;
    work.settle().await;
    let pppd = stage.by_hand(3);
    assert_eq!(work.found().await[0].pid, Some(pppd.pid));
    work.ask(end(CallId::Dialled(1)));
    work.until_exit().await;
}

#[tokio::test]
async fn a_dial_that_is_told_to_end_while_its_files_wait_for_the_disk_is_never_started() {
    let (stage, mut work, _disk) = stage().await;
    work.ask(stage.write(1));
    work.ask(dial(1, 1));
    work.settle().await;
    work.ask(hang_up(CallId::Dialled(1)));
    assert_eq!(work.refusal().await.kind, FailureKind::Killed);
}
