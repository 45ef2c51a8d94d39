use std::cell::Cell;
use std::os::unix::fs::{MetadataExt, symlink};

use rustix::fs::{CWD, FlockOperation, Mode, RenameFlags, flock, mknodat, renameat_with};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::edit::settle;
use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names = names(folder).unwrap();
    names.sort();
    names
}

#[test]
fn a_written_file_is_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/peers/a");
    write(&path, b"one").unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
    assert_eq!(listing(path.parent().unwrap()), ["a"]);
}

#[test]
fn the_same_content_is_not_written_again_and_its_mode_is_put_right() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "one").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    write(&path, b"one").unwrap();
    assert_eq!((fs::metadata(&path).unwrap().ino(), mode(&path)), (inode, 0o600));
}

#[test]
fn a_file_of_another_user_is_made_ours_where_only_that_is_allowed() {
    // Nobody else can give a file away.
    if !geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "one").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    chown(&path, Some(65534), None).unwrap();
    // Of this thread alone.
    let mut rights = capabilities(None).unwrap();
    rights.effective.remove(CapabilitySet::FOWNER);
    set_capabilities(None, rights).unwrap();
    write(&path, b"one").unwrap();
    let owner = fs::metadata(&path).unwrap().uid();
    assert_eq!((owner, mode(&path)), (geteuid().as_raw(), 0o600));
}

#[test]
fn a_file_is_replaced_not_written_into() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "one").unwrap();
    let mut reader = File::open(&path).unwrap();
    write(&path, b"other").unwrap();
    let mut seen = String::new();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!((seen.as_str(), fs::read(&path).unwrap()), ("one", b"other".to_vec()));
}

/// Things of all kinds but files, each under a name of its own; none of them is ever ours.
fn strangers(folder: &Path) -> Vec<PathBuf> {
    let path = |name: &str| folder.join(name);
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("folder/theirs"), "precious").unwrap();
    mknodat(CWD, path("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(path("socket")).unwrap());
    symlink(path("folder/theirs"), path("link")).unwrap();
    symlink(path("nowhere"), path("dangling")).unwrap();
    ["folder", "fifo", "socket", "link", "dangling"].map(path).to_vec()
}

/// All that is there, by name, inode and what it holds or leads to.
fn scene(folder: &Path) -> Vec<(String, u64, Vec<u8>)> {
    let mut scene = Vec::new();
    for name in listing(folder) {
        let path = folder.join(&name);
        let there = fs::symlink_metadata(&path).unwrap();
        let holds = if there.is_dir() {
            scene.extend(self::scene(&path));
            Vec::new()
        } else if there.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            if there.is_file() { fs::read(&path).unwrap() } else { Vec::new() }
        };
        scene.push((name, there.ino(), holds));
    }
    scene
}

#[test]
fn what_is_no_plain_file_is_neither_replaced_nor_removed_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let strangers = strangers(dir.path());
    let before = scene(dir.path());
    for path in strangers {
        for refused in [write(&path, b"one"), write_for_now(&path, b"one"), remove(&path)] {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains(", which connexad has not made; move it away"), "{message}");
        }
    }
    assert_eq!(scene(dir.path()), before);
}

#[test]
fn what_has_a_drafts_name_and_is_no_plain_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, dir.path().join(draft_name("a"))).unwrap();
    let before = scene(dir.path());
    let path = dir.path().join("a");
    let message = write(&path, b"one").unwrap_err().to_string();
    assert!(message.contains(".a.connexad-new is a symbolic link, which"), "{message}");
    edit_as(&path, b"one").unwrap_err();
    assert_eq!(scene(dir.path()), before);
}

#[test]
fn a_draft_left_by_a_crash_goes_though_nothing_is_to_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "one").unwrap();
    fs::write(dir.path().join(draft_name("a")), "half").unwrap();
    edit(&path, dir.path(), |old| old.to_vec().into()).unwrap();
    assert_eq!(listing(dir.path()), ["a"]);
}

#[test]
fn a_draft_left_by_a_crash_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(draft_name("a")), "half").unwrap();
    write(&dir.path().join("a"), b"one").unwrap();
    assert_eq!(listing(dir.path()), ["a"]);
}

#[test]
fn a_failed_write_leaves_nothing_behind_and_names_path_cause_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no/a");
    fs::write(dir.path().join("no"), "no folder").unwrap();
    let message = write(&path, b"one").unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("can't write {}: File exists", path.display())),
        "{message}"
    );
    assert!(message.contains("; make its folder writable"), "{message}");
    assert_eq!(listing(dir.path()), ["no"]);
}

/// Edits without anything beside.
fn edit_with(path: &Path, change: impl Fn(&[u8]) -> Vec<u8>) -> Result<Edited, FileError> {
    edit(path, &path.with_extension("spare"), |old| change(old).into())
}

fn edit_as(path: &Path, new: &[u8]) -> Result<Edited, FileError> {
    edit_with(path, |_| new.to_vec())
}

#[test]
fn a_linked_file_of_others_is_edited_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let [link, target] = ["link", "sub/target"].map(|name| dir.path().join(name));
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(&target, "one").unwrap();
    symlink(&target, &link).unwrap();
    edit_with(&link, |old| [old, b"two"].concat()).unwrap();
    assert!(link.is_symlink());
    assert_eq!((fs::read(&target).unwrap(), mode(&target)), (b"onetwo".to_vec(), 0o600));
}

#[test]
fn a_file_to_edit_that_is_no_plain_file_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let strangers = strangers(dir.path());
    let before = scene(dir.path());
    for path in strangers.iter().filter(|path| !path.ends_with("link")) {
        edit_as(path, b"one").unwrap_err();
    }
    assert_eq!(scene(dir.path()), before);
}

/// A line that somebody adds each of the first `times` that a change is made: between the look at
/// the file and its replacement.
fn meanwhile(path: &Path, times: u32, write: impl Fn(&Path)) -> Result<Edited, FileError> {
    let made = Cell::new(0);
    edit_with(path, |old| {
        if made.get() < times {
            write(path);
        }
        made.set(made.get() + 1);
        [b"ours\n", old].concat()
    })
}

#[test]
fn a_line_that_is_added_while_a_file_is_edited_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "theirs\n").unwrap();
    let append = |path: &Path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"new\n").unwrap();
    };
    meanwhile(&path, 2, append).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "ours\ntheirs\nnew\nnew\n");
    assert_eq!(listing(dir.path()), ["a"]);
}

#[test]
fn a_file_that_is_replaced_while_it_is_edited_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "theirs\n").unwrap();
    meanwhile(&path, 1, |path| {
        fs::write(path.with_extension("next"), "another\n").unwrap();
        fs::rename(path.with_extension("next"), path).unwrap();
    })
    .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "ours\nanother\n");
}

#[test]
fn a_file_that_appears_while_it_is_made_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    meanwhile(&path, 1, |path| fs::write(path, "theirs\n").unwrap()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "ours\ntheirs\n");
}

#[test]
fn a_file_that_others_change_all_the_time_is_left_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "0").unwrap();
    let count = Cell::new(0);
    let rewrite = |path: &Path| {
        count.set(count.get() + 1);
        fs::write(path, count.get().to_string()).unwrap();
    };
    let message = meanwhile(&path, u32::MAX, rewrite).unwrap_err().to_string();
    assert!(message.contains("others change it all the time"), "{message}");
    assert_eq!(fs::read_to_string(&path).unwrap(), count.get().to_string());
    assert_eq!(listing(dir.path()), ["a"]);
}

#[test]
fn a_file_that_is_replaced_while_another_s_is_given_back_is_kept() {
    for times in 0..4_u32 {
        let dir = tempfile::tempdir().unwrap();
        let [path, draft] = ["a", "draft"].map(|name| dir.path().join(name));
        fs::write(&path, "new").unwrap();
        // It came out of the first exchange: somebody has replaced the file since it was looked at.
        fs::write(&draft, "theirs 0").unwrap();
        let exchanges = Cell::new(0);
        let is_ours = settle(&draft, b"old", b"new", || {
            let number = exchanges.replace(exchanges.get() + 1);
            if number < times {
                let next = dir.path().join("next");
                fs::write(&next, format!("theirs {}", number + 1)).unwrap();
                fs::rename(next, &path).unwrap();
            }
            renameat_with(CWD, &draft, CWD, &path, RenameFlags::EXCHANGE)
        });
        assert!(!is_ours.unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("theirs {times}"));
        assert_eq!(listing(dir.path()), ["a"]);
    }
}

#[test]
fn who_holds_the_lock_of_a_file_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "theirs\n").unwrap();
    let mut locked = OpenOptions::new().append(true).open(&path).unwrap();
    flock(&locked, FlockOperation::LockExclusive).unwrap();
    let (asked_in, asked) = std::sync::mpsc::channel();
    let (path, edited) = (&path, |old: &[u8]| {
        let _ = asked_in.send(());
        [b"ours\n", old].concat()
    });
    std::thread::scope(|scope| {
        let editing = scope.spawn(move || edit_with(path, edited).unwrap());
        asked.recv().unwrap();
        locked.write_all(b"new\n").unwrap();
        drop(locked);
        editing.join().unwrap();
    });
    assert_eq!(fs::read_to_string(path).unwrap(), "ours\ntheirs\nnew\n");
}

#[test]
fn a_file_that_is_right_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "right").unwrap();
    let locked = File::open(&path).unwrap();
    flock(&locked, FlockOperation::LockExclusive).unwrap();
    edit_as(&path, b"right").unwrap();
}

#[test]
fn a_write_in_place_that_was_cut_short_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let [path, spare] = ["a", "spare"].map(|name| dir.path().join(name));
    for folder in [dir.path(), &spare] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(".a.connexad-new"), "ours\ntheirs\n").unwrap();
        fs::write(folder.join(".a.connexad-old"), "theirs\n").unwrap();
        fs::write(&path, "ours\ns\n").unwrap();
        let seen = Cell::new(Vec::new());
        edit(&path, &spare, |old| {
            seen.set(old.to_vec());
            old.to_vec().into()
        })
        .unwrap();
        assert_eq!(seen.take(), b"theirs\n");
        assert_eq!(fs::read(&path).unwrap(), b"theirs\n");
    }
    assert_eq!((listing(dir.path()).len(), listing(&spare).len()), (2, 0));
}

#[test]
fn a_spare_place_that_is_none_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    let [path, spare] = ["a", "spare"].map(|name| dir.path().join(name));
    fs::write(&spare, "no folder").unwrap();
    edit(&path, &spare, |_| b"one".to_vec().into()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one");
}

#[test]
fn what_was_written_after_a_crash_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(dir.path().join(".a.connexad-new"), "ours\ntheirs\n").unwrap();
    fs::write(dir.path().join(".a.connexad-old"), "theirs\n").unwrap();
    fs::write(&path, "theirs\nand more\n").unwrap();
    edit_with(&path, |old| old.to_vec()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"theirs\nand more\n");
    assert_eq!(listing(dir.path()), ["a"]);
}

#[test]
fn a_link_to_nowhere_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink(dir.path().join("gone"), &link).unwrap();
    assert!(edit_as(&link, b"x").unwrap_err().to_string().starts_with("can't follow"));
}

#[test]
fn a_missing_file_stays_missing_when_nothing_is_to_be_in_it() {
    let dir = tempfile::tempdir().unwrap();
    edit_as(&dir.path().join("a"), b"").unwrap();
    assert_eq!(listing(dir.path()), Vec::<String>::new());
}

#[test]
fn a_missing_file_is_removed_already() {
    let dir = tempfile::tempdir().unwrap();
    assert!(remove(&dir.path().join("a")).is_ok());
}
