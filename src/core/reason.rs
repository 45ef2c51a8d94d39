//! Why a node is where it is just now, which is never an old failure: a call under way has none
//! before it tells one.

use std::sync::Arc;

use super::Core;
use super::call::{Call, Sought, Standing};
use super::event::InvalidRow;
use super::failure::{Failure, FailureKind};
use super::notice::HangUp;
use super::state::Sort;
use super::stopping::Why;
use super::tunnel::{Phase, Tunnel, Want};
use crate::node::NodeId;

/// Why a node is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A call failed, or is failing.
    Failure(Failure),
    /// The daemon hangs up.
    HangUp(HangUp),
    /// The operator has stopped it.
    Stopped,
    /// Its row can't be dialled.
    Invalid(Arc<InvalidRow>),
    /// It could be dialled, and all places are taken.
    NoPlace,
    /// Its dial waits for its files to be written, for longer than a dial may last.
    NotStarted,
    /// Its tunnel was found, and which link is its own is not known.
    OutOfSight,
}

impl Reason {
    /// Its name for scripts: that of a kind of failure, or of what the daemon does.
    pub fn kind(&self) -> &'static str {
        match self {
            Reason::Failure(failure) => failure.kind.name(),
            Reason::HangUp(HangUp::Removed) => "removed",
            Reason::HangUp(HangUp::Changed) => "changed",
            Reason::HangUp(HangUp::RowInvalid) | Reason::Invalid(_) => "invalid",
            Reason::HangUp(HangUp::Stopped) | Reason::Stopped => "stopped",
            Reason::HangUp(HangUp::Retried) => "retried",
            Reason::HangUp(HangUp::SecondCall) => "second_call",
            Reason::HangUp(HangUp::NoPlace) | Reason::NoPlace => "no_place",
            Reason::HangUp(HangUp::DaemonStops) => "daemon_stops",
            Reason::NotStarted => "not_started",
            Reason::OutOfSight => "out_of_sight",
        }
    }

    /// What kind of failure it is, where it is one.
    pub fn failure(&self) -> Option<FailureKind> {
        match self {
            Reason::Failure(failure) => Some(failure.kind),
            Reason::HangUp(_)
            | Reason::Stopped
            | Reason::Invalid(_)
            | Reason::NoPlace
            | Reason::NotStarted
            | Reason::OutOfSight => None,
        }
    }
}

impl Call {
    /// Why a call that should long have a link has none, and is not given up.
    fn why_late(&self) -> Option<Reason> {
        match self.standing {
            Standing::Ordered { tell_at: None } => Some(Reason::NotStarted),
            Standing::NoLink { sought: Sought::Old { missed: Some(_) }, .. } => {
                Some(Reason::OutOfSight)
            }
            Standing::Ordered { tell_at: Some(_) }
            | Standing::NoLink { sought: Sought::New | Sought::Old { missed: None }, .. }
            | Standing::Link(_)
            | Standing::Up(_) => None,
        }
    }
}

impl Core {
    pub(super) fn reason(&self, id: NodeId, tunnel: &Tunnel) -> Option<Reason> {
        match &tunnel.phase {
            Phase::Resting(rest) => match (rest.state().sort(), &tunnel.want) {
                (Sort::Waits, _) if self.pool.lets_wait(id) => Some(Reason::NoPlace),
                (Sort::Waits, _) => self.host.fault().cloned().map(Reason::Failure),
                (Sort::Failed, _) => tunnel.retries.last.clone().map(Reason::Failure),
                (Sort::Stopped, _) => Some(Reason::Stopped),
                (Sort::Invalid, Want::Invalid(row)) => Some(Reason::Invalid(row.clone())),
                (Sort::Invalid, Want::Unknown | Want::Tunnel(_) | Want::Nothing)
                | (Sort::Calls | Sort::Up | Sort::Ends, _) => None,
            },
            Phase::Calling(call) if call.up().is_some() => None,
            Phase::Calling(call) => {
                call.why_late().or_else(|| call.run.said.best().cloned().map(Reason::Failure))
            }
            Phase::Stopping(stopping) => match &stopping.why {
                Why::Itself => stopping.run.said.best().cloned().map(Reason::Failure),
                Why::GivenUp(failure) => Some(Reason::Failure(failure.clone())),
                Why::Unwanted(why) => Some(Reason::HangUp(*why)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::State;
    use crate::core::event::Ask;
    use crate::core::stage::{LINK, NODE, Stage, candidate};

    fn reason(stage: &Stage) -> Option<Reason> {
        stage.core.report_one(NODE)?.reason
    }

    /// Kind, words and kind of failure.
    fn said(stage: &Stage) -> Option<(&'static str, String, Option<FailureKind>)> {
        reason(stage).map(|reason| (reason.kind(), reason.message(), reason.failure()))
    }

    #[test]
    fn what_waits_for_its_next_dial_does_so_for_its_last_failure_whose_remedy_is_shown() {
        let stage = Stage::in_state(State::Backoff);
        let hangup = FailureKind::Hangup;
        assert_eq!(said(&stage), Some(("hangup", "it is over".to_owned(), Some(hangup))));
        assert_eq!(reason(&stage).unwrap().remedy(), Some(hangup.remedy()));
    }

    #[test]
    fn a_candidate_without_a_place_waits_for_one_and_is_told_the_key_that_gives_more() {
        let mut stage = Stage::in_state(State::Invalid);
        stage.prefer_rival(Some(candidate("secret")));
        let words = "all places of selection.max_tunnels are taken".to_owned();
        assert_eq!(said(&stage), Some(("no_place", words, None)));
        let remedy = reason(&stage).unwrap().remedy();
        assert!(remedy.is_some_and(|remedy| remedy.contains("selection.max_tunnels")));
    }

    #[test]
    fn a_tunnel_that_is_out_of_sight_says_so_and_how_it_comes_back() {
        let mut stage = Stage::adopting();
        stage.name_link();
        stage.show(LINK, Some("wan0"));
        assert_eq!(said(&stage), None);
        stage.wait(Duration::from_secs(60));
        assert_eq!(reason(&stage).map(|reason| reason.kind()), Some("out_of_sight"));
        assert!(reason(&stage).unwrap().remedy().unwrap().contains("its name back"));
        stage.link(true, true);
        assert_eq!(said(&stage), None);
    }

    #[test]
    fn a_dial_whose_files_wait_for_their_disk_says_so_once_it_is_late() {
        let mut stage = Stage::in_state(State::Backoff);
        stage.is_disk_stuck = true;
        stage.ask(Ask::Retry);
        assert_eq!(said(&stage), None);
        stage.wait(Duration::from_secs(60));
        assert_eq!(reason(&stage).map(|reason| reason.kind()), Some("not_started"));
    }

    #[test]
    fn what_waits_for_a_slot_waits_for_no_reason() {
        assert_eq!(said(&Stage::in_state(State::Waiting)), None);
    }

    #[test]
    fn what_the_operator_stopped_and_what_is_not_to_be_dialled_says_so_without_a_remedy() {
        let stopped = Stage::in_state(State::Stopped);
        let words = "stopped by the operator".to_owned();
        assert_eq!(said(&stopped), Some(("stopped", words, None)));
        let invalid = Stage::in_state(State::Invalid);
        let (kind, words, failure) = said(&invalid).unwrap();
        assert_eq!((kind, failure), ("invalid", None));
        assert!(words.starts_with("ip \"nowhere\" is not an IPv4 address"), "{words}");
        for stage in [stopped, invalid] {
            assert_eq!(reason(&stage).unwrap().remedy(), None);
        }
    }

    #[test]
    fn a_call_has_the_reason_that_it_tells_and_none_while_it_is_up() {
        let failure = || Failure::new(FailureKind::Mppe, "said");
        let mut stage = Stage::in_state(State::Negotiating);
        assert_eq!(said(&stage), None);
        stage.say(failure(), false);
        assert_eq!(said(&stage), Some(("mppe", "said".to_owned(), Some(FailureKind::Mppe))));
        let mut up = Stage::in_state(State::Up);
        up.say(failure(), false);
        assert_eq!(said(&up), None);
    }

    #[test]
    fn a_call_that_ends_by_itself_has_the_reason_that_it_tells_also_a_signal_of_somebody_else() {
        let mut stage = Stage::in_state(State::Up);
        stage.no_link();
        stage.say(Failure::new(FailureKind::Killed, "said"), false);
        assert_eq!(said(&stage).map(|(kind, ..)| kind), Some("killed"));
    }

    #[test]
    fn what_is_hung_up_says_why() {
        let mut stage = Stage::in_state(State::Up);
        stage.ask(Ask::Stop);
        assert_eq!(said(&stage).map(|(kind, ..)| kind), Some("stopped"));
        let given_up = Stage::in_state(State::Stopping);
        assert_eq!(said(&given_up).map(|(kind, ..)| kind), Some("timeout"));
    }
}
