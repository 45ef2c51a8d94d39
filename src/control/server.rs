//! Connections to the control socket: who asks, how many at once, how long a request may take.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::answers;
use super::question::Question;

/// Connections at once, of root and of all others each: nobody keeps root out.
const CONNECTIONS: usize = 32;
/// For the head of a request, and between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The longest head of a request, bytes.
const LARGEST_HEAD: usize = 16 * 1024;
/// After a connection could not be accepted, which is mostly for want of file handles.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    is_root: bool,
}

impl Peer {
    fn of(stream: &UnixStream) -> Self {
        // SO_PEERCRED (unix(7)): as it was at connect, whatever the peer becomes.
        Peer { is_root: stream.peer_cred().is_ok_and(|peer| peer.uid() == 0) }
    }

    /// Whether it may change nodes; whoever can connect may read.
    pub(super) fn may_change(self) -> bool {
        self.is_root
    }
}

/// Serves the API for ever.
pub(crate) async fn serve(listener: UnixListener, questions: mpsc::Sender<Question>) {
    let router = answers::router(questions);
    let [root, others] = [(); 2].map(|()| Arc::new(Semaphore::new(CONNECTIONS)));
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
        let peer = Peer::of(&stream);
        let room = if peer.is_root { &root } else { &others };
        // One too many is hung up on: to let it wait would keep others waiting behind it.
        if let Ok(permit) = room.clone().try_acquire_owned() {
            tokio::spawn(converse(stream, router.clone().layer(Extension(peer)), permit));
        }
    }
}

async fn converse(stream: UnixStream, router: Router, _permit: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!("a client of the control socket was hung up on: {error}");
    }
}
