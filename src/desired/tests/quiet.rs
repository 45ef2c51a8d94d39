//! How often the file is read, and what reading does to others.

use super::*;
use SqliteJournalMode::{Delete, Wal};

pub(super) fn reads() -> u32 {
    READS.with(Cell::get)
}

/// Until a second has passed without a read.
pub(super) async fn reading_rests() {
    let read_within_a_second = async || {
        let before = reads();
        tokio::time::sleep(Duration::from_secs(1)).await;
        reads() > before
    };
    within(async { while read_within_a_second().await {} }).await;
}

/// Until another read than these has begun.
pub(super) async fn reading_goes_on(before: u32) {
    within(async {
        while reads() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn after_a_commit_in_rollback_mode_reading_comes_to_rest() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    add(&mut writer(&bench.path(), Delete).await, 2, "online").await;
    assert_eq!(bench.ids().await, [1, 2]);
    reading_rests().await;
}

/// The follower makes `-wal` and `-shm` itself when nobody else has the file open.
#[tokio::test]
async fn reading_a_wal_file_does_not_wake_the_reader() {
    let mut bench = Bench::new();
    make(&bench.path(), Wal, &[1]).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    reading_rests().await;
    assert!(reads() <= 5, "{}", reads());
}

#[tokio::test]
async fn a_change_that_concerns_no_candidate_is_not_told() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    let mut writer = writer(&bench.path(), Delete).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    let before = reads();
    add(&mut writer, 2, "new").await;
    reading_goes_on(before).await;
    add(&mut writer, 3, "online").await;
    assert_eq!(bench.ids().await, [1, 3]);
}

#[tokio::test]
async fn a_burst_of_commits_takes_few_reads_and_ends_with_the_last() {
    for mode in [Delete, Wal] {
        let mut bench = Bench::new();
        make(&bench.path(), mode, &[1]).await;
        let mut writer = writer(&bench.path(), mode).await;
        bench.start();
        assert_eq!(bench.ids().await, [1]);
        let (before, started) = (reads(), std::time::Instant::now());
        for id in 2..200 {
            add(&mut writer, id, "online").await;
            bench.take_what_waits();
        }
        add(&mut writer, 200, "online").await;
        bench.until_ids(&(1..=200).collect::<Vec<_>>()).await;
        let reads = reads() - before;
        // No two within the time that a burst is given, and few beyond.
        let most = started.elapsed().as_millis() / 2 + 10;
        assert!(u128::from(reads) < most, "{reads} reads in {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn the_last_writer_of_a_wal_file_leaves_no_log_behind() {
    let mut bench = Bench::new();
    make(&bench.path(), Wal, &[1]).await;
    let mut writer = writer(&bench.path(), Wal).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    add(&mut writer, 2, "online").await;
    assert_eq!(bench.ids().await, [1, 2]);
    reading_rests().await;
    writer.close().await.unwrap();
    let log = PathBuf::from(format!("{}-wal", bench.path().display()));
    reading_rests().await;
    assert_eq!(std::fs::metadata(log).map_or(0, |about| about.len()), 0);
}

#[tokio::test]
async fn the_file_itself_is_never_written() {
    for mode in [Delete, Wal] {
        let mut bench = Bench::new();
        make(&bench.path(), mode, &[1]).await;
        let before = std::fs::read(bench.path()).unwrap();
        bench.start();
        assert_eq!(bench.ids().await, [1]);
        reading_rests().await;
        assert_eq!(std::fs::read(bench.path()).unwrap(), before);
    }
}

#[tokio::test]
async fn while_idle_a_writer_is_never_kept_waiting() {
    let mut bench = Bench::new();
    make(&bench.path(), Delete, &[1]).await;
    let mut writer = writer(&bench.path(), Delete).await;
    bench.start();
    assert_eq!(bench.ids().await, [1]);
    reading_rests().await;
    run(&mut writer, "PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE; COMMIT").await;
}
