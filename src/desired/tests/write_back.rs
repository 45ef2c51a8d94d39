//! What the daemon writes into the backend's file.

use super::super::{Fact, Reporter, write_back};
use super::quiet::{reading_rests, reads};
use super::*;
use crate::core::time::Wall;
use crate::node::NodeId;
use SqliteJournalMode::{Delete, Wal};

const NODES: &str = "CREATE TABLE nodes (id INTEGER PRIMARY KEY, ip TEXT, login TEXT, password TEXT, \
     status TEXT, ppp_iface TEXT, last_ppp_up DATETIME)";
const EVENTS: &str = "CREATE TABLE watchdog_events (id INTEGER PRIMARY KEY AUTOINCREMENT, \
     ts DATETIME DEFAULT CURRENT_TIMESTAMP, event TEXT NOT NULL, details TEXT)";
const OLDER_EVENTS: &str = "CREATE TABLE watchdog_events (id INTEGER PRIMARY KEY AUTOINCREMENT, \
     ts DATETIME DEFAULT CURRENT_TIMESTAMP, node_id INTEGER, action TEXT, result TEXT, details TEXT)";

fn fact(node: u32, up: bool) -> Fact {
    let reason = if up { "dialled" } else { "echo timeout" }.to_owned();
    // 2023-11-14 22:13:20 UTC, and a little more.
    Fact {
        node: NodeId(node),
        interface: "ppp3".into(),
        up,
        at: Some(Wall(1_700_000_000_900)),
        reason,
    }
}

/// A file made by `sql`, with its daemon's reporter.
async fn reporter(
    bench: &Bench,
    mode: SqliteJournalMode,
    sql: &str,
) -> (SqliteConnection, Reporter) {
    let mut writer = writer(&bench.path(), mode).await;
    run(&mut writer, sql).await;
    bench.settings.send_modify(|settings| settings.database.write_back = true);
    let (reporter, work) = write_back(bench.settings.subscribe());
    tokio::spawn(work);
    (writer, reporter)
}

async fn told(reporter: &Reporter, facts: impl IntoIterator<Item = Fact>) {
    facts.into_iter().for_each(|fact| reporter.tell(fact));
    within(reporter.written()).await;
}

async fn text(writer: &mut SqliteConnection, sql: &str) -> String {
    let sql = AssertSqlSafe(format!("SELECT CAST(({sql}) AS TEXT)"));
    sqlx::query_scalar::<_, Option<String>>(sql)
        .fetch_one(writer)
        .await
        .unwrap()
        .unwrap_or("NULL".into())
}

const ROW: &str = "INSERT INTO nodes (id, ip, login, password, status) \
                   VALUES (7, '10.9.0.1', 'a', 'p', 'speed_ok')";

#[tokio::test]
async fn a_tunnel_that_comes_up_and_goes_shows_in_its_row_and_nowhere_else() {
    for mode in [Delete, Wal] {
        let bench = Bench::new();
        let sql = format!("{NODES}; {ROW}; INSERT INTO nodes (id, ppp_iface) VALUES (8, 'ppp9')");
        let (mut writer, reporter) = reporter(&bench, mode, &sql).await;
        let seven = "SELECT status || ' ' || coalesce(ppp_iface, 'NULL') || ' ' || last_ppp_up \
                     FROM nodes WHERE id = 7";
        told(&reporter, [fact(7, true)]).await;
        assert_eq!(text(&mut writer, seven).await, "speed_ok ppp3 2023-11-14 22:13:20");
        told(&reporter, [fact(7, false)]).await;
        assert_eq!(text(&mut writer, seven).await, "speed_ok NULL 2023-11-14 22:13:20");
        assert_eq!(text(&mut writer, "SELECT ppp_iface FROM nodes WHERE id = 8").await, "ppp9");
    }
}

#[tokio::test]
async fn the_older_name_of_the_column_is_written_and_both_where_there_are_both() {
    let bench = Bench::new();
    let sql = format!("{TABLE}; ALTER TABLE nodes ADD COLUMN ppp_interface TEXT; {ROW}");
    let (mut writer, reporter) = reporter(&bench, Delete, &sql).await;
    told(&reporter, [fact(7, true)]).await;
    assert_eq!(text(&mut writer, "SELECT ppp_interface FROM nodes").await, "ppp3");
    run(&mut writer, "ALTER TABLE nodes ADD COLUMN ppp_iface TEXT").await;
    told(&reporter, [fact(7, true)]).await;
    assert_eq!(text(&mut writer, "SELECT ppp_interface || ppp_iface FROM nodes").await, "ppp3ppp3");
}

#[tokio::test]
async fn ids_of_text_are_found() {
    let bench = Bench::new();
    let sql = "CREATE TABLE nodes (id TEXT, ip, login, password, status, ppp_iface);
               INSERT INTO nodes (id) VALUES (' 7 '), ('8'), ('x')";
    let (mut writer, reporter) = reporter(&bench, Delete, sql).await;
    told(&reporter, [fact(7, true), fact(8, true)]).await;
    assert_eq!(text(&mut writer, "SELECT group_concat(ppp_iface) FROM nodes").await, "ppp3,ppp3");
}

#[tokio::test]
async fn events_are_written_into_the_table_of_today() {
    let bench = Bench::new();
    let (mut writer, reporter) = reporter(&bench, Delete, &format!("{TABLE}; {EVENTS}")).await;
    told(&reporter, [fact(7, true), fact(7, false)]).await;
    let all =
        "SELECT group_concat(ts || ' ' || event || ' ' || details, '; ') FROM watchdog_events";
    assert_eq!(
        text(&mut writer, all).await,
        "2023-11-14 22:13:20 tunnel_up node=7 ppp3: dialled; \
         2023-11-14 22:13:20 tunnel_down node=7 ppp3: echo timeout"
    );
}

#[tokio::test]
async fn events_are_written_into_the_older_table() {
    let bench = Bench::new();
    let (mut writer, reporter) =
        reporter(&bench, Delete, &format!("{TABLE}; {OLDER_EVENTS}")).await;
    told(&reporter, [fact(7, true), fact(7, false)]).await;
    let all = "SELECT group_concat(ts || ' ' || node_id || ' ' || action || ' ' || result, '; ') \
               FROM watchdog_events";
    assert_eq!(
        text(&mut writer, all).await,
        "2023-11-14 22:13:20 7 tunnel_up up; 2023-11-14 22:13:20 7 tunnel_down down"
    );
}

/// The file's change counter (sqlite.org/fileformat.html, 1.3.7).
fn transactions(bench: &Bench) -> u32 {
    let file = std::fs::read(bench.path()).unwrap();
    u32::from_be_bytes(file[24..28].try_into().unwrap())
}

#[tokio::test]
async fn a_crowd_of_facts_is_few_transactions() {
    let bench = Bench::new();
    let (writer, reporter) = reporter(&bench, Delete, &format!("{NODES}; {EVENTS}")).await;
    // The file may not be closed in this process while it has locks.
    writer.close().await.unwrap();
    let before = transactions(&bench);
    told(&reporter, (0..1200).map(|n| fact(n, true))).await;
    assert_eq!(transactions(&bench) - before, 3);
}

/// How many transactions it takes to leave 1200 rows without a link that had this one.
async fn sweeps_of(link: &str) -> u32 {
    let bench = Bench::new();
    let rows = format!(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 1200) \
         INSERT INTO nodes (id, ppp_iface) SELECT i, '{link}' FROM n"
    );
    let (writer, reporter) = reporter(&bench, Delete, &format!("{NODES}; {rows}")).await;
    // The file may not be closed in this process while it has locks.
    writer.close().await.unwrap();
    let before = transactions(&bench);
    reporter.tell_all(vec![]);
    within(reporter.written()).await;
    transactions(&bench) - before
}

#[tokio::test]
async fn a_crowd_of_rows_with_dead_links_is_several_transactions() {
    assert_eq!(sweeps_of("ppp9").await, 3);
}

#[tokio::test]
async fn rows_whose_link_is_an_empty_text_stay_as_they_are() {
    assert_eq!(sweeps_of("").await, 0);
}

#[tokio::test]
async fn a_link_that_has_another_name_is_written_and_is_no_event() {
    let bench = Bench::new();
    let (mut writer, reporter) =
        reporter(&bench, Delete, &format!("{NODES}; {ROW}; {EVENTS}")).await;
    told(&reporter, [fact(7, true)]).await;
    reporter.tell_row(Fact { interface: "office".into(), ..fact(7, true) });
    within(reporter.written()).await;
    let row = "SELECT ppp_iface || ' ' || last_ppp_up FROM nodes";
    assert_eq!(text(&mut writer, row).await, "office 2023-11-14 22:13:20");
    assert_eq!(text(&mut writer, "SELECT count(*) FROM watchdog_events").await, "1");
}

#[tokio::test]
async fn a_tunnel_that_is_found_up_keeps_the_time_at_which_it_came_up() {
    let bench = Bench::new();
    let rows = "INSERT INTO nodes (id, last_ppp_up) VALUES (7, '2023-01-01 00:00:00')";
    let (mut writer, reporter) =
        reporter(&bench, Delete, &format!("{NODES}; {rows}; {EVENTS}")).await;
    reporter.tell_all(vec![Fact { at: None, ..fact(7, true) }]);
    within(reporter.written()).await;
    let row = "SELECT ppp_iface || ' ' || last_ppp_up FROM nodes";
    assert_eq!(text(&mut writer, row).await, "ppp3 2023-01-01 00:00:00");
    assert_eq!(text(&mut writer, "SELECT count(*) FROM watchdog_events").await, "0");
}

#[tokio::test]
async fn switched_off_it_writes_nothing() {
    let bench = Bench::new();
    let (mut writer, reporter) =
        reporter(&bench, Delete, &format!("{NODES}; {ROW}; {EVENTS}")).await;
    bench.settings.send_modify(|settings| settings.database.write_back = false);
    told(&reporter, [fact(7, true)]).await;
    assert_eq!(text(&mut writer, "SELECT ppp_iface FROM nodes").await, "NULL");
    assert_eq!(text(&mut writer, "SELECT count(*) FROM watchdog_events").await, "0");
}

#[tokio::test]
async fn without_a_place_for_them_facts_are_forgotten() {
    let bench = Bench::new();
    let (_writer, reporter) = reporter(&bench, Delete, &format!("{TABLE}; {ROW}")).await;
    told(&reporter, [fact(7, true)]).await;
}

#[tokio::test]
async fn what_can_not_be_written_for_a_lock_is_written_after_it() {
    let bench = Bench::new();
    let (mut writer, reporter) =
        reporter(&bench, Delete, &format!("{NODES}; {ROW}; {EVENTS}")).await;
    run(&mut writer, "BEGIN IMMEDIATE").await;
    reporter.tell(fact(7, true));
    // Longer than one try waits.
    let waited = tokio::time::timeout(Duration::from_millis(2500), reporter.written()).await;
    assert!(waited.is_err());
    run(&mut writer, "COMMIT").await;
    within(reporter.written()).await;
    assert_eq!(text(&mut writer, "SELECT ppp_iface FROM nodes").await, "ppp3");
    assert_eq!(text(&mut writer, "SELECT count(*) FROM watchdog_events").await, "1");
}

#[tokio::test]
async fn what_is_up_as_a_whole_is_no_event_and_leaves_no_other_row_a_link() {
    let bench = Bench::new();
    let rows = "INSERT INTO nodes (id, ppp_iface) VALUES (7, NULL), (8, 'ppp9'), (9, 'ppp0')";
    let (mut writer, reporter) =
        reporter(&bench, Delete, &format!("{NODES}; {rows}; {EVENTS}")).await;
    reporter.tell(fact(9, true));
    reporter.tell_all(vec![fact(7, true)]);
    within(reporter.written()).await;
    let links = "SELECT group_concat(id || coalesce(ppp_iface, '-'), ' ') FROM nodes";
    assert_eq!(text(&mut writer, links).await, "7ppp3 8- 9-");
    assert_eq!(text(&mut writer, "SELECT count(*) FROM watchdog_events").await, "1");
}

/// Two facts that the tables of `sql` don't take as they are, and what is left of them in links
/// and events.
async fn refused(sql: &str) -> String {
    let bench = Bench::new();
    let (mut writer, reporter) = reporter(&bench, Delete, sql).await;
    told(&reporter, [fact(7, true), fact(8, true)]).await;
    let left = "SELECT (SELECT count(ppp_iface) FROM nodes) || ' links, ' || \
                (SELECT count(*) FROM watchdog_events) || ' events'";
    text(&mut writer, left).await
}

#[tokio::test]
async fn events_go_on_where_nodes_are_a_view() {
    let sql = format!(
        "{}; {}; CREATE VIEW nodes AS SELECT * FROM servers; {EVENTS}",
        NODES.replace("TABLE nodes", "TABLE servers"),
        ROW.replace("INTO nodes", "INTO servers"),
    );
    assert_eq!(refused(&sql).await, "0 links, 2 events");
}

#[tokio::test]
async fn rows_go_on_where_events_have_a_column_that_must_be_filled() {
    let events = EVENTS.replace("details TEXT", "details TEXT, severity TEXT NOT NULL");
    assert_eq!(refused(&format!("{NODES}; {ROW}; {events}")).await, "1 links, 0 events");
}

#[tokio::test]
async fn a_row_that_a_constraint_refuses_costs_no_other() {
    let nodes =
        NODES.replace("ppp_iface TEXT", "ppp_iface TEXT CHECK (id != 7 OR ppp_iface IS NULL)");
    let other = ROW.replace("(7,", "(8,");
    assert_eq!(refused(&format!("{nodes}; {ROW}; {other}; {EVENTS}")).await, "1 links, 2 events");
}

#[tokio::test]
async fn a_trigger_that_ends_the_transaction_stops_nothing_for_ever() {
    let trigger = "CREATE TRIGGER no AFTER UPDATE ON nodes BEGIN SELECT RAISE(ROLLBACK, 'no'); END";
    let left = refused(&format!("{NODES}; {ROW}; {EVENTS}; {trigger}")).await;
    assert_eq!(left, "0 links, 2 events");
}

#[tokio::test]
async fn a_trigger_that_ends_the_transaction_costs_no_other_row() {
    let trigger = "CREATE TRIGGER no AFTER UPDATE ON nodes WHEN NEW.id = 8 \
                   BEGIN SELECT RAISE(ROLLBACK, 'no'); END";
    let other = ROW.replace("(7,", "(8,");
    let left = refused(&format!("{NODES}; {ROW}; {other}; {EVENTS}; {trigger}")).await;
    assert_eq!(left, "1 links, 2 events");
}

#[tokio::test]
async fn a_table_that_is_missing_for_a_while_costs_no_fact() {
    let bench = Bench::new();
    let (mut writer, reporter) = reporter(&bench, Delete, EVENTS).await;
    reporter.tell(fact(7, true));
    let waited = tokio::time::timeout(Duration::from_millis(300), reporter.written()).await;
    assert!(waited.is_err());
    run(&mut writer, &format!("{NODES}; {ROW}")).await;
    within(reporter.written()).await;
    assert_eq!(text(&mut writer, "SELECT ppp_iface FROM nodes").await, "ppp3");
}

/// Its own write wakes the reader, which finds nothing new and writes nothing.
#[tokio::test]
async fn what_it_writes_is_no_news_and_reading_comes_to_rest() {
    for mode in [Delete, Wal] {
        let mut bench = Bench::new();
        let (mut writer, reporter) =
            reporter(&bench, mode, &format!("{NODES}; {ROW}; {EVENTS}")).await;
        bench.start();
        assert_eq!(bench.ids().await, [7]);
        told(&reporter, [fact(7, true)]).await;
        add(&mut writer, 8, "online").await;
        assert_eq!(bench.ids().await, [7, 8]);
        reading_rests().await;
        let all = reads();
        assert!(all <= 12, "{all}");
        READS.with(|reads| reads.set(0));
    }
}
