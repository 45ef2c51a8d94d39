//! The daemon's side of the control API.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::api::{Problem, Status};

/// A question to the supervisor; the answer goes back by its channel.
#[derive(Debug)]
pub enum Ask {
    /// The whole state.
    Status(oneshot::Sender<Status>),
}

/// Serves the API for ever.
pub async fn serve(listener: UnixListener, asks: mpsc::Sender<Ask>) {
    let router = Router::new()
        .route("/v1/status", get(status))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(asks);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(
            "The control socket has failed: {error}; connexactl can't reach the daemon until it is restarted"
        );
    }
    std::future::pending().await
}

async fn status(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    let (reply, answer) = oneshot::channel();
    let asked = asks.send(Ask::Status(reply)).await.is_ok();
    match answer.await {
        Ok(status) if asked => Json(status).into_response(),
        Ok(_) | Err(_) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "connexad is stopping; ask again when it runs".to_owned(),
        ),
    }
}

async fn no_such_path(uri: Uri) -> Response {
    let detail = format!("there is nothing at {}; try /v1/status", uri.path());
    problem(StatusCode::NOT_FOUND, "not found", detail)
}

async fn no_such_method(uri: Uri) -> Response {
    let detail = format!("{} does not take this method", uri.path());
    problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
}

/// An error as RFC 9457 shapes it.
fn problem(status: StatusCode, title: &str, detail: String) -> Response {
    let problem = Problem { title: title.to_owned(), status: status.as_u16(), detail };
    let mut response = (status, Json(problem)).into_response();
    let kind = header::HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
