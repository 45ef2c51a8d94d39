//! A database that can't be read costs no tunnel, is told in one line, and is read when it can be.

use std::fs;

use serde_json::json;

use crate::database::{Database, SCHEMA};
use crate::gateway::Gateway;
use crate::namespace::Mount;

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
fn a_database_in_wal_mode_in_a_folder_that_can_not_be_written_is_told_as_that() {
    let mut gateway = Gateway::without_database("");
    let folder = gateway.path("data");
    fs::create_dir(&folder).unwrap();
    gateway.configure(&format!("database.path = \"{}/connexa.db\"", folder.display()));
    Database::open(&folder.join("connexa.db"))
        .execute(&format!("PRAGMA journal_mode = WAL; {SCHEMA}"));
    let _mount = Mount::read_only(folder);
    let problem = problem(&mut gateway);
    assert!(
        problem.contains("is in WAL mode: even to read it, SQLite must write into its folder"),
        "{problem}"
    );
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

/// What is done to the file while node 1 is up costs no tunnel, and once it is undone, a row that
/// comes is dialled.
fn costs_no_tunnel(harm: impl FnOnce(&Gateway), undo: impl FnOnce(&Gateway)) {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    harm(&gateway);
    gateway.wait_until("a problem", |status| status.database.problem.is_some());
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    undo(&gateway);
    gateway.wait_until("no problem", |status| status.database.problem.is_none());
    gateway.nodes(2);
    gateway.wait_state(2, "up");
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    assert_eq!(gateway.logged("hanging up"), 0, "{}", gateway.log());
}

#[test]
fn a_database_that_is_deleted_and_made_anew_with_the_same_rows_costs_no_tunnel() {
    costs_no_tunnel(
        |gateway| fs::remove_file(gateway.path("connexa.db")).unwrap(),
        |gateway| {
            // Filled elsewhere: an empty table in its place would mean no nodes.
            let next = gateway.path("next.db");
            Database::open(&next).execute(&format!(
                "{SCHEMA} INSERT INTO nodes (id, ip, login, password, status) \
                 VALUES (1, '10.9.0.1', 'admin', 'secret', 'speed_ok')"
            ));
            fs::rename(next, gateway.path("connexa.db")).unwrap();
        },
    );
}

#[test]
fn a_database_that_is_cut_to_nothing_and_restored_costs_no_tunnel() {
    costs_no_tunnel(
        |gateway| {
            fs::copy(gateway.path("connexa.db"), gateway.path("copy.db")).unwrap();
            fs::write(gateway.path("connexa.db"), "").unwrap();
        },
        |gateway| {
            fs::copy(gateway.path("copy.db"), gateway.path("connexa.db")).unwrap();
        },
    );
}

#[test]
fn a_database_that_is_renamed_away_and_back_costs_no_tunnel() {
    let [here, away] = ["connexa.db", "away.db"];
    costs_no_tunnel(
        |gateway| fs::rename(gateway.path(here), gateway.path(away)).unwrap(),
        |gateway| fs::rename(gateway.path(away), gateway.path(here)).unwrap(),
    );
}

#[test]
fn a_view_whose_table_goes_costs_no_tunnel() {
    costs_no_tunnel(
        |gateway| {
            gateway.sql(
                "ALTER TABLE nodes RENAME TO servers; CREATE VIEW nodes AS SELECT * FROM gone",
            );
        },
        |gateway| gateway.sql("DROP VIEW nodes; ALTER TABLE servers RENAME TO nodes"),
    );
}

#[test]
fn ids_that_become_unusable_cost_no_tunnel() {
    costs_no_tunnel(
        |gateway| {
            gateway.sql(
                "ALTER TABLE nodes RENAME TO servers; \
                 CREATE VIEW nodes AS SELECT hex(randomblob(4)) || '-x' AS id, ip, login, password, status FROM servers",
            );
        },
        |gateway| gateway.sql("DROP VIEW nodes; ALTER TABLE servers RENAME TO nodes"),
    );
}

#[test]
fn a_lock_that_outlasts_all_patience_is_told_and_costs_no_tunnel() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    let mut backend = Database::open(&gateway.path("connexa.db"));
    // The commit before the lock sends the daemon to look.
    backend.execute("UPDATE nodes SET status = 'online'; BEGIN EXCLUSIVE");
    gateway.wait_log("is locked by another process");
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    backend.execute("COMMIT");
    gateway.wait_until("no problem", |status| status.database.problem.is_none());
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
    assert_eq!(gateway.logged("hanging up"), 0, "{}", gateway.log());
}

#[test]
fn a_lock_that_is_held_for_seconds_only_delays() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let mut backend = Database::open(&gateway.path("connexa.db"));
    backend.execute("BEGIN EXCLUSIVE");
    gateway.start().wait_until("an answer", |status| !status.database.was_read);
    // It was tried once in vain.
    gateway.wait_log("is locked by another process");
    backend.execute("COMMIT");
    gateway.wait_state(1, "up");
}
