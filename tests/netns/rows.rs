//! The daemon follows the rows of the database while it runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::database::{Database, SCHEMA};
use crate::gateway::Gateway;
use crate::namespace::lives;

/// Two nodes up; gives their processes.
fn two_up(gateway: &mut Gateway) -> (Option<u32>, Option<u32>) {
    gateway.nodes(2);
    gateway.start();
    (gateway.wait_state(1, "up").pid, gateway.wait_state(2, "up").pid)
}

#[test]
fn a_row_that_appears_is_dialled() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.nodes(2);
    gateway.wait_state(2, "up");
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn a_row_that_appears_in_a_write_ahead_log_is_dialled() {
    let mut gateway = Gateway::new();
    gateway.sql("PRAGMA journal_mode = WAL;");
    let mut backend = Database::open(&gateway.path("connexa.db"));
    backend.execute("SELECT 1");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.server("10.9.0.9", &json!({}));
    backend.execute(
        "INSERT INTO nodes (id, ip, login, password, status) \
         VALUES (9, '10.9.0.9', 'admin', 'secret', 'ping_ok')",
    );
    gateway.wait_state(9, "up");
}

#[test]
fn a_changed_password_is_redialled_and_nothing_else() {
    let mut gateway = Gateway::new();
    let (first, second) = two_up(&mut gateway);
    gateway.server("10.9.0.2", &json!({ "password": "changed" }));
    gateway.node(2, "10.9.0.2", "changed");
    gateway.wait_node(2, "up anew", |node| node.state == "up" && node.pid != second);
    assert_eq!(gateway.wait_state(1, "up").pid, first);
}

#[test]
fn a_changed_status_changes_no_tunnel() {
    let mut gateway = Gateway::new();
    let (first, second) = two_up(&mut gateway);
    gateway.sql("UPDATE nodes SET status = 'SPEEDOG' WHERE id = 2");
    let node = gateway.wait_node(2, "its new status", |n| n.status.as_deref() == Some("SPEEDOG"));
    assert_eq!((node.state.as_str(), node.pid), ("up", second));
    assert_eq!(gateway.wait_state(1, "up").pid, first);
}

#[test]
fn a_row_that_goes_is_hung_up_and_leaves_no_file() {
    let mut gateway = Gateway::new();
    let (first, second) = two_up(&mut gateway);
    gateway.sql("DELETE FROM nodes WHERE id = 2");
    gateway.wait_until("one node", |status| status.nodes.len() == 1);
    gateway.wait_for("no file", || {
        let secrets = gateway.read("ppp/chap-secrets");
        let peer = gateway.path("ppp/peers/connexa-node-2").exists();
        (!peer && !secrets.contains("connexa-node-2")).then_some(())
    });
    assert!(!lives(second.unwrap()));
    assert!(lives(first.unwrap()));
    assert!(gateway.read("ppp/chap-secrets").contains("connexa-node-1"));
}

#[test]
fn an_excluded_status_hangs_up() {
    let mut gateway = Gateway::new();
    let (_, second) = two_up(&mut gateway);
    gateway.sql("UPDATE nodes SET status = 'speed_failed' WHERE id = 2");
    gateway.wait_until("one node", |status| status.nodes.len() == 1);
    assert!(!lives(second.unwrap()));
}

#[test]
fn a_row_that_can_not_be_dialled_says_why_and_recovers() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.node(2, "ten.nine.zero.two", "secret");
    gateway.start().wait_state(1, "up");
    let node = gateway.wait_state(2, "invalid");
    assert!(node.last_error.unwrap().message.contains("ten.nine.zero.two"));
    gateway.nodes(2);
    gateway.wait_state(2, "up");
}

#[test]
fn rows_without_an_ip_are_shown_as_invalid_and_told_in_one_line() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.sql(
        "INSERT INTO nodes (id, ip, login, password, status) VALUES
         (2, NULL, 'admin', 'secret', 'online'), (3, '', 'admin', 'secret', 'online')",
    );
    gateway.start().wait_state(1, "up");
    for id in [2, 3] {
        let error = gateway.wait_state(id, "invalid").last_error.unwrap();
        assert_eq!(error.message, "ip is empty; set it in the node's row");
    }
    gateway.assert_logged("2 selected rows have no ip and can't be dialled (node 2, 3)", 1);
    assert_eq!(gateway.logged("Node 2 can't be dialled"), 0);
    gateway.nodes(2);
    gateway.wait_state(2, "up");
}

/// pppd takes a secret that begins with `@/` for the path of a file that holds the secret.
#[test]
fn a_password_that_pppd_can_not_be_told_is_said_to_be_one() {
    let mut gateway = Gateway::new();
    gateway.server("10.9.0.2", &json!({ "password": "@/etc/shadow" }));
    gateway.node(2, "10.9.0.2", "@/etc/shadow");
    let node = gateway.start().wait_state(2, "invalid");
    assert!(node.last_error.unwrap().message.contains("password"));
}

#[test]
fn a_database_that_is_replaced_as_a_whole_is_read_anew() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.server("10.9.0.7", &json!({}));
    let next = gateway.path("next.db");
    Database::open(&next).execute(&format!(
        "{SCHEMA} INSERT INTO nodes (id, ip, login, password, status) \
         VALUES (7, '10.9.0.7', 'admin', 'secret', 'online')"
    ));
    fs::rename(next, gateway.path("connexa.db")).unwrap();
    gateway.wait_state(7, "up");
    gateway.wait_until("only that one", |status| status.nodes.len() == 1);
}

#[test]
fn files_with_secrets_are_for_root_only() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    for file in ["ppp/peers/connexa-node-1", "ppp/chap-secrets"] {
        let mode = fs::metadata(gateway.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{file}");
    }
}

#[test]
fn secrets_of_others_stay_as_they_are() {
    let others = "# ours\n\"office\"  office \"x\"\t*\n\nguest * guest *";
    let mut gateway = Gateway::new();
    fs::write(gateway.path("ppp/chap-secrets"), others).unwrap();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.sql("DELETE FROM nodes");
    gateway.wait_until("no node", |status| status.nodes.is_empty());
    gateway.wait_for("its secret to go", || {
        (!gateway.read("ppp/chap-secrets").contains("connexa-node")).then_some(())
    });
    assert!(gateway.read("ppp/chap-secrets").contains(others));
}

#[test]
fn a_stale_secret_of_the_older_manager_does_not_win() {
    let mut gateway = Gateway::new();
    let stale = "admin connexa-node-1 outdated *\n";
    fs::write(gateway.path("ppp/chap-secrets"), stale).unwrap();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn a_changed_column_that_matters_to_nobody_is_no_event() {
    let mut gateway = Gateway::new();
    let (_, second) = two_up(&mut gateway);
    gateway.sql("UPDATE nodes SET country = 'NL'; UPDATE nodes SET status = 'online' WHERE id = 1");
    gateway.wait_node(1, "its new status", |node| node.status.as_deref() == Some("online"));
    assert_eq!(gateway.wait_state(2, "up").pid, second);
}

#[test]
fn a_table_that_is_made_anew_in_one_transaction_costs_no_tunnel() {
    let mut gateway = Gateway::new();
    let (first, second) = two_up(&mut gateway);
    gateway.server("10.9.0.3", &json!({}));
    gateway.sql(&format!(
        "BEGIN; CREATE TABLE kept AS SELECT * FROM nodes; DROP TABLE nodes; {SCHEMA} \
         INSERT INTO nodes SELECT * FROM kept; DROP TABLE kept; \
         INSERT INTO nodes (id, ip, login, password, status) \
         VALUES (3, '10.9.0.3', 'admin', 'secret', 'online'); COMMIT"
    ));
    gateway.wait_state(3, "up");
    assert_eq!([1, 2].map(|id| gateway.wait_state(id, "up").pid), [first, second]);
    assert_eq!(gateway.logged("hanging up"), 0, "{}", gateway.log());
}

#[test]
fn a_table_without_row_ids_is_followed() {
    let mut gateway = Gateway::without_database("");
    gateway
        .sql("CREATE TABLE nodes (id TEXT PRIMARY KEY, ip, login, password, status) WITHOUT ROWID");
    gateway.start();
    gateway.nodes(1);
    gateway.wait_state(1, "up");
}

#[test]
fn logins_that_pppd_can_not_be_told_are_said_to_be_such() {
    let mut gateway = Gateway::new();
    gateway.sql(
        "INSERT INTO nodes (id, ip, login, password, status) VALUES \
         (1, '10.9.0.1', 'ad' || char(0) || 'min', 'p', 'online'), \
         (2, '10.9.0.2', printf('%.256c', 'a'), 'p', 'online')",
    );
    gateway.start();
    for (id, reason) in [(1, "control character"), (2, "longer than 255 bytes")] {
        let error = gateway.wait_state(id, "invalid").last_error.unwrap();
        assert!(error.message.contains(reason), "{error:?}");
    }
}

#[test]
fn values_without_end_are_cut_short_where_they_are_shown() {
    let mut gateway = Gateway::new();
    gateway.sql(
        "INSERT INTO nodes (id, ip, login, password, status) VALUES \
         (1, printf('%.1000000c', '1'), 'admin', 'p', 'online')",
    );
    gateway.start();
    let node = gateway.wait_state(1, "invalid");
    assert!(node.ip.unwrap().ends_with("1…") && gateway.log().len() < 10_000);
}
