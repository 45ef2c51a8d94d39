//! What stands where the daemon writes, replaces, removes or binds, and is not its own, stays as it is;
//! and what it shares with others is changed wherever they keep it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use connexa::control::api::Node;
use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{CONNEXACTL, Gateway};
use crate::namespace::{Mount, Running, run};

/// What is no plain file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Folder,
    Fifo,
    Socket,
    Link,
    Dangling,
}

pub(crate) const KINDS: [Kind; 5] =
    [Kind::Folder, Kind::Fifo, Kind::Socket, Kind::Link, Kind::Dangling];

/// Something of others.
pub(crate) struct Stranger {
    kind: Kind,
    path: PathBuf,
    inode: u64,
    _listener: Option<UnixListener>,
}

impl Stranger {
    pub(crate) fn put(kind: Kind, path: PathBuf) -> Self {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let theirs = Stranger::theirs(&path);
        let mut listener = None;
        match kind {
            Kind::Folder => {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("theirs"), "precious").unwrap();
            }
            Kind::Fifo => drop(run(Command::new("mkfifo").arg(&path))),
            Kind::Socket => listener = Some(UnixListener::bind(&path).unwrap()),
            Kind::Link => {
                fs::write(&theirs, "precious").unwrap();
                symlink(&theirs, &path).unwrap();
            }
            Kind::Dangling => symlink(&theirs, &path).unwrap(),
        }
        let inode = fs::symlink_metadata(&path).unwrap().ino();
        Stranger { kind, path, inode, _listener: listener }
    }

    /// One of each kind.
    fn all(path: impl Fn(usize) -> PathBuf) -> Vec<Stranger> {
        let numbered = KINDS.into_iter().enumerate();
        numbered.map(|(number, kind)| Stranger::put(kind, path(number + 1))).collect()
    }

    fn theirs(path: &Path) -> PathBuf {
        path.with_file_name(format!("theirs-{}", path.file_name().unwrap().to_str().unwrap()))
    }

    pub(crate) fn assert_untouched(&self) {
        let Stranger { kind, path, inode, .. } = self;
        let there = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let theirs = Stranger::theirs(path);
        assert_eq!(there.ino(), *inode, "{kind:?}");
        match kind {
            Kind::Folder => {
                assert_eq!(fs::read_to_string(path.join("theirs")).unwrap(), "precious");
            }
            Kind::Fifo => assert!(there.file_type().is_fifo()),
            Kind::Socket => assert!(there.file_type().is_socket()),
            Kind::Link => assert_eq!(fs::read_to_string(theirs).unwrap(), "precious"),
            Kind::Dangling => assert!(!theirs.exists()),
        }
    }
}

/// A file that can't be changed (chattr(1)), until the test ends.
pub(crate) struct Immutable(PathBuf);

impl Immutable {
    pub(crate) fn make(path: PathBuf) -> Self {
        run(Command::new("chattr").arg("+i").arg(&path));
        Immutable(path)
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

/// The reason why a node's files can't be written.
fn files_error(gateway: &Gateway, id: u32) -> String {
    let is_it = |node: &Node| node.last_error.as_ref().is_some_and(|error| error.kind == "files");
    gateway.wait_node(id, "a fault of its files", is_it).last_error.unwrap().message
}

const OTHERS: &str = "# theirs\nbob * pw *\n";

/// Whether the file holds the block of node 1 and, below it, what it held before.
fn is_edited(secrets: &str) -> bool {
    secrets.contains("\"admin\" \"connexa-node-1\" \"secret\" *\n") && secrets.ends_with(OTHERS)
}

/// A gateway with node 1, and a file of secrets with a line of others.
fn gateway() -> Gateway {
    let gateway = Gateway::new();
    fs::write(gateway.path("ppp/chap-secrets"), OTHERS).unwrap();
    gateway.nodes(1);
    gateway
}

#[test]
fn what_stands_where_a_peer_file_is_to_be_stays() {
    let mut gateway = Gateway::new();
    gateway.nodes(8);
    let peer = |id: usize| gateway.path(&format!("ppp/peers/connexa-node-{id}"));
    let strangers = Stranger::all(peer);
    let [mounted, fixed] = [6, 7].map(peer);
    for path in [&mounted, &fixed] {
        fs::write(path, "precious").unwrap();
    }
    let _mount = Mount::bind(&gateway.path("connexad.toml"), mounted.clone());
    let _immutable = Immutable::make(fixed.clone());
    let before = fs::read(&mounted).unwrap();
    gateway.start().wait_state(8, "up");
    for (id, what) in (1..).zip(["a folder", "a named pipe", "a socket"]) {
        let error = files_error(&gateway, id);
        assert!(error.contains(&format!("connexa-node-{id} is {what}, which")), "{error}");
    }
    for id in [4, 5] {
        assert!(files_error(&gateway, id).contains("is a symbolic link, which"));
    }
    assert!(files_error(&gateway, 6).contains("it is a mount point"));
    assert!(files_error(&gateway, 7).contains("chattr -i"));
    strangers.iter().for_each(Stranger::assert_untouched);
    assert_eq!(fs::read(&mounted).unwrap(), before);
    assert_eq!(fs::read_to_string(&fixed).unwrap(), "precious");
}

#[test]
fn what_has_the_name_of_a_draft_stays() {
    let mut gateway = gateway();
    gateway.nodes(6);
    let draft = |id| gateway.path(&format!("ppp/peers/.connexa-node-{id}.connexad-new"));
    let strangers = Stranger::all(draft);
    gateway.start().wait_state(6, "up");
    (1..=5).for_each(|id| drop(files_error(&gateway, id)));
    strangers.iter().for_each(Stranger::assert_untouched);
}

#[test]
fn what_has_the_name_of_a_removed_node_s_file_and_is_none_stays() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let strangers = Stranger::all(|id| gateway.path(&format!("ppp/peers/connexa-node-9{id}")));
    fs::write(gateway.path("ppp/peers/connexa-node-99"), "").unwrap();
    gateway.start().wait_state(1, "up");
    let gone = || (!gateway.path("ppp/peers/connexa-node-99").exists()).then_some(());
    gateway.wait_for("the file of a removed node to go", gone);
    gateway.assert_logged(
        "which connexad has not made; move it away; no node has this file any more",
        strangers.len(),
    );
    strangers.iter().for_each(Stranger::assert_untouched);
}

#[test]
fn a_password_that_can_not_be_taken_away_with_its_node_is_told_with_where_and_what_to_do() {
    let mut gateway = gateway();
    gateway.start().wait_state(1, "up");
    let secrets = gateway.path("ppp/chap-secrets");
    let immutable = Immutable::make(secrets.clone());
    gateway.sql("DELETE FROM nodes");
    gateway.wait_log(&format!("can't write {}: ", secrets.display()));
    gateway.wait_log("chattr -i); until then the login and password of a node whose row is gone");
    drop(immutable);
    gateway.nodes(1);
    gateway.wait_state(1, "up");
}

#[test]
fn what_stands_where_secrets_are_to_be_and_is_no_file_stays() {
    for name in ["chap-secrets", ".chap-secrets.connexad-new", ".chap-secrets.connexad-old"] {
        for kind in KINDS {
            if matches!((name, kind), ("chap-secrets", Kind::Link)) {
                continue;
            }
            let mut gateway = Gateway::new();
            gateway.nodes(1);
            let stranger = Stranger::put(kind, gateway.path("ppp").join(name));
            files_error(gateway.start(), 1);
            stranger.assert_untouched();
        }
    }
}

#[test]
fn secrets_behind_a_link_are_changed_where_they_are() {
    let mut gateway = gateway();
    let [link, target] = ["ppp/chap-secrets", "data/secrets"].map(|path| gateway.path(path));
    fs::create_dir(gateway.path("data")).unwrap();
    fs::rename(&link, &target).unwrap();
    symlink(&target, &link).unwrap();
    gateway.start().wait_state(1, "up");
    assert!(link.is_symlink() && is_edited(&fs::read_to_string(&target).unwrap()));
}

#[test]
fn secrets_that_are_a_mount_point_are_written_in_place_and_that_is_told_once() {
    let mut gateway = gateway();
    let secrets = gateway.path("secrets");
    fs::write(&secrets, OTHERS).unwrap();
    let _mount = Mount::bind(&secrets, gateway.path("ppp/chap-secrets"));
    gateway.start().wait_state(1, "up");
    gateway.nodes(2);
    gateway.wait_state(2, "up");
    assert!(is_edited(&fs::read_to_string(&secrets).unwrap()));
    gateway.assert_logged("is written in place", 1);
    let names = fs::read_dir(gateway.path("ppp")).unwrap().count();
    assert_eq!(names, 2, "something is left beside the file");
}

#[test]
fn what_has_the_name_of_a_help_for_writing_in_place_stays_and_secrets_stay_as_they_are() {
    let names = [".chap-secrets.connexad-old", ".chap-secrets.connexad-half"];
    for (name, kind) in names.iter().flat_map(|name| KINDS.map(|kind| (name, kind))) {
        let mut gateway = gateway();
        let secrets = gateway.path("secrets");
        fs::write(&secrets, OTHERS).unwrap();
        let _mount = Mount::bind(&secrets, gateway.path("ppp/chap-secrets"));
        let stranger = Stranger::put(kind, gateway.path("ppp").join(name));
        let error = files_error(gateway.start(), 1);
        assert!(error.contains(name), "{kind:?}: {error}");
        assert_eq!(fs::read_to_string(&secrets).unwrap(), OTHERS, "{kind:?}");
        stranger.assert_untouched();
    }
}

#[test]
fn secrets_in_a_folder_that_can_not_be_written_are_written_in_place() {
    let mut gateway = gateway();
    let secrets = gateway.path("secrets");
    fs::write(&secrets, OTHERS).unwrap();
    let _folder = Mount::read_only(gateway.path("ppp"));
    let _secrets = Mount::bind(&secrets, gateway.path("ppp/chap-secrets"));
    let _peers = Mount::small(gateway.path("ppp/peers"));
    gateway.start().wait_state(1, "up");
    assert!(is_edited(&fs::read_to_string(&secrets).unwrap()));
    assert_eq!(fs::read_dir(gateway.path("state")).unwrap().count(), 0, "something is left");
}

#[test]
fn secrets_in_a_folder_that_is_immutable_are_written_in_place() {
    let mut gateway = gateway();
    let _immutable = Immutable::make(gateway.path("ppp"));
    gateway.start().wait_state(1, "up");
    assert!(is_edited(&gateway.read("ppp/chap-secrets")));
}

#[test]
fn secrets_that_can_not_be_written_at_all_stay_as_they_are() {
    let mut gateway = gateway();
    let _folder = Mount::read_only(gateway.path("ppp"));
    assert!(files_error(gateway.start(), 1).contains("Read-only file system"));
    assert_eq!(gateway.read("ppp/chap-secrets"), OTHERS);
    let mut gateway = self::gateway();
    let _immutable = Immutable::make(gateway.path("ppp/chap-secrets"));
    assert!(files_error(gateway.start(), 1).contains("chattr -i"));
    assert_eq!(gateway.read("ppp/chap-secrets"), OTHERS);
}

#[test]
fn secrets_on_a_full_disk_stay_as_they_are_until_there_is_space() {
    for is_mount_point in [false, true] {
        let mut gateway = Gateway::new();
        gateway.nodes(1);
        let disk = Mount::small(gateway.path("disk"));
        let secrets = disk.0.join("chap-secrets");
        fs::write(&secrets, OTHERS).unwrap();
        let ppp = gateway.path("ppp");
        let _mount = if is_mount_point {
            fs::write(ppp.join("chap-secrets"), "").unwrap();
            Mount::bind(&secrets, ppp.join("chap-secrets"))
        } else {
            fs::create_dir(disk.0.join("peers")).unwrap();
            Mount::bind(&disk.0, ppp)
        };
        // A page more than the file has: its own last page has room.
        let room = "x".repeat(4096 - OTHERS.len() - 1) + "\n" + OTHERS;
        fs::write(&secrets, &room).unwrap();
        let ballast = disk.fill();
        assert!(files_error(gateway.start(), 1).contains("; make space"));
        assert_eq!(fs::read_to_string(&secrets).unwrap(), room, "{is_mount_point}");
        fs::remove_file(ballast).unwrap();
        gateway.wait_state(1, "up");
        assert!(fs::read_to_string(&secrets).unwrap().ends_with(&room));
    }
}

#[test]
fn what_has_the_name_of_the_lock_stays_and_the_daemon_does_not_start() {
    for kind in KINDS {
        let gateway = Gateway::new();
        let stranger = Stranger::put(kind, gateway.path("run/connexad.lock"));
        let output = gateway.connexad(&[]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{kind:?}: {told}");
        assert!(told.contains("connexad.lock"), "{told}");
        stranger.assert_untouched();
    }
}

#[test]
fn what_has_the_name_of_the_list_of_stopped_nodes_or_of_its_draft_stays_and_stop_says_so() {
    let names = ["state/stopped", "state/.stopped.connexad-new"];
    for (name, kind) in names.iter().flat_map(|name| KINDS.map(|kind| (name, kind))) {
        let mut gateway = Gateway::new();
        gateway.nodes(1);
        let stranger = Stranger::put(kind, gateway.path(name));
        gateway.start().wait_state(1, "up");
        let output = gateway.connexactl(&["stop", "1"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(name), "{kind:?}: {told}");
        stranger.assert_untouched();
    }
}

#[test]
fn what_has_the_name_of_a_pid_file_and_is_none_stays() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let run_dir = gateway.path("run");
    let strangers: Vec<Stranger> =
        ["ppp-connexa-node-9{}.pid", ".ppp-connexa-node-9{}.pid.connexad-old"]
            .iter()
            .flat_map(|name| Stranger::all(|id| run_dir.join(name.replace("{}", &id.to_string()))))
            .collect();
    // Of no node of ours, and its process and link are gone.
    fs::write(run_dir.join("ppp4294967295.pid"), "4194305\n").unwrap();
    fs::write(run_dir.join("ppp-connexa-node-99.pid"), "4194305\nppp7\n").unwrap();
    gateway.start().wait_state(1, "up");
    let gone = || (!run_dir.join("ppp-connexa-node-99.pid").exists()).then_some(());
    gateway.wait_for("the pid file of a dead pppd to go", gone);
    strangers.iter().for_each(Stranger::assert_untouched);
    assert!(run_dir.join("ppp4294967295.pid").exists());
}

#[test]
fn what_has_the_name_of_a_call_s_socket_stays_and_costs_no_tunnel() {
    let mut gateway = Gateway::new();
    gateway.nodes(5);
    let strangers = Stranger::all(|id| gateway.path(&format!("run/connexa-node-{id}.log")));
    for _ in 0..2 {
        gateway.start();
        (1..=5).for_each(|id| drop(gateway.wait_state(id, "up")));
        gateway.end(Signal::TERM);
        strangers.iter().for_each(Stranger::assert_untouched);
    }
}

#[test]
fn what_stands_where_a_report_or_a_configuration_is_to_be_made_stays() {
    for kind in KINDS {
        let gateway = Gateway::new();
        let [report, config] = ["out/report.txt", "out/connexad.toml"]
            .map(|name| Stranger::put(kind, gateway.path(name)));
        let database = gateway.path("connexa.db");
        let [database, made, written] =
            [&database, &report.path, &config.path].map(|path| path.to_str().unwrap());
        for (arguments, path) in [
            (vec!["report", made], made),
            (vec!["setup", "--yes", "--database", database, "--config", written], written),
        ] {
            let output = gateway.connexactl(&arguments).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && told.contains(path), "{kind:?}: {told}");
        }
        report.assert_untouched();
        config.assert_untouched();
    }
}

#[test]
fn what_stands_where_a_database_is_to_be_made_stays() {
    for kind in KINDS {
        let gateway = Gateway::without_database("");
        let stranger = Stranger::put(kind, gateway.path("connexa.db"));
        let mut init = Command::new(CONNEXACTL);
        init.args(["node", "init", "--config"]).arg(gateway.path("connexad.toml"));
        let output = init.env_remove("CONNEXA_DB").output().unwrap();
        assert!(!output.status.success(), "{kind:?}");
        stranger.assert_untouched();
    }
}

/// Another program that adds lines to the file of secrets, each under the lock of the file that has the
/// name: at its end, or in a new file that takes the name.
const ADDS: &str = "
import fcntl, os, sys, time
path, how = sys.argv[1:]
for number in range(300):
    while True:
        file = open(path, 'r+b')
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_ino == os.stat(path).st_ino:
            break
        file.close()
    text = file.read()
    line = b'bob%d * pw *\\n' % number
    if how == 'append':
        file.write(line)
        file.flush()
    else:
        with open(path + '.theirs', 'wb') as new:
            new.write(text + line)
        os.rename(path + '.theirs', path)
    file.close()
    time.sleep(0.002)
";

#[test]
fn no_line_of_another_program_that_writes_secrets_all_the_time_is_lost() {
    for how in ["append", "replace"] {
        let mut gateway = gateway();
        gateway.nodes(2);
        gateway.start().wait_state(1, "up");
        let secrets = gateway.path("ppp/chap-secrets");
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-IS", "-c", ADDS]).arg(&secrets).arg(how);
        let mut writer = Running(python.stdin(Stdio::null()).spawn().unwrap());
        let mut rounds = 0;
        let status = loop {
            if let Some(status) = writer.0.try_wait().unwrap() {
                break status;
            }
            rounds += 1;
            let password = format!("secret-{rounds}");
            gateway.server("10.9.0.2", &json!({ "password": password }));
            gateway.node(2, "10.9.0.2", &password);
            let is_written = || {
                gateway.read("ppp/chap-secrets").contains(&format!("\"{password}\"")).then_some(())
            };
            gateway.wait_for("the new password in the file", is_written);
        };
        assert!(status.success() && rounds > 3, "{how}: {status}, {rounds} rounds");
        gateway.wait_state(2, "up");
        let text = fs::read_to_string(&secrets).unwrap();
        let lost: Vec<u32> =
            (0..300).filter(|n| !text.contains(&format!("\nbob{n} * pw *\n"))).collect();
        assert_eq!(lost, [0; 0], "{how}, after {rounds} changes of ours");
        assert_eq!(text.matches("# BEGIN connexad").count(), 1, "{text}");
        assert!(text.contains(OTHERS), "{how}");
    }
}
