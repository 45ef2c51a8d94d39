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

/// What a kind of failure says beside itself.
struct Facts {
    name: &'static str,
    reach: Reach,
    answered: Option<bool>,
    needs_a_person: bool,
}

/// How far a call has come that fails so.
enum Reach {
    /// It failed by this host, as every other dial would.
    Host,
    /// By this host, or beyond it.
    Unclear,
    /// Past this host's own part: its programs ran, and the kernel had PPP.
    PastHost,
}

impl FailureKind {
    fn facts(self) -> Facts {
        match self {
            FailureKind::AuthRefused => Facts {
                name: "auth_refused",
                reach: Reach::PastHost,
                answered: Some(true),
                needs_a_person: true,
            },
            FailureKind::Unreachable => Facts {
                name: "unreachable",
                reach: Reach::PastHost,
                answered: Some(false),
                needs_a_person: false,
            },
            FailureKind::Refused => Facts {
                name: "refused",
                reach: Reach::PastHost,
                answered: Some(true),
                needs_a_person: false,
            },
            FailureKind::Negotiation => Facts {
                name: "negotiation",
                reach: Reach::PastHost,
                answered: Some(true),
                needs_a_person: false,
            },
            FailureKind::Mppe => Facts {
                name: "mppe",
                reach: Reach::PastHost,
                answered: Some(true),
                needs_a_person: true,
            },
            FailureKind::EchoTimeout => Facts {
                name: "echo_timeout",
                reach: Reach::PastHost,
                answered: None,
                needs_a_person: false,
            },
            FailureKind::NoPppSupport => Facts {
                name: "no_ppp_support",
                reach: Reach::Host,
                answered: None,
                needs_a_person: true,
            },
            FailureKind::NotInstalled => Facts {
                name: "not_installed",
                reach: Reach::Host,
                answered: None,
                needs_a_person: true,
            },
            FailureKind::BadOptions => Facts {
                name: "bad_options",
                reach: Reach::Unclear,
                answered: None,
                needs_a_person: true,
            },
            FailureKind::NameTaken => Facts {
                name: "name_taken",
                reach: Reach::Unclear,
                answered: None,
                needs_a_person: true,
            },
            FailureKind::Killed => Facts {
                name: "killed",
                reach: Reach::Unclear,
                answered: None,
                needs_a_person: false,
            },
            FailureKind::Timeout => Facts {
                name: "timeout",
                reach: Reach::Unclear,
                answered: Some(false),
                needs_a_person: false,
            },
            FailureKind::PeerClosed => Facts {
                name: "peer_closed",
                reach: Reach::PastHost,
                answered: Some(true),
                needs_a_person: false,
            },
            FailureKind::Hangup => Facts {
                name: "hangup",
                reach: Reach::PastHost,
                answered: None,
                needs_a_person: false,
            },
            FailureKind::LinkLost => Facts {
                name: "link_lost",
                reach: Reach::PastHost,
                answered: None,
                needs_a_person: false,
            },
            FailureKind::ProbeFailed => Facts {
                name: "probe_failed",
                reach: Reach::PastHost,
                answered: None,
                needs_a_person: false,
            },
            FailureKind::Files => {
                Facts { name: "files", reach: Reach::Unclear, answered: None, needs_a_person: true }
            }
            FailureKind::Unexplained => Facts {
                name: "unexplained",
                reach: Reach::Unclear,
                answered: None,
                needs_a_person: false,
            },
        }
    }

    /// Its name for programs.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether it is this host's fault, so that every other dial would fail the same way.
    pub fn is_of_the_host(self) -> bool {
        matches!(self.facts().reach, Reach::Host)
    }

    /// Whether a call that fails so got past the host's own part: its programs ran, and the kernel
    /// had PPP.
    pub fn is_past_the_host(self) -> bool {
        matches!(self.facts().reach, Reach::PastHost)
    }

    /// Whether the failure shows that the server answers, or that it does not; `None` where it
    /// shows neither.
    pub fn answered(self) -> Option<bool> {
        self.facts().answered
    }

    /// Whether a person must put it right. The rest is weather: it is dialled again.
    pub fn needs_a_person(self) -> bool {
        self.facts().needs_a_person
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
