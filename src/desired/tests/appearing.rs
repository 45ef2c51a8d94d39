//! Rows and files that come, change and go.

use super::*;
use SqliteJournalMode::{Delete, Wal};

async fn rows_come_change_and_go(mode: SqliteJournalMode) {
    let mut bench = Bench::new();
    let mut writer = writer(&bench.path(), mode).await;
    run(&mut writer, TABLE).await;
    bench.start();
    assert!(bench.ids().await.is_empty());
    add(&mut writer, 1, "online").await;
    assert_eq!(bench.ids().await, [1]);
    run(&mut writer, "UPDATE nodes SET login = 'other'").await;
    let candidates = bench.candidates().await;
    assert!(matches!(&candidates[..], [Candidate::Node(node)] if node.login.as_str() == "other"));
    run(&mut writer, "DELETE FROM nodes").await;
    assert!(bench.ids().await.is_empty());
}

#[tokio::test]
async fn rows_come_change_and_go_in_rollback_mode() {
    rows_come_change_and_go(Delete).await;
}

#[tokio::test]
async fn rows_come_change_and_go_in_truncate_mode() {
    rows_come_change_and_go(SqliteJournalMode::Truncate).await;
}

#[tokio::test]
async fn rows_come_change_and_go_in_persist_mode() {
    rows_come_change_and_go(SqliteJournalMode::Persist).await;
}

#[tokio::test]
async fn rows_come_change_and_go_in_wal_mode() {
    rows_come_change_and_go(Wal).await;
}

#[tokio::test]
async fn a_missing_file_is_told_of_and_read_when_it_is_there() {
    let mut bench = Bench::new();
    bench.start();
    assert!(bench.problem().await.starts_with("no such file; "));
    make(&bench.path(), Delete, &[3]).await;
    bench.until_ids(&[3]).await;
}

#[tokio::test]
async fn a_file_in_a_missing_folder_is_read_when_it_is_there() {
    let mut bench = Bench::at("app/backend/c.db");
    bench.start();
    assert!(bench.problem().await.starts_with("no such file; "));
    std::fs::create_dir_all(bench.beside("app/backend")).unwrap();
    make(&bench.path(), Delete, &[3]).await;
    bench.until_ids(&[3]).await;
}

#[tokio::test]
async fn a_file_replaced_by_rename_is_read() {
    for mode in [Delete, Wal] {
        let mut bench = Bench::new();
        make(&bench.path(), mode, &[1]).await;
        make(&bench.beside("new.db"), mode, &[2]).await;
        bench.start();
        assert_eq!(bench.ids().await, [1]);
        std::fs::rename(bench.beside("new.db"), bench.path()).unwrap();
        bench.until_ids(&[2]).await;
    }
}

#[tokio::test]
async fn a_file_copied_over_with_the_same_change_counter_is_read() {
    let mut bench = Bench::new();
    // As many commits each, so that SQLite's own means take one for the other.
    make(&bench.path(), Delete, &[1]).await;
    make(&bench.beside("new.db"), Delete, &[2]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    std::fs::copy(bench.beside("new.db"), bench.path()).unwrap();
    bench.until_ids(&[2]).await;
}

#[tokio::test]
async fn a_deleted_file_is_told_of_and_is_no_empty_table() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    std::fs::remove_file(bench.path()).unwrap();
    assert!(bench.problem().await.starts_with("no such file; "));
}

#[tokio::test]
async fn the_file_behind_a_symbolic_link_is_watched_where_it_lies() {
    let mut bench = Bench::new();
    std::fs::create_dir(bench.beside("data")).unwrap();
    let real = bench.beside("data/real.db");
    make(&real, Wal, &[1]).await;
    std::os::unix::fs::symlink(&real, bench.path()).unwrap();
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    let mut writer = writer(&real, Wal).await;
    add(&mut writer, 2, "online").await;
    assert_eq!(bench.ids().await, [1, 2]);
}

#[tokio::test]
async fn a_link_led_elsewhere_is_followed() {
    let mut bench = Bench::new();
    std::fs::create_dir(bench.beside("data")).unwrap();
    let [one, two] = ["data/1.db", "data/2.db"].map(|name| bench.beside(name));
    make(&one, Delete, &[1]).await;
    make(&two, Delete, &[2]).await;
    std::os::unix::fs::symlink(&one, bench.path()).unwrap();
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    std::os::unix::fs::symlink(&two, bench.beside("next")).unwrap();
    std::fs::rename(bench.beside("next"), bench.path()).unwrap();
    assert_eq!(bench.ids().await, [2]);
    let mut writer = writer(&two, Delete).await;
    add(&mut writer, 3, "online").await;
    assert_eq!(bench.ids().await, [2, 3]);
}

#[tokio::test]
async fn a_link_in_the_middle_of_others_that_is_led_elsewhere_is_followed() {
    let mut bench = Bench::new();
    for folder in ["links", "1", "2"] {
        std::fs::create_dir(bench.beside(folder)).unwrap();
    }
    make(&bench.beside("1/real.db"), Delete, &[1]).await;
    make(&bench.beside("2/real.db"), Delete, &[2]).await;
    let link = std::os::unix::fs::symlink::<&str, PathBuf>;
    // c.db leads to links/file, and that to real.db in the folder that links/now leads to.
    link("links/file", bench.path()).unwrap();
    link("now/real.db", bench.beside("links/file")).unwrap();
    link("../1", bench.beside("links/now")).unwrap();
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    link("../2", bench.beside("links/next")).unwrap();
    std::fs::rename(bench.beside("links/next"), bench.beside("links/now")).unwrap();
    assert_eq!(bench.ids().await, [2]);
    link("../1/real.db", bench.beside("links/next")).unwrap();
    std::fs::rename(bench.beside("links/next"), bench.beside("links/file")).unwrap();
    assert_eq!(bench.ids().await, [1]);
    add(&mut writer(&bench.beside("1/real.db"), Delete).await, 3, "online").await;
    assert_eq!(bench.ids().await, [1, 3]);
}

#[tokio::test]
async fn settings_that_are_sent_again_are_answered_again() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    bench.settings.send_modify(|_| ());
    assert_eq!(bench.ids().await, [1]);
}

#[tokio::test]
async fn after_the_first_read_only_what_differs_is_told() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1, 2, 3]).await;
    bench.start();
    assert!(matches!(bench.rows().await, Rows::All(rows) if rows.len() == 3));
    let mut writer = writer(&bench.path(), Delete).await;
    run(&mut writer, "BEGIN; DELETE FROM nodes WHERE id = 1").await;
    run(&mut writer, "UPDATE nodes SET status = 'SPEEDOG' WHERE id = 3; COMMIT").await;
    let Rows::Changes { rows, gone } = bench.rows().await else { panic!("all are told again") };
    let ids: Vec<_> = rows.iter().map(|row| row.candidate.id()).collect();
    assert_eq!((ids, gone), (vec![NodeId(3)], vec![NodeId(1)]));
}

#[tokio::test]
async fn what_changed_while_the_file_could_not_be_read_is_told_once_it_can_be() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1, 2]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1, 2]);
    let mut writer = writer(&bench.path(), Delete).await;
    run(&mut writer, "ALTER TABLE nodes RENAME TO others").await;
    bench.problem().await;
    run(&mut writer, "DELETE FROM others WHERE id = 1").await;
    run(&mut writer, "ALTER TABLE others RENAME TO nodes").await;
    assert_eq!(bench.rows().await, Rows::Changes { rows: vec![], gone: vec![NodeId(1)] });
}

#[tokio::test]
async fn each_read_tells_the_places_of_its_own_settings() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    bench.settings.send_modify(|settings| settings.selection.max_tunnels = 5);
    bench.start();
    let read = async {
        while bench.events.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    within(read).await;
    bench.settings.send_modify(|settings| settings.selection.max_tunnels = 2);
    assert_eq!([bench.places().await, bench.places().await], [5, 2]);
}

#[tokio::test]
async fn settings_that_name_another_file_are_followed() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    let other = bench.beside("other.db");
    make(&other, Delete, &[2]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    bench.settings.send_modify(|settings| settings.database.path = other.clone());
    assert_eq!(bench.ids().await, [2]);
    add(&mut writer(&other, Delete).await, 3, "online").await;
    assert_eq!(bench.ids().await, [2, 3]);
}

#[tokio::test]
async fn other_settings_leave_out_the_rows_that_are_there_and_no_others() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1, 2]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1, 2]);
    let mut writer = writer(&bench.path(), Delete).await;
    let rewrite = "DELETE FROM nodes WHERE id = 2; UPDATE nodes SET status = NULL WHERE id = 1";
    run(&mut writer, rewrite).await;
    bench.settings.send_modify(|settings| settings.selection.priority.clear());
    loop {
        if let Rows::Reselected { rows, left_out } = bench.rows().await {
            assert_eq!((rows, left_out), (vec![], vec![NodeId(1)]));
            return;
        }
    }
}
