//! What another configuration changes, and what would be done.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// The keys that differ from what was in force; none where nothing does.
    pub changes: Vec<KeyChange>,
}

/// A key of the configuration whose value is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyChange {
    /// Dotted, as in `tunnel.mtu`.
    pub key: String,
    /// Its value before, as TOML writes it; null where it is unset.
    pub from: Option<String>,
    /// Its new value; null where it is unset.
    pub to: Option<String>,
    /// When it is in force: `now`, `next_dial` of each tunnel, or `restart` of the daemon.
    pub when: String,
}

/// `GET /v1/plan`, and `POST` with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// The version of this shape.
    pub schema_version: u32,
    /// What the configuration that was sent changes.
    pub changes: Vec<KeyChange>,
    /// What would be done, node by node.
    pub steps: Vec<Step>,
    /// Tunnels that stay as they are.
    pub stay_up: usize,
    /// Calls under way, from the dial to an address, that go on.
    #[serde(default)]
    pub calls_go_on: usize,
    /// Nodes that could be dialled and only wait: for a dial slot or a place.
    pub wait: usize,
}

/// What would be done with a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// The node.
    pub node: u32,
    /// `dial`, `hang_up`, `refuse` (its row can't be dialled) or `let_go` (nothing of it runs).
    pub action: String,
    /// In how many seconds; null is at once.
    pub in_seconds: Option<u64>,
    /// Why.
    pub why: String,
}
