//! `GET /metrics`, on the control socket and on `metrics.listen`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::prometheus_text;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::answers::ask;
use super::problem::{figures_are_read_alone, no_figures};
use super::question::{Question, Refusal};
use super::shared::Shared;
use super::traffic::SharedTraffic;
use crate::backend::listeners;
use crate::telemetry::metrics::{Form, Metrics};

/// As the specification of OpenMetrics names it.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What figures are made of, asked once for several who want them.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    figures: Shared<Result<(Arc<Metrics>, bool), Refusal>>,
    traffic: SharedTraffic,
}

impl Figures {
    /// Of whoever answers these questions. To be called within a runtime.
    pub(super) fn new(questions: mpsc::Sender<Question>, traffic: SharedTraffic) -> Self {
        Figures { figures: Shared::new(move || look(questions.clone())), traffic }
    }

    pub(super) async fn answer(
        &self,
        headers: &HeaderMap,
        RawQuery(query): RawQuery,
    ) -> Result<Response, Refusal> {
        let traffic = if wants_bytes(query.as_deref())? {
            Some(self.traffic.ask().await.unwrap_or_else(|| Err(Refusal::stopping()))?)
        } else {
            None
        };
        let figures = self.figures.ask().await.unwrap_or_else(|| Err(Refusal::stopping()));
        let (metrics, backend_up) = figures?;
        let form = wanted(headers);
        let kind = match form {
            Form::OpenMetrics => KIND,
            Form::Prometheus => prometheus_text::CONTENT_TYPE,
        };
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(([kind], metrics.text(backend_up, form, traffic.as_deref())).into_response())
    }
}

/// What is served to the network: figures and nothing else.
pub(super) fn router(questions: mpsc::Sender<Question>, traffic: SharedTraffic) -> Router {
    let answer = async |State(figures): State<Figures>, headers: HeaderMap, query: RawQuery| {
        figures.answer(&headers, query).await
    };
    Router::new()
        .route("/metrics", get(answer))
        .fallback(no_figures)
        .method_not_allowed_fallback(figures_are_read_alone)
        .with_state(Figures::new(questions, traffic))
}

/// The daemon's figures, and whether something listens on the backend's port.
async fn look(questions: mpsc::Sender<Question>) -> Result<(Arc<Metrics>, bool), Refusal> {
    let (metrics, port) = ask(&questions, Question::Figures).await?;
    // The kernel is asked, by calls that may block.
    let listening = spawn_blocking(move || listeners::on(port)).await;
    Ok((metrics, matches!(listening, Ok(Ok(listening)) if !listening.is_empty())))
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

/// The older text only for who asks for it and not for OpenMetrics.
fn wanted(headers: &HeaderMap) -> Form {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted = accepted.collect::<Vec<_>>().join(",");
    if accepted.contains("text/plain") && !accepted.contains("application/openmetrics-text") {
        Form::Prometheus
    } else {
        Form::OpenMetrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &[&'static str]) -> Form {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        wanted(&headers)
    }

    #[test]
    fn openmetrics_is_for_all_but_those_that_ask_for_the_older_text_alone() {
        assert_eq!(asked(&[]), Form::OpenMetrics);
        assert_eq!(asked(&["*/*"]), Form::OpenMetrics);
        assert_eq!(
            asked(&["application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]),
            Form::OpenMetrics
        );
        assert_eq!(asked(&["text/plain", "application/openmetrics-text"]), Form::OpenMetrics);
        assert_eq!(asked(&["text/plain;version=0.0.4"]), Form::Prometheus);
    }
}
