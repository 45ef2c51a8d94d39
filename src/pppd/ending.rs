//! How a pppd ended and what it said, judged together.

use crate::core::failure::{Explanation, Failure, FailureKind};
use crate::process::Ending;

/// Why a call ended.
pub(super) fn judge(ending: Ending, said: &Explanation) -> Failure {
    let failure = weigh(ending, said);
    // Of a word that it does not know pppd tells the file, of all else that it refuses only the words.
    if failure.kind == FailureKind::BadOptions && !failure.message.contains("In file ") {
        return Failure { message: format!("{failure}; {WHERE}"), ..failure };
    }
    failure
}

/// Where options stand that pppd refuses.
const WHERE: &str = "it is in tunnel.extra_options, in /etc/ppp/options or in a file named there";

fn weigh(ending: Ending, said: &Explanation) -> Failure {
    let (kind, certain, meaning) = meaning(ending);
    match said.best() {
        // Without its secret pppd answers with an empty one, and is refused for that.
        Some(words) if words.kind == FailureKind::Files => words.clone(),
        Some(words) if certain && words.kind != kind => match said.plain() {
            Some(words) => Failure::new(kind, format!("{meaning} ({words})")),
            None => Failure::new(kind, meaning),
        },
        Some(words)
            if said.plain().is_some() || kind == FailureKind::Hangup || words.kind == kind =>
        {
            words.clone()
        }
        Some(words) => Failure::new(kind, format!("{meaning} ({words})")),
        None => Failure::new(kind, meaning),
    }
}

/// The exit's kind, whether it outweighs words, and its meaning.
fn meaning(ending: Ending) -> (FailureKind, bool, String) {
    match ending {
        Ending::Signal(n) => (FailureKind::Killed, true, format!("pppd was killed by signal {n}")),
        Ending::Unseen => (
            FailureKind::Unexplained,
            false,
            "pppd ended; an earlier daemon or somebody else started it, so its exit code can't be read"
                .to_owned(),
        ),
        Ending::Code(code) => match EXITS.iter().find(|exit| exit.code == code) {
            Some(Exit { kind, certain, meaning, .. }) => {
                (*kind, *certain, format!("{meaning} (exit code {code})"))
            }
            None => (FailureKind::Unexplained, false, format!("pppd ended with exit code {code}")),
        },
    }
}

/// What an exit code of pppd tells (pppd(8), EXIT STATUS).
pub(super) struct Exit {
    /// The code.
    pub(super) code: i32,
    /// The kind of failure.
    pub(super) kind: FailureKind,
    /// Whether it outweighs what was said before.
    pub(super) certain: bool,
    /// What it means.
    pub(super) meaning: &'static str,
}

const fn exit(code: i32, kind: FailureKind, certain: bool, meaning: &'static str) -> Exit {
    Exit { code, kind, certain, meaning }
}

const CERTAIN: bool = true;
const BESIDE_WORDS: bool = false;

/// The codes that tell something; with all others pppd ended for reasons that only its words tell.
pub(super) const EXITS: &[Exit] = &[
    exit(2, FailureKind::BadOptions, CERTAIN, "pppd refused its options"),
    exit(3, FailureKind::NotInstalled, BESIDE_WORDS, "pppd is not run as root"),
    exit(4, FailureKind::NoPppSupport, CERTAIN, "this host's kernel has no PPP"),
    exit(5, FailureKind::Killed, BESIDE_WORDS, "pppd was ended by a signal"),
    exit(9, FailureKind::NotInstalled, BESIDE_WORDS, "pppd could not run the command for pptp"),
    exit(10, FailureKind::Negotiation, BESIDE_WORDS, "PPP negotiation failed"),
    exit(11, FailureKind::Negotiation, BESIDE_WORDS, "the server did not authenticate itself"),
    exit(
        12,
        FailureKind::IdleLimit,
        CERTAIN,
        "no packet came or went for as long as pppd's option idle says",
    ),
    exit(
        13,
        FailureKind::SessionLimit,
        CERTAIN,
        "the call lasted for as long as pppd's option maxconnect says",
    ),
    exit(15, FailureKind::EchoTimeout, CERTAIN, "the server stopped answering echo requests"),
    exit(16, FailureKind::Hangup, BESIDE_WORDS, "the connection broke"),
    exit(17, FailureKind::Negotiation, BESIDE_WORDS, "the link is looped back"),
    exit(19, FailureKind::AuthRefused, CERTAIN, "the server refused login or password"),
    exit(
        20,
        FailureKind::SessionLimit,
        CERTAIN,
        "the call carried as much as pppd's option maxoctets says",
    ),
];

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
        assert_eq!(judge(Ending::Code(16), &words).kind, FailureKind::Unreachable);
    }

    #[test]
    fn the_first_cause_wins() {
        let mut words = said(FailureKind::EchoTimeout, "No response to 3 echo-requests", false);
        words.hear(Failure::new(FailureKind::Killed, "Terminating on signal 15"), false);
        assert_eq!(judge(Ending::Code(16), &words).kind, FailureKind::EchoTimeout);
    }

    #[test]
    fn exit_19_is_a_refused_password_whatever_was_said() {
        let words = said(FailureKind::PeerClosed, "LCP terminated by peer", true);
        assert_eq!(judge(Ending::Code(19), &words).kind, FailureKind::AuthRefused);
    }

    #[test]
    fn a_secret_that_pppd_did_not_find_is_no_refusal_of_it() {
        let words = said(FailureKind::Files, "No CHAP secret found for authenticating us", false);
        assert_eq!(judge(Ending::Code(19), &words).kind, FailureKind::Files);
    }

    #[test]
    fn refused_options_are_told_with_the_places_to_look_at() {
        let placed = "pppd: In file /etc/ppp/options: unrecognized option 'x'";
        let words = said(FailureKind::BadOptions, placed, false);
        assert_eq!(judge(Ending::Code(2), &words).message, placed);
        let words = said(FailureKind::BadOptions, "pppd: invalid numeric parameter 'x'", false);
        let failure = judge(Ending::Code(2), &words);
        assert!(failure.message.ends_with(WHERE), "{failure}");
    }

    #[test]
    fn a_refused_password_is_known_by_its_words_under_any_exit_code() {
        for code in [8, 16, 19] {
            let words = said(FailureKind::AuthRefused, "MS-CHAP authentication failed", false);
            assert_eq!(judge(Ending::Code(code), &words).kind, FailureKind::AuthRefused);
        }
    }

    #[test]
    fn the_end_of_an_adopted_pppd_says_why_nothing_more_is_known() {
        let failure = judge(Ending::Unseen, &Explanation::default());
        assert!(failure.message.contains("an earlier daemon"), "{failure}");
        let words = said(FailureKind::EchoTimeout, "No response to 3 echo-requests", false);
        assert_eq!(judge(Ending::Unseen, &words).message, "No response to 3 echo-requests");
    }

    #[test]
    fn a_death_by_kill_says_so() {
        let failure = judge(Ending::Signal(9), &Explanation::default());
        assert_eq!(failure, Failure::new(FailureKind::Killed, "pppd was killed by signal 9"));
    }
}
