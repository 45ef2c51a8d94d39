//! A database that can't be read costs no tunnel, is told in one line, and is read when it can be.

use std::fs;

use serde_json::json;

use crate::database::{Database, SCHEMA};
use crate::gateway::Gateway;

/// Starts on a database that can't be used; gives what the status says of it.
fn problem(gateway: &mut Gateway) -> String {
    let status = gateway.start().wait_until("a problem", |s| s.database.problem.is_some());
    assert!(!status.database.was_read);
    gateway.wait_log("The node database can't be used: ");
    status.database.problem.unwrap()
}

#[test]
fn a_database_that_appears_is_read() {
    let mut gateway = Gateway::without_database("");
    let problem = problem(&mut gateway);
    assert!(problem.contains(gateway.path("connexa.db").to_str().unwrap()), "{problem}");
    gateway.sql(SCHEMA);
    gateway.nodes(1);
    gateway.wait_state(1, "up");
    let status = gateway.wait_until("no problem", |s| s.database.problem.is_none());
    assert!(status.database.was_read);
}

#[test]
fn a_folder_that_appears_with_a_database_is_noticed() {
    let mut gateway = Gateway::without_database("");
    let folder = gateway.path("app/backend");
    gateway.configure(&format!("database.path = \"{}/connexa.db\"", folder.display()));
    problem(&mut gateway);
    gateway.server("10.9.0.1", &json!({}));
    fs::create_dir_all(&folder).unwrap();
    Database::open(&folder.join("connexa.db")).execute(&format!(
        "{SCHEMA} INSERT INTO nodes (id, ip, login, password, status) \
         VALUES (1, '10.9.0.1', 'admin', 'secret', 'online')"
    ));
    gateway.wait_state(1, "up");
}

#[test]
fn an_empty_file_becomes_a_database() {
    let mut gateway = Gateway::without_database("");
    fs::write(gateway.path("connexa.db"), "").unwrap();
    problem(&mut gateway);
    gateway.sql(SCHEMA);
    gateway.nodes(1);
    gateway.wait_state(1, "up");
}

#[test]
fn a_file_that_is_no_database_is_called_that() {
    let mut gateway = Gateway::without_database("");
    fs::write(gateway.path("connexa.db"), "this is a text file\n".repeat(100)).unwrap();
    let problem = problem(&mut gateway);
    assert!(problem.contains("not an SQLite database"), "{problem}");
}

#[test]
fn a_table_of_another_name_is_told_with_the_key_to_set() {
    let mut gateway = Gateway::without_database("");
    gateway.sql("CREATE TABLE routers (id INTEGER)");
    let problem = problem(&mut gateway);
    assert!(problem.contains("nodes") && problem.contains("database.table"), "{problem}");
}

#[test]
fn a_missing_column_is_told_with_the_key_to_set() {
    let mut gateway = Gateway::without_database("");
    gateway.sql("CREATE TABLE nodes (id INTEGER, ip TEXT, account TEXT, pass TEXT, status TEXT)");
    let problem = problem(&mut gateway);
    assert!(problem.contains("login") && problem.contains("database.columns"), "{problem}");
    gateway.configure("database.columns.login = \"account\"");
    gateway.server("10.9.0.1", &json!({}));
    gateway.sql("INSERT INTO nodes VALUES (1, '10.9.0.1', 'admin', 'secret', 'online')");
    gateway.signal(rustix::process::Signal::HUP);
    gateway.wait_state(1, "up");
}

#[test]
fn columns_of_older_names_are_found() {
    let mut gateway = Gateway::without_database("");
    gateway.sql("CREATE TABLE nodes (id INTEGER, ip TEXT, user TEXT, pass TEXT, status TEXT)");
    gateway.sql("INSERT INTO nodes VALUES (1, '10.9.0.1', 'admin', 'secret', 'online')");
    gateway.server("10.9.0.1", &json!({}));
    gateway.start().wait_state(1, "up");
}

#[test]
fn garbage_over_a_database_costs_no_tunnel_and_heals() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    let good = fs::read(gateway.path("connexa.db")).unwrap();
    fs::write(gateway.path("connexa.db"), vec![b'x'; good.len()]).unwrap();
    let status = gateway.wait_until("a problem", |status| status.database.problem.is_some());
    assert_eq!((status.nodes[0].state.as_str(), status.nodes[0].pid), ("up", pid));
    fs::write(gateway.path("connexa.db"), good).unwrap();
    gateway.nodes(2);
    gateway.wait_state(2, "up");
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
}

#[test]
fn a_database_that_is_deleted_costs_no_tunnel() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    fs::remove_file(gateway.path("connexa.db")).unwrap();
    let status = gateway.wait_until("a problem", |status| status.database.problem.is_some());
    assert_eq!((status.nodes[0].state.as_str(), status.nodes[0].pid), ("up", pid));
}

#[test]
fn a_lock_that_is_held_for_seconds_only_delays() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let mut backend = Database::open(&gateway.path("connexa.db"));
    backend.execute("BEGIN EXCLUSIVE");
    gateway.start().wait_until("an answer", |status| !status.database.was_read);
    let begun = std::time::Instant::now();
    gateway.wait_for("three seconds", || (begun.elapsed().as_secs() >= 3).then_some(()));
    backend.execute("COMMIT");
    gateway.wait_state(1, "up");
}
