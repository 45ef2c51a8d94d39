use std::fs;
use std::future::Future;
use std::path::Path;

use tempfile::TempDir;

use super::*;

fn watch_names(folder: &Path) -> Watch {
    Watch::new(vec![Interest::files(folder, vec!["wanted".into()])])
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("not told in time")
}

/// Taken in are all events that the kernel has by now, so this needs no waiting.
fn is_silent(watch: &mut Watch) -> bool {
    // The runtime hears of a readable descriptor only when it turns.
    (0..3).all(|_| watch.changed().now_or_never().is_none())
}

async fn turn() {
    // Long enough for the runtime to look at its descriptors; nothing is waited for.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_is_told_of_when_it_is_created() {
    let dir = TempDir::new().unwrap();
    let mut watch = watch_names(dir.path());
    fs::write(dir.path().join("wanted"), "").unwrap();
    within(watch.changed()).await;
}

#[tokio::test]
async fn a_file_is_told_of_when_it_is_written_moved_and_deleted() {
    let dir = TempDir::new().unwrap();
    let [wanted, other] = ["wanted", "other"].map(|name| dir.path().join(name));
    fs::write(&wanted, "").unwrap();
    let mut watch = watch_names(dir.path());
    let steps: [&dyn Fn(); 4] = [
        &|| fs::write(&wanted, "x").unwrap(),
        &|| fs::rename(&wanted, &other).unwrap(),
        &|| fs::rename(&other, &wanted).unwrap(),
        &|| fs::remove_file(&wanted).unwrap(),
    ];
    for step in steps {
        step();
        within(watch.changed()).await;
    }
}

#[tokio::test]
async fn what_has_changed_is_told_by_name_and_all_when_the_folder_is_another() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("a");
    fs::create_dir(&folder).unwrap();
    let mut watch = Watch::new(vec![Interest::matching(&folder, |name| name != "unwanted")]);
    for name in ["one", "unwanted", "two"] {
        fs::write(folder.join(name), "").unwrap();
    }
    let names = ["one", "two"].map(Into::into);
    assert_eq!(within(watch.changed()).await, Changed::Entries(BTreeSet::from(names)));
    fs::rename(&folder, dir.path().join("b")).unwrap();
    assert_eq!(within(watch.changed()).await, Changed::All);
}

#[tokio::test]
async fn a_file_is_told_of_when_its_rights_change() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let wanted = dir.path().join("wanted");
    fs::write(&wanted, "").unwrap();
    let mut watch = watch_names(dir.path());
    fs::set_permissions(&wanted, fs::Permissions::from_mode(0o755)).unwrap();
    within(watch.changed()).await;
}

#[tokio::test]
async fn rights_are_silent_where_they_do_not_matter() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let wanted = dir.path().join("wanted");
    fs::write(&wanted, "").unwrap();
    let interest = Interest::files(dir.path(), vec!["wanted".into()]).without_rights();
    let mut watch = Watch::new(vec![interest]);
    fs::set_permissions(&wanted, fs::Permissions::from_mode(0o755)).unwrap();
    turn().await;
    assert!(is_silent(&mut watch));
}

#[tokio::test]
async fn files_of_no_interest_are_silent() {
    let dir = TempDir::new().unwrap();
    let mut watch = watch_names(dir.path());
    fs::write(dir.path().join("other"), "x").unwrap();
    turn().await;
    assert!(is_silent(&mut watch));
}

#[tokio::test]
async fn opening_a_file_for_writing_and_closing_it_is_silent() {
    let dir = TempDir::new().unwrap();
    let wanted = dir.path().join("wanted");
    fs::write(&wanted, "").unwrap();
    let mut watch = watch_names(dir.path());
    drop(fs::OpenOptions::new().append(true).open(&wanted).unwrap());
    turn().await;
    assert!(is_silent(&mut watch));
}

#[tokio::test]
async fn writes_are_silent_where_they_do_not_matter() {
    let dir = TempDir::new().unwrap();
    let wanted = dir.path().join("wanted");
    fs::write(&wanted, "").unwrap();
    let interest = Interest::files(dir.path(), vec!["wanted".into()]).without_writes();
    let mut watch = Watch::new(vec![interest]);
    fs::write(&wanted, "x").unwrap();
    turn().await;
    assert!(is_silent(&mut watch));
}

#[tokio::test]
async fn many_changes_at_once_are_told_once() {
    let dir = TempDir::new().unwrap();
    let mut watch = watch_names(dir.path());
    for _ in 0..50 {
        fs::write(dir.path().join("wanted"), "x").unwrap();
    }
    within(watch.changed()).await;
    turn().await;
    assert!(is_silent(&mut watch));
}

#[tokio::test]
async fn a_file_in_a_folder_that_does_not_exist_yet_is_told_of() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("a/b/c");
    let mut watch = watch_names(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("wanted"), "").unwrap();
    within(async {
        while !folder.join("wanted").exists() {
            watch.changed().await;
        }
    })
    .await;
}

/// Everything that is told by now is taken in.
async fn drain(watch: &mut Watch) {
    turn().await;
    while watch.changed().now_or_never().is_some() {
        turn().await;
    }
}

#[tokio::test]
async fn a_folder_made_late_is_watched_from_then_on() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("a/b");
    let mut watch = watch_names(&folder);
    fs::create_dir_all(&folder).unwrap();
    drain(&mut watch).await;
    fs::write(folder.join("wanted"), "").unwrap();
    within(watch.changed()).await;
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_watched_anew() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("a/b");
    fs::create_dir_all(&folder).unwrap();
    let mut watch = watch_names(&folder);
    fs::rename(dir.path().join("a"), dir.path().join("old")).unwrap();
    fs::create_dir_all(&folder).unwrap();
    drain(&mut watch).await;
    fs::write(folder.join("wanted"), "").unwrap();
    within(watch.changed()).await;
}

#[tokio::test]
async fn a_folder_that_was_moved_away_is_silent() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("a");
    fs::create_dir(&folder).unwrap();
    let mut watch = watch_names(&folder);
    let old = dir.path().join("old");
    fs::rename(&folder, &old).unwrap();
    drain(&mut watch).await;
    fs::write(old.join("wanted"), "").unwrap();
    turn().await;
    assert!(is_silent(&mut watch));
}

#[tokio::test]
async fn one_watch_serves_interests_in_the_same_and_in_nested_folders() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let mut watch = Watch::new(vec![
        Interest::files(dir.path(), vec!["one".into()]),
        Interest::matching(dir.path(), |name| name.as_encoded_bytes().starts_with(b"two-")),
        Interest::files(&inner, vec!["three".into()]),
    ]);
    for path in ["one", "two-x", "inner/three"] {
        fs::write(dir.path().join(path), "").unwrap();
        within(watch.changed()).await;
        drain(&mut watch).await;
    }
}

#[tokio::test]
async fn more_events_than_the_kernel_keeps_are_told_of() {
    let dir = TempDir::new().unwrap();
    let mut watch = watch_names(dir.path());
    let most: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    // Each pair differs from the last event, so the kernel can't merge them.
    for _ in 0..=most / 2 {
        let other = dir.path().join("other");
        fs::write(&other, "").unwrap();
        fs::remove_file(&other).unwrap();
    }
    within(watch.changed()).await;
}
