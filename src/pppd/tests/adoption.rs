use super::*;

/// Tells of itself as pppd does and lives until it is killed, without a child to leave behind.
const PPPD: &str = "mkfifo $STAGE/never 2>/dev/null
    echo $$ > $STAGE/run/ppp-$2.pid
    echo 'Using interface ppp7'
    read x < $STAGE/never";

fn sighted(call: CallId, node: NodeId, pid: Option<u32>) -> FoundCall {
    let engine = crate::node::Engine::Pppd;
    FoundCall {
        call,
        node,
        engine,
        pid,
        interface: None,
        renamed: false,
        dialled: None,
        age: Duration::ZERO,
    }
}

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
    let pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    fs::write(stage.pid_file(2), format!("{}\nppp7\n", pppd.pid)).unwrap();
    let (mut work, found) = stage.work().await;
    let call = CallId::Found(0);
    let interface = Some("ppp7".to_owned());
    assert_eq!(found, [FoundCall { interface, ..sighted(call, NodeId(2), Some(pppd.pid)) }]);

    work.ask(hang_up(call));
    assert_eq!(work.next().await, Event::Ended { call, failure: ended(Ending::Unseen) });
}

#[tokio::test]
async fn a_call_made_by_hand_is_found_and_its_link_is_told_when_it_has_one() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    let pppd = stage.by_hand(2);
    let (call, node, pid) = (CallId::Found(0), NodeId(2), Some(pppd.pid));
    assert_eq!(work.found().await, [FoundCall { interface: None, ..sighted(call, node, pid) }]);

    fs::write(stage.pid_file(2), format!("{}\nppp7\n", pppd.pid)).unwrap();
    let interface = Some("ppp7".to_owned());
    assert_eq!(work.found().await, [FoundCall { interface, ..sighted(call, node, pid) }]);
}

#[tokio::test]
async fn a_link_name_that_is_another_pppds_by_now_is_not_taken_for_its_own() {
    let stage = stage();
    let pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    fs::write(stage.pid_file(2), format!("{}\nppp7\n", pppd.pid)).unwrap();
    let other = stage.by_hand(3);
    wait_for(&stage.pid_file(3));
    fs::write(stage.pid_file(3), format!("{}\nppp7\n", other.pid)).unwrap();
    fs::write(stage.path("run/ppp7.pid"), format!("{}\n", other.pid)).unwrap();
    let found = stage.work().await.1;
    let told = |node| found.iter().find(|found| found.node == NodeId(node)).unwrap();
    assert_eq!((told(2).interface.as_deref(), told(2).renamed), (None, true));
    assert_eq!((told(3).interface.as_deref(), told(3).renamed), (Some("ppp7"), false));
}

#[tokio::test]
async fn a_link_name_stays_its_own_though_a_file_gives_it_to_a_process_that_is_no_pppd() {
    let stage = stage();
    let pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    fs::write(stage.pid_file(2), format!("{}\nppp7\n", pppd.pid)).unwrap();
    fs::write(stage.path("run/ppp7.pid"), "1\n").unwrap();
    let found = stage.work().await.1;
    assert_eq!((found[0].interface.as_deref(), found[0].renamed), (Some("ppp7"), false));
}

#[tokio::test]
async fn a_call_of_our_own_is_not_found() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    work.ask(dial(1, 2));
    while !matches!(work.next().await, Event::Link { .. }) {}
    wait_for(&stage.pid_file(2));
    let _pppd = stage.by_hand(3);
    let nodes: Vec<NodeId> = work.found().await.iter().map(|found| found.node).collect();
    assert_eq!(nodes, [NodeId(3)]);
    work.ask(end(CallId::Dialled(1)));
    work.until_exit().await;
}

#[tokio::test]
async fn a_second_call_of_a_node_is_told_beside_the_first() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    let first = stage.by_hand(2);
    assert_eq!(work.found().await[0].pid, Some(first.pid));
    let second = stage.by_hand(2);
    assert_eq!(work.found().await[0].pid, Some(second.pid));
    drop(first);
    let exited = Event::Ended { call: CallId::Found(0), failure: ended(Ending::Unseen) };
    assert_eq!(work.next().await, exited);
}

#[tokio::test]
async fn a_pid_file_that_names_something_else_is_ignored() {
    let stage = stage();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let mut sleep = Command::new("sleep").arg("60").spawn().unwrap();
    for (node, pid) in [(2, ended.id()), (3, sleep.id()), (5, 1)] {
        fs::write(stage.pid_file(node), format!("{pid}\n")).unwrap();
    }
    let found = stage.work().await.1;
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    assert_eq!(found, []);
}

/// Starts the module over a pppd of node 2 after `spoil` was at its pid file, and returns whom it
/// finds.
async fn found_after(spoil: impl FnOnce(&Stage, &Path)) {
    let stage = stage();
    let pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    spoil(&stage, &stage.pid_file(2));
    fs::write(stage.path("run/ppp7.pid"), format!("{}\n", pppd.pid)).unwrap();
    let (call, node, pid) = (CallId::Found(0), NodeId(2), Some(pppd.pid));
    let interface = Some("ppp7".to_owned());
    assert_eq!(stage.work().await.1, [FoundCall { interface, ..sighted(call, node, pid) }]);
}

#[tokio::test]
async fn a_call_without_a_pid_file_is_found_at_the_start() {
    found_after(|_, file| fs::remove_file(file).unwrap()).await;
}

#[tokio::test]
async fn a_call_whose_pid_file_is_empty_is_found_at_the_start() {
    found_after(|_, file| fs::write(file, "").unwrap()).await;
}

#[tokio::test]
async fn a_call_whose_pid_file_is_half_written_is_found_at_the_start() {
    found_after(|_, file| fs::write(file, "12").unwrap()).await;
}

#[tokio::test]
async fn a_call_whose_pid_file_names_somebody_else_is_found_at_the_start() {
    found_after(|_, file| fs::write(file, "1\nppp9\n").unwrap()).await;
}

#[tokio::test]
async fn a_call_whose_pid_file_is_a_link_is_found_at_the_start() {
    found_after(|stage, file| {
        fs::rename(file, stage.path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(stage.path("elsewhere"), file).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_call_whose_pid_file_is_a_fifo_is_found_at_the_start() {
    found_after(|_, file| {
        fs::remove_file(file).unwrap();
        assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
    })
    .await;
}

#[tokio::test]
async fn a_call_whose_pid_file_bears_another_nodes_name_is_found_as_its_own_node() {
    found_after(|stage, file| fs::rename(file, stage.pid_file(9)).unwrap()).await;
}

#[tokio::test]
async fn a_call_is_found_at_the_start_though_the_run_folder_can_not_be_read() {
    let stage = stage();
    let pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    fs::remove_dir_all(stage.path("run")).unwrap();
    fs::write(stage.path("run"), "in the way").unwrap();
    let pids: Vec<_> = stage.work().await.1.iter().map(|found| found.pid).collect();
    assert_eq!(pids, [Some(pppd.pid)]);
}

#[tokio::test]
async fn what_pppd_has_forked_is_no_call_of_its_own() {
    let stage = stage();
    stage.script(
        "pppd",
        "mkfifo $STAGE/never; (echo x > $STAGE/run/forked.pid; read x < $STAGE/never) &
        read x < $STAGE/never",
    );
    let pppd = stage.by_hand(2);
    wait_for(&stage.path("run/forked.pid"));
    let pids: Vec<_> = stage.work().await.1.iter().map(|found| found.pid).collect();
    // Ends what was forked, too.
    drop(fs::File::options().write(true).open(stage.path("never")));
    assert_eq!(pids, [Some(pppd.pid)]);
}

#[tokio::test]
async fn what_a_found_call_was_dialled_with_is_told_as_the_files_had_it_before() {
    let stage = stage();
    let (work, _) = stage.work().await;
    work.ask(stage.write_as(2, "old"));
    work.finish().await;
    let _pppd = stage.by_hand(2);
    wait_for(&stage.pid_file(2));
    let (work, found) = stage.work().await;
    work.ask(stage.write_as(2, "new"));
    let dialled = found[0].dialled.clone().unwrap();
    assert_eq!((dialled.login.as_str(), dialled.mppe), ("admin", Some(Mppe::Require)));
    assert_eq!(dialled.password, Some(Secret::parse("old").unwrap()));
    work.finish().await;
}

#[tokio::test]
async fn tunnels_outlive_the_module() {
    let stage = stage();
    let (mut work, _) = stage.work().await;
    work.ask(dial(1, 2));
    let Event::Started { pid, .. } = work.next().await else { panic!("not spawned") };
    wait_for(&stage.pid_file(2));
    drop(work.finish().await);
    let (mut work, found) = stage.work().await;
    assert_eq!(found[0].pid, pid);
    work.ask(end(found[0].call));
    // Here it is a child still, as it would be of a daemon that is pid 1 of a container.
    let failure = ended(Ending::Signal(9));
    assert_eq!(work.next().await, Event::Ended { call: CallId::Found(0), failure });
}

/// A shell that goes by pppd's name and has a pppd's words behind its own, and a pid file of node 2.
fn namesake(stage: &Stage) -> std::process::Child {
    let program = fs::canonicalize(stage.path("pppd")).unwrap();
    let name = program.file_name().unwrap().to_str().unwrap();
    let script = "printf %s \"$0\" > /proc/$$/comm
        mkfifo $3/never
        echo $$ > $3/run/ppp-$2.pid
        read x < $3/never";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, name, "call", "connexa-node-2"]).arg(stage.dir.path());
    shell.spawn().unwrap()
}

#[tokio::test]
async fn a_process_that_only_goes_by_pppds_name_is_no_pppd() {
    let stage = stage();
    let mut namesake = namesake(&stage);
    wait_for(&stage.pid_file(2));
    let found = stage.work().await.1;
    namesake.kill().unwrap();
    namesake.wait().unwrap();
    assert_eq!(found, []);
}

#[test]
fn a_pppd_whose_program_was_replaced_by_an_upgrade_is_still_known() {
    let stage = Stage::new();
    let path = stage.path("pppd");
    assert!(Command::new("cp").arg("/bin/sleep").arg(&path).status().unwrap().success());
    let mut pppd = Command::new(&path).arg("60").spawn().unwrap();
    fs::remove_file(&path).unwrap();
    stage.script("pppd", PPPD);
    let runs = callers::runs(pppd.id(), &path, "pppd").unwrap();
    pppd.kill().unwrap();
    pppd.wait().unwrap();
    assert_eq!(runs, callers::Runs::Itself);
}

/// It has its link at once, and once it is told to, it goes on in a child as with updetach.
const DETACHES: &str = r#"
printf '%s\nppp7\n' $$ >"$STAGE/new" && mv "$STAGE/new" "$STAGE/run/ppp-$2.pid"
read word <"$STAGE/go"
{ read word <"$STAGE/never"; } &
printf '%s\nppp7\n' $! >"$STAGE/new" && mv "$STAGE/new" "$STAGE/run/ppp-$2.pid"
"#;

#[tokio::test]
async fn a_pppd_that_goes_on_in_a_child_once_its_tunnel_is_up_is_the_same_call() {
    let stage = Stage::new();
    stage.script("pppd", DETACHES);
    let pipes = ["go", "never"].map(|name| stage.path(name));
    assert!(Command::new("mkfifo").args(pipes).status().unwrap().success());
    let (mut work, _) = stage.work().await;
    let parent = stage.by_hand(2);
    let call = CallId::Found(0);
    let interface = Some("ppp7".to_owned());
    let before = sighted(call, NodeId(2), Some(parent.pid));
    assert_eq!(work.found().await, [FoundCall { interface: interface.clone(), ..before }]);

    fs::write(stage.path("go"), "now\n").unwrap();
    let after = work.found().await.remove(0);
    assert_ne!(after.pid, Some(parent.pid));
    assert_eq!(after, FoundCall { interface, ..sighted(call, NodeId(2), after.pid) });

    work.ask(hang_up(call));
    assert_eq!(work.next().await, Event::Ended { call, failure: ended(Ending::Unseen) });
}
