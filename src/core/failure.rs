//! Why a call ended: pppd's exit and its words, judged together.

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
    /// pppd or pptp is not there or can't be run.
    NotInstalled,
    /// pppd refused its options.
    BadOptions,
    /// Another link has the name that the node's link is to have.
    NameTaken,
    /// Somebody else ended pppd by a signal.
    Killed,
    /// No tunnel within `tunnel.dial_timeout`.
    Timeout,
    /// The server ended the call.
    PeerClosed,
    /// The connection under the call broke.
    Hangup,
    /// The link went away or down under a living pppd.
    LinkLost,
    /// Probes through the tunnel were lost while the kernel showed it up.
    ProbeFailed,
    /// The peer file or `chap-secrets` can't be written.
    Files,
    /// pppd ended and nobody knows why.
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
    /// Whether a call that fails so got past the host's own part: pppd ran, and the kernel had PPP.
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
    /// What happened, in pppd's or pptp's own words where they said it.
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

/// How a pppd ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PppdExit {
    /// By itself, with this code (pppd(8), EXIT STATUS).
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was not our child, so the kernel tells nobody here.
    Unseen,
}

/// What pppd and pptp have said about the end of a call so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    plain: Option<Failure>,
    vague: Option<Failure>,
}

impl Explanation {
    /// Takes in a line that explains; the first of its weight wins. `vague` lines ("Modem
    /// hangup") follow many causes and count only when nothing better was said.
    pub fn hear(&mut self, failure: Failure, vague: bool) {
        let place = if vague { &mut self.vague } else { &mut self.plain };
        place.get_or_insert(failure);
    }

    /// The best explanation so far, plain or vague.
    pub fn best(&self) -> Option<&Failure> {
        self.plain.as_ref().or(self.vague.as_ref())
    }

    /// The explanation that needs no exit code beside it.
    pub fn plain(&self) -> Option<&Failure> {
        self.plain.as_ref()
    }
}

/// Judges the end of a call.
pub fn judge(exit: PppdExit, said: &Explanation) -> Failure {
    let (kind, certain, meaning) = meaning(exit);
    match said.best() {
        // Without its secret pppd answers with an empty one, and is refused for that.
        Some(words) if words.kind == FailureKind::Files => words.clone(),
        Some(words) if certain && words.kind != kind => {
            Failure::new(kind, format!("{meaning} ({words})"))
        }
        Some(words)
            if said.plain().is_some() || kind == FailureKind::Hangup || words.kind == kind =>
        {
            words.clone()
        }
        Some(words) => Failure::new(kind, format!("{meaning} ({words})")),
        None => Failure::new(kind, meaning),
    }
}

/// The exit's kind, whether it outweighs words, and its meaning, from pppd(8).
fn meaning(exit: PppdExit) -> (FailureKind, bool, String) {
    let text = |kind, certain, text: &str| (kind, certain, text.to_owned());
    match exit {
        PppdExit::Signal(n) => {
            (FailureKind::Killed, true, format!("pppd was killed by signal {n}"))
        }
        PppdExit::Unseen => text(
            FailureKind::Unexplained,
            false,
            "pppd ended; an earlier daemon or somebody else started it, so its exit code can't be read",
        ),
        PppdExit::Code(code) => match code {
            2 => text(FailureKind::BadOptions, true, "pppd refused its options (exit code 2)"),
            4 => text(
                FailureKind::NoPppSupport,
                true,
                "this host's kernel has no PPP: load ppp_generic, or install a kernel that has it (Debian: linux-image-amd64)",
            ),
            5 => text(FailureKind::Killed, false, "pppd was ended by a signal (exit code 5)"),
            10 => text(FailureKind::Negotiation, false, "PPP negotiation failed (exit code 10)"),
            11 => text(
                FailureKind::Negotiation,
                false,
                "the server did not authenticate itself (exit code 11)",
            ),
            15 => {
                text(FailureKind::EchoTimeout, true, "the server stopped answering echo requests")
            }
            16 => text(FailureKind::Hangup, false, "the connection broke (exit code 16)"),
            17 => text(FailureKind::Negotiation, false, "the link is looped back (exit code 17)"),
            19 => text(
                FailureKind::AuthRefused,
                true,
                "the server refused login or password (exit code 19)",
            ),
            other => {
                (FailureKind::Unexplained, false, format!("pppd ended with exit code {other}"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: FailureKind, text: &str, vague: bool) -> Explanation {
        let mut said = Explanation::default();
        said.hear(Failure::new(kind, text), vague);
        said
    }

    #[test]
    fn the_cause_outweighs_the_hangup_that_follows_it() {
        let mut words = said(FailureKind::Hangup, "Modem hangup", true);
        words.hear(Failure::new(FailureKind::Unreachable, "No route to host"), false);
        assert_eq!(judge(PppdExit::Code(16), &words).kind, FailureKind::Unreachable);
    }

    #[test]
    fn the_first_cause_wins() {
        let mut words = said(FailureKind::EchoTimeout, "No response to 3 echo-requests", false);
        words.hear(Failure::new(FailureKind::Killed, "Terminating on signal 15"), false);
        assert_eq!(judge(PppdExit::Code(16), &words).kind, FailureKind::EchoTimeout);
    }

    #[test]
    fn exit_19_is_a_refused_password_whatever_was_said() {
        let words = said(FailureKind::PeerClosed, "LCP terminated by peer", true);
        assert_eq!(judge(PppdExit::Code(19), &words).kind, FailureKind::AuthRefused);
    }

    #[test]
    fn a_secret_that_pppd_did_not_find_is_no_refusal_of_it() {
        let words = said(FailureKind::Files, "No CHAP secret found for authenticating us", false);
        assert_eq!(judge(PppdExit::Code(19), &words).kind, FailureKind::Files);
    }

    #[test]
    fn a_refused_password_is_known_by_its_words_under_any_exit_code() {
        for code in [8, 16, 19] {
            let words = said(FailureKind::AuthRefused, "MS-CHAP authentication failed", false);
            assert_eq!(judge(PppdExit::Code(code), &words).kind, FailureKind::AuthRefused);
        }
    }

    #[test]
    fn the_end_of_an_adopted_pppd_says_why_nothing_more_is_known() {
        let failure = judge(PppdExit::Unseen, &Explanation::default());
        assert!(failure.message.contains("an earlier daemon"), "{failure}");
        let words = said(FailureKind::EchoTimeout, "No response to 3 echo-requests", false);
        assert_eq!(judge(PppdExit::Unseen, &words).message, "No response to 3 echo-requests");
    }

    #[test]
    fn a_death_by_kill_says_so() {
        let failure = judge(PppdExit::Signal(9), &Explanation::default());
        assert_eq!(failure, Failure::new(FailureKind::Killed, "pppd was killed by signal 9"));
    }
}
