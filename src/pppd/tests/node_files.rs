use super::*;

const BLOCK: &str = "# BEGIN connexad\n\"admin\" \"connexa-node-2\" \"secret\" *\n# END connexad\n";

async fn after(stage: &Stage, requests: Vec<Order>) {
    let (work, _) = stage.work().await;
    for request in requests {
        work.ask(request);
    }
    work.finish().await;
}

#[tokio::test]
async fn a_nodes_files_are_written_for_root_alone() {
    let stage = Stage::new();
    after(&stage, vec![stage.write(2)]).await;
    assert_eq!(stage.peers(), ["connexa-node-2"]);
    assert_eq!(stage.read("ppp/chap-secrets"), BLOCK);
    let modes = ["ppp/peers/connexa-node-2", "ppp/chap-secrets"].map(|f| mode(&stage.path(f)));
    assert_eq!(modes, [0o600; 2]);
}

#[tokio::test]
async fn a_changed_node_has_its_files_changed() {
    let stage = Stage::new();
    after(&stage, vec![stage.write_as(2, "old"), stage.write(2)]).await;
    assert_eq!(stage.read("ppp/chap-secrets"), BLOCK);
}

#[tokio::test]
async fn a_removed_node_leaves_nothing() {
    let stage = Stage::new();
    fs::write(stage.path("ppp/chap-secrets"), "bob * pw *").unwrap();
    after(&stage, vec![stage.write(2), Order::Forget(NodeId(2))]).await;
    assert_eq!((stage.peers(), stage.read("ppp/chap-secrets")), (vec![], "bob * pw *".into()));
}

#[tokio::test]
async fn a_sweep_removes_files_of_ours_that_no_node_needs_and_nothing_else() {
    let stage = Stage::new();
    fs::create_dir(stage.path("ppp/peers")).unwrap();
    for name in [
        "connexa-node-2",
        "connexa-node-7",
        "connexa-node-007",
        "provider",
        ".connexa-node-8.connexad-new",
    ] {
        fs::write(stage.path("ppp/peers").join(name), "old").unwrap();
    }
    let secrets = "bob * pw *\nadmin connexa-node-7 old *\nadmin connexa-node-2 old *\n";
    fs::write(stage.path("ppp/chap-secrets"), secrets).unwrap();
    after(&stage, vec![Order::KeepOnly(vec![NodeId(2)]), stage.write(2)]).await;
    assert_eq!(stage.peers(), ["connexa-node-007", "connexa-node-2", "provider"]);
    assert_eq!(stage.read("ppp/chap-secrets"), format!("{BLOCK}bob * pw *\n"));
}

#[tokio::test]
async fn a_dial_puts_right_what_others_have_done_to_the_files() {
    let stage = Stage::new();
    stage.script("pppd", "exit 0");
    let (mut work, _) = stage.work().await;
    work.ask(stage.write(2));
    work.ask(dial(1, 2));
    work.until_exit().await;
    fs::remove_file(stage.path("ppp/peers/connexa-node-2")).unwrap();
    fs::write(stage.path("ppp/chap-secrets"), "admin connexa-node-2 stale *\n").unwrap();
    work.ask(dial(2, 2));
    work.until_exit().await;
    assert_eq!(
        (stage.peers(), stage.read("ppp/chap-secrets")),
        (vec!["connexa-node-2".into()], BLOCK.into())
    );
}

#[tokio::test]
async fn a_node_whose_files_can_not_be_written_is_not_dialled_until_they_can() {
    let stage = Stage::new();
    stage.script("pppd", "exit 0");
    fs::write(stage.path("ppp/peers"), "in the way").unwrap();
    let (mut work, _) = stage.work().await;
    work.ask(stage.write(2));
    work.ask(dial(1, 2));
    let failure = work.refusal().await;
    assert_eq!(failure.kind, FailureKind::Files);
    let begins = format!("can't write {}/ppp/peers/connexa-node-2: ", stage.dir.path().display());
    assert!(failure.message.starts_with(&begins), "{failure}");

    fs::remove_file(stage.path("ppp/peers")).unwrap();
    work.ask(dial(2, 2));
    assert_eq!(work.until_exit().await.last().and_then(exit), Some(ended(Ending::Code(0))));
}

#[tokio::test]
async fn secrets_that_can_not_be_written_hold_back_the_dial() {
    let stage = Stage::new();
    stage.script("pppd", "exit 0");
    fs::create_dir(stage.path("ppp/chap-secrets")).unwrap();
    let (mut work, _) = stage.work().await;
    work.ask(stage.write(2));
    work.ask(dial(1, 2));
    assert_eq!(work.refusal().await.kind, FailureKind::Files);
}

#[tokio::test]
async fn work_on_files_that_fails_by_a_fault_of_the_program_fails_the_dial() {
    let stage = Stage::new();
    stage.script("pppd", "exit 0");
    let (mut work, _) = stage.work_with(Arc::new(|_| panic!("no disk"))).await;
    work.ask(stage.write(2));
    work.ask(dial(1, 2));
    let failure = work.refusal().await;
    assert_eq!(failure.kind, FailureKind::Files);
    assert!(failure.message.ends_with("this is a fault of connexad, report it"), "{failure}");
}
