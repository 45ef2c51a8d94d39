//! What people are told, in the words of the contract. The one place that words a reason.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Ask, IfIndex, InvalidRow, Pid, RestartOutcome};
use super::failure::Failure;
use crate::node::NodeId;

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody must act.
    Error,
    /// Somebody should look.
    Warning,
    /// It happened.
    Info,
    /// For who asks.
    Debug,
}

/// Why the daemon hangs up a tunnel itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HangUp {
    /// The row is gone or no longer selected.
    Removed,
    /// Address, login, password or encryption of the row changed.
    Changed,
    /// The row can't be dialled any more.
    RowInvalid,
    /// The operator has stopped it.
    Stopped,
    /// It had failed, and the operator wants it dialled again at once.
    Retried,
    /// Somebody else's call of the node goes on too.
    SecondCall,
    /// Better candidates have all places.
    NoPlace,
    /// The daemon stops and `tunnel.keep_on_exit` is off.
    DaemonStops,
}

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HangUp::Removed => "its row is gone or no longer selected",
            HangUp::Changed => "its row changed; it is dialled again",
            HangUp::RowInvalid => "its row can't be dialled any more",
            HangUp::Stopped => "the operator stopped it",
            HangUp::Retried => "the operator asks for a retry",
            HangUp::SecondCall => "another pppd runs for it",
            HangUp::NoPlace => "better candidates have all places of selection.max_tunnels",
            HangUp::DaemonStops => "the daemon stops and tunnel.keep_on_exit is false",
        })
    }
}

/// Why a tunnel is left as it is though its probes are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spared {
    /// The target was never seen to answer through this node: it may be closed to it.
    NeverAnswered,
    /// It answers through no tunnel, and one was dialled again in vain.
    AnswersNowhere,
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Spared::NeverAnswered => "it has never answered through this node",
            Spared::AnswersNowhere => "it answers through no tunnel",
        })
    }
}

/// A thing worth a line in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// A tunnel is up.
    Up {
        /// The node.
        node: NodeId,
        /// The link's index.
        index: IfIndex,
        /// The link's name.
        interface: String,
        /// Our address.
        local: Ipv4Addr,
        /// The server's, where the kernel knows it.
        remote: Option<Ipv4Addr>,
        /// Its process.
        pid: Option<Pid>,
        /// Taken over, not dialled.
        adopted: bool,
    },
    /// A tunnel that was up is not.
    Down {
        /// The node.
        node: NodeId,
        /// The link's index.
        index: IfIndex,
        /// The link's name.
        interface: String,
        /// Why.
        reason: String,
        /// Its process.
        pid: Option<Pid>,
    },
    /// The link of a tunnel that is up has another name.
    Renamed {
        /// The node.
        node: NodeId,
        /// The link's index.
        index: IfIndex,
        /// Its name before.
        from: String,
        /// Its name.
        interface: String,
    },
    /// A dial has waited long for its files to be written, and goes on waiting.
    NotStarted {
        /// The node.
        node: NodeId,
        /// How long.
        after: Duration,
    },
    /// A tunnel was found, and no link has the name that its link had.
    OutOfSight {
        /// The node.
        node: NodeId,
        /// Its process.
        pid: Option<Pid>,
    },
    /// A dial failed or a tunnel fell; the next try is set.
    Retrying {
        /// The node.
        node: NodeId,
        /// Until the next try.
        wait: Duration,
        /// Which try that is.
        attempt: u32,
        /// Why the last one failed.
        failure: Failure,
        /// The same was told before.
        repeated: bool,
    },
    /// Probes are lost through a tunnel that is left as it is.
    ProbesLost {
        /// The node.
        node: NodeId,
        /// The link's name.
        interface: String,
        /// The target.
        target: String,
        /// How many in a row.
        count: u32,
        /// Why the tunnel is left.
        spared: Spared,
    },
    /// After [`Notice::ProbesLost`], the target answers.
    ProbeAnswered {
        /// The node.
        node: NodeId,
        /// The link's name.
        interface: String,
        /// The target.
        target: String,
    },
    /// No more tries until something changes, or for long where it yields its place.
    Quarantined {
        /// The node.
        node: NodeId,
        /// Why.
        failure: Failure,
        /// The same was told before.
        repeated: bool,
    },
    /// The daemon hangs up.
    HangingUp {
        /// The node.
        node: NodeId,
        /// Why.
        why: HangUp,
    },
    /// A call that was hung up goes on, and is ended.
    Killing {
        /// The node.
        node: NodeId,
        /// Its process.
        pid: Option<Pid>,
    },
    /// A node has two calls; one is ended.
    SecondCall {
        /// The node.
        node: NodeId,
        /// The process of the one that is ended.
        pid: Option<Pid>,
        /// The process of the one that stays.
        kept: Option<Pid>,
    },
    /// The operator has asked something of a node.
    Asked {
        /// The node.
        node: NodeId,
        /// What.
        ask: Ask,
    },
    /// A row that can be dialled has come, of a node that the operator has stopped.
    StillStopped {
        /// The node.
        node: NodeId,
    },
    /// A node keeps failing, and another has its place now.
    Yields {
        /// The node.
        node: NodeId,
        /// Who has the place.
        to: NodeId,
        /// Failures in a row.
        failures: u32,
    },
    /// The row of a quarantined node has changed, so it is dialled again.
    Released {
        /// The node.
        node: NodeId,
    },
    /// A row can't be dialled.
    Invalid(InvalidRow),
    /// Every dial of this host would fail the same way.
    HostUnfit(Failure),
    /// The database can't be read.
    DatabaseUnavailable(String),
    /// The database was read again, with so many candidates.
    DatabaseRead {
        /// Rows that are to be held up.
        nodes: usize,
        /// Rows that could be, if the operator had not stopped them.
        stopped: usize,
        /// Rows that can't.
        invalid: usize,
    },
    /// A window without a tunnel.
    EmptyWindow {
        /// Empty windows in a row.
        count: u32,
        /// How many make an outage.
        of: u32,
    },
    /// The backend is restarted.
    Restarting {
        /// After so many empty windows.
        windows: u32,
    },
    /// How the restart went.
    Restarted {
        /// How it went.
        outcome: RestartOutcome,
        /// It failed like the last one.
        repeated: bool,
    },
    /// A restart was due, and could only do harm: whose the port is, and the remedy.
    RestartHeld(String),
    /// The restart never reported back.
    RestartOverdue,
}

impl Notice {
    /// How loud it is.
    pub fn level(&self) -> Level {
        match self {
            Notice::Quarantined { repeated: false, .. }
            | Notice::HostUnfit(_)
            | Notice::Invalid(_) => Level::Error,
            Notice::Down { .. }
            | Notice::NotStarted { .. }
            | Notice::OutOfSight { .. }
            | Notice::ProbesLost { .. }
            | Notice::Killing { .. }
            | Notice::SecondCall { .. }
            | Notice::DatabaseUnavailable(_)
            | Notice::EmptyWindow { .. }
            | Notice::Restarting { .. }
            | Notice::RestartOverdue
            | Notice::RestartHeld(_)
            | Notice::Restarted {
                outcome: RestartOutcome::Failed { .. } | RestartOutcome::NotReady(_),
                repeated: false,
            } => Level::Warning,
            Notice::Retrying { repeated: true, .. }
            | Notice::Quarantined { repeated: true, .. }
            | Notice::Restarted {
                outcome: RestartOutcome::Failed { .. } | RestartOutcome::NotReady(_),
                repeated: true,
            } => Level::Debug,
            Notice::Up { .. }
            | Notice::Renamed { .. }
            | Notice::ProbeAnswered { .. }
            | Notice::Retrying { .. }
            | Notice::HangingUp { .. }
            | Notice::Asked { .. }
            | Notice::StillStopped { .. }
            | Notice::Yields { .. }
            | Notice::Released { .. }
            | Notice::DatabaseRead { .. }
            | Notice::Restarted { outcome: RestartOutcome::Ready(_), .. } => Level::Info,
        }
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
                "Node {node}: pppd is not started after {}, for its files wait for the disk below \
                 paths.ppp_dir; see whether it is busy or fails (iostat, dmesg)",
                humantime::format_duration(*after)
            ),
            Notice::OutOfSight { node, pid } => {
                write!(
                    f,
                    "Node {node}: its pppd{} runs, but no link has the name that its link had, so whether the tunnel is up can't be told: \
                     it is left as it is and is no outage; give the link that name back, or dial anew by `connexactl stop {node}` and \
                     `connexactl start {node}`",
                    in_brackets(*pid)
                )
            }
            Notice::Retrying { node, wait, attempt, failure, .. } => {
                write!(
                    f,
                    "Node {node}: retrying in {}s (attempt {attempt}): {failure}",
                    seconds(*wait)
                )
            }
            Notice::ProbesLost { node, interface, target, count, spared } => {
                let probes = if *count == 1 { "probe" } else { "probes" };
                write!(
                    f,
                    "Node {node}: {count} {probes} of {target} through {interface} lost, and the tunnel is left \
                     as it is: {spared}"
                )
            }
            Notice::ProbeAnswered { node, interface, target } => {
                write!(f, "Node {node}: {target} answers again through {interface}")
            }
            Notice::Quarantined { node, failure, .. } => {
                write!(
                    f,
                    "Node {node} is quarantined: {failure}; correct its row, or run `connexactl retry {node}`"
                )
            }
            Notice::HangingUp { node, why } => write!(f, "Node {node}: hanging up: {why}"),
            Notice::Killing { node, pid } => {
                write!(f, "Node {node}: pppd{} ignored SIGTERM; sending SIGKILL", in_brackets(*pid))
            }
            Notice::SecondCall { node, pid, kept } => {
                write!(f, "Node {node}: a second pppd{} is ended", in_brackets(*pid))?;
                match kept {
                    Some(kept) => write!(f, ": the tunnel goes by pid {kept}"),
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
            Notice::StillStopped { node } => write!(
                f,
                "Node {node}: its row is back, and the operator has stopped it: not dialled until \
                 `connexactl start {node}`"
            ),
            Notice::Yields { node, to, failures } => write!(
                f,
                "Node {node} has failed {failures} times in a row; its place goes to node {to}, \
                 and it is tried again when one is free"
            ),
            Notice::Released { node } => {
                write!(f, "Node {node}: its row changed; its quarantine is over")
            }
            Notice::Invalid(row) => write!(f, "Node {} can't be dialled: {}", row.id, row.reason),
            Notice::HostUnfit(failure) => write!(f, "No tunnel can be dialled: {failure}"),
            Notice::DatabaseUnavailable(problem) => {
                write!(f, "The node database can't be used: {problem}")
            }
            Notice::DatabaseRead { nodes, stopped, invalid } => {
                write!(f, "Node database read: {nodes} to hold up")?;
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

fn in_brackets(pid: Option<Pid>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

/// Whole seconds, rounded up: "in 0s" would be a lie.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
