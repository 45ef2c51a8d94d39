//! What comes into the core.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::policy::Policy;
use super::surroundings::Surroundings;
use super::time::Now;
use crate::node::{Engine, Invalid, Mppe, Node, NodeId, Secret};

/// One input: a recording of the core is a list of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// When it came.
    pub now: Now,
    /// What it is.
    pub event: Event,
}

/// The kernel's index of a link: the only thing that identifies one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IfIndex(pub u32);

/// One call to a server, from its dial to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallId {
    /// Started by this daemon; numbered in order.
    Dialled(u64),
    /// Found running; by the number that whoever found it gave.
    Found(u64),
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallId::Dialled(n) => write!(f, "dialled {n}"),
            CallId::Found(n) => write!(f, "found {n}"),
        }
    }
}

/// A process, for people to read; processes are signalled through pidfds.
pub type Pid = u32;

/// Something happened outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The database was read.
    Desired {
        /// What it shows.
        rows: Rows,
        /// Tunnels to hold up at once by the settings of this read, whose order says which; 0 is
        /// all.
        places: u32,
    },
    /// The database can't be read; what was wanted stays wanted.
    DesiredUnavailable(String),
    /// The kernel told of links; the first of these is the whole table.
    Links {
        /// What changed.
        changes: Vec<LinkChange>,
        /// How well the kernel is heard.
        hearing: Hearing,
    },
    /// Calls of our nodes that run, and that this daemon has not dialled; the first of these ends
    /// the search at start-up.
    Found(Vec<FoundCall>),
    /// A dial is under way: what had to be done before it is done.
    Started {
        /// Which dial.
        call: CallId,
        /// Its process, where it has one.
        pid: Option<Pid>,
        /// What of this host may keep it from becoming a tunnel, told in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suspect: Option<String>,
    },
    /// A call tells its link's name.
    Link {
        /// Which call.
        call: CallId,
        /// The name.
        name: String,
    },
    /// A call tells why it is about to end.
    Failing {
        /// Which call.
        call: CallId,
        /// The cause.
        cause: Failure,
        /// Follows many causes; worth little beside a plain one.
        vague: bool,
    },
    /// A call is over, or a dial was never begun.
    Ended {
        /// Which call.
        call: CallId,
        /// Why, as far as the call itself can tell.
        failure: Failure,
    },
    /// Probes through a tunnel that is up have shown something.
    Probed {
        /// Which call's tunnel.
        call: CallId,
        /// What.
        probed: Probed,
    },
    /// What a dial needs of this host came, went or changed.
    HostChanged,
    /// What the host has to reach beside its tunnels. Told before the kernel's links.
    Surroundings(Surroundings),
    /// Whether a backend restart can help, as the port's holder shows.
    BackendJudged {
        /// The number of the question.
        question: u64,
        /// The answer.
        judgement: Judgement,
    },
    /// A backend restart is over.
    BackendRestarted {
        /// The number of the restart.
        restart: u64,
        /// How it went.
        outcome: RestartOutcome,
    },
    /// The nodes that the operator has stopped, as an earlier daemon left them.
    Stopped(BTreeSet<NodeId>),
    /// The operator asks something of a node.
    Asked {
        /// Of which node.
        node: NodeId,
        /// What.
        ask: Ask,
    },
    /// The configuration was read again.
    Policy(Box<Policy>),
    /// The daemon is asked to stop.
    Stop,
    /// A deadline has come.
    Tick,
}

/// What an operator may ask of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Allow it to be dialled, and forget its failures.
    Start,
    /// Hang up, and don't dial until [`Ask::Start`].
    Stop,
    /// Forget its failures: dial now, if it waits for that.
    Retry,
}

/// What a read of the database shows. Each id is in it once; candidates come most wanted first, by
/// rank, then by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// All candidates: whatever else was wanted is away. The first rows that are told are of this
    /// kind, and those after settings were sent that are as before.
    All(Vec<Ranked>),
    /// All candidates by other settings.
    Reselected {
        /// The candidates.
        rows: Vec<Ranked>,
        /// Rows that are there and no candidates, which therefore go at once. Whatever else was wanted
        /// is away.
        left_out: Vec<NodeId>,
    },
    /// What differs from what was told before.
    Changes {
        /// Candidates that are new, or differ in whatever it is.
        rows: Vec<Ranked>,
        /// No candidates any more.
        gone: Vec<NodeId>,
    },
}

/// A candidate and how much it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranked {
    /// The lowest is wanted most. Those of one rank are wanted in the order of their ids, so that
    /// a row that comes or goes moves no other.
    pub rank: u32,
    /// The row.
    pub candidate: Candidate,
}

/// A row of the database that may hold a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidate {
    /// It can be dialled. Shared, so that a table of thousands is compared and handed on quickly.
    Node(Arc<Node>),
    /// It can't.
    Invalid(Arc<InvalidRow>),
}

impl Candidate {
    /// The row's id.
    pub fn id(&self) -> NodeId {
        match self {
            Candidate::Node(node) => node.id,
            Candidate::Invalid(row) => row.id,
        }
    }

    /// The node, if it can be dialled.
    pub fn node(&self) -> Option<&Node> {
        match self {
            Candidate::Node(node) => Some(node),
            Candidate::Invalid(_) => None,
        }
    }
}

/// A row that can't be dialled, as far as it can be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidRow {
    /// The row's id.
    pub id: NodeId,
    /// The address column.
    pub ip: String,
    /// The login column.
    pub login: String,
    /// The status column.
    pub status: String,
    /// Why it can't be dialled.
    pub reason: Invalid,
}

/// A point-to-point link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its present name.
    pub name: String,
    /// IFF_UP and IFF_LOWER_UP.
    pub up: bool,
    /// Its IPv4 addresses, in the kernel's order.
    pub addresses: Vec<LinkAddress>,
}

/// An IPv4 address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkAddress {
    /// Our end.
    pub local: Ipv4Addr,
    /// Their end, where it is another.
    pub remote: Option<Ipv4Addr>,
}

/// A link as it is now, or that it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChange {
    /// Which link.
    pub index: IfIndex,
    /// `None` when it is gone.
    pub link: Option<Link>,
}

/// How well the kernel is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    /// Point-to-point links in the table.
    pub links: u32,
    /// Times that the kernel dropped messages because nobody read them.
    pub overruns: u64,
    /// Messages, or rests of datagrams, that could not be understood.
    pub undecodable: u64,
    /// Lists with gaps, which a change tore while the kernel wrote them.
    pub interrupted: u64,
    /// Times that the socket failed and was opened anew.
    pub reopened: u64,
    /// Full reads of the kernel's table, the first one included.
    pub resyncs: u64,
    /// Receive buffer of the socket, in bytes as the kernel counts them.
    pub receive_buffer: u32,
}

/// A call that this daemon has not dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundCall {
    /// The number it goes by.
    pub call: CallId,
    /// The node that its names tell.
    pub node: NodeId,
    /// What made it.
    #[serde(default)]
    pub engine: Engine,
    /// Its process, where it has one.
    pub pid: Option<Pid>,
    /// Its link's name, where it is known.
    pub interface: Option<String>,
    /// It had a link, whose name is another link's by now, so its own has been renamed; `interface`
    /// is `None` then.
    pub renamed: bool,
    /// What it was dialled with, by the node's files, where they tell.
    pub dialled: Option<Dialled>,
    /// For how long it runs, where its files tell nothing of it.
    #[serde(default)]
    pub age: Duration,
}

/// What a call was dialled with, as far as that was known when it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialled {
    /// The server.
    pub server: Ipv4Addr,
    /// The login.
    pub login: String,
    /// The password, where it is known.
    pub password: Option<Secret>,
    /// Encryption.
    pub mppe: Option<Mppe>,
}

impl Dialled {
    /// Whether a call for this node would be dialled with the same now, where `mppe` holds for
    /// rows that say nothing. What is not known does
    /// not differ: a tunnel that works is not ended on suspicion.
    pub fn is_for(&self, node: &Node, mppe: Mppe) -> bool {
        self.server == node.server.ip()
            && self.login == node.login.as_str()
            && self.password.as_ref().is_none_or(|password| *password == node.password)
            && self.mppe.is_none_or(|dialled| dialled == node.mppe.unwrap_or(mppe))
    }
}

/// What probes through a tunnel show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probed {
    /// The target answers: for the first time by this tunnel, or after as many losses as matter.
    Answered {
        /// The target.
        target: String,
    },
    /// As many probes in a row were lost as matter, or more.
    Lost {
        /// The target.
        target: String,
        /// How many.
        count: u32,
        /// The target has answered by another tunnel after the first of them was lost, and before
        /// the last one was sent.
        elsewhere: bool,
        /// The target has answered some tunnel, before the last of them was sent, and that was not
        /// told with losses yet.
        answered: bool,
    },
}

/// How a backend restart went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartOutcome {
    /// The command worked and the port opened after so many milliseconds.
    Ready(u64),
    /// The command worked and the port stayed shut.
    NotReady(String),
    /// The command did not work.
    Failed {
        /// In which way.
        kind: RestartFault,
        /// The command, what happened, and the remedy.
        message: String,
    },
}

/// How a restart command fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartFault {
    /// It could not be run.
    Missing,
    /// It ended with an error.
    Exit,
    /// It took too long.
    Timeout,
    /// It was not run: the daemon only tells what it would do.
    DryRun,
    /// The daemon itself has failed at it.
    Internal,
}

/// Whether a backend restart can help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Nothing speaks against it.
    Clear,
    /// The port is another's, so that the new backend could not have it; says whose, and the
    /// command that resolves it.
    Held(String),
}
