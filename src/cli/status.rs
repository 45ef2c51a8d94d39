//! `connexactl status`: a table of all nodes, or one node in full.

use std::fmt::Write;
use std::net::Ipv4Addr;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::summary::summary;
use super::table::table;
use super::terminal::Terminal;
use super::usage::warn;
use super::{JsonError, json};
use crate::control::api::{LastError, LastRestart, Node, SCHEMA_VERSION, Status};
use crate::core::State;
use crate::printable::printable;

/// What to show of all nodes, and how.
#[derive(Clone, Debug, Default, Args)]
pub struct StatusView {
    /// Only nodes in this state; may be given again
    #[arg(long = "state", value_name = "STATE", value_parser = PossibleValuesParser::new(State::ALL.map(State::name)))]
    states: Vec<String>,
    /// Only nodes with this server; may be given again
    #[arg(long = "server", value_name = "ADDRESS")]
    servers: Vec<String>,
    /// What the lines are sorted by [default: worst first; with --json by id]
    #[arg(long, value_enum, value_name = "BY")]
    sort: Option<SortBy>,
    /// All columns, whatever the terminal's width
    #[arg(long)]
    pub wide: bool,
}

/// What the lines are sorted by; those that are alike, by id.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SortBy {
    /// Those first that need a person, then those that may come up by themselves
    Worst,
    /// The node's id
    Id,
    /// The server's address
    Server,
    /// The state's name
    State,
    /// The newest state first
    For,
}

impl StatusView {
    fn takes(&self, node: &Node) -> bool {
        let is_one_of = |words: &[String], word: &str| {
            words.is_empty() || words.iter().any(|known| known == word)
        };
        is_one_of(&self.states, &node.state)
            && is_one_of(&self.servers, node.ip.as_deref().unwrap_or_default())
    }

    /// The nodes that are asked for, in order.
    fn nodes(&self, status: &Status, default: SortBy) -> Vec<Node> {
        let mut nodes: Vec<Node> =
            status.nodes.iter().filter(|node| self.takes(node)).cloned().collect();
        match self.sort.unwrap_or(default) {
            SortBy::Worst => nodes.sort_by_key(|node| (rank(&node.state), node.id)),
            SortBy::Id => nodes.sort_by_key(|node| node.id),
            SortBy::Server => nodes.sort_by_key(|node| (address(node), node.id)),
            SortBy::State => nodes.sort_by(|a, b| (&a.state, a.id).cmp(&(&b.state, b.id))),
            SortBy::For => nodes.sort_by_key(|node| (node.state_seconds, node.id)),
        }
        nodes
    }
}

/// The server's address, where it is one.
pub(super) fn address(node: &Node) -> Option<Ipv4Addr> {
    node.ip.as_deref().and_then(|ip| ip.parse().ok())
}

/// How bad a state is: the lowest needs a person most.
pub(super) fn rank(state: &str) -> usize {
    const WORST_FIRST: [&str; 9] = [
        "quarantined",
        "invalid",
        "backoff",
        "stopping",
        "negotiating",
        "dialing",
        "waiting",
        "stopped",
        "up",
    ];
    WORST_FIRST.iter().position(|known| *known == state).unwrap_or_default()
}

/// The text to print of all nodes, or of those that are asked for.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_status(
    status: &Status,
    view: &StatusView,
    terminal: Terminal,
) -> Result<String, JsonError> {
    let nodes = view.nodes(status, SortBy::Worst);
    let text = if nodes.is_empty() && !status.nodes.is_empty() {
        terminal.wrapped("no node matches these filters\n")
    } else {
        table(&nodes, terminal)
    };
    Ok(text + &terminal.wrapped(&below(status)))
}

/// Warns where the daemon is of another version than this program.
pub fn compare_versions(status: &Status) {
    let version = status.schema_version;
    if version != SCHEMA_VERSION {
        warn(&format!(
            "connexad speaks version {version} of the API, and this connexactl version {SCHEMA_VERSION}: \
             some may be missing or wrong here; use the connexactl that came with it"
        ));
    }
}

/// The same as JSON.
///
/// # Errors
/// When it can't be put as JSON.
pub fn status_as_json(status: &Status, view: &StatusView) -> Result<String, JsonError> {
    json(&Status { nodes: view.nodes(status, SortBy::Id), ..status.clone() })
}

/// The text to print of one node.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_node(node: &Node, as_json: bool) -> Result<String, JsonError> {
    if as_json { json(node) } else { Ok(in_full(node)) }
}

/// What is below the table.
fn below(status: &Status) -> String {
    let mut text = summary(status) + "\n";
    let outage = &status.outage;
    if let Some(LastRestart { result, message: Some(message) }) = &outage.last_restart
        && !outage.is_healthy
    {
        let what = if result == "failed" { "has failed" } else { "did not bring it back" };
        let _ = writeln!(text, "The last backend restart {what}: {}", printable(message));
    }
    if let Some(fault) = &status.host_fault {
        let _ = writeln!(text, "No tunnel can be dialled: {}", with_remedy(fault));
    }
    if let Some(problem) = &status.database.problem {
        let _ = writeln!(text, "The node database can't be used: {}", printable(problem));
    } else if !status.database.was_read {
        let path = printable(&status.database.path);
        let _ = writeln!(text, "The node database {path} was not read yet");
    }
    text
}

pub(super) fn with_remedy(error: &LastError) -> String {
    printable(&error.with_remedy())
}

fn in_full(node: &Node) -> String {
    let show = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), printable);
    // A row that is none of the daemon's is in no state of a time.
    let state = match node.state.as_str() {
        state @ "not_selected" => state.to_owned(),
        state => format!("{state} for {}", short(node.state_seconds)),
    };
    let mut lines = vec![
        ("node", node.id.to_string()),
        ("state", state),
        ("server", show(&node.ip)),
        ("login", show(&node.login)),
        ("status", show(&node.status)),
        ("interface", show(&node.interface)),
        ("ifindex", node.ifindex.map_or("-".into(), |n| n.to_string())),
        ("local", node.local_ip.map_or("-".into(), |ip| ip.to_string())),
        ("remote", node.remote_ip.map_or("-".into(), |ip| ip.to_string())),
        ("engine", node.engine.clone()),
        ("pppd", node.pid.map_or("-".into(), |pid| pid.to_string())),
        ("adopted", if node.adopted { "yes" } else { "no" }.to_owned()),
        ("attempts", node.attempts.to_string()),
    ];
    if let Some(reason) = &node.reason {
        lines.push(("reason", format!("{} ({})", printable(&reason.message), reason.kind)));
        // That of the last failure stands beside it.
        let is_last = node.last_error.as_ref().is_some_and(|last| last.remedy == reason.remedy);
        if let Some(remedy) = reason.remedy.as_ref().filter(|_| !is_last) {
            lines.push(("remedy", printable(remedy)));
        }
    }
    if node.state == "stopped" {
        lines.push(("until", format!("`connexactl start {}`", node.id)));
    }
    if let Some(seconds) = node.next_attempt_in {
        lines.push(("next try in", short(seconds)));
    }
    if let Some(leaves_in) = node.leaves_in.map(short) {
        lines.push(("leaves in", format!("{leaves_in}, unless its row is back by then")));
    }
    if node.waits_for_place {
        lines.push(("next try", "when a place is free (selection.max_tunnels)".to_owned()));
    }
    if let Some(error) = &node.last_error {
        lines.push(("last error", format!("{} ({})", printable(&error.message), error.kind)));
        if let Some(remedy) = &error.remedy {
            lines.push(("remedy", printable(remedy)));
        }
    }
    lines.extend(node.notes.iter().map(|note| ("note", printable(note))));
    lines.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:>12}: {value}");
        text
    })
}

/// At most two units, as people say it: `3d4h`, `2m5s`.
pub(super) fn short(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, m) => format!("{m}m{s}s"),
        (0, h, m) => format!("{h}h{m}m"),
        (d, h, _) => format!("{d}d{h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::node;
    use super::*;

    #[test]
    fn a_reason_stands_with_its_remedy_and_a_remedy_stands_once() {
        let error = LastError {
            kind: "no_ppp_support".to_owned(),
            message: "Couldn't open the /dev/ppp device".to_owned(),
            remedy: Some("run `modprobe ppp_generic`".to_owned()),
        };
        let mut node = node(2, "waiting", "");
        node.reason = Some(error.clone());
        assert_eq!(in_full(&node).matches("remedy: run `modprobe").count(), 1);
        node.last_error = Some(error);
        assert_eq!(in_full(&node).matches("remedy: run `modprobe").count(), 1);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let texts = [5, 125, 7500, 273_600].map(short);
        assert_eq!(texts, ["5s", "2m5s", "2h5m", "3d4h"]);
    }
}
