//! With `database.write_back` the daemon tells the database which tunnels are up, and no more.

use connexa::control::api::Status;
use rustix::process::Signal;

use crate::database::Database;
use crate::gateway::Gateway;

const COLUMNS: &str = "ALTER TABLE nodes ADD COLUMN ppp_iface TEXT; \
    ALTER TABLE nodes ADD COLUMN last_ppp_up DATETIME; \
    CREATE TABLE watchdog_events (id INTEGER PRIMARY KEY, ts DATETIME, node_id INTEGER, action TEXT, \
    result TEXT, details TEXT);";

/// One node; the daemon has not started.
fn gateway(write_back: bool) -> (Gateway, Database) {
    let gateway = Gateway::configured(&format!("database.write_back = {write_back}"));
    gateway.nodes(1);
    let mut database = Database::open(&gateway.path("connexa.db"));
    database.execute(COLUMNS);
    (gateway, database)
}

fn wait_text(gateway: &Gateway, database: &mut Database, sql: &str, wanted: Option<&str>) {
    gateway.wait_for(sql, || (database.text(sql).as_deref() == wanted).then_some(()));
}

#[test]
fn a_tunnel_that_is_up_is_written_with_its_link() {
    let (mut gateway, mut database) = gateway(true);
    gateway.start();
    let node = gateway.wait_state(1, "up");
    wait_text(&gateway, &mut database, "SELECT ppp_iface FROM nodes", node.interface.as_deref());
}

#[test]
fn a_tunnel_that_ends_is_written_as_a_row_without_a_link_and_two_events() {
    let (mut gateway, mut database) = gateway(true);
    gateway.start().wait_state(1, "up");
    wait_text(&gateway, &mut database, "SELECT count(*) || '' FROM watchdog_events", Some("1"));
    gateway.connexactl(&["stop", "1"]).status().unwrap();
    wait_text(&gateway, &mut database, "SELECT ppp_iface FROM nodes", None);
    let actions = "SELECT group_concat(action) FROM watchdog_events";
    wait_text(&gateway, &mut database, actions, Some("tunnel_up,tunnel_down"));
}

#[test]
fn a_tunnel_whose_link_is_renamed_is_written_with_its_new_name() {
    let (mut gateway, mut database) = gateway(true);
    gateway.start().wait_state(1, "up");
    gateway.namespace.ip(&["link", "set", "ppp0", "name", "wan0"]);
    wait_text(&gateway, &mut database, "SELECT ppp_iface FROM nodes", Some("wan0"));
}

#[test]
fn the_status_stays_the_backends_and_the_tunnel_stays_up() {
    let (mut gateway, mut database) = gateway(true);
    let before = database.text("SELECT status FROM nodes");
    gateway.start().wait_state(1, "up");
    wait_text(&gateway, &mut database, "SELECT count(*) || '' FROM watchdog_events", Some("1"));
    assert_eq!(database.text("SELECT status FROM nodes"), before);
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn while_the_backend_holds_a_lock_nothing_waits_and_the_fact_is_written_after_it() {
    let (mut gateway, mut database) = gateway(true);
    database.execute("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE");
    gateway.start().wait_state(1, "up");
    gateway.wait_log("Can't write back which tunnels are up");
    let answered = |status: &Status| status.nodes[0].state == "up";
    gateway.wait_until("an answer meanwhile", answered);
    database.execute("COMMIT");
    wait_text(&gateway, &mut database, "SELECT count(*) || '' FROM watchdog_events", Some("1"));
}

#[test]
fn a_table_that_refuses_every_event_is_told_once_and_the_rows_are_written() {
    let (mut gateway, mut database) = gateway(true);
    database.execute("ALTER TABLE watchdog_events RENAME TO old");
    database.execute("CREATE TABLE watchdog_events (event TEXT, severity TEXT NOT NULL)");
    let link = "SELECT ppp_iface FROM nodes";
    gateway.start();
    for _ in 0..2 {
        let node = gateway.wait_state(1, "up");
        wait_text(&gateway, &mut database, link, node.interface.as_deref());
        gateway.connexactl(&["stop", "1"]).status().unwrap();
        wait_text(&gateway, &mut database, link, None);
        gateway.connexactl(&["start", "1"]).status().unwrap();
    }
    gateway.assert_logged("refuses what database.write_back writes", 1);
}

#[test]
fn a_link_that_went_while_no_daemon_ran_goes_from_its_row() {
    let (mut gateway, mut database) = gateway(true);
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::TERM);
    database.execute("INSERT INTO nodes (id, ppp_iface) VALUES (8, 'ppp9')");
    let node = gateway.start().wait_state(1, "up");
    wait_text(&gateway, &mut database, "SELECT ppp_iface FROM nodes WHERE id = 8", None);
    let one = database.text("SELECT ppp_iface FROM nodes WHERE id = 1");
    assert_eq!(one, node.interface);
}

#[test]
fn a_tunnel_that_is_taken_over_is_no_event_and_keeps_the_time_at_which_it_came_up() {
    let (mut gateway, mut database) = gateway(true);
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::TERM);
    database.execute("UPDATE nodes SET last_ppp_up = 'then', ppp_iface = 'before'");
    let node = gateway.start().wait_state(1, "up");
    wait_text(&gateway, &mut database, "SELECT ppp_iface FROM nodes", node.interface.as_deref());
    assert_eq!(database.text("SELECT last_ppp_up FROM nodes").as_deref(), Some("then"));
    let events = database.text("SELECT group_concat(action) FROM watchdog_events");
    assert_eq!(events.as_deref(), Some("tunnel_up"));
}

#[test]
fn switched_on_by_a_reload_it_writes_what_is_up() {
    let (mut gateway, mut database) = gateway(false);
    let node = gateway.start().wait_state(1, "up");
    gateway.configure("database.write_back = true");
    gateway.signal(Signal::HUP);
    let link = "SELECT ppp_iface FROM nodes WHERE last_ppp_up IS NOT NULL LIMIT 1";
    let link = format!("SELECT ({link})");
    wait_text(&gateway, &mut database, &link, node.interface.as_deref());
    assert_eq!(database.text("SELECT count(*) || '' FROM watchdog_events").as_deref(), Some("0"));
}

#[test]
fn what_was_told_last_is_written_before_the_daemon_ends() {
    let (mut gateway, mut database) = gateway(true);
    gateway.configure("database.write_back = true\ntunnel.keep_on_exit = false");
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::TERM);
    let actions = database.text("SELECT group_concat(action) FROM watchdog_events");
    assert_eq!(actions.as_deref(), Some("tunnel_up,tunnel_down"));
}

#[test]
fn switched_off_the_file_is_left_alone() {
    let (mut gateway, mut database) = gateway(false);
    gateway.start().wait_state(1, "up");
    gateway.end(Signal::TERM);
    assert_eq!(database.text("SELECT count(*) || '' FROM watchdog_events").as_deref(), Some("0"));
}
