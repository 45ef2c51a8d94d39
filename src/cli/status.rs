//! `connexactl status`: a table of all nodes, or one node in full.

use std::fmt::Write;
use std::time::SystemTime;

use comfy_table::{ContentArrangement, Table, presets};

use super::{JsonError, json};
use crate::control::api::{LastError, LastRestart, Node, Status, UnknownNode, counted};
use crate::printable::printable;

/// Why a node is in state `stopped`.
const BY_OPERATOR: &str = "by the operator";

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The node asked for is none of the daemon's.
    #[error(transparent)]
    Unknown(#[from] UnknownNode),
    /// The answer has no form as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// What to show, and how.
#[derive(Clone, Copy, Debug)]
pub struct StatusView {
    /// Only this node, in full.
    pub node: Option<u32>,
    /// As JSON.
    pub json: bool,
}

/// The text to print, and whether the answer is yes: a single node asked for is up.
///
/// # Errors
/// When the node asked for is not among the nodes.
pub fn show_status(status: &Status, view: StatusView) -> Result<(String, bool), StatusError> {
    let Some(id) = view.node else {
        let text = if view.json { json(status)? } else { table(status) };
        return Ok((text, true));
    };
    let node = status.node(id)?;
    let text = if view.json { json(node)? } else { in_full(node) };
    Ok((text, node.state == "up"))
}

fn table(status: &Status) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "NODE", "SERVER", "STATE", "FOR", "LINK", "LOCAL", "REMOTE", "TRY", "NEXT", "REASON",
        ]);
    for node in &status.nodes {
        table.add_row(row(node));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text.push_str(&summary(status));
    text
}

fn row(node: &Node) -> [String; 10] {
    let dash = || "-".to_owned();
    let reason = match (&node.reason, &node.last_error, node.state.as_str()) {
        (_, _, "stopped") => BY_OPERATOR.to_owned(),
        _ if node.leaves_at.is_some() => "its row is away".to_owned(),
        (Some(reason), ..) => printable(&reason.message),
        // Nothing has failed in this state so far.
        (None, Some(error), state) if state != "up" => {
            format!("last time: {}", printable(&error.message))
        }
        (None, Some(_) | None, _) => String::new(),
    };
    [
        node.id.to_string(),
        node.ip.as_deref().map_or_else(dash, printable),
        node.state.clone(),
        short(node.state_seconds),
        node.interface.as_deref().map_or_else(dash, printable),
        node.local_ip.map_or_else(dash, |ip| ip.to_string()),
        node.remote_ip.map_or_else(dash, |ip| ip.to_string()),
        node.attempts.to_string(),
        match node.next_attempt_in {
            Some(seconds) => short(seconds),
            None if node.waits_for_place => "a place".to_owned(),
            None => dash(),
        },
        reason,
    ]
}

fn summary(status: &Status) -> String {
    let mut text = counted(status.nodes.len(), "node");
    let mut joint = ": ";
    for (state, count) in &status.counts {
        let _ = write!(text, "{joint}{count} {state}");
        joint = ", ";
    }
    let outage = &status.outage;
    let (count, of) = (outage.zero_ppp_count, outage.consecutive_threshold);
    let _ = write!(text, "; outage check: {count} of {of} windows in a row without a tunnel");
    let times =
        if outage.restarts == 1 { "once".to_owned() } else { format!("{} times", outage.restarts) };
    let _ = writeln!(text, "; backend restarted {times}");
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

fn with_remedy(error: &LastError) -> String {
    let message = printable(&error.message);
    match &error.remedy {
        Some(remedy) => format!("{message}; {}", printable(remedy)),
        None => message,
    }
}

fn in_full(node: &Node) -> String {
    let show = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), printable);
    let mut lines = vec![
        ("node", node.id.to_string()),
        ("state", format!("{} for {}", node.state, short(node.state_seconds))),
        ("server", show(&node.ip)),
        ("login", show(&node.login)),
        ("status", show(&node.status)),
        ("interface", show(&node.interface)),
        ("ifindex", node.ifindex.map_or("-".into(), |n| n.to_string())),
        ("local", node.local_ip.map_or("-".into(), |ip| ip.to_string())),
        ("remote", node.remote_ip.map_or("-".into(), |ip| ip.to_string())),
        ("pppd", node.pid.map_or("-".into(), |pid| pid.to_string())),
        ("adopted", if node.adopted { "yes" } else { "no" }.to_owned()),
        ("attempts", node.attempts.to_string()),
    ];
    if node.state == "stopped" {
        lines.push(("stopped", format!("{BY_OPERATOR}, until `connexactl start {}`", node.id)));
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
    lines.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:>12}: {value}");
        text
    })
}

pub(super) fn ahead(time: &str, now: SystemTime) -> String {
    match humantime::parse_rfc3339(time) {
        Ok(time) => short(time.duration_since(now).unwrap_or_default().as_secs()),
        Err(_) => "?".to_owned(),
    }
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
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let texts = [5, 125, 7500, 273_600].map(short);
        assert_eq!(texts, ["5s", "2m5s", "2h5m", "3d4h"]);
    }
}
