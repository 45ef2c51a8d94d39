//! What the control API answers, and its description, which is made of the same handlers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use hyper::body::Bytes;
use tokio::sync::{mpsc, oneshot};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{
    ChangedNode, Event, NodeInFull, Plan, Problem, Reloaded, SCHEMA_VERSION, Status, Traffic,
};
use super::figures::Figures;
use super::problem::{no_such_method, no_such_path};
use super::question::{Changed, Question, Refusal};
use super::server::{Peer, Place};
use super::shared::Shared;
use super::traffic::SharedTraffic;
use super::{events as stream, nodes, plan as planning};
use crate::core::event::Ask;
use crate::doctor::{self, Diagnosis};
use crate::node::NodeId;
use crate::unknown::{Known, no_id};

/// Of what is no id, characters that are told again.
const LONGEST_ID: usize = 100;

type Questions = mpsc::Sender<Question>;
type PathId = Result<Path<String>, PathRejection>;
/// An answer as JSON, made once for several who ask.
type Made = Result<Bytes, Refusal>;

/// What the handlers share.
#[derive(Clone, Debug)]
struct Desk {
    questions: Questions,
    status: Shared<Made>,
    diagnosis: Shared<Made>,
    traffic: SharedTraffic,
    plan: Shared<Made>,
    figures: Figures,
}

/// How every error of a path looks.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code, reason = "only described")]
enum Errors {
    /// The request can't be answered as it is; `detail` says why and what to do.
    #[response(status = "4XX", content_type = "application/problem+json")]
    Request(Problem),
    /// The daemon can't answer it now; `detail` says why and what to do.
    #[response(status = "5XX", content_type = "application/problem+json")]
    Daemon(Problem),
}

/// Every path of the API. Requests carry their [`Peer`] as an extension. To be called within the
/// runtime that serves it.
pub(super) fn router(questions: Questions, counters: SharedTraffic) -> Router {
    let (router, description) = OpenApiRouter::with_openapi(about())
        .routes(routes!(status))
        .routes(routes!(traffic))
        .routes(routes!(diagnosis))
        .routes(routes!(node))
        .routes(routes!(events))
        .routes(routes!(plan, plan_under))
        .routes(routes!(reload))
        .routes(routes!(metrics))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(routes!(retry))
        .split_for_parts();
    let description = description.to_json().unwrap_or_default();
    let [of_status, of_host, of_plan] = [(); 3].map(|()| questions.clone());
    let desk = Desk {
        status: Shared::new(move || make_status(of_status.clone())),
        diagnosis: Shared::new(move || make_diagnosis(of_host.clone())),
        plan: Shared::new(move || make_plan(of_plan.clone())),
        figures: Figures::new(questions.clone(), counters.clone()),
        traffic: counters,
        questions,
    };
    router
        .route("/openapi.json", get(async move || json_of(description.into())))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(desk)
}

fn about() -> OpenApi {
    let info = InfoBuilder::new()
        .title("connexad")
        .description(Some("The control API of connexad, over its Unix socket."))
        .version(format!("{SCHEMA_VERSION}"));
    // Errors name it, and bring none of what they name.
    let shapes = ComponentsBuilder::new().schema_from::<Problem>();
    OpenApiBuilder::new().info(info.build()).components(Some(shapes.build())).build()
}

/// The whole state.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status), Errors))]
async fn status(State(desk): State<Desk>) -> Result<Response, Refusal> {
    made(desk.status.ask().await)
}

async fn make_status(questions: Questions) -> Made {
    let status = ask(&questions, Question::Status).await?;
    to_bytes(&status)
}

/// What the tunnels that are up have carried: the kernel's counters, read when somebody asks.
#[utoipa::path(get, path = "/v1/traffic", responses((status = 200, body = Traffic), Errors))]
async fn traffic(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let traffic = desk.traffic.ask().await.unwrap_or_else(|| Err(Refusal::stopping()))?;
    made(Some(to_bytes(&*traffic)))
}

/// Checks of the host, made by the daemon: they run programs, so all who ask share one run.
#[utoipa::path(get, path = "/v1/doctor", responses((status = 200, body = Diagnosis), Errors))]
async fn diagnosis(State(desk): State<Desk>) -> Result<Response, Refusal> {
    made(desk.diagnosis.ask().await)
}

async fn make_diagnosis(questions: Questions) -> Made {
    let (config, options) = ask(&questions, Question::Config).await?;
    to_bytes(&doctor::examine(&config, options.config.as_deref()).await)
}

/// One node.
#[utoipa::path(get, path = "/v1/nodes/{id}", params(("id" = u32, Path)),
    responses((status = 200, body = NodeInFull), Errors))]
async fn node(State(desk): State<Desk>, id: PathId) -> Answer<NodeInFull> {
    nodes::in_full(&desk.questions, node_id(&desk, id).await?).await.map(Json)
}

/// Events without an end, a line each: the whole state first, then what changes. A reader that is
/// too slow is told how many events it lost, and goes on.
#[utoipa::path(get, path = "/v1/events", responses(
    (status = 200, body = Event, content_type = "application/x-ndjson"), Errors))]
async fn events(
    State(desk): State<Desk>,
    Extension(place): Extension<Arc<Place>>,
) -> Result<Response, Refusal> {
    let follower = place.follow().ok_or(Refusal::TooMany)?;
    let following = ask(&desk.questions, Question::Follow).await?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(([kind], stream::body(following, follower)).into_response())
}

/// Allows a node to be dialled, forgets its failures and dials it.
#[utoipa::path(post, path = "/v1/nodes/{id}/start", params(("id" = u32, Path)),
    responses((status = 200, body = ChangedNode), Errors))]
async fn start(desk: State<Desk>, peer: Extension<Peer>, id: PathId) -> Answer<ChangedNode> {
    change(desk, peer, id, Ask::Start).await
}

/// Hangs up a node and leaves it down until it is started.
#[utoipa::path(post, path = "/v1/nodes/{id}/stop", params(("id" = u32, Path)),
    responses((status = 200, body = ChangedNode), Errors))]
async fn stop(desk: State<Desk>, peer: Extension<Peer>, id: PathId) -> Answer<ChangedNode> {
    change(desk, peer, id, Ask::Stop).await
}

/// Forgets a node's back-off or quarantine and dials it now.
#[utoipa::path(post, path = "/v1/nodes/{id}/retry", params(("id" = u32, Path)),
    responses((status = 200, body = ChangedNode), Errors))]
async fn retry(desk: State<Desk>, peer: Extension<Peer>, id: PathId) -> Answer<ChangedNode> {
    change(desk, peer, id, Ask::Retry).await
}

/// What would be done now, and why.
#[utoipa::path(get, path = "/v1/plan", responses((status = 200, body = Plan), Errors))]
async fn plan(State(desk): State<Desk>) -> Result<Response, Refusal> {
    made(desk.plan.ask().await)
}

async fn make_plan(questions: Questions) -> Made {
    to_bytes(&planning::plan(&questions, None).await?)
}

/// What would be done under the configuration that is sent, and why. Nothing is done.
#[utoipa::path(post, path = "/v1/plan", request_body(content = String, content_type = "text/plain",
    description = "A whole configuration, as TOML"),
    responses((status = 200, body = Plan), Errors))]
async fn plan_under(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer<Plan> {
    // The nodes are read from where it says, and what stands there may be shown.
    peer.must_be_root("trying a configuration")?;
    let text = planning::text(body).await?;
    let (_, options) = ask(&desk.questions, Question::Config).await?;
    let config = planning::parse(&text, &options)?;
    planning::plan(&desk.questions, Some(config)).await.map(Json)
}

/// Figures for Prometheus, as OpenMetrics, or as its older text where that alone is accepted.
#[utoipa::path(get, path = "/metrics", params(("nodes" = Option<String>, Query,
    description = "`bytes`: also what each node that is up has carried, by its id")), responses(
    (status = 200, content((String = "application/openmetrics-text"), (String = "text/plain"))), Errors))]
async fn metrics(
    State(desk): State<Desk>,
    headers: HeaderMap,
    query: RawQuery,
) -> Result<Response, Refusal> {
    desk.figures.answer(&headers, query).await
}

/// Reads the configuration again; answers what differs.
#[utoipa::path(post, path = "/v1/reload", responses((status = 200, body = Reloaded), Errors))]
async fn reload(State(desk): State<Desk>, Extension(peer): Extension<Peer>) -> Answer<Reloaded> {
    peer.must_be_allowed("a reload")?;
    let by = peer.to_string();
    ask(&desk.questions, |reply| Question::Reload { by, reply }).await?.map(Json)
}

type Answer<T> = Result<Json<T>, Refusal>;

async fn change(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    id: PathId,
    verb: Ask,
) -> Answer<ChangedNode> {
    peer.must_be_allowed("changing a node")?;
    let node = node_id(&desk, id).await?;
    let by = peer.to_string();
    let asked = |reply| Question::Change { node, ask: verb, by, reply };
    let changed = match ask(&desk.questions, asked).await? {
        Ok(changed) => changed,
        Err(refusal) => return Err(nodes::not_changed(&desk.questions, node, refusal).await),
    };
    once_kept(node, verb, changed).await.map(Json)
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

/// Asks the supervisor.
pub(super) async fn ask<T>(
    questions: &Questions,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Result<T, Refusal> {
    let (reply, answer) = oneshot::channel();
    questions.send(question(reply)).await.map_err(|_| Refusal::stopping())?;
    answer.await.map_err(|_| Refusal::stopping())
}

/// The id in a path; where it is none, the nodes are looked through for what was meant.
async fn node_id(desk: &Desk, id: PathId) -> Result<NodeId, Refusal> {
    let text = id.map(|Path(text)| text).unwrap_or_default();
    if let Ok(id) = text.parse() {
        return Ok(NodeId(id));
    }
    let status = ask(&desk.questions, Question::Status).await?;
    let text: String = text.chars().take(LONGEST_ID).collect();
    Err(Refusal::BadId(no_id(&text, status.nodes.iter().map(Known::of))))
}

fn to_bytes(answer: &impl serde::Serialize) -> Made {
    let bytes = serde_json::to_vec(answer);
    bytes.map(Bytes::from).map_err(|error| Refusal::NotNow(format!("no form as JSON: {error}")))
}

fn made(answer: Option<Made>) -> Result<Response, Refusal> {
    answer.unwrap_or_else(|| Err(Refusal::stopping())).map(json_of)
}

fn json_of(bytes: Bytes) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([kind], bytes).into_response()
}
