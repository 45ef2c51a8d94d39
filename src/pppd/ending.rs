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
fn meaning(ending: Ending) -> (FailureKind, bool, String) {
    let text = |kind, certain, text: &str| (kind, certain, text.to_owned());
    match ending {
        Ending::Signal(n) => (FailureKind::Killed, true, format!("pppd was killed by signal {n}")),
        Ending::Unseen => text(
            FailureKind::Unexplained,
            false,
            "pppd ended; an earlier daemon or somebody else started it, so its exit code can't be read",
        ),
        Ending::Code(code) => match code {
            2 => text(FailureKind::BadOptions, true, "pppd refused its options (exit code 2)"),
            4 => {
                text(FailureKind::NoPppSupport, true, "this host's kernel has no PPP (exit code 4)")
            }
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
