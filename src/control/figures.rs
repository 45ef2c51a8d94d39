//! `GET /metrics`, on the control socket and on `metrics.listen`.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::answers::ask;
use super::problem::{no_such_method, no_such_path};
use super::question::{Question, Refusal};
use crate::backend::listeners;

/// As the specification of OpenMetrics names it.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is served to the network: figures and nothing else.
pub(super) fn router(questions: mpsc::Sender<Question>) -> Router {
    let figures = async |State(questions): State<mpsc::Sender<Question>>| answer(&questions).await;
    Router::new()
        .route("/metrics", get(figures))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(questions)
}

pub(super) async fn answer(questions: &mpsc::Sender<Question>) -> Result<Response, Refusal> {
    let (metrics, port) = ask(questions, Question::Figures).await?;
    // The kernel is asked, by calls that may block.
    let listening = spawn_blocking(move || listeners::on(port)).await;
    let backend_up = matches!(listening, Ok(Ok(listening)) if !listening.is_empty());
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    Ok(([kind], metrics.text(backend_up)).into_response())
}
