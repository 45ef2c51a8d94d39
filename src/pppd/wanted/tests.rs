use std::fs;
use std::path::PathBuf;

use super::super::secrets;
use super::*;
use crate::config::Config;

const ID: NodeId = NodeId(2);

/// A node is wanted, and `chap-secrets`, which others wrote long ago, is taken for what it is
/// to be.
fn stage() -> (tempfile::TempDir, Wanted) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.paths.ppp_dir = dir.path().to_owned();
    config.paths.state_dir = dir.path().join("state");
    let mut wanted = Wanted::new(&config.paths, Options::from(&config));
    wanted.keep(node("secret"));
    fs::write(file(&dir), "bob * pw *\n").unwrap();
    wanted.seen(wanted.changes, Stamp::of(&file(&dir)));
    (dir, wanted)
}

fn node(password: &str) -> Arc<Node> {
    Arc::new(Node::example(ID, "admin", password))
}

fn file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join(secrets::FILE)
}

/// What stands in `chap-secrets` after a look at it.
fn looked_at(dir: &tempfile::TempDir, wanted: &mut Wanted) -> String {
    wanted.look_again(ID);
    let problems = wanted.next_round(&BTreeSet::new()).unwrap().work();
    assert!(problems.of(ID).is_none());
    fs::read_to_string(file(dir)).unwrap()
}

#[test]
fn secrets_that_nobody_has_touched_are_not_read_again() {
    let (dir, mut wanted) = stage();
    assert_eq!(looked_at(&dir, &mut wanted), "bob * pw *\n");
}

#[test]
fn secrets_that_somebody_has_touched_are_put_right() {
    let (dir, mut wanted) = stage();
    fs::write(file(&dir), "carol * pw *\n").unwrap();
    assert!(looked_at(&dir, &mut wanted).contains("\"connexa-node-2\" \"secret\""));
}

#[test]
fn secrets_are_read_again_where_a_node_has_changed() {
    let (dir, mut wanted) = stage();
    wanted.keep(node("another"));
    assert!(looked_at(&dir, &mut wanted).contains("\"connexa-node-2\" \"another\""));
}

#[test]
fn work_that_was_begun_before_a_node_changed_does_not_tell_that_all_is_right() {
    let (dir, mut wanted) = stage();
    let change = wanted.look_again(ID);
    wanted.keep(node("another"));
    wanted.seen(change, Stamp::of(&file(&dir)));
    assert!(looked_at(&dir, &mut wanted).contains("\"connexa-node-2\" \"another\""));
}
