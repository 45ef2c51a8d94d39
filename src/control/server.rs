//! Connections to the control socket and to `metrics.listen`: a thread of their own, so that
//! whoever asks much keeps no tunnel waiting.

mod converse;
mod peer;
mod places;
mod wire;

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdListener;
use std::thread;
use std::time::Duration;

use axum::{Extension, Router};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::question::Question;
use super::traffic::{self, SharedTraffic};
use super::{answers, figures};
use crate::config::Control;
pub(super) use peer::Peer;
pub(super) use places::{Follower, Place};
use places::{Places, Refused};

/// All who ask by TCP are taken for one user.
const OF_THE_NETWORK: u32 = u32::MAX;
/// After a connection could not be accepted, which is mostly for want of file handles.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// A place for figures. Where there is none, tunnels are held all the same.
pub(crate) fn listen(address: SocketAddr) -> Option<StdTcpListener> {
    let listener = StdTcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    if let Err(error) = &listener {
        tracing::error!(
            "metrics.listen: can't listen on {address}: {error}; figures are on the control socket alone; \
             name an address of this host and a free port, and restart connexad"
        );
    }
    listener.ok()
}

/// Serves the API until it is dropped, in a thread of its own.
pub(crate) async fn serve(
    listener: UnixListener,
    figures: Option<StdTcpListener>,
    control: Control,
    questions: mpsc::Sender<Question>,
) {
    // Dropped with this future: the thread ends by that.
    let (_alive, dropped) = oneshot::channel::<()>();
    let (ended_in, ended) = oneshot::channel::<()>();
    let started = listener.into_std().and_then(|listener| {
        thread::Builder::new().name("control".to_owned()).spawn(move || {
            let _ended_in = ended_in;
            run(listener, figures, &control, questions, dropped);
        })
    });
    match started {
        Ok(_) => drop(ended.await),
        Err(error) => tracing::error!("The control socket is not served: {error}"),
    }
}

fn run(
    listener: StdListener,
    figures: Option<StdTcpListener>,
    control: &Control,
    questions: mpsc::Sender<Question>,
    dropped: oneshot::Receiver<()>,
) {
    let runtime = match crate::runtime::start() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("The control socket is not served: {error}"),
    };
    runtime.block_on(async {
        let traffic = traffic::shared(questions.clone());
        match UnixListener::from_std(listener) {
            Ok(listener) => {
                let router = answers::router(questions.clone(), traffic.clone());
                tokio::select! {
                    () = accept(listener, control, router) => {}
                    () = serve_figures(figures, questions, traffic) => {}
                    _ = dropped => {}
                }
            }
            Err(error) => tracing::error!("The control socket is not served: {error}"),
        }
    });
    // A check of the host that hangs holds up no end.
    runtime.shutdown_background();
}

/// Serves `metrics.listen`, where it is set.
async fn serve_figures(
    listener: Option<StdTcpListener>,
    questions: mpsc::Sender<Question>,
    traffic: SharedTraffic,
) {
    let listener = listener.map(TcpListener::from_std).transpose();
    let listener = listener.unwrap_or_else(|error| {
        tracing::error!("metrics.listen is not served: {error}; the control socket serves figures");
        None
    });
    let Some(listener) = listener else { return std::future::pending().await };
    let (router, mut places) = (figures::router(questions, traffic), Places::default());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        if let Ok(place) = places.take(OF_THE_NETWORK) {
            tokio::spawn(converse::converse(stream, router.clone(), place));
        }
    }
}

async fn accept(listener: UnixListener, control: &Control, router: Router) {
    let mut places = Places::default();
    let mut told = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !told {
                    tracing::error!(
                        "The control socket takes no connection: {error}; trying again each second"
                    );
                }
                told = true;
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        told = false;
        welcome(stream, control, &router, &mut places);
        // What it has asked is read before another can have its place.
        tokio::task::yield_now().await;
    }
}

fn welcome(stream: UnixStream, control: &Control, router: &Router, places: &mut Places) {
    // One that is gone already can't be known, and needs no answer.
    let Ok(peer) = Peer::of(&stream, control.admin_group.as_deref()) else { return };
    match places.take(peer.uid) {
        Ok(place) => {
            let router = router.clone().layer(Extension(peer));
            tokio::spawn(converse::converse(stream, router, place));
        }
        // To let it wait would keep others waiting behind it.
        Err(Refused) => converse::turn_away(&stream),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use axum::routing::get;
    use tokio::task::spawn_blocking;

    use super::*;

    const READ_NOTHING: usize = 64;
    const ASK_NOTHING: usize = 96;
    const ASK: usize = 300;

    fn asks(path: &str, socket: &std::path::Path) -> UnixStream {
        let mut client = UnixStream::connect(socket).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        client
    }

    #[tokio::test]
    async fn who_has_asked_is_answered_however_many_come_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let router = Router::new()
            .route("/short", get(|| async { "x" }))
            .route("/long", get(|| async { "x".repeat(1 << 23) }));
        let control = Control::default();
        let server = accept(listener, &control, router);
        let clients = spawn_blocking(move || {
            let unread = [(); READ_NOTHING].map(|()| asks("/long", &socket));
            unread.iter().for_each(|mut client| client.read_exact(&mut [0]).unwrap());
            let silent = [(); ASK_NOTHING].map(|()| UnixStream::connect(&socket).unwrap());
            let answers = [(); ASK].map(|()| asks("/short", &socket)).map(|mut client| {
                let mut answer = String::new();
                client.read_to_string(&mut answer).map(|_| answer)
            });
            drop((unread, silent));
            answers
        });
        let answers = tokio::select! {
            answers = clients => answers.unwrap(),
            () = server => unreachable!(),
        };
        for answer in answers {
            assert!(answer.unwrap().starts_with("HTTP/1.1 200 "));
        }
    }
}
