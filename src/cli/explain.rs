//! `connexactl explain NODE`: why a node is where it is, what it went through, what comes next, and
//! the command that changes it.

use std::fmt::Write;
use std::iter;

use super::status::short;
use super::{JsonError, json};
use crate::control::api::{LastError, Node, NodeInFull, Transition};
use crate::core::failure::FailureKind;
use crate::printable::printable;

/// The text to print.
///
/// # Errors
/// When it can't be put as JSON.
pub fn show_explanation(node: &NodeInFull, as_json: bool) -> Result<String, JsonError> {
    if as_json {
        return json(node);
    }
    let NodeInFull { node, history } = node;
    let mut text = present(node);
    if !history.is_empty() {
        text.push_str("\nWhat it went through, the oldest first (UTC):\n");
        // A reason that goes on is told once.
        let before = iter::once(None).chain(history.iter().map(|change| change.reason.as_ref()));
        history.iter().zip(before).for_each(|(change, before)| line(&mut text, change, before));
    }
    Ok(text)
}

/// What it is, why, what comes next and what changes it: a line each.
pub(super) fn present(node: &Node) -> String {
    let mut text = headline(node);
    // A call under way has no reason yet: what ended the one before it is the best that is known.
    let (word, reason) = match &node.reason {
        Some(reason) => ("why", Some(reason)),
        None => ("before", node.last_error.as_ref().filter(|_| node.state != "up")),
    };
    if let Some(reason) = reason {
        let _ = writeln!(text, "{word:>8}: {}", cause(reason));
        if let Some(remedy) = &reason.remedy {
            let _ = writeln!(text, "{:>8}: {}", "remedy", printable(remedy));
        }
    }
    for note in &node.notes {
        let _ = writeln!(text, "{:>8}: {}", "note", printable(note));
    }
    let _ = writeln!(text, "{:>8}: {}", "engine", engine(node));
    let _ = writeln!(text, "{:>8}: {}", "next", next(node));
    let _ = writeln!(text, "{:>8}: {}", "command", command(node));
    text
}

fn headline(node: &Node) -> String {
    let word = |value: &Option<String>| match value.as_deref() {
        None => "?".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(value) => printable(value),
    };
    let (ip, login) = (word(&node.ip), word(&node.login));
    let state = match node.state.as_str() {
        "not_selected" => "not selected".to_owned(),
        "up" => format!("up for {}", short(node.state_seconds)),
        state => format!("in state {state} for {}", short(node.state_seconds)),
    };
    let link = node.interface.as_deref().map_or(String::new(), |name| {
        let local = node.local_ip.map_or(String::new(), |ip| format!(", local address {ip}"));
        format!(" on {}{local}", printable(name))
    });
    let adopted = if node.adopted { ", taken over and not dialled by this daemon" } else { "" };
    format!("Node {} ({login} at {ip}) is {state}{link}{adopted}.\n", node.id)
}

fn engine(node: &Node) -> String {
    match node.engine.as_str() {
        "kernel" => "kernel: connexad speaks PPTP itself, the kernel carries the data".to_owned(),
        other => printable(other),
    }
}

/// In plain words first, then in those of whoever told it.
fn cause(error: &LastError) -> String {
    let message = printable(&error.message);
    match plain(&error.kind) {
        Some(plain) => format!("{plain} ({}): {message}", error.kind),
        None => format!("{message} ({})", error.kind),
    }
}

/// What a kind of failure means where the words of pppd and pptp do not say it.
fn plain(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "unreachable" => "the server can't be reached",
        "refused" => "the server's host refused the PPTP connection",
        "negotiation" => "the server and this host did not agree on the link",
        "mppe" => "the server and this host differ about encryption",
        "echo_timeout" => "the server went silent",
        "no_ppp_support" => "this host's kernel has no PPP",
        "call_refused" => "the server refused the call",
        "timeout" => "no tunnel came up in time",
        "peer_closed" => "the server ended the call",
        "killed" => "somebody on this host ended its pppd",
        _ => return None,
    })
}

fn next(node: &Node) -> String {
    if let Some(at) = node.leaves_in.map(short) {
        let verb = if node.ifindex.is_some() { "hung up" } else { "given up" };
        return format!(
            "it is {verb} in {at}, for its row is gone, not selected any more or wrong, unless the \
             row is good again by then"
        );
    }
    let at = node.next_attempt_in.map(short);
    match (node.state.as_str(), at) {
        ("waiting", _) if node.waits_for_place => {
            "it is dialled when a place of selection.max_tunnels is free".to_owned()
        }
        ("waiting", _) if node.reason.is_some() => {
            "it is dialled as soon as this host can dial again".to_owned()
        }
        ("waiting", _) => "it is dialled as soon as a dial slot is free".to_owned(),
        ("dialing", _) if has_reason(node, "out_of_sight") => {
            "it is left as it is, and is up as soon as its link has its name again".to_owned()
        }
        ("dialing", _) if has_reason(node, "not_started") => {
            "it is dialled as soon as its files are written".to_owned()
        }
        ("dialing" | "negotiating", _) => {
            "it is up once the kernel shows its link with an address; within tunnel.dial_timeout it \
             is that, or it has failed and is dialled again"
                .to_owned()
        }
        ("up", _) => "it stays up; if it falls it is dialled again".to_owned(),
        ("stopping", _) => "its call ends, by force after tunnel.stop_grace".to_owned(),
        ("backoff", Some(at)) => format!("it is dialled in {at} (try {})", node.attempts + 1),
        ("quarantined", Some(at)) => format!("it is dialled once more in {at}"),
        ("stopped", _) => "nothing, until the operator starts it".to_owned(),
        ("invalid", _) => "it is dialled as soon as its row is correct".to_owned(),
        ("not_selected", _) => {
            "nothing, until its row or the configuration changes; the row is watched".to_owned()
        }
        (_, _) => "nothing by itself".to_owned(),
    }
}

fn command(node: &Node) -> String {
    let id = node.id;
    if node.leaves_in.is_some() {
        return "`connexactl node list` shows its row, or that it is gone".to_owned();
    }
    match node.state.as_str() {
        "backoff" | "quarantined" if is(node, FailureKind::AuthRefused) => format!(
            "`connexactl node set {id} --password-stdin` corrects the password, and that dials it; \
             `connexactl retry {id}` dials it with the same one"
        ),
        "backoff" | "quarantined" => format!("`connexactl retry {id}` dials it at once"),
        "stopped" => format!(
            "`connexactl start {id}` dials it again; `journalctl -u connexad NODE_ID={id}` tells \
             which user has stopped it"
        ),
        "invalid" => format!(
            "`connexactl node set {id} --ip ADDRESS` (or `--login LOGIN`, or `--password-stdin`) \
             corrects its row, and that dials it"
        ),
        "dialing" if has_reason(node, "out_of_sight") => format!(
            "`connexactl stop {id}` and then `connexactl start {id}` hang it up and dial it anew"
        ),
        "waiting" if is(node, FailureKind::NoPppSupport) || is(node, FailureKind::NotInstalled) => {
            "`connexactl doctor` tells what this host lacks".to_owned()
        }
        "not_selected" => format!("`connexactl node set {id} --status STATUS` selects it"),
        _ => format!("`connexactl stop {id}` hangs it up and leaves it down"),
    }
}

fn is(node: &Node, kind: FailureKind) -> bool {
    has_reason(node, kind.name())
}

fn has_reason(node: &Node, kind: &str) -> bool {
    node.reason.as_ref().is_some_and(|reason| reason.kind == kind)
}

/// A change of its state, without a reason that stands with the one before.
pub(super) fn line(text: &mut String, change: &Transition, before: Option<&LastError>) {
    let at = change.at.get(..19).unwrap_or(&change.at).replace('T', " ");
    let link = change
        .interface
        .as_deref()
        .map_or(String::new(), |name| format!(" on {}", printable(name)));
    let reason = change
        .reason
        .as_ref()
        .filter(|reason| before != Some(*reason))
        .map_or(String::new(), |reason| format!(": {}", printable(&reason.message)));
    let _ = writeln!(text, "  {at}  {}{link}{reason}", change.state);
}
