//! connexactl's commands.

mod change;
mod doctor;
mod explain;
mod firewall;
mod node;
mod output;
mod place;
mod plan;
mod replay;
mod status;
mod summary;
mod usage;
mod watch;

pub use change::show_change;
pub use doctor::show_diagnosis;
pub use explain::show_explanation;
pub use firewall::{FirewallArguments, FirewallCommandError, firewall};
pub use node::{NodeArguments, NodeCommand, NodeError, node};
pub use output::{JsonError, OutputError, print};
pub use place::socket;
pub use plan::{show_plan, show_reload};
pub use replay::{ReplayError, replay};
pub use status::{StatusError, StatusView, show_status};
pub use usage::{arguments, fail, node_id};
pub use watch::watch;

use output::json;
