//! Why a node is where it is just now, which is never an old failure: a call under way has none
//! before it tells one.

use std::sync::Arc;

use super::Core;
use super::event::InvalidRow;
use super::failure::{Failure, FailureKind};
use super::notice::HangUp;
use super::state::Rest;
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
        }
    }

    /// What happened, in words.
    pub fn message(&self) -> String {
        match self {
            Reason::Failure(failure) => failure.message.clone(),
            Reason::HangUp(why) => why.to_string(),
            Reason::Stopped => "stopped by the operator".to_owned(),
            Reason::Invalid(row) => row.reason.to_string(),
            Reason::NoPlace => "all places of selection.max_tunnels are taken".to_owned(),
        }
    }

    /// What to do about it, for people; none where the message says it, or nothing is to be done.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Reason::Failure(failure) => Some(failure.kind.remedy()),
            Reason::NoPlace => Some("raise selection.max_tunnels to have more tunnels up at once"),
            Reason::HangUp(_) | Reason::Stopped | Reason::Invalid(_) => None,
        }
    }

    /// What kind of failure it is, where it is one.
    pub fn failure(&self) -> Option<FailureKind> {
        match self {
            Reason::Failure(failure) => Some(failure.kind),
            Reason::HangUp(_) | Reason::Stopped | Reason::Invalid(_) | Reason::NoPlace => None,
        }
    }
}

impl Core {
    pub(super) fn reason(&self, id: NodeId, tunnel: &Tunnel) -> Option<Reason> {
        let last = || tunnel.retries.last.clone().map(Reason::Failure);
        match &tunnel.phase {
            Phase::Resting(Rest::Waiting) if self.pool.lets_wait(id) => Some(Reason::NoPlace),
            Phase::Resting(Rest::Waiting) => self.host.fault().cloned().map(Reason::Failure),
            Phase::Resting(Rest::Backoff { .. } | Rest::Quarantined { .. }) => last(),
            Phase::Resting(Rest::Stopped) => Some(Reason::Stopped),
            Phase::Resting(Rest::Invalid) => match &tunnel.want {
                Want::Invalid(row) => Some(Reason::Invalid(row.clone())),
                Want::Unknown | Want::Tunnel(_) | Want::Nothing => None,
            },
            Phase::Calling(call) if call.up().is_some() => None,
            Phase::Calling(call) => call.run.said.best().cloned().map(Reason::Failure),
            Phase::Stopping(stopping) => match &stopping.why {
                Why::Itself => stopping.run.said.best().cloned().map(Reason::Failure),
                Why::GivenUp(failure) => Some(Reason::Failure(failure.clone())),
                Why::Unwanted(why) => Some(Reason::HangUp(*why)),
            },
        }
    }
}
