//! connexactl's commands.

mod change;
mod completions;
mod doctor;
mod explain;
mod firewall;
mod named;
mod node;
mod output;
mod place;
mod plan;
mod replay;
mod report;
mod setup;
mod status;
mod summary;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
mod top;
mod usage;
mod watch;

pub use change::show_change;
pub use completions::{Shell, complete, completions, nodes};
pub use doctor::show_diagnosis;
pub use explain::show_explanation;
pub use firewall::{FirewallArguments, FirewallCommandError, firewall};
pub use named::Named;
pub use node::{NodeArguments, NodeCommand, NodeError, node};
pub use output::{JsonError, OutputError, print};
pub use place::socket;
pub use plan::{show_plan, show_reload};
pub use replay::{ReplayError, replay};
pub use report::{ReportError, report};
pub use setup::{SetupArguments, SetupError, setup};
pub use status::{StatusView, compare_versions, show_node, show_status, status_as_json};
pub use terminal::Terminal;
pub use top::top;
pub use usage::{arguments, fail};
pub use watch::watch;

use output::json;
use usage::node_id;
