//! `connexactl start`, `stop` and `retry`: what became of the node.

use super::{JsonError, json};
use crate::control::api::ChangedNode;

/// The text to print: the node's state, or all of it as JSON.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_change(changed: &ChangedNode, as_json: bool) -> Result<String, JsonError> {
    if as_json {
        return json(changed);
    }
    let node = &changed.node;
    let note = if changed.changed { "" } else { ", nothing to be done" };
    Ok(format!("node {}: {}{note}\n", node.id, node.state))
}
