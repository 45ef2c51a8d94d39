//! `GET /metrics`, on the control socket and on `metrics.listen`.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::answers::ask;
use super::problem::{no_such_method, no_such_path};
use super::question::{Question, Refusal};
use super::traffic::SharedTraffic;
use crate::backend::listeners;

/// As the specification of OpenMetrics names it.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is served to the network: figures and nothing else.
pub(super) fn router(questions: mpsc::Sender<Question>, traffic: SharedTraffic) -> Router {
    let figures = async |State((questions, traffic)): State<Sources>, query: RawQuery| {
        answer(&questions, &traffic, query).await
    };
    Router::new()
        .route("/metrics", get(figures))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state((questions, traffic))
}

type Sources = (mpsc::Sender<Question>, SharedTraffic);

pub(super) async fn answer(
    questions: &mpsc::Sender<Question>,
    traffic: &SharedTraffic,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let traffic = if wants_bytes(query.as_deref())? {
        Some(traffic.ask().await.unwrap_or_else(|| Err(Refusal::stopping()))?)
    } else {
        None
    };
    let (metrics, port) = ask(questions, Question::Figures).await?;
    // The kernel is asked, by calls that may block.
    let listening = spawn_blocking(move || listeners::on(port)).await;
    let backend_up = matches!(listening, Ok(Ok(listening)) if !listening.is_empty());
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    Ok(([kind], metrics.text(backend_up, traffic.as_deref())).into_response())
}

/// Series for each node are many, so they are there only for who asks for them.
fn wants_bytes(query: Option<&str>) -> Result<bool, Refusal> {
    match query {
        None | Some("") => Ok(false),
        Some("nodes=bytes") => Ok(true),
        Some(other) => Err(Refusal::BadQuery(format!(
            "/metrics does not know {other:?}; it takes nodes=bytes, or nothing"
        ))),
    }
}
