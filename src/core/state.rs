//! The states of a tunnel that the world sees, and what a node without a call does on each event.

use serde::{Deserialize, Serialize};

use super::backoff::Curve;
use super::pool::Need;
use super::time::Monotonic;

/// The states that the world sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Wants a dial slot.
    Waiting,
    /// A call runs, no link yet.
    Dialing,
    /// The link is there, no address yet.
    Negotiating,
    /// The kernel says so.
    Up,
    /// A call is on its way out.
    Stopping,
    /// Waits before the next dial.
    Backoff,
    /// Refused too often; waits for a change, and for `tunnel.quarantine_rest`.
    Quarantined,
    /// By the operator, until the operator starts it.
    Stopped,
    /// The row can't be dialled.
    Invalid,
}

impl State {
    /// Every state, in the order of a tunnel's life.
    pub const ALL: [State; 9] = [
        State::Waiting,
        State::Dialing,
        State::Negotiating,
        State::Up,
        State::Stopping,
        State::Backoff,
        State::Quarantined,
        State::Stopped,
        State::Invalid,
    ];

    /// Its name in the API and in tables.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Dialing => "dialing",
            State::Negotiating => "negotiating",
            State::Up => "up",
            State::Stopping => "stopping",
            State::Backoff => "backoff",
            State::Quarantined => "quarantined",
            State::Stopped => "stopped",
            State::Invalid => "invalid",
        }
    }

    /// What sort of state it is.
    pub fn sort(self) -> Sort {
        match self {
            State::Waiting => Sort::Waits,
            State::Dialing | State::Negotiating => Sort::Calls,
            State::Up => Sort::Up,
            State::Stopping => Sort::Ends,
            State::Backoff | State::Quarantined => Sort::Failed,
            State::Stopped => Sort::Stopped,
            State::Invalid => Sort::Invalid,
        }
    }
}

/// What sorts of states there are, for whoever shows, counts or plans: a new state is of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// It could dial, and waits for its turn.
    Waits,
    /// A call is being made.
    Calls,
    /// It is a tunnel.
    Up,
    /// Its call ends.
    Ends,
    /// It rests after a failure, for which it is there.
    Failed,
    /// The operator wants it so.
    Stopped,
    /// Its row can't be dialled.
    Invalid,
}

/// Why a node has no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It wants a dial slot.
    Waiting,
    /// A dial failed; the next is due then.
    Backoff { until: Monotonic },
    /// It was refused too often; it is dialled once then, if ever by itself.
    Quarantined { until: Option<Monotonic> },
    /// The operator wants it so.
    Stopped,
    /// Its row can't be dialled.
    Invalid,
}

/// What is wanted of a node without a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A tunnel.
    Tunnel,
    /// A tunnel, and the operator has stopped it.
    Stopped,
    /// A tunnel, and its row can't be dialled.
    Invalid,
}

impl Rest {
    pub(super) fn state(self) -> State {
        match self {
            Rest::Waiting => State::Waiting,
            Rest::Backoff { .. } => State::Backoff,
            Rest::Quarantined { .. } => State::Quarantined,
            Rest::Stopped => State::Stopped,
            Rest::Invalid => State::Invalid,
        }
    }

    /// When it is dialled without an event.
    pub(super) fn until(self) -> Option<Monotonic> {
        match self {
            Rest::Backoff { until } => Some(until),
            Rest::Quarantined { until } => until,
            Rest::Waiting | Rest::Stopped | Rest::Invalid => None,
        }
    }

    /// Time has gone by.
    pub(super) fn expire(self, at: Monotonic) -> Rest {
        if self.until().is_some_and(|until| until <= at) { Rest::Waiting } else { self }
    }

    /// This is wanted of it now.
    pub(super) fn follow(self, wanted: Wanted) -> Rest {
        match (wanted, self) {
            (Wanted::Stopped, _) => Rest::Stopped,
            (Wanted::Invalid, _) => Rest::Invalid,
            (Wanted::Tunnel, Rest::Stopped | Rest::Invalid) => Rest::Waiting,
            (
                Wanted::Tunnel,
                rest @ (Rest::Waiting | Rest::Backoff { .. } | Rest::Quarantined { .. }),
            ) => rest,
        }
    }

    /// Whether a change of its row that sends it to the queue is worth a line.
    pub(super) fn is_released_by_new_row(self) -> bool {
        match self {
            Rest::Quarantined { .. } => true,
            Rest::Waiting | Rest::Backoff { .. } | Rest::Stopped | Rest::Invalid => false,
        }
    }

    /// The operator asks for a dial now.
    pub(super) fn retry(self) -> Rest {
        match self {
            Rest::Backoff { .. } | Rest::Quarantined { .. } => Rest::Waiting,
            Rest::Waiting | Rest::Stopped | Rest::Invalid => self,
        }
    }

    /// Whether a retry would change anything; `has_failed`: there are failures to be forgotten.
    pub(super) fn can_retry(self, has_failed: bool) -> bool {
        match self {
            Rest::Backoff { .. } | Rest::Quarantined { .. } => true,
            Rest::Stopped => false,
            Rest::Waiting | Rest::Invalid => has_failed,
        }
    }

    /// How long a quarantine rests was configured anew.
    pub(super) fn rest_until(self, rest_until: Option<Monotonic>) -> Rest {
        match self {
            Rest::Quarantined { .. } => Rest::Quarantined { until: rest_until },
            Rest::Waiting | Rest::Backoff { .. } | Rest::Stopped | Rest::Invalid => self,
        }
    }

    /// What it has to do with places while a tunnel is wanted.
    pub(super) fn need(self, rank: u32, failures: u32, curve: &Curve) -> Need {
        match self {
            Rest::Waiting => Need::Ready { rank, has_failed: failures > 0 },
            Rest::Backoff { .. } if curve.full(failures) < curve.max => Need::Waits,
            Rest::Backoff { .. } | Rest::Quarantined { .. } => Need::KeepsFailing { rank },
            Rest::Stopped | Rest::Invalid => Need::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::core::policy::Policy;

    #[test]
    fn what_has_failed_queues_as_such() {
        let curve = Policy::from(&Config::default()).backoff;
        for (failures, has_failed) in [(0, false), (1, true), (2, true)] {
            let need = Rest::Waiting.need(3, failures, &curve);
            assert_eq!(need, Need::Ready { rank: 3, has_failed });
        }
    }

    #[test]
    fn a_retry_changes_what_waits_or_has_failed_and_nothing_that_is_stopped() {
        let [backoff, quarantined] =
            [Rest::Backoff { until: Monotonic(5) }, Rest::Quarantined { until: None }];
        for (rest, changes) in [
            (backoff, [true, true]),
            (quarantined, [true, true]),
            (Rest::Waiting, [false, true]),
            (Rest::Invalid, [false, true]),
            (Rest::Stopped, [false, false]),
        ] {
            assert_eq!([false, true].map(|has_failed| rest.can_retry(has_failed)), changes);
        }
    }

    #[test]
    fn only_the_end_of_a_quarantine_by_a_new_row_is_told() {
        let is_told = Rest::is_released_by_new_row;
        assert!(is_told(Rest::Quarantined { until: None }));
        let others =
            [Rest::Waiting, Rest::Backoff { until: Monotonic(5) }, Rest::Stopped, Rest::Invalid];
        assert!(!others.into_iter().any(is_told));
    }
}
