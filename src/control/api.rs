//! The answers of the control API, shared by the daemon and `connexactl`. Times are RFC 3339 in
//! UTC.

mod history;
mod plan;
mod traffic;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use crate::core::event::Ask;
use crate::unknown::UnknownNode;
pub use history::{Event, NodeInFull, Transition, What};
pub use plan::{KeyChange, Plan, Reloaded, Step};
pub use traffic::{NodeTraffic, Traffic};

/// The version of these shapes.
pub const SCHEMA_VERSION: u32 = 1;

/// `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The version of this shape.
    pub schema_version: u32,
    /// The daemon itself.
    pub daemon: Daemon,
    /// The outage rule.
    pub outage: Outage,
    /// How the kernel is heard.
    pub kernel: Kernel,
    /// Where the nodes come from.
    pub database: Database,
    /// Why no tunnel can be dialled on this host, where that is so.
    pub host_fault: Option<LastError>,
    /// Nodes in each state; states with none are left out.
    pub counts: BTreeMap<String, usize>,
    /// Every node, by id.
    pub nodes: Vec<Node>,
}

impl Status {
    /// One of the nodes.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn node(&self, id: u32) -> Result<&Node, UnknownNode> {
        let node = self.nodes.iter().find(|node| node.id == id);
        let all = self.nodes.iter().map(|node| node.id);
        node.ok_or_else(|| UnknownNode::among(id, all, self.database.path.clone()))
    }
}

/// The daemon itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Daemon {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
    /// The configuration file that it goes by.
    pub config_path: String,
    /// Whether it only tells what it would do.
    pub dry_run: bool,
}

/// The outage rule; the first five names are those of the v7.4.6 watchdog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outage {
    /// Tunnels of nodes that are up.
    pub ppp_interfaces: usize,
    /// Empty windows in a row.
    pub zero_ppp_count: u32,
    /// How many of them make an outage.
    pub consecutive_threshold: u32,
    /// Seconds in a window; a whole number where they are whole, as it always was.
    #[schema(value_type = f64)]
    pub check_interval: Number,
    /// False from the first empty window until a tunnel is up.
    pub is_healthy: bool,
    /// Restarts since the daemon's start; one whose command has failed is none.
    pub restarts: u64,
    /// When the last one began, also one that failed.
    pub last_restart_at: Option<String>,
    /// How that one went.
    #[serde(default)]
    pub last_restart: Option<LastRestart>,
    /// Why a restart that is due is held back, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_held: Option<String>,
    /// When the open window ends.
    pub next_evaluation_at: Option<String>,
}

/// How a restart of the backend went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LastRestart {
    /// `running`; `ready`: its port is open again; `not_ready`: the command worked, and the port
    /// stays shut; `failed`: the command did not work; `overdue`: it never reported back.
    pub result: String,
    /// Why it is not ready or has failed, and the remedy.
    pub message: Option<String>,
}

/// How the kernel is heard.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Kernel {
    /// Point-to-point links in the table.
    pub links: u32,
    /// Times that the kernel dropped events.
    pub overruns: u64,
    /// Events that could not be understood.
    pub undecodable: u64,
    /// Lists with gaps, which a change tore.
    pub interrupted: u64,
    /// Times that the event socket was opened anew.
    pub reopened: u64,
    /// Full reads of the kernel's table.
    pub resyncs: u64,
    /// Receive buffer of the event socket, bytes.
    pub receive_buffer: u32,
    /// When the kernel was last heard.
    pub last_event_at: Option<String>,
}

/// Where the nodes come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Database {
    /// The SQLite file.
    pub path: String,
    /// Whether it was read at least once.
    pub was_read: bool,
    /// Why it can't be read just now, where that is so.
    pub problem: Option<String>,
}

/// One node.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// The row's id.
    pub id: u32,
    /// The address column; null for a tunnel whose row is not known yet.
    pub ip: Option<String>,
    /// The login column.
    pub login: Option<String>,
    /// The status column.
    pub status: Option<String>,
    /// `waiting`, `dialing`, `negotiating`, `up`, `stopping`, `backoff`, `quarantined`, `stopped`,
    /// `invalid`; `not_selected` for a row that is none of the daemon's.
    pub state: String,
    /// What makes its calls: `pppd` or `kernel`.
    pub engine: String,
    /// The link's name.
    pub interface: Option<String>,
    /// The link's index.
    pub ifindex: Option<u32>,
    /// Our address.
    #[schema(value_type = Option<String>, format = Ipv4)]
    pub local_ip: Option<Ipv4Addr>,
    /// The server's address in the tunnel.
    #[schema(value_type = Option<String>, format = Ipv4)]
    pub remote_ip: Option<Ipv4Addr>,
    /// pppd, where that is the engine.
    pub pid: Option<u32>,
    /// Taken over, not dialled.
    pub adopted: bool,
    /// When the state began, by the clock as it was then.
    pub since: String,
    /// Since then, in seconds, whatever the clock was set to meanwhile; 0 where it is `not_selected`.
    pub state_seconds: u64,
    /// Dials since the tunnel was last stable.
    pub attempts: u32,
    /// When the next dial is due.
    pub next_attempt_at: Option<String>,
    /// Until then, in seconds.
    pub next_attempt_in: Option<u64>,
    /// When it is given up: its row is gone, not selected or not to be dialled any more, and must be
    /// back by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_at: Option<String>,
    /// Until then, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_in: Option<u64>,
    /// It could be dialled, and all of `selection.max_tunnels` places are taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_place: bool,
    /// Why it is in this state; null where nothing is wrong, or it was not told yet.
    #[serde(default)]
    pub reason: Option<LastError>,
    /// The last failure, which may be long past.
    pub last_error: Option<LastError>,
    /// What is odd about its tunnel though it is up, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A node right after it was asked to start, stop or retry.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChangedNode {
    /// The node.
    #[serde(flatten)]
    pub node: Node,
    /// False when there was nothing to be done.
    pub changed: bool,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastError {
    /// The name of a [`crate::core::failure::FailureKind`], `invalid`, or another reason's.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What to do about it; null where the message says it too.
    pub remedy: Option<String>,
}

impl LastError {
    /// What happened, and what to do about it, for people.
    pub fn with_remedy(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}; {remedy}", self.message),
            None => self.message.clone(),
        }
    }
}

/// A duration in seconds, with a fraction only where there is one.
pub fn seconds(duration: Duration) -> Number {
    let whole = Number::from(duration.as_secs());
    if duration.subsec_nanos() == 0 {
        return whole;
    }
    Number::from_f64(duration.as_secs_f64()).unwrap_or(whole)
}

/// So many of a thing, for people to read.
pub fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// The path of a request that changes a node: `POST` on it.
pub fn change_path(id: u32, ask: Ask) -> String {
    format!("/v1/nodes/{id}/{}", verb(ask))
}

/// The word for what is asked of a node.
pub(crate) fn verb(ask: Ask) -> &'static str {
    match ask {
        Ask::Start => "start",
        Ask::Stop => "stop",
        Ask::Retry => "retry",
    }
}

/// An error, as RFC 9457 shapes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What sort of error, short.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do about it.
    pub detail: String,
    /// Each fault by itself, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_a_fraction_only_where_there_is_one() {
        let shown = |millis| seconds(Duration::from_millis(millis)).to_string();
        assert_eq!([30_000, 400, 2_500].map(shown), ["30", "0.4", "2.5"]);
    }
}
