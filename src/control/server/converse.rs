//! One connection: its requests, its limits, its end.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Extension, Router};
use hyper::StatusCode;
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::UnixStream;

use super::places::Place;
use super::wire::Wire;
use crate::control::problem::document;

/// For the head of a request, and between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The longest head of a request, bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// Answers the requests of a connection until either side ends it.
pub(super) async fn converse<S>(stream: S, router: Router, place: Arc<Place>)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static,
{
    let gone = gone(&stream);
    let noted = place.clone();
    let router = router
        .layer(middleware::from_fn(move |request, next| note(noted.clone(), request, next)))
        .layer(Extension(place.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LARGEST_HEAD)
        // A client may end its side after its request and wait for the answer.
        .half_close(true)
        .serve_connection(
            Wire::new(TokioIo::new(stream), place.clone()),
            TowerToHyperService::new(router),
        );
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!("a client of the control socket was hung up on: {error}");
        },
        () = gone => {}
        () = place.is_wanted() => {
            tracing::debug!("a client of the control socket gave way to another");
        }
    }
}

/// Says that there is no place, and takes nothing in. What does not fit at once is left unsaid.
pub(super) fn turn_away(stream: &UnixStream) {
    let detail = "all connections of this user are in use; end some, `connexactl watch` perhaps";
    let answer = document(StatusCode::SERVICE_UNAVAILABLE, "too many connections", detail);
    let _ = stream.try_write(answer.as_bytes());
}

/// The client waits from its request to the end of the answer.
async fn note(place: Arc<Place>, request: Request, next: Next) -> Response {
    place.answers(true);
    let answered = Answered(place);
    let answer = next.run(request).await;
    answer.map(|body| Body::new(Noted { body, _answered: answered }))
}

/// From here on the client is waited for.
struct Answered(Arc<Place>);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.answers(false);
    }
}

/// A body whose end is noted.
struct Noted {
    body: Body,
    _answered: Answered,
}

impl HttpBody for Noted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns once the client has closed both sides of the connection. Whoever only follows events
/// would not be missed before the next of them.
fn gone(stream: &impl AsFd) -> impl Future<Output = ()> + Send + 'static {
    let watched = stream.as_fd().try_clone_to_owned().and_then(watch);
    async move {
        match watched {
            Ok(watched) => hung_up(&watched).await,
            // It is noticed when something is written.
            Err(_) => std::future::pending().await,
        }
    }
}

#[expect(deprecated, reason = "deprecated for fds that may close early, which an OwnedFd can't")]
fn watch(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, Interest::WRITABLE)
}

async fn hung_up(socket: &AsyncFd<OwnedFd>) {
    while let Ok(mut ready) = socket.ready(Interest::WRITABLE).await {
        if ready.ready().is_write_closed() {
            return;
        }
        ready.clear_ready();
    }
}

#[cfg(test)]
mod fuzz {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;
    use crate::control::server::places::Places;
    use crate::fuzz::fuzz;

    /// Longer than the head of a request may take.
    const PATIENCE: Duration = Duration::from_secs(60);

    async fn answer(request: &[u8]) -> Vec<u8> {
        let (mut client, server) = UnixStream::pair().unwrap();
        let router = Router::new()
            .route("/v1/status", get(|| async { "{}" }))
            .route("/v1/reload", axum::routing::post(|body: Bytes| async move { body }));
        let place = Places::default().take(0).unwrap();
        let ask = async {
            // A server that has heard enough hangs up.
            let _ = client.write_all(request).await;
            let _ = client.shutdown().await;
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            answer
        };
        tokio::join!(converse(server, router, place), ask).1
    }

    #[test]
    fn what_a_client_sends_is_answered_by_http_or_by_nothing_and_ends_whatever_it_is() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        fuzz("tests/fuzz/corpus/requests", |request| {
            let answered = runtime.block_on(async { timeout(PATIENCE, answer(request)).await });
            let answer = answered.expect("the conversation ends");
            assert!(
                answer.is_empty() || answer.starts_with(b"HTTP/1."),
                "{}",
                answer.escape_ascii()
            );
        });
    }
}
