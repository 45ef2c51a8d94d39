use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::pptp::holder::testing::{holder_at, keep_by, listener};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("socket");
    (folder, place)
}

async fn tunnel(number: u32) -> Tunnel {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let control = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    let other = || Arc::new(std::fs::File::open("/dev/null").unwrap().into());
    let state = format!("state of {number}").into_bytes();
    Tunnel { number, state, control, socket: other(), unit: other() }
}

async fn kept(place: &Path) -> Vec<u32> {
    let connection = Connection::open(place).unwrap().unwrap();
    connection.all().await.unwrap().iter().map(|(number, _)| *number).collect()
}

#[tokio::test]
async fn what_is_handed_over_is_kept_when_the_daemon_is_gone_and_until_it_is_let_go() {
    let (_folder, place) = place();
    let holder = holder_at(&place);
    let (keeping, work) = Keeping::new(place.clone(), None, BTreeMap::new(), Threads::new());
    let work = tokio::spawn(work);
    keeping.keep(CallId::Dialled(1), tunnel(7).await);
    keeping.keep(CallId::Dialled(2), tunnel(9).await);
    keeping.let_go(CallId::Dialled(1)).await;
    assert_eq!(kept(&place).await, [9]);
    drop(keeping);
    work.await.unwrap();
    assert_eq!(kept(&place).await, [9]);
    Connection::open(&place).unwrap().unwrap().let_go(9).await.unwrap();
    holder.join().unwrap();
    assert!(!place.exists(), "its socket is left");
}

#[tokio::test]
async fn a_hang_up_reaches_a_holder_that_this_daemon_has_no_connection_to() {
    let (_folder, place) = place();
    let holder = holder_at(&place);
    let Tunnel { number, state, control, socket, unit } = tunnel(7).await;
    let descriptors = [control.as_fd(), socket.as_fd(), unit.as_fd()];
    let earlier = Connection::open(&place).unwrap().unwrap();
    earlier.keep(number, &state, descriptors).await.unwrap();
    drop(earlier);
    let found = BTreeMap::from([(CallId::Found(0), number)]);
    let (keeping, work) = Keeping::new(place.clone(), None, found, Threads::new());
    let work = tokio::spawn(work);
    keeping.let_go(CallId::Found(0)).await;
    assert!(kept(&place).await.is_empty());
    drop(keeping);
    work.await.unwrap();
    holder.join().unwrap();
}

#[tokio::test]
async fn where_none_can_be_had_tunnels_go_on_and_end_as_at_any_time() {
    let place = PathBuf::from("/proc/nowhere/socket");
    let (keeping, work) = Keeping::new(place, None, BTreeMap::new(), Threads::new());
    let work = tokio::spawn(work);
    let tunnel = tunnel(7).await;
    let unit = tunnel.unit.clone();
    keeping.keep(CallId::Dialled(1), tunnel);
    keeping.let_go(CallId::Dialled(1)).await;
    assert_eq!(Arc::strong_count(&unit), 1);
    drop(keeping);
    work.await.unwrap();
}

/// A holder that takes connections and says nothing, which is to keep tunnels 7 and 9 and hears of none.
async fn silent(place: &Path) -> (OwnedFd, Keeping) {
    let listener = listener(place).unwrap();
    let (keeping, work) = Keeping::new(place.to_owned(), None, BTreeMap::new(), Threads::new());
    tokio::spawn(work);
    keeping.keep(CallId::Dialled(1), tunnel(7).await);
    keeping.keep(CallId::Dialled(2), tunnel(9).await);
    // Its silence is known by then, and no hang-up waits for it.
    keeping.let_go(CallId::Dialled(3)).await;
    let asked = Instant::now();
    keeping.let_go(CallId::Dialled(1)).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "a hang-up waits for a silent holder");
    (listener, keeping)
}

async fn wait_for_kept(place: &Path, numbers: &[u32]) {
    let connection = Connection::open(place).unwrap().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let all = connection.all().await.unwrap();
        let kept: Vec<u32> = all.iter().map(|(number, _)| *number).collect();
        if kept == numbers {
            return;
        }
        assert!(Instant::now() < until, "kept: {kept:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_silent_holder_that_answers_at_last_keeps_what_is_up_and_lets_go_what_has_ended() {
    let (_folder, place) = place();
    let (listener, _keeping) = silent(&place).await;
    keep_by(listener);
    wait_for_kept(&place, &[9]).await;
}

#[tokio::test]
async fn when_a_silent_holder_ends_the_next_one_keeps_all_tunnels() {
    let (_folder, place) = place();
    let (listener, _keeping) = silent(&place).await;
    std::fs::remove_file(&place).unwrap();
    holder_at(&place);
    drop(listener);
    wait_for_kept(&place, &[9]).await;
}

#[tokio::test]
async fn while_none_can_be_had_it_is_tried_again_without_another_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("missing").join("socket");
    let (keeping, work) = Keeping::new(place.clone(), None, BTreeMap::new(), Threads::new());
    tokio::spawn(work);
    keeping.keep(CallId::Dialled(1), tunnel(7).await);
    keeping.let_go(CallId::Dialled(2)).await;
    std::fs::create_dir(folder.path().join("missing")).unwrap();
    holder_at(&place);
    wait_for_kept(&place, &[7]).await;
}
