//! Why a call ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What sort of failure it was; fixed names for scripts and dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The server refused login or password.
    AuthRefused,
    /// No way to the server, or no answer from it.
    Unreachable,
    /// The server's host refused the PPTP connection.
    Refused,
    /// LCP or IPCP came to no agreement.
    Negotiation,
    /// The two sides differ about encryption.
    Mppe,
    /// The server no longer answers LCP echoes.
    EchoTimeout,
    /// This host's kernel has no PPP.
    NoPppSupport,
    /// A program that a dial needs is not there or can't be run.
    NotInstalled,
    /// Whoever makes the call refused its options.
    BadOptions,
    /// Another link has the name that the node's link is to have.
    NameTaken,
    /// Somebody else ended the call by a signal.
    Killed,
    /// No tunnel within `tunnel.dial_timeout`.
    Timeout,
    /// The server ended the call.
    PeerClosed,
    /// The connection under the call broke.
    Hangup,
    /// The link went away or down under a call that goes on.
    LinkLost,
    /// Probes through the tunnel were lost while the kernel showed it up.
    ProbeFailed,
    /// The files that a dial needs can't be written.
    Files,
    /// The call ended and nobody knows why.
    Unexplained,
}

impl FailureKind {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::AuthRefused => "auth_refused",
            FailureKind::Unreachable => "unreachable",
            FailureKind::Refused => "refused",
            FailureKind::Negotiation => "negotiation",
            FailureKind::Mppe => "mppe",
            FailureKind::EchoTimeout => "echo_timeout",
            FailureKind::NoPppSupport => "no_ppp_support",
            FailureKind::NotInstalled => "not_installed",
            FailureKind::BadOptions => "bad_options",
            FailureKind::NameTaken => "name_taken",
            FailureKind::Killed => "killed",
            FailureKind::Timeout => "timeout",
            FailureKind::PeerClosed => "peer_closed",
            FailureKind::Hangup => "hangup",
            FailureKind::LinkLost => "link_lost",
            FailureKind::ProbeFailed => "probe_failed",
            FailureKind::Files => "files",
            FailureKind::Unexplained => "unexplained",
        }
    }

    /// Whether it is this host's fault, so that every other dial would fail the same way.
    pub fn is_of_the_host(self) -> bool {
        match self {
            FailureKind::NoPppSupport | FailureKind::NotInstalled => true,
            FailureKind::AuthRefused
            | FailureKind::Unreachable
            | FailureKind::Refused
            | FailureKind::Negotiation
            | FailureKind::Mppe
            | FailureKind::EchoTimeout
            | FailureKind::BadOptions
            | FailureKind::NameTaken
            | FailureKind::Killed
            | FailureKind::Timeout
            | FailureKind::PeerClosed
            | FailureKind::Hangup
            | FailureKind::LinkLost
            | FailureKind::ProbeFailed
            | FailureKind::Files
            | FailureKind::Unexplained => false,
        }
    }
}

impl FailureKind {
    /// Whether a call that fails so got past the host's own part: its programs ran, and the kernel had PPP.
    pub fn is_past_the_host(self) -> bool {
        match self {
            FailureKind::NoPppSupport
            | FailureKind::NotInstalled
            | FailureKind::BadOptions
            | FailureKind::NameTaken
            | FailureKind::Killed
            | FailureKind::Timeout
            | FailureKind::Files
            | FailureKind::Unexplained => false,
            FailureKind::AuthRefused
            | FailureKind::Unreachable
            | FailureKind::Refused
            | FailureKind::Negotiation
            | FailureKind::Mppe
            | FailureKind::EchoTimeout
            | FailureKind::PeerClosed
            | FailureKind::Hangup
            | FailureKind::LinkLost
            | FailureKind::ProbeFailed => true,
        }
    }

    /// Whether the failure shows that the server answers, or that it does not; `None` where it
    /// shows neither.
    pub fn answered(self) -> Option<bool> {
        match self {
            FailureKind::AuthRefused
            | FailureKind::Refused
            | FailureKind::Negotiation
            | FailureKind::Mppe
            | FailureKind::PeerClosed => Some(true),
            FailureKind::Unreachable | FailureKind::Timeout => Some(false),
            FailureKind::EchoTimeout
            | FailureKind::NoPppSupport
            | FailureKind::NotInstalled
            | FailureKind::BadOptions
            | FailureKind::NameTaken
            | FailureKind::Killed
            | FailureKind::Hangup
            | FailureKind::LinkLost
            | FailureKind::ProbeFailed
            | FailureKind::Files
            | FailureKind::Unexplained => None,
        }
    }
}

/// A failure, told to people by `message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort.
    pub kind: FailureKind,
    /// What happened, in the words of whoever told it.
    pub message: String,
}

impl Failure {
    /// A failure with a message.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a call has told of its end so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    plain: Option<Failure>,
    vague: Option<Failure>,
}

impl Explanation {
    /// Takes in a cause; the first of its weight wins. `vague` ones ("the connection broke") follow
    /// many causes and count only when nothing better was told.
    pub fn hear(&mut self, failure: Failure, vague: bool) {
        let place = if vague { &mut self.vague } else { &mut self.plain };
        place.get_or_insert(failure);
    }

    /// The best explanation so far, plain or vague.
    pub fn best(&self) -> Option<&Failure> {
        self.plain.as_ref().or(self.vague.as_ref())
    }

    /// The plain one, which needs no other beside it.
    pub fn plain(&self) -> Option<&Failure> {
        self.plain.as_ref()
    }
}
