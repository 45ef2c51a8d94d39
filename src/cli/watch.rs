//! `connexactl watch`: a line for each event, also over restarts of the daemon.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::output::OutputError;
use super::status::with_remedy;
use super::summary::{outage, summary};
use crate::control::api::{Event, Node, What, counted};
use crate::control::client::{self, ClientError, Events};
use crate::exit::Refused;
use crate::printable::printable;

/// Between two tries to reach a daemon that went away.
const AGAIN: Duration = Duration::from_secs(1);

/// Said as JSON when the daemon has gone.
#[derive(Serialize)]
struct Lost {
    event: &'static str,
}

/// Prints events until nobody reads them.
///
/// # Errors
/// When the daemon can't be reached at first, or the lines can't be written.
pub async fn watch(socket: &Path, as_json: bool, mut out: impl Write) -> Result<(), Refused> {
    let mut events = client::follow(socket).await?;
    let mut outage_told = String::new();
    loop {
        while let Some(line) = events.next().await {
            let line = line?;
            let told = if as_json { Some(line) } else { told(&line, &mut outage_told) };
            if let Some(told) = told
                && !put(&mut out, &told)?
            {
                return Ok(());
            }
        }
        let lost = if as_json {
            serde_json::to_string(&Lost { event: "lost" }).unwrap_or_default()
        } else {
            "connexad has ended, or hung up; waiting for it".to_owned()
        };
        if !put(&mut out, &lost)? {
            return Ok(());
        }
        events = again(socket).await?;
        if !as_json && !put(&mut out, "connexad answers again")? {
            return Ok(());
        }
    }
}

/// Waits for a daemon that answers.
async fn again(socket: &Path) -> Result<Events, ClientError> {
    loop {
        tokio::time::sleep(AGAIN).await;
        match client::follow(socket).await {
            Ok(events) => return Ok(events),
            Err(
                error @ (ClientError::Permission { .. }
                | ClientError::NotRoot { .. }
                | ClientError::NotKnown { .. }),
            ) => return Err(error),
            Err(
                ClientError::Unreachable { .. }
                | ClientError::WentAway { .. }
                | ClientError::Late { .. }
                | ClientError::Garbled { .. }
                | ClientError::Refused { .. },
            ) => {}
        }
    }
}

/// Whether somebody reads still.
fn put(out: &mut impl Write, line: &str) -> Result<bool, OutputError> {
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(io::Error::into(error)),
    }
}

/// An event in words; none where they are those that were told last of the outage rule: each tunnel
/// that comes or goes is an event of it, too.
fn told(line: &str, outage_told: &mut String) -> Option<String> {
    let Ok(event) = serde_json::from_str::<Event>(line) else {
        // Of another version: shown as it is.
        return Some(printable(line));
    };
    let outage_now = match &event.what {
        What::Snapshot { status } => Some(outage(&status.outage)),
        What::Outage { outage: now } => Some(outage(now)),
        What::Node { .. }
        | What::Gone { .. }
        | What::Database { .. }
        | What::HostFault { .. }
        | What::Lagged { .. } => None,
    };
    let is_told =
        matches!(event.what, What::Outage { .. }) && outage_now.as_ref() == Some(outage_told);
    if let Some(now) = outage_now {
        *outage_told = now;
    }
    (!is_told).then(|| in_words(&event))
}

fn in_words(event: &Event) -> String {
    let time = event.at.get(11..19).unwrap_or_default();
    let what = match &event.what {
        What::Snapshot { status } => {
            let daemon = &status.daemon;
            let (version, pid) = (&daemon.version, daemon.pid);
            format!("connexad {version} (process {pid}): {}", summary(status))
        }
        What::Node { node } => self::node(node),
        What::Gone { id } => format!("node {id} removed: its row is gone or no longer selected"),
        What::Outage { outage: now } => outage(now),
        What::Database { database } => match &database.problem {
            Some(problem) => format!("the node database can't be used: {}", printable(problem)),
            None => "the node database is read".to_owned(),
        },
        What::HostFault { host_fault: Some(fault) } => {
            format!("no tunnel can be dialled: {}", with_remedy(fault))
        }
        What::HostFault { host_fault: None } => "tunnels can be dialled again".to_owned(),
        What::Lagged { lost } => {
            let lost = counted(usize::try_from(*lost).unwrap_or(usize::MAX), "event");
            format!("{lost} lost: they came faster than they were read here")
        }
    };
    format!("{time} {what}")
}

fn node(node: &Node) -> String {
    let link = node.interface.as_deref().map_or(String::new(), |name| {
        let ends = match (node.local_ip, node.remote_ip) {
            (Some(local), Some(remote)) => format!(" ({local} to {remote})"),
            (Some(local), None) => format!(" ({local})"),
            (None, _) => String::new(),
        };
        format!(" on {}{ends}", printable(name))
    });
    let reason =
        node.reason.as_ref().map_or(String::new(), |reason| format!(": {}", with_remedy(reason)));
    format!("node {}: {}{link}{reason}", node.id, node.state)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::control::api::LastError;

    #[test]
    fn the_outage_rule_is_told_when_its_words_change() {
        let line = |what| {
            let event = Event { seq: 1, at: "2026-11-24T12:40:45.762Z".to_owned(), what };
            serde_json::to_string(&event).unwrap()
        };
        let status = testing::status(Vec::new());
        let mut outage = Box::new(status.outage.clone());
        let mut before = String::new();
        assert!(told(&line(What::Snapshot { status: Box::new(status) }), &mut before).is_some());
        // A second tunnel is up.
        outage.ppp_interfaces += 1;
        assert_eq!(told(&line(What::Outage { outage: outage.clone() }), &mut before), None);
        outage.zero_ppp_count = 1;
        let words = told(&line(What::Outage { outage }), &mut before);
        assert!(words.unwrap().starts_with("12:40:45 outage check: 1 of 3 windows"));
    }

    #[test]
    fn a_node_s_reason_is_told_with_its_remedy() {
        let mut fallen = testing::node(2, "backoff", "");
        fallen.reason = Some(LastError {
            kind: "no_ppp_support".to_owned(),
            message: "no /dev/ppp".to_owned(),
            remedy: Some("run `modprobe ppp_generic`".to_owned()),
        });
        assert_eq!(node(&fallen), "node 2: backoff: no /dev/ppp; run `modprobe ppp_generic`");
    }
}
