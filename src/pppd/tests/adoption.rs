use super::*;

/// Tells of itself as pppd does and lives until it is killed, without a child to leave behind.
const PPPD: &str = "mkfifo $STAGE/never 2>/dev/null
    echo $$ > $STAGE/run/ppp-$2.pid
    echo 'Using interface ppp7'
    read x < $STAGE/never";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.script("pppd", PPPD);
    stage
}

/// Returns once the pid file is whole.
fn wait_for(path: &Path) {
    let begun = std::time::Instant::now();
    while !fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')) {
        assert!(begun.elapsed() < DEADLINE, "no {}", path.display());
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn with_nothing_running_that_is_told_at_once() {
    let (_work, found) = Stage::new().work().await;
    assert_eq!(found, []);
}

#[tokio::test]
async fn a_missing_run_folder_is_no_hindrance() {
    let stage = Stage::new();
    fs::remove_dir(stage.path("run")).unwrap();
    assert_eq!(stage.work().await.1, []);
}

#[tokio::test]
async fn a_running_call_is_found_at_the_start_and_its_end_is_told() {
    let stage = stage();
    let mut pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    fs::write(stage.pid_file(2), format!("{}\nppp7\n", pppd.0.id())).unwrap();
    let (mut work, found) = stage.work().await;
    let call = CallId::Found(0);
    let interface = Some("ppp7".to_owned());
    assert_eq!(
        found,
        [FoundCall { call, node: NodeId(2), pid: pppd.0.id(), interface, dialled: None }]
    );

    work.ask(signal(call, Signal::Terminate));
    assert_eq!(work.next().await, Event::Exited { call, exit: PppdExit::Unseen });
    pppd.0.wait().unwrap();
}

#[tokio::test]
async fn a_call_made_by_hand_is_found_and_its_link_is_told_when_it_has_one() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    let pppd = stage.by_hand(2);
    let (call, node, pid) = (CallId::Found(0), NodeId(2), pppd.0.id());
    assert_eq!(work.found().await, [FoundCall { call, node, pid, interface: None, dialled: None }]);

    fs::write(stage.pid_file(2), format!("{pid}\nppp7\n")).unwrap();
    let interface = Some("ppp7".to_owned());
    assert_eq!(work.found().await, [FoundCall { call, node, pid, interface, dialled: None }]);
}

#[tokio::test]
async fn a_call_of_our_own_is_not_found() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    work.ask(dial(1, 2));
    while !matches!(work.next().await, Event::Said { .. }) {}
    wait_for(&stage.pid_file(2));
    let _pppd = stage.by_hand(3);
    let nodes: Vec<NodeId> = work.found().await.iter().map(|found| found.node).collect();
    assert_eq!(nodes, [NodeId(3)]);
    work.ask(signal(CallId::Dialled(1), Signal::Kill));
    work.until_exit().await;
}

#[tokio::test]
async fn a_call_found_beside_another_of_its_node_is_told_again_when_that_ends() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    let first = stage.by_hand(2);
    assert_eq!(work.found().await[0].pid, first.0.id());
    let second = stage.by_hand(2);
    let later = work.found().await;
    assert_eq!(later[0].pid, second.0.id());
    drop(first);
    let exited = Event::Exited { call: CallId::Found(0), exit: PppdExit::Unseen };
    assert_eq!(work.next().await, exited);
    assert_eq!(work.found().await, later);
}

#[tokio::test]
async fn a_pid_file_that_names_something_else_is_ignored() {
    let stage = stage();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let sleep = ByHand(Command::new("sleep").arg("60").spawn().unwrap());
    let other_node = stage.by_hand(9);
    wait_for(&stage.pid_file(9));
    fs::remove_file(stage.pid_file(9)).unwrap();
    for (node, pid) in [(2, ended.id()), (3, sleep.0.id()), (4, other_node.0.id()), (5, 1)] {
        fs::write(stage.pid_file(node), format!("{pid}\n")).unwrap();
    }
    assert_eq!(stage.work().await.1, []);
    assert!(stage.pid_file(2).exists(), "a stale file is left to pppd");
}

#[tokio::test]
async fn a_linked_pid_file_is_ignored() {
    let stage = stage();
    let _pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    fs::rename(stage.pid_file(2), stage.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(stage.path("elsewhere"), stage.pid_file(2)).unwrap();
    assert_eq!(stage.work().await.1, []);
}

#[tokio::test]
async fn tunnels_outlive_the_module() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    work.ask(dial(1, 2));
    let Event::Spawned { pid, .. } = work.next().await else { panic!("not spawned") };
    wait_for(&stage.pid_file(2));
    drop(work.finish().await);
    let (mut work, found) = stage.work().await;
    assert_eq!(found[0].pid, pid);
    work.ask(signal(found[0].call, Signal::Kill));
    assert_eq!(work.next().await, Event::Exited { call: CallId::Found(0), exit: PppdExit::Unseen });
}
