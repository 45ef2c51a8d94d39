//! A backend writes its table anew, in whatever way: no tunnel is lost by it.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::database::{Database, SCHEMA};
use crate::gateway::Gateway;
use crate::namespace::{lives, run};

/// So long that no test comes to its end.
const LONG: &str = "selection.absence_grace = \"1h\"";

const NODES: u32 = 3;

/// What fills the table again.
fn rows() -> String {
    let rows: Vec<String> = (1..=NODES)
        .map(|id| format!("({id}, '10.9.0.{id}', 'admin', 'secret', 'speed_ok')"))
        .collect();
    format!("INSERT INTO nodes (id, ip, login, password, status) VALUES {};", rows.join(", "))
}

/// Tunnels that are up, and their pppds.
fn all_up(gateway: &mut Gateway) -> Vec<Option<u32>> {
    gateway.nodes(NODES);
    gateway.start();
    (1..=NODES).map(|id| gateway.wait_state(id, "up").pid).collect()
}

fn wait_until_all_are_away(gateway: &Gateway) {
    gateway.wait_until("all rows away", |status| {
        let away = |node: &connexa::control::api::Node| node.leaves_at.is_some();
        status.nodes.len() == NODES as usize && status.nodes.iter().all(away)
    });
}

fn wait_until_all_are_back(gateway: &Gateway, pids: &[Option<u32>]) {
    let status = gateway.wait_until("all rows back", |status| {
        let back = |node: &connexa::control::api::Node| node.leaves_at.is_none();
        status.database.problem.is_none() && status.nodes.iter().all(back)
    });
    let now: Vec<_> = status.nodes.iter().map(|node| node.pid).collect();
    assert_eq!(now, pids);
    assert!(status.nodes.iter().all(|node| node.state == "up"), "{:?}", status.nodes);
    assert!((1..=NODES).all(|id| gateway.dialled(id) == 1));
}

/// The table is emptied in one way, which is seen, and filled in another.
fn written_anew(empty: impl Fn(&Gateway), fill: impl Fn(&Gateway)) {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    empty(&gateway);
    wait_until_all_are_away(&gateway);
    fill(&gateway);
    wait_until_all_are_back(&gateway, &pids);
}

/// Another database beside the daemon's.
fn beside(gateway: &Gateway, content: &str) -> std::path::PathBuf {
    let path = gateway.path("next.db");
    let _ = fs::remove_file(&path);
    Database::open(&path).execute(&format!("{SCHEMA} {content}"));
    path
}

/// What `.restore` of sqlite3 and `backup()` of backends do (sqlite.org/backup.html).
fn restore(from: &Path, to: &Path) {
    let script = "import sqlite3, sys; \
        source, target = map(sqlite3.connect, sys.argv[1:]); source.backup(target)";
    run(Command::new("/usr/bin/python3").args(["-I", "-c", script]).arg(from).arg(to));
}

#[test]
fn rows_that_are_deleted_and_inserted_again_cost_no_tunnel() {
    written_anew(|g| g.sql("DELETE FROM nodes"), |g| g.sql(&rows()));
}

#[test]
fn rows_that_are_replaced_in_a_write_ahead_log_cost_no_tunnel() {
    let mut gateway = Gateway::configured(LONG);
    gateway.sql("PRAGMA journal_mode = WAL;");
    let mut backend = Database::open(&gateway.path("connexa.db"));
    let pids = all_up(&mut gateway);
    backend.execute("DELETE FROM nodes");
    wait_until_all_are_away(&gateway);
    backend.execute(&rows());
    wait_until_all_are_back(&gateway, &pids);
}

#[test]
fn a_table_that_is_dropped_and_made_again_costs_no_tunnel() {
    written_anew(
        |g| {
            g.sql("DROP TABLE nodes");
            g.wait_until("no table", |status| status.database.problem.is_some());
            g.sql(SCHEMA);
        },
        |g| g.sql(&rows()),
    );
}

#[test]
fn a_table_whose_name_another_one_takes_costs_no_tunnel() {
    let next = SCHEMA.replace("TABLE nodes", "TABLE next");
    let swap = "BEGIN; ALTER TABLE nodes RENAME TO old; ALTER TABLE next RENAME TO nodes; COMMIT;";
    written_anew(
        |g| g.sql(&format!("{next} {swap}")),
        |g| g.sql("BEGIN; DROP TABLE nodes; ALTER TABLE old RENAME TO nodes; COMMIT;"),
    );
}

#[test]
fn a_file_that_is_compacted_costs_no_tunnel() {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    gateway.sql("VACUUM");
    gateway.nodes(NODES + 1);
    gateway.wait_state(NODES + 1, "up");
    gateway.sql(&format!("DELETE FROM nodes WHERE id > {NODES}"));
    gateway.wait_node(NODES + 1, "its row is away", |node| node.leaves_at.is_some());
    for (id, pid) in (1..).zip(pids) {
        assert_eq!(gateway.wait_state(id, "up").pid, pid, "{id}");
    }
}

#[test]
fn a_file_that_is_deleted_and_made_anew_costs_no_tunnel() {
    written_anew(
        |g| {
            fs::remove_file(g.path("connexa.db")).unwrap();
            g.wait_until("no file", |status| status.database.problem.is_some());
            g.sql(SCHEMA);
        },
        |g| g.sql(&rows()),
    );
}

#[test]
fn a_file_that_is_renamed_over_the_old_one_costs_no_tunnel() {
    let renamed = |content: &'static str| {
        move |g: &Gateway| {
            let content = content.replace("ROWS", &rows());
            fs::rename(beside(g, &content), g.path("connexa.db")).unwrap();
        }
    };
    written_anew(renamed(""), renamed("ROWS"));
}

#[test]
fn a_copy_that_is_restored_into_the_file_costs_no_tunnel() {
    let restored = |content: &'static str| {
        move |g: &Gateway| {
            let content = content.replace("ROWS", &rows());
            restore(&beside(g, &content), &g.path("connexa.db"));
        }
    };
    written_anew(restored(""), restored("ROWS"));
}

#[test]
fn a_status_that_fails_a_check_and_passes_the_next_costs_no_tunnel() {
    written_anew(
        |g| g.sql("UPDATE nodes SET status = 'speed_failed'"),
        |g| g.sql("UPDATE nodes SET status = 'speed_ok'"),
    );
}

#[test]
fn rows_that_can_not_be_dialled_for_a_moment_cost_no_tunnel() {
    written_anew(
        |g| g.sql("UPDATE nodes SET login = ''"),
        |g| g.sql("UPDATE nodes SET login = 'admin'"),
    );
}

#[test]
fn a_daemon_that_starts_while_the_table_is_empty_keeps_the_tunnels_that_it_finds() {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    gateway.end(Signal::KILL);
    gateway.sql("DELETE FROM nodes");
    gateway.start();
    wait_until_all_are_away(&gateway);
    assert!((1..=NODES).all(|id| gateway.path(&format!("ppp/peers/connexa-node-{id}")).exists()));
    gateway.sql(&rows());
    wait_until_all_are_back(&gateway, &pids);
}

#[test]
fn a_database_that_is_gone_while_a_row_is_away_is_no_absence() {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    gateway.sql("DELETE FROM nodes");
    wait_until_all_are_away(&gateway);
    fs::rename(gateway.path("connexa.db"), gateway.path("elsewhere.db")).unwrap();
    gateway.wait_until("no time to leave", |status| {
        status.nodes.len() == NODES as usize && status.nodes.iter().all(|n| n.leaves_at.is_none())
    });
    fs::rename(gateway.path("elsewhere.db"), gateway.path("connexa.db")).unwrap();
    wait_until_all_are_away(&gateway);
    gateway.sql(&rows());
    wait_until_all_are_back(&gateway, &pids);
}

/// By the default of five seconds.
#[test]
fn a_row_that_stays_away_is_hung_up_after_its_time_and_both_is_told() {
    let mut gateway = Gateway::configured("selection.absence_grace = \"5s\"");
    let pids = all_up(&mut gateway);
    gateway.sql("DELETE FROM nodes WHERE id = 2");
    gateway.wait_node(2, "its time to leave", |node| node.leaves_at.is_some());
    let shown = gateway.connexactl(&["status", "2"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("leaves in: "), "{shown}");
    gateway.wait_until("one node less", |status| status.nodes.len() == 2);
    gateway.assert_logged(
        "Node 2: its row is gone or no longer selected; its tunnel is hung up in 5s",
        1,
    );
    gateway.assert_logged("Tunnel for node 2 is DOWN on", 1);
    assert!(!lives(pids[1].unwrap()) && lives(pids[0].unwrap()));
}

#[test]
fn a_changed_configuration_hangs_up_at_once_what_it_leaves_out() {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    gateway.sql("UPDATE nodes SET status = 'ping_ok' WHERE id = 2");
    gateway.wait_node(2, "its status", |node| node.status.as_deref() == Some("ping_ok"));
    gateway.configure(&format!("{LONG}\nselection.statuses = [\"speed%\"]"));
    gateway.signal(Signal::HUP);
    gateway.wait_until("one node less", |status| status.nodes.len() == 2);
    assert!(!lives(pids[1].unwrap()) && lives(pids[0].unwrap()));
}

#[test]
fn a_reload_of_the_same_configuration_takes_no_time_from_a_row_that_is_away() {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    gateway.sql("DELETE FROM nodes");
    wait_until_all_are_away(&gateway);
    gateway.signal(Signal::HUP);
    gateway.wait_log("Configuration reloaded");
    gateway.sql(&rows());
    wait_until_all_are_back(&gateway, &pids);
}

#[test]
fn a_stop_does_not_wait_for_a_row_that_is_away() {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    gateway.sql("DELETE FROM nodes");
    wait_until_all_are_away(&gateway);
    run(&mut gateway.connexactl(&["stop", "2"]));
    gateway.wait_for("its pppd to end", || (!lives(pids[1].unwrap())).then_some(()));
}

#[test]
fn a_row_that_is_back_with_another_password_is_dialled_anew() {
    let mut gateway = Gateway::configured(LONG);
    let pids = all_up(&mut gateway);
    gateway.sql("DELETE FROM nodes");
    wait_until_all_are_away(&gateway);
    gateway.server("10.9.0.2", &serde_json::json!({ "password": "changed" }));
    gateway.node(2, "10.9.0.2", "changed");
    gateway.wait_node(2, "up anew", |node| node.state == "up" && node.pid != pids[1]);
}

#[test]
fn who_removes_a_node_is_told_how_long_its_tunnel_stays() {
    let gateway = Gateway::configured("selection.absence_grace = \"5s\"");
    gateway.nodes(2);
    let told = |ids: &[&str]| {
        let config = gateway.path("connexad.toml");
        let mut command = gateway.connexactl(&["node", "remove"]);
        command.args(ids).arg("--config").arg(config);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = told(&["1"]);
    assert_eq!(
        text,
        "node 1 removed\nits tunnel is hung up in 5s unless the row is back by then \
         (selection.absence_grace); `connexactl stop 1` hangs up at once\n"
    );
}
