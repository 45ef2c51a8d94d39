//! connexactl's commands.

mod change;
mod doctor;
mod firewall;
mod node;
mod output;
mod place;
mod replay;
mod status;
mod usage;

pub use change::show_change;
pub use doctor::show_diagnosis;
pub use firewall::{FirewallArguments, FirewallCommandError, firewall};
pub use node::{NodeArguments, NodeCommand, NodeError, node};
pub use output::{JsonError, OutputError, print};
pub use place::socket;
pub use replay::{ReplayError, replay};
pub use status::{StatusError, StatusView, show_status};
pub use usage::{arguments, fail, node_id};

use output::json;
