use super::*;

fn last_exit(events: &[Event]) -> Option<Failure> {
    exit(events.last().unwrap())
}

/// What was told between the start of a call and its end.
fn words(events: &[Event]) -> Vec<&Event> {
    let is_word = |event: &&Event| matches!(event, Event::Link { .. } | Event::Failing { .. });
    events.iter().filter(is_word).collect()
}

fn link(name: &str) -> Event {
    Event::Link { call: CallId::Dialled(1), name: name.into() }
}

#[tokio::test]
async fn a_call_is_told_from_its_start_to_its_end_in_order() {
    let stage = Stage::new();
    let events = stage
        .call(
            "echo 'Using interface ppp7'
            echo 'anon warn[open_inetsock:pptp_callmgr.c:352]: connect: No route to host' >&2
            echo 'LCP terminated by peer'
            exit 16",
        )
        .await;
    let explains = |kind, text: &str, vague| Event::Failing {
        call: CallId::Dialled(1),
        cause: Failure::new(kind, text),
        vague,
    };
    assert!(matches!(events[0], Event::Started { call: CallId::Dialled(1), .. }), "{events:?}");
    assert_eq!(
        words(&events),
        [
            &link("ppp7"),
            &explains(FailureKind::Unreachable, "connect: No route to host", false),
            &explains(FailureKind::PeerClosed, "LCP terminated by peer", true),
        ]
    );
    let failure = Failure::new(FailureKind::Unreachable, "connect: No route to host");
    assert_eq!(last_exit(&events), Some(failure));
}

/// Sends this to the socket that stands for syslog, while this pppd waits for the file `said`.
async fn call_whose_pptp_says(stage: &Stage, lines: &[&str], pppd: &str) -> Failure {
    stage.script("pppd", &format!("until [ -e $STAGE/said ]; do sleep 0.02; done\n{pppd}"));
    let (mut work, _) = stage.work().await;
    work.ask(stage.write(2));
    work.ask(dial(1, 2));
    let started = work.next().await;
    assert!(matches!(started, Event::Started { .. }), "{started:?}");
    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    for line in lines {
        socket.send_to(line.as_bytes(), stage.path("run/connexa-node-2.log")).unwrap();
    }
    fs::write(stage.path("said"), "").unwrap();
    last_exit(&work.until_exit().await).unwrap()
}

#[tokio::test]
async fn what_pptp_says_to_syslog_explains_the_end_of_its_call_and_its_socket_goes_with_it() {
    let stage = Stage::new();
    let lines = [
        "<29>Nov 27 10:00:00 pptp[7]: anon log[f:pptp_ctrl.c:918]: Our outgoing call request [callid 0] has not been accepted.",
        "<29>Nov 27 10:00:00 pptp[7]: anon log[f:pptp_ctrl.c:205]: Result code is 4 'Busy Signal'. Error code is 0, Cause code is 0\0",
    ];
    let failure = call_whose_pptp_says(&stage, &lines, "echo 'Modem hangup'; exit 16").await;
    assert_eq!(failure.kind, FailureKind::CallRefused);
    assert!(failure.message.contains("'Busy Signal'"), "{failure}");
    assert!(!stage.path("run/connexa-node-2.log").exists());
}

#[tokio::test]
async fn a_file_that_stands_where_a_call_s_socket_is_to_be_stays_and_holds_no_call_up() {
    let stage = Stage::new();
    fs::write(stage.path("run/connexa-node-2.log"), "mine").unwrap();
    let events = stage.call("exit 5").await;
    assert_eq!(last_exit(&events), Some(ended(Ending::Code(5))));
    assert_eq!(stage.read("run/connexa-node-2.log"), "mine");
}

/// The message of a login that is refused with this password.
async fn refused_with(password: &str) -> String {
    let stage = Stage::new();
    stage.script("pppd", "echo 'MS-CHAP authentication failed: Access denied'; exit 19");
    let (mut work, _) = stage.work().await;
    work.ask(stage.write_as(2, password));
    work.ask(dial(1, 2));
    last_exit(&work.until_exit().await).unwrap().message
}

#[tokio::test]
async fn a_refused_password_that_is_hashed_in_different_ways_is_told_as_that() {
    let message = refused_with("pässwörd").await;
    assert!(message.contains("beyond ASCII"), "{message}");
    let message = refused_with("password").await;
    assert!(!message.contains("beyond ASCII"), "{message}");
}

#[tokio::test]
async fn pppd_is_started_with_nothing_but_its_peers_name() {
    let stage = Stage::new();
    stage
        .call(r#"echo "$@" > $STAGE/argv; env > $STAGE/env; pwd > $STAGE/cwd; cat > $STAGE/stdin"#)
        .await;
    assert_eq!(stage.read("argv"), "call connexa-node-2 nodetach\n");
    assert_eq!((stage.read("cwd"), stage.read("stdin")), ("/\n".into(), String::new()));
    let env = stage.read("env");
    let mut names: Vec<&str> = env.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    // The shell sets the others by itself.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["LANG", "PATH"]);
}

#[tokio::test]
async fn pppd_has_a_process_group_of_its_own() {
    let stage = Stage::new();
    stage.call(r#"echo "$$ $(cut -d ' ' -f 5 /proc/$$/stat)" > $STAGE/group"#).await;
    let text = stage.read("group");
    let (pid, group) = text.trim().split_once(' ').unwrap();
    assert_eq!(pid, group);
}

#[tokio::test]
async fn the_files_are_there_when_pppd_starts() {
    let stage = Stage::new();
    let events = stage
        .call(
            "test -s $STAGE/ppp/peers/$2 && grep -q $2 $STAGE/ppp/chap-secrets && exit 77; exit 1",
        )
        .await;
    assert_eq!(last_exit(&events), Some(ended(Ending::Code(77))));
}

#[tokio::test]
async fn a_pppd_that_exits_at_once_in_silence_is_told_and_reaped() {
    let stage = Stage::new();
    let events = stage.call("exit 0").await;
    let [Event::Started { pid: Some(pid), .. }, Event::Ended { failure, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*failure, ended(Ending::Code(0)));
    assert!(!Path::new("/proc").join(pid.to_string()).exists());
}

#[tokio::test]
async fn megabytes_without_a_line_break_do_not_hide_what_follows() {
    let stage = Stage::new();
    let events = stage
        .call(
            "head -c 5000000 /dev/urandom | tr -d '\\n'; echo; echo 'Using interface ppp7'; exit 3",
        )
        .await;
    assert_eq!(words(&events), [&link("ppp7")]);
    assert_eq!(last_exit(&events), Some(ended(Ending::Code(3))));
}

#[tokio::test]
async fn a_last_line_without_an_end_is_heard() {
    let stage = Stage::new();
    let events = stage.call("printf 'Using interface ppp7'").await;
    assert_eq!(words(&events), [&link("ppp7")]);
}

#[tokio::test]
async fn a_call_that_says_the_same_for_ever_does_not_flood_the_core() {
    let stage = Stage::new();
    let events = stage.call("yes 'Modem hangup' | head -n 100000; exit 16").await;
    assert!(words(&events).len() <= 64, "{}", words(&events).len());
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_open_does_not_delay_the_end() {
    let stage = Stage::new();
    let begun = std::time::Instant::now();
    let events =
        stage.call("sleep 30 & echo $! > $STAGE/grandchild; echo 'Modem hangup'; exit 16").await;
    assert!(begun.elapsed() < Duration::from_secs(15));
    let kind = last_exit(&events).map(|failure| failure.kind);
    assert_eq!((words(&events).len(), kind), (1, Some(FailureKind::Hangup)));
    let grandchild = stage.read("grandchild");
    assert!(Command::new("kill").arg(grandchild.trim()).status().unwrap().success(), "it lives on");
}

#[tokio::test]
async fn a_grandchild_that_never_stops_talking_does_not_hide_the_end() {
    let stage = Stage::new();
    let events = stage.call("yes & exit 16").await;
    assert_eq!(last_exit(&events), Some(ended(Ending::Code(16))));
}

#[tokio::test]
async fn a_call_is_ended_by_the_signal_that_was_asked_for() {
    let call = CallId::Dialled(1);
    for (order, number) in [(hang_up(call), 15), (end(call), 9)] {
        let stage = Stage::new();
        stage.script("pppd", "exec sleep 60");
        let (mut work, _) = stage.work().await;
        work.ask(dial(1, 2));
        assert!(matches!(work.next().await, Event::Started { .. }));
        work.ask(order);
        let events = work.until_exit().await;
        assert_eq!(last_exit(&events), Some(ended(Ending::Signal(number))));
    }
}

#[tokio::test]
async fn a_signal_reaches_pppd_alone_and_not_what_it_has_started() {
    let stage = Stage::new();
    stage.script("pppd", "sleep 60 & echo $! > $STAGE/child; echo 'Using interface ppp7'; wait");
    let (mut work, _) = stage.work().await;
    work.ask(dial(1, 2));
    while !matches!(work.next().await, Event::Link { .. }) {}
    work.ask(end(CallId::Dialled(1)));
    work.until_exit().await;
    let child = stage.read("child");
    assert!(Command::new("kill").arg(child.trim()).status().unwrap().success(), "it lives on");
}

#[tokio::test]
async fn a_signal_for_a_call_that_is_gone_is_ignored() {
    let stage = Stage::new();
    stage.script("pppd", "exit 5");
    let (mut work, _) = stage.work().await;
    work.ask(dial(1, 2));
    work.until_exit().await;
    work.ask(end(CallId::Dialled(1)));
    work.ask(dial(2, 2));
    assert_eq!(last_exit(&work.until_exit().await), Some(ended(Ending::Code(5))));
}

#[tokio::test]
async fn programs_that_can_not_be_run_are_named_with_their_key() {
    for (broken, key) in [("pppd", "paths.pppd"), ("pptp", "paths.pptp")] {
        let stage = Stage::new();
        stage.script("pppd", "exit 0");
        let (mut work, _) = stage.work().await;
        let path = stage.path(broken);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        work.ask(dial(1, 2));
        let failure = work.refusal().await;
        assert_eq!(failure.kind, FailureKind::NotInstalled);
        assert!(failure.message.contains("is not an executable file"), "{failure}");

        fs::remove_file(&path).unwrap();
        work.ask(dial(2, 2));
        let shown = path.display();
        assert_eq!(
            work.refusal().await,
            Failure::new(FailureKind::NotInstalled, format!("{shown} ({key}) is missing"))
        );
    }
}

#[tokio::test]
async fn a_pppd_that_is_no_program_is_told() {
    let stage = Stage::new();
    stage.script("pppd", "");
    fs::write(stage.path("pppd"), "\x7fnothing").unwrap();
    let (mut work, _) = stage.work().await;
    work.ask(dial(1, 2));
    assert_eq!(work.refusal().await.kind, FailureKind::NotInstalled);
}

/// A call whose link is to be named after its node, as pppd tells of it.
#[tokio::test]
async fn of_a_link_that_is_to_be_named_only_that_name_is_told() {
    let stage = Stage::new();
    let name = NodeId(2).link_name();
    let said = format!("echo 'Using interface ppp0'; echo 'Renamed interface ppp0 to {name}'");
    stage.script("pppd", &said);
    let (mut work, _) = stage.work().await;
    let interface_name = InterfaceName::Node;
    work.engine.configure(Options { interface_name, ..stage.options() });
    work.ask(stage.write(2));
    work.ask(dial(1, 2));
    assert_eq!(words(&work.until_exit().await), [&link(&name)]);
}

#[tokio::test]
async fn new_options_reach_the_files_of_every_node_before_the_next_dial() {
    let stage = Stage::new();
    stage.script("pppd", "grep -qx 'mtu 1234' $STAGE/ppp/peers/$2 && exit 77; exit 1");
    let (mut work, _) = stage.work().await;
    work.ask(stage.write(2));
    work.settle().await;
    work.engine.configure(Options { mtu: 1234, ..stage.options() });
    work.ask(dial(1, 2));
    assert_eq!(last_exit(&work.until_exit().await), Some(ended(Ending::Code(77))));
}

#[tokio::test]
async fn an_option_of_the_host_with_which_no_tunnel_comes_up_is_named_and_no_call_is_made() {
    let stage = Stage::new();
    fs::write(stage.path("ppp/options"), "auth\ndemand\n").unwrap();
    let events = stage.call("echo called > $STAGE/called").await;
    let failure = last_exit(&events).unwrap();
    assert_eq!(failure.kind, FailureKind::BadOptions);
    assert!(failure.message.contains("ppp/options, line 2, has \"demand\""), "{failure}");
    assert!(!stage.path("called").exists());
}
