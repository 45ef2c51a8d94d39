//! `connexactl start`, `stop` and `retry`: what became of the node.

use super::json;
use crate::control::api::Node;

/// The text to print: the node's state, or all of it as JSON.
///
/// # Errors
/// When it can't be put as JSON; the message says why.
pub fn show_change(node: &Node, as_json: bool) -> Result<String, String> {
    if as_json { json(node) } else { Ok(format!("node {}: {}\n", node.id, node.state)) }
}
