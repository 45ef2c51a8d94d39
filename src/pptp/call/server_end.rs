//! What it means that the server ends the call: not always what it says, where ours went unanswered.

use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::failure::Failure;

use super::{Call, Phase, Wait};

/// By then LCP has asked twice at least.
const LONG_UNANSWERED: Duration = Duration::from_secs(5);

impl Call {
    /// Why the call has ended, which the server has ended, as these words say.
    pub(super) fn ended_by_server(&self, words: &str, now: Monotonic) -> Failure {
        if let Some(unanswered) = self.unanswered_for(now)
            && unanswered >= LONG_UNANSWERED
        {
            let seconds = unanswered.as_secs();
            return Failure::EndedUnanswered { words: words.to_owned(), seconds };
        }
        if self.phase == Phase::Up
            && let Some(missed) = self.liveness.silence()
        {
            return Failure::EndedInSilence { words: words.to_owned(), missed };
        }
        if self.garbage.tells_of_wrong_keys(now) {
            return Failure::KeysDisagree(format!(
                "packets could not be read, and then the server ended the call ({words})"
            ));
        }
        if let Some(failure) = self.not_encrypted(words) {
            return failure;
        }
        match self.phase.protocol() {
            Some(protocol) => Failure::PeerClosed(format!("{words}, in the middle of {protocol}")),
            None => Failure::PeerClosed(words.to_owned()),
        }
    }

    /// What is known of its encryption, where that is why a dial came to nothing.
    pub(super) fn not_encrypted(&self, words: &str) -> Option<Failure> {
        if self.phase == Phase::Up {
            None
        } else if self.ccp_refused {
            let words = format!("the server wants MPPE, and tunnel.mppe is \"off\" ({words})");
            Some(Failure::Mppe(words))
        } else if self.phase == Phase::Encrypting {
            self.ccp.options.not_taken()
        } else {
            None
        }
    }

    /// How long an answer to our first PPP frames is waited for, where none has come.
    fn unanswered_for(&self, now: Monotonic) -> Option<Duration> {
        let (until, wait) = self.wait?;
        let left = until.since(now);
        (wait == Wait::Answer).then(|| self.settings.answered_within.saturating_sub(left))
    }
}

/// What a server means that ends LCP with such a text, where it is no bare end; the words are pppd's,
/// which most servers are. `words` tell of it in full.
pub(super) fn meant_by(text: &str, words: &str) -> Option<Failure> {
    let words = words.to_owned();
    if text.contains("uthentication failed") {
        // What told more is lost.
        Some(Failure::AuthRefused { error: None, retry: None, words })
    } else if text.contains("MPPE") && !text.contains("MPPE disabled") {
        Some(Failure::Mppe(words))
    } else {
        None
    }
}
