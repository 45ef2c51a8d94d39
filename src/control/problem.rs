//! Errors, as RFC 9457 shapes them.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::api::Problem;
use super::question::Refusal;

const KIND: &str = "application/problem+json";
/// The title where there is no such path, unlike where there is no such node.
pub(super) const NO_PATH: &str = "not found";
/// The title where a path takes no such request.
pub(super) const NO_METHOD: &str = "method not allowed";

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut faults = Vec::new();
        let (status, title, detail) = match self {
            Refusal::NotAllowed(detail) => (StatusCode::FORBIDDEN, "not allowed", detail),
            Refusal::BadId(detail) => (StatusCode::BAD_REQUEST, "bad node id", detail),
            Refusal::Unknown(detail) => (StatusCode::NOT_FOUND, "no such node", detail),
            Refusal::Stopped(detail) => (StatusCode::CONFLICT, "stopped", detail),
            Refusal::BadQuery(detail) => (StatusCode::BAD_REQUEST, "bad query", detail),
            Refusal::BadBody(detail) => (StatusCode::BAD_REQUEST, "bad body", detail),
            Refusal::NotReloaded(all) => {
                let detail = format!("the old configuration stays: {}", all.join(" | "));
                faults = all;
                (StatusCode::UNPROCESSABLE_ENTITY, "wrong configuration", detail)
            }
            Refusal::TooMany => {
                let detail = "this user follows events 128 times already; end some of them";
                (StatusCode::SERVICE_UNAVAILABLE, "too many connections", detail.to_owned())
            }
            Refusal::NotNow(detail) => (StatusCode::SERVICE_UNAVAILABLE, "not now", detail),
            Refusal::NotKept(detail) => (StatusCode::INTERNAL_SERVER_ERROR, "not kept", detail),
        };
        response(status, title, detail, faults)
    }
}

pub(super) async fn no_such_path(uri: Uri) -> Response {
    let detail = format!("there is nothing at {}; try /v1/status", uri.path());
    response(StatusCode::NOT_FOUND, NO_PATH, detail, Vec::new())
}

/// The same on `metrics.listen`.
pub(super) async fn no_figures(uri: Uri) -> Response {
    let path = uri.path();
    let detail =
        format!("there is nothing at {path}; try /metrics, all else is on the control socket");
    response(StatusCode::NOT_FOUND, NO_PATH, detail, Vec::new())
}

pub(super) async fn no_such_method(uri: Uri) -> Response {
    let detail = format!("{} does not take this method; see /openapi.json", uri.path());
    response(StatusCode::METHOD_NOT_ALLOWED, NO_METHOD, detail, Vec::new())
}

/// The same on `metrics.listen`, which serves one page and no description.
pub(super) async fn figures_are_read_alone(uri: Uri) -> Response {
    let detail = format!("{} takes GET and HEAD alone", uri.path());
    response(StatusCode::METHOD_NOT_ALLOWED, NO_METHOD, detail, Vec::new())
}

fn response(status: StatusCode, title: &str, detail: String, faults: Vec<String>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    (status, [kind], body(status, title, detail, faults)).into_response()
}

fn body(status: StatusCode, title: &str, detail: String, faults: Vec<String>) -> String {
    let problem = Problem { title: title.to_owned(), status: status.as_u16(), detail, faults };
    // Texts and a number always have a form as JSON.
    serde_json::to_string(&problem).unwrap_or_default()
}

/// A whole answer, for who is answered before there is a request; the connection ends by it.
pub(super) fn document(status: StatusCode, title: &str, detail: &str) -> String {
    let body = body(status, title, detail.to_owned(), Vec::new());
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {KIND}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
