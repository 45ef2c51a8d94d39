//! Every notice in words that scripts and people search for.

use std::fmt;
use std::time::Duration;

use crate::core::event::{Ask, Pid, RestartOutcome};
use crate::core::notice::{HangUp, Notice, WhyKept};
use crate::node::NodeId;

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HangUp::Removed => "its row is gone or no longer selected",
            HangUp::Changed => "its row changed; it is dialled again",
            HangUp::RowInvalid => "its row can't be dialled any more",
            HangUp::Stopped => "the operator stopped it",
            HangUp::Retried => "the operator asks for a retry",
            HangUp::SecondCall => "another pppd runs for the same node",
            HangUp::NoPlace => "better candidates have all places of selection.max_tunnels",
            HangUp::DaemonStops => "the daemon stops and tunnel.keep_on_exit is false",
        })
    }
}

impl fmt::Display for WhyKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyKept::NeverAnswered => "the target has never answered through this node",
            WhyKept::AnswersNowhere => "the target answers through no tunnel",
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Up { node, interface, local, remote, adopted, .. } => {
                write!(
                    f,
                    "✅ Tunnel for node {node} is UP on {interface} (local IP {local} remote IP "
                )?;
                match remote {
                    Some(remote) => write!(f, "{remote})")?,
                    None => f.write_str("unknown)")?,
                }
                if *adopted { f.write_str(", adopted") } else { Ok(()) }
            }
            Notice::Down { node, interface, reason, .. } => {
                write!(f, "Tunnel for node {node} is DOWN on {interface}: {reason}")
            }
            Notice::Renamed { node, from, interface, .. } => {
                write!(f, "Node {node}: its link {from} is named {interface} now")
            }
            Notice::NotStarted { node, after } => write!(
                f,
                "Node {node}: pppd is not started after {}, for its files are not yet written below paths.ppp_dir; check whether that disk is busy or fails (iostat, dmesg)",
                humantime::format_duration(*after)
            ),
            Notice::OutOfSight { node, pid } => {
                write!(
                    f,
                    "Node {node}: its pppd{} runs, but which link is its own is not known, so whether the tunnel is up can't be told: it is left as it is and counts as no outage; give a renamed link its name back, or dial anew by `connexactl stop {node}` and `connexactl start {node}`",
                    in_brackets(*pid)
                )
            }
            Notice::Retrying { node, wait, attempt, failure, away, .. } => {
                if *away {
                    write!(f, "Node {node}: retrying when its row is back: {failure}")?;
                } else {
                    let wait = seconds(*wait);
                    write!(f, "Node {node}: retrying in {wait}s (attempt {attempt}): {failure}")?;
                }
                // The rest is weather: it is dialled again, and the remedy stands in its own field.
                if failure.kind.needs_a_person() {
                    write!(f, "; {}", failure.kind.remedy())?;
                }
                Ok(())
            }
            Notice::ProbesLost { node, interface, target, count, why } => {
                let probes = if *count == 1 { "probe" } else { "probes" };
                write!(
                    f,
                    "Node {node}: {count} {probes} of {target} through {interface} lost, and the tunnel is left \
                     as it is: {why}"
                )
            }
            Notice::ProbeAnswered { node, interface, target } => {
                write!(f, "Node {node}: {target} answers again through {interface}")
            }
            Notice::Quarantined { node, failure, refusals, .. } => {
                write!(f, "Node {node} is quarantined: {failure}")?;
                if *refusals > 1 {
                    write!(f, ", {refusals} times in a row")?;
                }
                write!(f, "; {}, or run `connexactl retry {node}`", failure.kind.remedy())
            }
            Notice::HangingUp { node, why } => write!(f, "Node {node}: hanging up: {why}"),
            Notice::Killing { node, pid: pid @ Some(_) } => {
                write!(f, "Node {node}: pppd{} ignored SIGTERM; sending SIGKILL", in_brackets(*pid))
            }
            Notice::Killing { node, pid: None } => {
                write!(
                    f,
                    "Node {node}: its call did not end within tunnel.stop_grace; it is cut off"
                )
            }
            Notice::SecondCall { node, pid, kept } => {
                write!(f, "Node {node}: a second pppd{} is ended", in_brackets(*pid))?;
                match kept {
                    Some(kept) => write!(f, ": the tunnel belongs to pid {kept}"),
                    None => Ok(()),
                }
            }
            Notice::Asked { node, ask: Ask::Start } => {
                write!(f, "Node {node}: started by the operator")
            }
            Notice::Asked { node, ask: Ask::Stop } => {
                write!(f, "Node {node}: stopped by the operator, until `connexactl start {node}`")
            }
            Notice::Asked { node, ask: Ask::Retry } => {
                write!(f, "Node {node}: the operator asks for a retry; its failures are forgotten")
            }
            Notice::RowsAway { nodes, within } => {
                let within = humantime::format_duration(*within);
                match nodes.as_slice() {
                    [node] => write!(
                        f,
                        "Node {node}: its row is gone or no longer selected; its tunnel is hung up in {within} unless the row comes back"
                    ),
                    nodes => write!(
                        f,
                        "The rows of {} nodes are gone or no longer selected ({}); their tunnels are hung up in {within} unless the rows come back",
                        nodes.len(),
                        some(nodes)
                    ),
                }
            }
            Notice::RowSpoiled { node, reason, within } => write!(
                f,
                "Node {node}: its row can't be dialled any more: {reason}; its tunnel is hung up in {} unless the row is corrected",
                humantime::format_duration(*within)
            ),
            Notice::Overlap { subnet, local, nodes } => {
                let whose = match nodes.as_slice() {
                    [node] => format!("of the tunnel of node {node} ({local})"),
                    nodes => format!(
                        "of the tunnels of {} nodes ({}; the first has {local})",
                        nodes.len(),
                        some(nodes)
                    ),
                };
                write!(
                    f,
                    "The subnet of {subnet} is new on this host and contains the local address {whose}: what is up stays up, but no host with that address can be reached there, and the next dial is refused; give {} another subnet, or have the server hand out other addresses",
                    subnet.interface
                )
            }
            Notice::RowsBack { nodes } => match nodes.as_slice() {
                [node] => write!(f, "Node {node}: its row is back in time; its tunnel stays"),
                nodes => write!(
                    f,
                    "The rows of {} nodes are back in time ({}); their tunnels stay",
                    nodes.len(),
                    some(nodes)
                ),
            },
            Notice::StillStopped { node } => write!(
                f,
                "Node {node}: its row is back, but the operator has stopped the node: it is not dialled until \
                 `connexactl start {node}`"
            ),
            Notice::Yields { node, to, failures } => write!(
                f,
                "Node {node} has failed {failures} times in a row; its place goes to node {to}, \
                 and it is dialled again when a place is free"
            ),
            Notice::Released { node } => {
                write!(f, "Node {node}: its row changed; its quarantine is over")
            }
            Notice::Invalid(row) => write!(f, "Node {} can't be dialled: {}", row.id, row.reason),
            Notice::HostUnfit(failure) => {
                write!(f, "No tunnel can be dialled: {failure}; {}", failure.kind.remedy())
            }
            Notice::DatabaseUnavailable(problem) => {
                write!(f, "The node database can't be used: {problem}")
            }
            Notice::DatabaseRead { nodes, stopped, invalid } => {
                let noun = if *nodes == 1 { "node" } else { "nodes" };
                write!(f, "Node database read: {nodes} {noun} wanted")?;
                if *stopped > 0 {
                    write!(f, ", {stopped} stopped by the operator")?;
                }
                if *invalid > 0 {
                    write!(f, ", {invalid} can't be dialled")?;
                }
                Ok(())
            }
            Notice::EmptyWindow { count, of } => write!(f, "Zero PPP interfaces ({count}/{of})"),
            Notice::Restarting { windows } => {
                write!(f, "🔄 Restarting backend due to {windows} consecutive zero PPP interfaces")
            }
            Notice::Restarted { outcome: RestartOutcome::Ready(millis), .. } => {
                write!(f, "Backend ready after {}.{} s", millis / 1000, millis % 1000 / 100)
            }
            Notice::Restarted { outcome: RestartOutcome::NotReady(why), .. } => {
                write!(f, "Backend not ready: {why}")
            }
            Notice::Restarted { outcome: RestartOutcome::Failed { message, .. }, .. } => {
                write!(f, "Backend restart failed: {message}")
            }
            Notice::RestartHeld(why) => write!(f, "Backend restart held back: {why}"),
            Notice::RestartOverdue => f.write_str("Backend restart has not ended in time"),
        }
    }
}

/// The first few of many.
fn some(nodes: &[NodeId]) -> String {
    let mut text: Vec<String> = nodes.iter().take(5).map(NodeId::to_string).collect();
    text.extend((nodes.len() > 5).then(|| "…".to_owned()));
    text.join(", ")
}

fn in_brackets(pid: Option<Pid>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

/// Whole seconds, rounded up: "in 0s" would be a lie.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
