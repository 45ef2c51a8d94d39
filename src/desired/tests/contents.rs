//! Which rows are selected, in which order, from which tables.

use super::*;
use crate::node::Invalid;
use SqliteJournalMode::Delete;

/// What is told of a table made by `sql`, under settings changed by `change`.
async fn told(sql: &str, change: impl FnOnce(&mut Settings)) -> Vec<Candidate> {
    let mut bench = Bench::new();
    run(&mut writer(&bench.path(), Delete).await, sql).await;
    bench.settings.send_modify(change);
    bench.start();
    bench.candidates().await
}

/// The ids told of nodes 1, 2, 3 … with these statuses.
async fn ids(statuses: &[&str], change: impl FnOnce(&mut Settings)) -> Vec<u32> {
    let rows: Vec<String> = (1..)
        .zip(statuses)
        .map(|(id, status)| format!("({id}, '10.9.0.1', 'admin', 'secret', '{status}')"))
        .collect();
    let sql = format!("{TABLE}; INSERT INTO nodes VALUES {}", rows.join(", "));
    told(&sql, change).await.iter().map(|candidate| candidate.id().0).collect()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

#[tokio::test]
async fn the_default_statuses_are_selected() {
    let statuses =
        ["speed_ok", "ping_ok", "SpeedOculus", "SPEEDOG", "online", "tunnel_active", "new", ""];
    assert_eq!(ids(&statuses, |_| ()).await, [3, 4, 1, 2, 5, 6]);
}

#[tokio::test]
async fn a_status_that_is_selected_and_excluded_is_excluded() {
    assert_eq!(ids(&["speed_failed", "ping_invalid_x", "ping"], |_| ()).await, [3]);
}

#[tokio::test]
async fn exclusion_wins_over_each_status_of_the_group() {
    let ids = ids(&["a", "b", "c"], |settings| {
        settings.selection.statuses = texts(&["a", "b", "c"]);
        settings.selection.exclude = texts(&["a"]);
    });
    assert_eq!(ids.await, [2, 3]);
}

#[tokio::test]
async fn no_statuses_select_nothing() {
    let ids = ids(&["online", ""], |settings| settings.selection.statuses.clear());
    assert!(ids.await.is_empty());
}

#[tokio::test]
async fn priority_comes_first_then_the_rest_by_id() {
    let ids = ids(&["online", "ping_ok", "speed_ok", "online", "SPEEDOG"], |_| ());
    assert_eq!(ids.await, [5, 3, 2, 1, 4]);
}

#[tokio::test]
async fn priority_and_selection_agree_on_case() {
    assert_eq!(ids(&["online", "SPEED_ok", "sPeEdOcUlUs"], |_| ()).await, [3, 2, 1]);
}

#[tokio::test]
async fn a_percent_sign_in_a_priority_is_no_wildcard() {
    let ids = ids(&["online", "speed9"], |settings| {
        settings.selection.priority = texts(&["speed%"]);
    });
    assert_eq!(ids.await, [1, 2]);
}

#[tokio::test]
async fn no_priority_means_order_of_ids() {
    let ids = ids(&["online", "SPEEDOG"], |settings| settings.selection.priority.clear());
    assert_eq!(ids.await, [1, 2]);
}

#[tokio::test]
async fn ids_of_text_are_ordered_as_numbers() {
    let sql = "CREATE TABLE nodes (id TEXT, ip, login, password, status);
               INSERT INTO nodes VALUES ('10', '10.9.0.1', 'a', 'p', 'online'),
                                        ('9', '10.9.0.1', 'a', 'p', 'online')";
    let ids: Vec<u32> = told(sql, |_| ()).await.iter().map(|c| c.id().0).collect();
    assert_eq!(ids, [9, 10]);
}

#[tokio::test]
async fn ids_of_type_real_are_whole_numbers() {
    let sql = "CREATE TABLE nodes (id REAL, ip, login, password, status);
               INSERT INTO nodes VALUES (10, '10.9.0.1', 'a', 'p', 'online'),
                                        (9, '10.9.0.1', 'a', 'p', 'online')";
    let ids: Vec<u32> = told(sql, |_| ()).await.iter().map(|c| c.id().0).collect();
    assert_eq!(ids, [9, 10]);
}

#[tokio::test]
async fn rows_without_an_ip_are_candidates_that_can_not_be_dialled() {
    let sql = format!(
        "{TABLE}; INSERT INTO nodes VALUES (1, NULL, 'a', 'p', 'online'), (2, '', 'a', 'p', 'online'), (3, ' ', 'a', 'p', 'online')"
    );
    let reasons = told(&sql, |_| ()).await.into_iter().map(|candidate| match candidate {
        Candidate::Invalid(row) => row.reason.to_string(),
        Candidate::Node(node) => panic!("{node:?}"),
    });
    assert!(reasons.eq(["ip is empty; set it in the node's row"; 3]));
}

#[tokio::test]
async fn numbers_and_blobs_are_read_as_the_text_they_show() {
    let sql = "CREATE TABLE nodes (id, ip, login, password, status);
               INSERT INTO nodes VALUES ('7', CAST('10.9.0.1' AS BLOB), 42, 1234, CAST('online' AS BLOB))";
    let candidates = told(sql, |_| ()).await;
    let [Candidate::Node(node)] = &candidates[..] else { panic!("{candidates:?}") };
    assert_eq!((node.login.as_str(), node.password.reveal()), ("42", "1234"));
    assert_eq!(node.server.to_string(), "10.9.0.1");
}

#[tokio::test]
async fn bytes_that_are_no_text_make_their_row_invalid_and_no_other() {
    let sql = format!(
        "{TABLE}; INSERT INTO nodes VALUES (1, '10.9.0.1', x'FF', 'p', 'online'),
                                           (2, '10.9.0.1', 'a', 'p', 'online')"
    );
    let candidates = told(&sql, |_| ()).await;
    assert!(matches!(&candidates[..], [Candidate::Invalid(_), Candidate::Node(_)]));
}

#[tokio::test]
async fn a_row_that_can_not_be_dialled_is_told_with_the_reason() {
    let sql = format!("{TABLE}; INSERT INTO nodes VALUES (1, '127.0.0.1', 'a', NULL, 'online')");
    let candidates = told(&sql, |_| ()).await;
    assert!(matches!(
        &candidates[..],
        [Candidate::Invalid(row)] if matches!(row.reason, Invalid::Unusable(..))
    ));
}

#[tokio::test]
async fn a_database_of_utf16_text_reads_the_same() {
    let sql = format!(
        "PRAGMA encoding = 'UTF-16'; {TABLE};
         INSERT INTO nodes VALUES (1, '10.9.0.1', 'jürgen', 'p', 'online')"
    );
    let candidates = told(&sql, |_| ()).await;
    let [Candidate::Node(node)] = &candidates[..] else { panic!("{candidates:?}") };
    assert_eq!(node.login.as_str(), "jürgen");
}

#[tokio::test]
async fn a_view_serves_as_well_as_a_table() {
    let sql = "CREATE TABLE servers (sid, addr, usr, pwd, st);
               INSERT INTO servers VALUES (5, '10.9.0.1', 'a', 'p', 'online');
               CREATE VIEW nodes AS
                 SELECT sid AS id, addr AS ip, usr AS username, pwd AS pass, st AS status FROM servers";
    assert_eq!(told(sql, |_| ()).await.len(), 1);
}

#[tokio::test]
async fn generated_columns_count() {
    let sql = "CREATE TABLE nodes (id, host, ip AS (host), login, password, status);
               INSERT INTO nodes VALUES (5, '10.9.0.1', 'a', 'p', 'online')";
    assert_eq!(told(sql, |_| ()).await.len(), 1);
}

#[tokio::test]
async fn names_that_need_quotes_work_for_table_and_columns() {
    let sql = r#"CREATE TABLE "my ""nodes" (id, ip, "log in", password, "order");
                 INSERT INTO "my ""nodes" VALUES (5, '10.9.0.1', 'a', 'p', 'online')"#;
    let change = |settings: &mut Settings| {
        settings.database.table = r#"my "nodes"#.into();
        settings.database.columns.login = Some("log in".into());
        settings.database.columns.status = Some("order".into());
    };
    assert_eq!(told(sql, change).await.len(), 1);
}
