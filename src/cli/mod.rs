//! connexactl's commands.

mod change;
mod doctor;
mod firewall;
mod node;
mod output;
mod replay;
mod status;
mod usage;

pub use change::show_change;
pub use doctor::show_diagnosis;
pub use firewall::{FirewallArguments, FirewallCommandError, firewall};
pub use node::{NodeArguments, NodeCommand, NodeError, node};
pub use output::{OutputError, print};
pub use replay::{ReplayError, replay};
pub use status::{StatusView, show_status};
pub use usage::{arguments, fail};

fn json<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| error.to_string())
}
