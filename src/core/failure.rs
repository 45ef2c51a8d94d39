//! Why a call ended.

use std::fmt;
use std::iter;

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
    /// The server took the control connection, and no call by it.
    CallRefused,
    /// The server took the call, and of PPP nothing came from it, or nothing that answers ours.
    GreBlocked,
    /// The server does not ask for MS-CHAPv2, the only way that is answered.
    AuthUnsupported,
    /// LCP or IPCP came to no agreement.
    Negotiation,
    /// The two sides differ about encryption.
    Mppe,
    /// Both sides encrypt, and neither can read the other.
    KeysDisagree,
    /// The address that the server hands to this end would take other packets of this host.
    AddressRefused,
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
    /// No packet came or went for as long as `idle` says.
    IdleLimit,
    /// The call lasted for as long as `maxconnect` or carried as much as `maxoctets` says.
    SessionLimit,
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
    reached: Reached,
    answered: Option<bool>,
    may_be_of_options: bool,
    needs_a_person: bool,
}

/// How far a call has come that fails so.
enum Reached {
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
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::Unreachable => Facts {
                name: "unreachable",
                reached: Reached::PastHost,
                answered: Some(false),
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::Refused => Facts {
                name: "refused",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::CallRefused => Facts {
                name: "call_refused",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::GreBlocked => Facts {
                name: "gre_blocked",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::AuthUnsupported => Facts {
                name: "auth_unsupported",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::Negotiation => Facts {
                name: "negotiation",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: true,
                needs_a_person: false,
            },
            FailureKind::Mppe => Facts {
                name: "mppe",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::KeysDisagree => Facts {
                name: "keys_disagree",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::AddressRefused => Facts {
                name: "address_refused",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::EchoTimeout => Facts {
                name: "echo_timeout",
                reached: Reached::PastHost,
                answered: None,
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::NoPppSupport => Facts {
                name: "no_ppp_support",
                reached: Reached::Host,
                answered: None,
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::NotInstalled => Facts {
                name: "not_installed",
                reached: Reached::Host,
                answered: None,
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::BadOptions => Facts {
                name: "bad_options",
                reached: Reached::Unclear,
                answered: None,
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::NameTaken => Facts {
                name: "name_taken",
                reached: Reached::Unclear,
                answered: None,
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::Killed => Facts {
                name: "killed",
                reached: Reached::Unclear,
                answered: None,
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::Timeout => Facts {
                name: "timeout",
                reached: Reached::Unclear,
                answered: Some(false),
                may_be_of_options: true,
                needs_a_person: false,
            },
            FailureKind::PeerClosed => Facts {
                name: "peer_closed",
                reached: Reached::PastHost,
                answered: Some(true),
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::IdleLimit => Facts {
                name: "idle_limit",
                reached: Reached::PastHost,
                answered: None,
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::SessionLimit => Facts {
                name: "session_limit",
                reached: Reached::PastHost,
                answered: None,
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::Hangup => Facts {
                name: "hangup",
                reached: Reached::PastHost,
                answered: None,
                may_be_of_options: true,
                needs_a_person: false,
            },
            FailureKind::LinkLost => Facts {
                name: "link_lost",
                reached: Reached::PastHost,
                answered: None,
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::ProbeFailed => Facts {
                name: "probe_failed",
                reached: Reached::PastHost,
                answered: None,
                may_be_of_options: false,
                needs_a_person: false,
            },
            FailureKind::Files => Facts {
                name: "files",
                reached: Reached::Unclear,
                answered: None,
                may_be_of_options: false,
                needs_a_person: true,
            },
            FailureKind::Unexplained => Facts {
                name: "unexplained",
                reached: Reached::Unclear,
                answered: None,
                may_be_of_options: true,
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
        matches!(self.facts().reached, Reached::Host)
    }

    /// Whether a call that fails so got past the host's own part: its programs ran, and the kernel
    /// had PPP.
    pub fn is_past_the_host(self) -> bool {
        matches!(self.facts().reached, Reached::PastHost)
    }

    /// Whether the failure shows that the server answers, or that it does not; `None` where it
    /// shows neither.
    pub fn answered(self) -> Option<bool> {
        self.facts().answered
    }

    /// Whether an option of the host may be behind it: nobody has told of a cause that excludes that.
    fn may_be_of_options(self) -> bool {
        self.facts().may_be_of_options
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
    suspect: Option<Box<str>>,
}

impl Explanation {
    /// Something of this host that may keep a call from becoming a tunnel was there when it began.
    pub fn suspects(&mut self, what: Option<String>) {
        self.suspect = what.map(String::into_boxed_str);
    }

    /// The failure, with what may be to blame for it where nothing plainer was told.
    pub fn with_suspect(&self, failure: Failure) -> Failure {
        match &self.suspect {
            Some(suspect) if self.nothing_excludes_options(&failure) => {
                Failure { message: format!("{failure}; {suspect}"), ..failure }
            }
            Some(_) | None => failure,
        }
    }

    fn nothing_excludes_options(&self, failure: &Failure) -> bool {
        let mut told = iter::once(failure).chain(&self.plain);
        told.all(|failure| failure.kind.may_be_of_options())
    }

    /// Takes in a cause; the first of its weight wins. `vague` ones ("the connection broke") follow
    /// many causes and count only when nothing better was told. That the server has hung up may be
    /// heard after the break that it has made.
    pub fn hear(&mut self, failure: Failure, vague: bool) {
        let place = if vague { &mut self.vague } else { &mut self.plain };
        match place {
            Some(Failure { kind: FailureKind::Hangup, .. })
                if vague && failure.kind == FailureKind::PeerClosed =>
            {
                *place = Some(failure);
            }
            Some(_) => {}
            None => *place = Some(failure),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(words: &[(FailureKind, bool)]) -> Option<FailureKind> {
        let mut said = Explanation::default();
        for (kind, vague) in words {
            said.hear(Failure::new(*kind, "said"), *vague);
        }
        said.best().map(|failure| failure.kind)
    }

    #[test]
    fn the_first_cause_of_its_weight_wins_and_a_plain_one_outweighs_vague_ones() {
        use FailureKind::{AuthRefused, EchoTimeout, Hangup, Mppe, PeerClosed};
        assert_eq!(heard(&[]), None);
        assert_eq!(heard(&[(Mppe, false), (AuthRefused, false)]), Some(Mppe));
        assert_eq!(heard(&[(EchoTimeout, true), (Hangup, true)]), Some(EchoTimeout));
        assert_eq!(heard(&[(Hangup, true), (Mppe, false)]), Some(Mppe));
        assert_eq!(heard(&[(EchoTimeout, true), (PeerClosed, true)]), Some(EchoTimeout));
        assert_eq!(heard(&[(Hangup, false), (PeerClosed, false)]), Some(Hangup));
    }

    #[test]
    fn what_may_be_to_blame_stands_beside_a_failure_that_it_could_explain_and_no_other() {
        let mut said = Explanation::default();
        said.suspects(Some("the options have \"passive\"".to_owned()));
        let told = |kind| said.with_suspect(Failure::new(kind, "no link")).message;
        assert_eq!(told(FailureKind::Timeout), "no link; the options have \"passive\"");
        assert_eq!(told(FailureKind::AuthRefused), "no link");
        said.hear(Failure::new(FailureKind::AuthRefused, "refused"), false);
        let timeout = Failure::new(FailureKind::Timeout, "no link");
        assert_eq!(said.with_suspect(timeout).message, "no link");
    }

    #[test]
    fn that_the_server_has_hung_up_replaces_the_break_that_it_has_made() {
        use FailureKind::{EchoTimeout, Hangup, PeerClosed};
        assert_eq!(heard(&[(Hangup, true), (PeerClosed, true)]), Some(PeerClosed));
        assert_eq!(heard(&[(Hangup, true), (EchoTimeout, true)]), Some(Hangup));
    }

    #[test]
    fn what_a_failure_shows_of_host_server_and_login_is_by_its_kind() {
        use FailureKind::{AuthRefused, NoPppSupport, Unreachable};
        for (kind, of_the_host, past_the_host, answered, needs_a_person) in [
            (AuthRefused, false, true, Some(true), true),
            (Unreachable, false, true, Some(false), false),
            (NoPppSupport, true, false, None, true),
        ] {
            let shows = (kind.is_of_the_host(), kind.is_past_the_host(), kind.answered());
            assert_eq!(shows, (of_the_host, past_the_host, answered), "{kind:?}");
            assert_eq!(kind.needs_a_person(), needs_a_person, "{kind:?}");
            assert!(kind.remedy().split(' ').count() > 3, "{}", kind.remedy());
        }
    }
}
