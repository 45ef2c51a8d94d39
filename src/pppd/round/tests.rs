use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

const ID: NodeId = NodeId(2);

/// Work on `chap-secrets` of a node, without knowing how that file is.
fn work() -> (tempfile::TempDir, Secrets) {
    let nodes = BTreeMap::from([(ID, Arc::new(Node::example(ID, "admin", "secret")))]);
    let strangers = Strangers::AllBut(BTreeSet::new());
    let (change, right, sweep, removing) = (1, None, false, false);
    let secrets = Secrets { change, right, nodes, strangers, sweep, removing };
    (tempfile::tempdir().unwrap(), secrets)
}

/// Works on it at this time, and tells what came of it.
fn work_at(dir: &tempfile::TempDir, secrets: &Secrets, now: SystemTime) -> Problems {
    let mut problems = Problems::default();
    secrets.work(&file(dir), dir.path(), now, &mut problems);
    problems
}

fn file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join(secrets::FILE)
}

fn much_later() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

#[test]
fn a_file_that_is_right_for_some_time_is_known_by_its_stamp() {
    let (dir, secrets) = work();
    work_at(&dir, &secrets, much_later());
    let problems = work_at(&dir, &secrets, much_later());
    assert_eq!(problems.right(), Some(Stamp::of(&file(&dir)).unwrap()));
}

#[test]
fn a_file_that_was_changed_just_now_is_read_again() {
    let (dir, secrets) = work();
    work_at(&dir, &secrets, much_later());
    assert_eq!(work_at(&dir, &secrets, UNIX_EPOCH).right(), None);
}

#[test]
fn a_file_that_had_to_be_put_right_is_read_again() {
    let (dir, secrets) = work();
    fs::write(file(&dir), "bob * pw *\n").unwrap();
    let right = work_at(&dir, &secrets, much_later()).right();
    assert!(right.is_some() && right != Stamp::of(&file(&dir)), "{right:?}");
}

#[test]
fn where_no_file_can_be_none_is_right() {
    let (dir, secrets) = work();
    fs::create_dir(file(&dir)).unwrap();
    let problems = work_at(&dir, &secrets, much_later());
    assert!(problems.of(ID).is_some() && problems.right().is_none());
}
