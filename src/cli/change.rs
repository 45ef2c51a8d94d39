//! `connexactl start`, `stop` and `retry`: what became of the node.

use super::{JsonError, json};
use crate::control::api::ChangedNode;
use crate::core::event::Ask;

/// The text to print: the node's state, or all of it as JSON.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_change(changed: &ChangedNode, ask: Ask, as_json: bool) -> Result<String, JsonError> {
    if as_json {
        return json(changed);
    }
    let node = &changed.node;
    let id = node.id;
    // What was done and does not show in the state.
    let note = match (changed.changed, ask, node.state.as_str()) {
        (false, _, _) => ", nothing to be done".to_owned(),
        (true, Ask::Start | Ask::Retry, "stopping") => {
            "; it is dialled when its old call has ended".to_owned()
        }
        (true, Ask::Start, "invalid") => "; it is dialled when its row is correct".to_owned(),
        (true, Ask::Stop, "invalid") => {
            format!("; it stays down when its row is correct, until `connexactl start {id}`")
        }
        (true, _, _) => String::new(),
    };
    Ok(format!("node {id}: {}{note}\n", node.state))
}
