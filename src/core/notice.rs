//! What people are told; `src/sentences` has it in words.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Ask, IfIndex, InvalidRow, Pid, RestartOutcome};
use super::failure::Failure;
use super::surroundings::Subnet;
use crate::node::{Invalid, NodeId};

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

/// Why a tunnel is left as it is though its probes are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyKept {
    /// The target was never seen to answer through this node: it may be closed to it.
    NeverAnswered,
    /// It answers through no tunnel, and one was dialled again in vain.
    AnswersNowhere,
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
        /// Its row is away: there is no try before it is back.
        away: bool,
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
        why: WhyKept,
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
    /// One try in a long while, until something changes.
    Quarantined {
        /// The node.
        node: NodeId,
        /// Why.
        failure: Failure,
        /// How often in a row.
        refusals: u32,
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
    /// Rows of these nodes, which have a tunnel or a dial under way, are gone or no longer selected.
    RowsAway {
        /// The nodes.
        nodes: Vec<NodeId>,
        /// They are hung up after so long.
        within: Duration,
    },
    /// The row of a node that has a tunnel or a dial under way can't be dialled any more.
    RowSpoiled {
        /// The node.
        node: NodeId,
        /// Why it can't.
        reason: Invalid,
        /// It is hung up after so long.
        within: Duration,
    },
    /// After [`Notice::RowsAway`] or [`Notice::RowSpoiled`], the rows of these nodes are there again.
    RowsBack {
        /// The nodes.
        nodes: Vec<NodeId>,
    },
    /// A subnet that this host has got holds our end's address of tunnels that are up; they stay.
    Overlap {
        /// The subnet.
        subnet: Subnet,
        /// The address; that of the first of them.
        local: Ipv4Addr,
        /// The nodes whose tunnels they are.
        nodes: Vec<NodeId>,
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
            | Notice::RowsAway { .. }
            | Notice::RowSpoiled { .. }
            | Notice::Overlap { .. }
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
            | Notice::RowsBack { .. }
            | Notice::StillStopped { .. }
            | Notice::Yields { .. }
            | Notice::Released { .. }
            | Notice::DatabaseRead { .. }
            | Notice::Restarted { outcome: RestartOutcome::Ready(_), .. } => Level::Info,
        }
    }
}
