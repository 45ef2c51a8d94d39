//! Other programs write the database as they like: never a wrong set, never a wrong teardown.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::json;

use crate::database::{Database, SCHEMA};
use crate::gateway::Gateway;
use crate::namespace::Mount;

/// Commits 200 times a second for five seconds: the status of a row goes to and fro between two
/// that are selected, and rows that are not come and go. It ends with the third node added.
const WRITER: &str = "
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
db.execute('PRAGMA journal_mode = ' + sys.argv[2])
start = time.monotonic()
for n in range(1000):
    db.execute('BEGIN IMMEDIATE')
    db.execute('UPDATE nodes SET status = ? WHERE id = 1', (('speed_ok', 'ping_ok')[n % 2],))
    if n % 2:
        db.execute('DELETE FROM nodes WHERE id > 100')
    else:
        db.execute('INSERT INTO nodes (id, ip, status) VALUES (?, ?, ?)', (101 + n, '10.8.0.1', 'not_tested'))
    db.execute('COMMIT')
    time.sleep(max(0, start + n / 200 - time.monotonic()))
db.execute(\"INSERT INTO nodes (id, ip, login, password, status) VALUES (3, '10.9.0.3', 'admin', 'secret', 'ping_ok')\")
";

/// A writer of the test's own.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn two_hundred_commits_a_second(mode: &str) {
    let mut gateway = Gateway::new();
    gateway.nodes(2);
    gateway.start();
    let before = [1, 2].map(|id| gateway.wait_state(id, "up").pid);
    gateway.server("10.9.0.3", &json!({}));
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", WRITER]).arg(gateway.path("connexa.db")).arg(mode);
    let _writer = Writer(python.spawn().unwrap());
    gateway.wait_state(3, "up");
    assert_eq!([1, 2].map(|id| gateway.wait_state(id, "up").pid), before);
    let log = gateway.log();
    assert!(!log.contains("hanging up"), "{log}");
    // A reader may starve among so many locks; that is told, and is over by itself.
    let mut problems = log.lines().filter(|line| line.contains("can't be used"));
    assert!(problems.all(|line| line.contains("is locked by another process")), "{log}");
}

#[test]
fn a_python_writer_of_two_hundred_commits_a_second_costs_no_tunnel_in_rollback_mode() {
    two_hundred_commits_a_second("delete");
}

#[test]
fn a_python_writer_of_two_hundred_commits_a_second_costs_no_tunnel_in_wal_mode() {
    two_hundred_commits_a_second("wal");
}

fn full_disk(mode: &str) {
    let mut gateway = Gateway::without_database("");
    let disk = Mount::small(gateway.path("small"));
    let path = disk.0.join("connexa.db");
    gateway.configure(&format!("database.path = \"{}\"", path.display()));
    gateway.server("10.9.0.1", &json!({}));
    gateway.server("10.9.0.2", &json!({}));
    Database::open(&path).execute(&format!("PRAGMA journal_mode = {mode}; {SCHEMA} {}", row(1)));
    let pid = gateway.start().wait_state(1, "up").pid;
    let ballast = disk.fill();
    assert!(!insert(&path), "the disk was not full");
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    fs::remove_file(ballast).unwrap();
    assert!(insert(&path));
    gateway.wait_state(2, "up");
    assert_eq!((gateway.wait_state(1, "up").pid, gateway.logged("hanging up")), (pid, 0));
}

fn row(id: u32) -> String {
    format!(
        "INSERT INTO nodes (id, ip, login, password, status) \
         VALUES ({id}, '10.9.0.{id}', 'admin', 'secret', 'online');"
    )
}

/// Whether another program could add the second node, with some pages beside it for a moment.
fn insert(path: &Path) -> bool {
    let script = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('CREATE TABLE large (text)')
db.execute('INSERT INTO large VALUES (zeroblob(60000))')
db.execute('DROP TABLE large')
db.execute(sys.argv[2])
db.commit()";
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", script]).arg(path).arg(row(2).trim_end_matches(';'));
    python.output().unwrap().status.success()
}

#[test]
fn a_full_disk_costs_no_tunnel_in_rollback_mode() {
    full_disk("delete");
}

#[test]
fn a_full_disk_costs_no_tunnel_in_wal_mode() {
    full_disk("wal");
}
