//! What the control API answers.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::api::{ChangedNode, Node, Problem, Status, change_path};
use super::question::{Changed, Question, Refusal};
use super::server::Peer;
use crate::core::event::Ask;
use crate::doctor::{self, Diagnosis};
use crate::node::NodeId;

type Questions = mpsc::Sender<Question>;
type PathId = Result<Path<String>, PathRejection>;

/// Every path of the API. Requests carry their [`Peer`] as an extension.
pub(super) fn router(questions: Questions) -> Router {
    let mut router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/doctor", get(diagnosis))
        .route("/v1/nodes/{id}", get(node));
    for ask in [Ask::Start, Ask::Stop, Ask::Retry] {
        let handler = move |questions, peer, id| change(questions, peer, id, ask);
        router = router.route(&change_path("{id}", ask), post(handler));
    }
    router.fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(questions)
}

async fn status(State(questions): State<Questions>) -> Result<Json<Status>, Refusal> {
    ask_status(&questions).await.map(Json)
}

/// Makes the checks, which run programs of the host: for one who asks at a time.
async fn diagnosis(State(questions): State<Questions>) -> Result<Json<Diagnosis>, Refusal> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let (reply, answer) = oneshot::channel();
    put(&questions, Question::Config(reply)).await?;
    let (config, file) = answer.await.map_err(|_| Refusal::stopping())?;
    Ok(Json(doctor::examine(&config, file.as_deref()).await))
}

async fn node(State(questions): State<Questions>, id: PathId) -> Result<Json<Node>, Refusal> {
    let id = node_id(id)?;
    let status = ask_status(&questions).await?;
    status.node(id.0).cloned().map(Json).map_err(|unknown| Refusal::Unknown(unknown.to_string()))
}

async fn change(
    State(questions): State<Questions>,
    Extension(peer): Extension<Peer>,
    id: PathId,
    ask: Ask,
) -> Result<Json<ChangedNode>, Refusal> {
    if !peer.may_change() {
        return Err(Refusal::NotAllowed);
    }
    let node = node_id(id)?;
    let (reply, answer) = oneshot::channel();
    put(&questions, Question::Change { node, ask, reply }).await?;
    let changed = answer.await.map_err(|_| Refusal::stopping())??;
    once_kept(node, ask, changed).await.map(Json)
}

/// The node that was changed, once the change is on disk.
async fn once_kept(id: NodeId, ask: Ask, changed: Changed) -> Result<ChangedNode, Refusal> {
    let now = match ask {
        Ask::Start => "not stopped any more",
        Ask::Stop => "stopped",
        Ask::Retry => "as it was",
    };
    if let Some(kept) = changed.kept {
        kept.wait().await.map_err(|why| {
            Refusal::NotKept(format!("node {id} is {now}, but a restart will forget that: {why}"))
        })?;
    }
    // One that was stopped is known by its id alone once its row is gone.
    let node = changed.node;
    let node =
        node.map_err(|unknown| Refusal::Unknown(format!("node {id} is {now}; {unknown}")))?;
    Ok(ChangedNode { node, changed: changed.differs })
}

async fn ask_status(questions: &Questions) -> Result<Status, Refusal> {
    let (reply, answer) = oneshot::channel();
    put(questions, Question::Status(reply)).await?;
    answer.await.map_err(|_| Refusal::stopping())
}

async fn put(questions: &Questions, question: Question) -> Result<(), Refusal> {
    questions.send(question).await.map_err(|_| Refusal::stopping())
}

fn node_id(id: PathId) -> Result<NodeId, Refusal> {
    let text = id.map(|Path(text)| text).unwrap_or_default();
    text.parse().map(NodeId).map_err(|_| {
        Refusal::BadId(format!("{text:?} is no node id; give a number of 0 to {}", u32::MAX))
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::NotAllowed => {
                let detail = "changing a node needs root; ask again as root, e.g. by sudo";
                problem(StatusCode::FORBIDDEN, "not allowed", detail.to_owned())
            }
            Refusal::BadId(detail) => problem(StatusCode::BAD_REQUEST, "bad node id", detail),
            Refusal::Unknown(detail) => problem(StatusCode::NOT_FOUND, "no such node", detail),
            Refusal::Stopped(detail) => problem(StatusCode::CONFLICT, "stopped", detail),
            Refusal::NotNow(detail) => problem(StatusCode::SERVICE_UNAVAILABLE, "not now", detail),
            Refusal::NotKept(detail) => {
                problem(StatusCode::INTERNAL_SERVER_ERROR, "not kept", detail)
            }
        }
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
