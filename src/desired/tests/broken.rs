//! Databases that can't be read, and their recovery.

use super::quiet::reading_goes_on;
use super::*;
use SqliteJournalMode::{Delete, Wal};

#[tokio::test]
async fn an_empty_file_is_told_of_and_read_once_it_has_its_table() {
    let mut bench = Bench::new();
    std::fs::write(bench.path(), "").unwrap();
    bench.start();
    assert!(bench.problem().await.starts_with("is empty (0 bytes), so it has no table \"nodes\""));
    make(&bench.path(), Delete, &[1]).await;
    bench.until_ids(&[1]).await;
}

#[tokio::test]
async fn a_file_that_is_not_sqlite_is_told_of_and_read_once_it_is() {
    let mut bench = Bench::new();
    std::fs::write(bench.path(), "id;ip;login\n".repeat(100)).unwrap();
    bench.start();
    assert!(bench.problem().await.starts_with("is not an SQLite database"));
    make(&bench.beside("new.db"), Delete, &[1]).await;
    std::fs::copy(bench.beside("new.db"), bench.path()).unwrap();
    bench.until_ids(&[1]).await;
}

#[tokio::test]
async fn a_folder_in_its_place_is_told_of() {
    let mut bench = Bench::new();
    std::fs::create_dir(bench.path()).unwrap();
    bench.start();
    assert!(bench.problem().await.starts_with("is not a file"));
}

#[tokio::test]
async fn a_file_cut_short_is_told_of_and_is_no_empty_table() {
    let mut bench = Bench::new();
    let all: Vec<u32> = (1..200).collect();
    make(&bench.path(), Delete, &all).await;
    bench.start();
    assert_eq!(bench.ids().await, all);
    std::fs::OpenOptions::new().write(true).open(bench.path()).unwrap().set_len(4096).unwrap();
    assert!(bench.problem().await.starts_with("is damaged or half written"));
}

#[tokio::test]
async fn a_missing_table_is_told_of_with_the_tables_there_are() {
    let mut bench = Bench::new();
    let mut writer = writer(&bench.path(), Delete).await;
    run(&mut writer, "CREATE TABLE servers (id INTEGER)").await;
    bench.start();
    assert_eq!(
        bench.problem().await,
        "has no table \"nodes\" (found: servers); set database.table to the table of nodes"
    );
}

#[tokio::test]
async fn a_missing_column_is_told_of_and_read_once_it_is_there() {
    let mut bench = Bench::new();
    let mut writer = writer(&bench.path(), Delete).await;
    run(&mut writer, "CREATE TABLE nodes (id INTEGER, ip TEXT, login TEXT, status TEXT)").await;
    bench.start();
    assert!(bench.problem().await.contains("lacks password or pass"));
    run(&mut writer, "ALTER TABLE nodes ADD COLUMN pass TEXT").await;
    assert!(bench.ids().await.is_empty());
}

#[tokio::test]
async fn a_table_whose_ids_are_all_unusable_is_told_of_and_is_no_empty_table() {
    let mut bench = Bench::new();
    let mut writer = writer(&bench.path(), Delete).await;
    run(&mut writer, "CREATE TABLE nodes (id TEXT, n INT, ip, login, password, status)").await;
    bench.start();
    assert!(bench.ids().await.is_empty());
    let row = "INSERT INTO nodes VALUES ('0b9c-7', 7, '10.9.0.1', 'a', 'p', 'online')";
    run(&mut writer, row).await;
    assert_eq!(
        bench.problem().await,
        "no selected row of table \"nodes\" has a whole number from 0 to 4294967295 in column \"id\" \
         (one has \"0b9c-7\"); correct them, or set database.columns.id to the column that numbers \
         the nodes"
    );
    bench.settings.send_modify(|settings| settings.database.columns.id = Some("n".into()));
    assert_eq!(bench.ids().await, [7]);
}

#[tokio::test]
async fn a_read_with_more_candidates_than_may_be_is_refused_whole() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1, 2]).await;
    bench.settings.send_modify(|settings| settings.selection.max_rows = 2);
    bench.start();
    assert_eq!(bench.ids().await, [1, 2]);
    let mut writer = writer(&bench.path(), Delete).await;
    add(&mut writer, 9, "new").await;
    run(&mut writer, "BEGIN").await;
    add(&mut writer, 3, "online").await;
    add(&mut writer, 4, "online").await;
    run(&mut writer, "UPDATE nodes SET login = 'other' WHERE id = 1; COMMIT").await;
    assert_eq!(
        bench.problem().await,
        "4 rows of table \"nodes\" are selected, more than selection.max_rows = 2, so this read counts for nothing, and the nodes stay as they were; select fewer by selection.statuses, or raise \
         selection.max_rows"
    );
    // Another row too many is the same problem.
    add(&mut writer, 5, "online").await;
    run(&mut writer, "DELETE FROM nodes WHERE id > 2").await;
    let Rows::Changes { rows, gone } = bench.rows().await else { panic!("all are told again") };
    let ids: Vec<_> = rows.iter().map(|row| row.candidate.id()).collect();
    assert_eq!((ids, gone), (vec![NodeId(1)], vec![]));
}

#[tokio::test]
async fn as_many_candidates_as_may_be_are_read() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1, 2]).await;
    add(&mut writer(&bench.path(), Delete).await, 3, "new").await;
    bench.settings.send_modify(|settings| settings.selection.max_rows = 2);
    bench.start();
    assert_eq!(bench.ids().await, [1, 2]);
}

#[tokio::test]
async fn a_locked_file_is_told_of_and_read_once_it_is_let_go_without_a_change() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    let mut writer = writer(&bench.path(), Delete).await;
    run(&mut writer, "BEGIN EXCLUSIVE").await;
    bench.start();
    assert!(bench.problem().await.starts_with("is locked by another process"));
    run(&mut writer, "ROLLBACK").await;
    assert_eq!(bench.ids().await, [1]);
}

#[tokio::test]
async fn a_lock_that_ends_within_patience_is_not_told_of() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    let mut writer = writer(&bench.path(), Delete).await;
    run(&mut writer, "BEGIN EXCLUSIVE").await;
    bench.start();
    reading_goes_on(0).await;
    run(&mut writer, "ROLLBACK").await;
    assert_eq!(bench.ids().await, [1]);
}

#[tokio::test]
async fn what_is_not_committed_is_not_wanted() {
    for mode in [Delete, Wal] {
        let mut bench = Bench::new();
        make(&bench.path(), mode, &[1]).await;
        let mut writer = writer(&bench.path(), mode).await;
        bench.start();
        assert_eq!(bench.ids().await, [1]);
        run(&mut writer, "BEGIN IMMEDIATE").await;
        add(&mut writer, 2, "online").await;
        run(&mut writer, "ROLLBACK; DELETE FROM nodes").await;
        assert!(bench.ids().await.is_empty());
    }
}

/// A crash within a commit: the journal is whole and the file half written.
#[tokio::test]
async fn a_transaction_that_a_dead_writer_left_is_told_of_and_read_once_it_is_undone() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    let before = std::fs::read(bench.path()).unwrap();
    let journal = |path: &Path| PathBuf::from(format!("{}-journal", path.display()));
    let kept = bench.beside("kept");
    {
        let mut writer = writer(&bench.path(), Delete).await;
        // So little cache that pages are written, and the journal made valid, before the commit.
        run(&mut writer, "PRAGMA cache_size = 1; BEGIN").await;
        for id in 2..400 {
            add(&mut writer, id, "online").await;
        }
        std::fs::copy(journal(&bench.path()), &kept).unwrap();
        run(&mut writer, "ROLLBACK").await;
        writer.close().await.unwrap();
    }
    std::fs::write(bench.path(), before).unwrap();
    std::fs::rename(&kept, journal(&bench.path())).unwrap();
    bench.start();
    assert!(bench.problem().await.starts_with("holds a transaction that a writer left unfinished"));
    let mut backend = writer(&bench.path(), Delete).await;
    run(&mut backend, "SELECT count(*) FROM nodes").await;
    assert_eq!(bench.ids().await, [1]);
}
