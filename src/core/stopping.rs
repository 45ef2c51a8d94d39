//! A call on its way out, and what it does on each event.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Turn;
use super::call::{Call, Fall, Linked, Run, Standing, Up};
use super::effect::Order;
use super::event::IfIndex;
use super::failure::{Failure, FailureKind};
use super::notice::{HangUp, Notice};
use super::state::Rest;
use super::time::Monotonic;
use crate::node::NodeId;

/// A call on its way out.
#[derive(Clone, Debug)]
pub(super) struct Stopping {
    pub(super) run: Run,
    /// Its link, where one is known: index and name.
    pub(super) link: Option<(IfIndex, String)>,
    /// A fall that nobody was told of yet.
    pub(super) untold: Option<Fall>,
    pub(super) why: Why,
    step: Step,
    /// It is ended harder then.
    until: Monotonic,
    /// How its node rested when its row went, where that is back.
    rests_then: Option<Rest>,
}

/// Why a call is on its way out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Why {
    /// By itself; it will tell why.
    Itself,
    /// The daemon gave it up.
    GivenUp(Failure),
    /// The daemon no longer wants it.
    Unwanted(HangUp),
}

/// How far the stopping has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It ends by itself.
    Leaving,
    /// It was hung up.
    HungUp,
    /// It was to be ended at once.
    Ended,
}

impl Stopping {
    pub(super) fn new(call: Call, why: Why, step: Step, until: Monotonic) -> Self {
        let Call { run, standing, .. } = call;
        let (link, untold) = match standing {
            Standing::Ordered { .. } | Standing::NoLink { .. } => (None, None),
            Standing::Link(Linked { index, name, mut past, .. }) => {
                (Some((index, name)), past.take_untold())
            }
            Standing::Up(Up { index, name, .. }) => (Some((index, name)), None),
        };
        Stopping { run, link, untold, why, step, until, rests_then: None }
    }

    /// The kernel shows a link that is its own. Whether that is news.
    pub(super) fn take_link(&mut self, index: IfIndex, name: &str) -> bool {
        let is_news = self.link.is_none();
        self.link.get_or_insert_with(|| (index, name.to_owned()));
        is_news
    }

    /// The inputs that may have shown its link first, while it has none.
    pub(super) fn sought(&self) -> Option<RangeInclusive<u64>> {
        self.link.is_none().then(|| self.run.link_seen())
    }

    /// When it must be looked at without an event.
    pub(super) fn deadline(&self) -> Monotonic {
        self.untold.as_ref().map_or(self.until, |fall| fall.tell_by.min(self.until))
    }

    /// Whether the daemon has hung it up.
    pub(super) fn is_ended_by_us(&self) -> bool {
        match self.step {
            Step::Leaving => false,
            Step::HungUp | Step::Ended => true,
        }
    }

    /// Time has gone by: where it should be over and is not, the next stronger order is given.
    pub(super) fn expire(&mut self, node: NodeId, grace: Duration, turn: &mut Turn) {
        if self.until > turn.at() {
            return;
        }
        let call = self.run.id;
        match self.step {
            Step::Leaving => {
                self.step = Step::HungUp;
                turn.order(Order::HangUp { call });
            }
            Step::HungUp => {
                self.step = Step::Ended;
                turn.tell(Notice::Killing { node, pid: self.run.pid });
                turn.order(Order::End { call });
            }
            Step::Ended => turn.order(Order::End { call }),
        }
        self.until = turn.at() + grace;
    }

    /// The row changed in what is dialled: what failed says nothing any more.
    pub(super) fn row_changed(&mut self) {
        self.why = Why::Unwanted(HangUp::Changed);
        self.rests_then = None;
    }

    /// The node rests so once it is over, as long as its row stays as it is.
    pub(super) fn rest_then(&mut self, rest: Rest) {
        self.rests_then = Some(rest);
    }

    /// How it rests then, where that was said: its row is gone again, or it is over.
    pub(super) fn take_rest(&mut self) -> Option<Rest> {
        self.rests_then.take()
    }

    /// The operator asks for a dial after it.
    pub(super) fn retry(&mut self) {
        self.rests_then = None;
        match self.why {
            Why::Itself | Why::GivenUp(_) => self.why = Why::Unwanted(HangUp::Retried),
            Why::Unwanted(_) => {}
        }
    }

    /// Whether a retry would change anything; `has_failed`: there are failures to be forgotten.
    pub(super) fn can_retry(&self, has_failed: bool) -> bool {
        match self.why {
            Why::Itself | Why::GivenUp(_) => true,
            Why::Unwanted(_) => has_failed || self.rests_then.is_some(),
        }
    }

    /// It is over: the failure to be dealt with, `None` where it was not wanted any more, and what a
    /// fall is told with. `failure` is what it tells itself.
    pub(super) fn ended(&self, failure: Failure) -> (Option<Failure>, String) {
        let failure = match &self.why {
            Why::Unwanted(reason) => return (None, reason.to_string()),
            Why::GivenUp(failure) => failure.clone(),
            Why::Itself if self.is_ended_by_us() => self.link_lost(),
            Why::Itself => failure,
        };
        let reason = failure.message.clone();
        (Some(failure), reason)
    }

    /// Its link was gone, and it had to be hung up for that.
    fn link_lost(&self) -> Failure {
        self.run.said.best().cloned().unwrap_or_else(|| {
            Failure::new(
                FailureKind::LinkLost,
                "the link is gone, and the call did not end by itself",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::core::State;
    use crate::core::change::Way;
    use crate::core::event::Ask;
    use crate::core::stage::{LINK, NODE, Stage};

    #[test]
    fn the_link_of_a_dial_that_is_being_hung_up_is_still_its_own_and_told_once() {
        let mut stage = Stage::in_state(State::Dialing);
        stage.ask(Ask::Stop);
        stage.ways.clear();
        stage.link(false, false);
        stage.link(true, true);
        let linked = Way::Linked { node: NODE, call: stage.call, index: LINK };
        assert_eq!(stage.ways, [linked]);
    }

    #[test]
    fn a_retry_changes_what_is_given_up_and_nothing_that_is_unwanted_and_has_not_failed() {
        let given_up = Stage::in_state(State::Stopping);
        assert!(given_up.core.would_change(NODE, Ask::Retry));
        let mut unwanted = Stage::in_state(State::Negotiating);
        unwanted.ask(Ask::Stop);
        assert_eq!(unwanted.state(), "stopping");
        assert!(!unwanted.core.would_change(NODE, Ask::Retry));
    }
}
