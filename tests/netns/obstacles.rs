//! A file or folder that can't be written, wherever the daemon and its client write, bind or remove: it is
//! told by its name, costs no tunnel, loses nothing that is there, and is over with the obstacle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rustix::process::Signal;

use crate::gateway::Gateway;
use crate::namespace::Mount;
use crate::paths::{Immutable, KINDS, Stranger};

/// What is in the way of whoever writes into a folder.
#[derive(Clone, Copy, Debug)]
enum Obstacle {
    Immutable,
    ReadOnly,
    Full,
}

const OBSTACLES: [Obstacle; 3] = [Obstacle::Immutable, Obstacle::ReadOnly, Obstacle::Full];

impl Obstacle {
    /// In this folder, which is on a disk of its own where it is to be full.
    fn put(self, folder: &Path) -> InTheWay {
        match self {
            Obstacle::Immutable => InTheWay::Immutable(Immutable::make(folder.to_owned())),
            Obstacle::ReadOnly => InTheWay::ReadOnly(Mount::read_only(folder.to_owned())),
            Obstacle::Full => InTheWay::Full(fill(folder)),
        }
    }

    /// What the kernel says of it.
    fn word(self) -> &'static str {
        match self {
            Obstacle::Immutable => "Operation not permitted",
            Obstacle::ReadOnly => "Read-only file system",
            Obstacle::Full => "No space left on device",
        }
    }
}

/// Fills the disk of a folder; gives the file to be removed.
fn fill(folder: &Path) -> PathBuf {
    let file = folder.join("ballast");
    let _ = fs::write(&file, vec![0; 1 << 20]);
    file
}

/// An obstacle that is there.
enum InTheWay {
    Immutable(#[allow(dead_code, reason = "held until it is to go")] Immutable),
    ReadOnly(#[allow(dead_code, reason = "held until it is to go")] Mount),
    Full(PathBuf),
}

impl InTheWay {
    fn goes(self) {
        if let InTheWay::Full(ballast) = &self {
            fs::remove_file(ballast).unwrap();
        }
    }
}

/// A gateway with a folder of its sandbox on a small disk.
fn on_a_small_disk(folder: &str) -> (Gateway, Mount) {
    let gateway = Gateway::new();
    let disk = Mount::small(gateway.path(folder));
    gateway.nodes(1);
    (gateway, disk)
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn client(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String) {
    let output = gateway.connexactl(arguments).output().unwrap();
    (output.status.code(), told(&output))
}

#[test]
fn a_stop_that_can_not_be_kept_says_where_and_why_and_can_be_once_there_is_no_obstacle() {
    for obstacle in OBSTACLES {
        let (mut gateway, disk) = on_a_small_disk("state");
        let in_the_way = obstacle.put(&disk.0);
        gateway.start().wait_state(1, "up");
        let (code, text) = client(&gateway, &["stop", "1"]);
        assert_eq!(code, Some(1), "{obstacle:?}: {text}");
        assert!(text.contains("state/stopped") && text.contains(obstacle.word()), "{text}");
        // A daemon has mounts of its own.
        gateway.end(Signal::TERM);
        in_the_way.goes();
        gateway.start().wait_state(1, "up");
        let (code, text) = client(&gateway, &["stop", "1"]);
        assert_eq!(code, Some(0), "{obstacle:?}: {text}");
        gateway.wait_state(1, "stopped");
        assert!(gateway.read("state/stopped").lines().any(|line| line == "1"), "{obstacle:?}");
    }
}

#[test]
fn a_list_of_stopped_nodes_that_is_a_mount_point_or_immutable_stays_and_that_is_told() {
    for is_mount in [true, false] {
        let mut gateway = Gateway::new();
        gateway.nodes(2);
        gateway.start().wait_state(2, "up");
        assert_eq!(client(&gateway, &["stop", "1"]).0, Some(0));
        gateway.end(Signal::TERM);
        let (list, kept) = (gateway.path("state/stopped"), gateway.path("kept"));
        let before = fs::read(&list).unwrap();
        fs::copy(&list, &kept).unwrap();
        let mount = is_mount.then(|| Mount::bind(&kept, list.clone()));
        let immutable = (!is_mount).then(|| Immutable::make(list.clone()));
        gateway.start().wait_state(2, "up");
        let (code, text) = client(&gateway, &["stop", "2"]);
        let word = if is_mount { "it is a mount point" } else { "chattr -i" };
        assert!(code == Some(1) && text.contains("state/stopped") && text.contains(word), "{text}");
        assert_eq!(fs::read(&list).unwrap(), before, "{is_mount}");
        gateway.end(Signal::TERM);
        drop((mount, immutable));
        gateway.start().wait_state(1, "stopped");
        assert_eq!(client(&gateway, &["stop", "2"]).0, Some(0), "{is_mount}");
    }
}

#[test]
fn a_lock_that_can_not_be_made_or_written_is_told_and_the_daemon_does_not_start() {
    for obstacle in OBSTACLES {
        let (mut gateway, disk) = on_a_small_disk("run");
        let in_the_way = obstacle.put(&disk.0);
        let output = gateway.connexad(&[]).output().unwrap();
        let text = told(&output);
        assert!(!output.status.success(), "{obstacle:?}");
        assert!(text.contains("run/connexad.lock") && text.contains(obstacle.word()), "{text}");
        in_the_way.goes();
        gateway.start().wait_state(1, "up");
    }
    let gateway = Gateway::new();
    let lock = gateway.path("run/connexad.lock");
    fs::write(&lock, "").unwrap();
    let _immutable = Immutable::make(lock);
    let output = gateway.connexad(&[]).output().unwrap();
    assert!(!output.status.success() && told(&output).contains("connexad.lock"), "{output:?}");
}

#[test]
fn a_socket_that_can_not_be_bound_is_told_and_the_daemon_does_not_start() {
    for obstacle in [Obstacle::Immutable, Obstacle::ReadOnly] {
        let (mut gateway, disk) = on_a_small_disk("control");
        let in_the_way = obstacle.put(&disk.0);
        let output = gateway.connexad(&[]).output().unwrap();
        let text = told(&output);
        assert!(!output.status.success(), "{obstacle:?}");
        assert!(text.contains("connexad.sock") && text.contains(obstacle.word()), "{text}");
        in_the_way.goes();
        gateway.start().wait_state(1, "up");
    }
}

#[test]
fn a_mount_point_in_the_place_of_its_socket_stays_and_the_daemon_does_not_start() {
    let gateway = Gateway::new();
    let [theirs, socket] = ["theirs", "control/connexad.sock"].map(|name| gateway.path(name));
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    for path in [&theirs, &socket] {
        fs::write(path, "precious").unwrap();
    }
    let _mount = Mount::bind(&theirs, socket.clone());
    let output = gateway.connexad(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", told(&output));
    assert!(told(&output).contains("control/connexad.sock"), "{}", told(&output));
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "precious");
}

#[test]
fn a_full_disk_keeps_no_daemon_from_answering() {
    let (mut gateway, disk) = on_a_small_disk("control");
    let _ballast = fill(&disk.0);
    gateway.start().wait_state(1, "up");
}

#[test]
fn pid_files_of_dead_calls_that_can_not_be_removed_stay_and_hold_nothing_up() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let [fixed, mounted] =
        [98, 99].map(|id| gateway.path(&format!("run/ppp-connexa-node-{id}.pid")));
    for path in [&fixed, &mounted] {
        fs::write(path, "4194305\nppp7\n").unwrap();
    }
    let copy = gateway.path("copy");
    fs::copy(&mounted, &copy).unwrap();
    let _mount = Mount::bind(&copy, mounted.clone());
    let _immutable = Immutable::make(fixed.clone());
    gateway.start().wait_state(1, "up");
    for path in [&fixed, &mounted, &copy] {
        assert_eq!(fs::read_to_string(path).unwrap(), "4194305\nppp7\n", "{}", path.display());
    }
}

#[test]
fn a_recording_that_can_not_be_made_is_told_and_one_that_gets_no_space_ends_alone() {
    for obstacle in [Obstacle::Immutable, Obstacle::ReadOnly] {
        let (gateway, disk) = on_a_small_disk("records");
        let _in_the_way = obstacle.put(&disk.0);
        let file = disk.0.join("run.jsonl");
        let output = gateway.connexad(&["--record", file.to_str().unwrap()]).output().unwrap();
        let text = told(&output);
        assert!(!output.status.success(), "{obstacle:?}");
        assert!(text.contains("records/run.jsonl") && text.contains(obstacle.word()), "{text}");
    }
    let (mut gateway, disk) = on_a_small_disk("records");
    let _ballast = fill(&disk.0);
    let file = disk.0.join("run.jsonl");
    gateway.start_as(&["--record", file.to_str().unwrap()]).wait_state(1, "up");
    gateway.wait_log(&format!("The recording {} ends here: ", file.display()));
    gateway.nodes(2);
    gateway.wait_state(2, "up");
}

#[test]
fn a_report_or_a_configuration_that_can_not_be_written_is_told_and_leaves_nothing_behind() {
    for obstacle in OBSTACLES {
        let (gateway, disk) = on_a_small_disk("out");
        let database = gateway.path("connexa.db").display().to_string();
        let _in_the_way = obstacle.put(&disk.0);
        for (name, arguments) in [
            ("report.txt", vec!["report", "FILE"]),
            ("connexad.toml", vec!["setup", "--yes", "--database", &database, "--config", "FILE"]),
        ] {
            let file = disk.0.join(name);
            let shown = file.display().to_string();
            let arguments: Vec<&str> = arguments
                .into_iter()
                .map(|word| if word == "FILE" { &*shown } else { word })
                .collect();
            let (code, text) = client(&gateway, &arguments);
            assert!(code.is_some_and(|code| code != 0), "{obstacle:?}, {name}: {text}");
            assert!(
                text.contains(&shown) && text.contains(obstacle.word()),
                "{obstacle:?}: {text}"
            );
            assert!(!file.exists(), "{obstacle:?}: half of {name} is left");
        }
    }
}

#[test]
fn what_stands_where_sqlite_keeps_its_side_files_stays_and_is_told_and_costs_no_tunnel() {
    for (mode, suffixes) in [("wal", &["-wal", "-shm"][..]), ("delete", &["-journal"])] {
        for (suffix, kind) in suffixes.iter().flat_map(|suffix| KINDS.map(|kind| (suffix, kind))) {
            let mut gateway = Gateway::new();
            gateway.nodes(1);
            gateway.sql(&format!("PRAGMA journal_mode = {mode}"));
            let pid = gateway.start().wait_state(1, "up").pid;
            gateway.end(Signal::TERM);
            let file = gateway.path(&format!("connexa.db{suffix}"));
            // Whoever closes last may leave one; the checkpoint has emptied it.
            let _ = fs::remove_file(&file);
            let stranger = Stranger::put(kind, file.clone());
            gateway.start().wait_until(&format!("{suffix}, {kind:?}, told"), |status| {
                let problem = status.database.problem.as_ref();
                problem.is_some_and(|problem| {
                    problem.contains(&format!("{} beside it", file.display()))
                })
            });
            assert_eq!(gateway.wait_state(1, "up").pid, pid, "{suffix}, {kind:?}");
            stranger.assert_untouched();
            if file.is_dir() {
                fs::remove_dir_all(&file).unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
            gateway.wait_until("the rows", |status| status.database.was_read);
            assert_eq!(gateway.wait_state(1, "up").pid, pid, "{suffix}, {kind:?}");
        }
    }
}
