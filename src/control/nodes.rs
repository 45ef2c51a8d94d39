//! `GET /v1/nodes/{id}`: a node that the daemon holds, or why it does not hold the row.

use tokio::sync::mpsc;

use super::answers::ask;
use super::api::{LastError, Node, NodeInFull};
use super::question::{Question, Refusal, Unheld};
use crate::config::Config;
use crate::desired::{self, Settings, Unselected};
use crate::node::NodeId;

/// The node in full.
pub(super) async fn in_full(
    questions: &mpsc::Sender<Question>,
    id: NodeId,
) -> Result<NodeInFull, Refusal> {
    match ask(questions, |reply| Question::Node(id, reply)).await? {
        Ok(node) => Ok(node),
        Err(unheld) => not_selected(questions, id, unheld).await,
    }
}

async fn not_selected(
    questions: &mpsc::Sender<Question>,
    id: NodeId,
    unheld: Unheld,
) -> Result<NodeInFull, Refusal> {
    let (config, _) = ask(questions, Question::Config).await?;
    let row = unselected(&config, id).await;
    let row = row.ok_or_else(|| Refusal::Unknown(unheld.unknown.to_string()))?;
    let reason = LastError {
        kind: "not_selected".to_owned(),
        message: row.message(),
        remedy: Some(row.remedy().to_owned()),
    };
    Ok(NodeInFull {
        node: Node {
            leaves_at: None,
            id: id.0,
            ip: Some(row.ip),
            login: Some(row.login),
            status: Some(row.status),
            state: "not_selected".to_owned(),
            engine: config.tunnel.engine.to_string(),
            interface: None,
            ifindex: None,
            local_ip: None,
            remote_ip: None,
            pid: None,
            adopted: false,
            since: unheld.since,
            state_seconds: 0,
            attempts: 0,
            next_attempt_at: None,
            next_attempt_in: None,
            leaves_in: None,
            waits_for_place: false,
            reason: Some(reason),
            last_error: None,
            notes: Vec::new(),
        },
        history: unheld.history,
    })
}

/// Why nothing was changed: a node that has a row, and is not held, is told by what decides.
pub(super) async fn not_changed(
    questions: &mpsc::Sender<Question>,
    id: NodeId,
    refusal: Refusal,
) -> Refusal {
    let Refusal::Unknown(_) = refusal else { return refusal };
    let Ok((config, _)) = ask(questions, Question::Config).await else { return refusal };
    let Some(row) = unselected(&config, id).await else { return refusal };
    let (why, remedy) = (row.message(), row.remedy());
    Refusal::Unknown(format!("node {id} is not selected: {why}; {remedy}"))
}

/// A database that can't be read is told by the status, and says nothing of the row.
async fn unselected(config: &Config, id: NodeId) -> Option<Unselected> {
    desired::unselected(&Settings::from(config), id).await.ok().flatten()
}
