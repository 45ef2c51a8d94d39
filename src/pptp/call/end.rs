//! Ending a call in order: LCP, then the call, then the control connection, each with a deadline.

use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::control::Message;
use crate::pptp::failure::Failure;
use crate::pptp::order::{Ending, Order};

use super::{Call, Phase, Wait};

/// How long an answer on the control connection is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// How long the server's own end of the connection is waited for once it has agreed to stop.
const CLOSE_PATIENCE: Duration = Duration::from_millis(300);
/// None, for a reason that the server gave itself (RFC 2637 section 2.3).
const REASON_NONE: u8 = 1;

/// What the server is being told last.
#[derive(Clone, Debug)]
pub(super) struct Parting {
    ending: Ending,
    step: PartingStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartingStep {
    /// LCP Terminate-Request.
    Link,
    /// Call-Clear-Request.
    Call,
    /// Stop-Control-Connection-Request.
    Control,
    /// Stop-Control-Connection-Reply came.
    Close,
}

impl Call {
    pub(super) fn hang_up(&mut self, now: Monotonic) {
        self.part(Ending::HungUp, now);
    }

    /// The call ends by a failure; in order, so that the server holds nothing of it.
    pub(super) fn fail(&mut self, failure: Failure, now: Monotonic) {
        self.part(Ending::Failed(failure), now);
    }

    /// The first reason to end is the one that counts.
    fn part(&mut self, ending: Ending, now: Monotonic) {
        if matches!(self.phase, Phase::Ending | Phase::Ended) {
            return;
        }
        self.phase = Phase::Ending;
        self.wait = None;
        // Nobody hears an LCP packet where none was ever answered, or where echoes stay unanswered.
        let deaf = !self.answered || matches!(ending, Ending::Failed(Failure::EchoTimeout { .. }));
        self.parting = Some(Parting { ending, step: PartingStep::Link });
        if !deaf && self.lcp.is_started() && !self.lcp.is_ending() {
            let outputs = self.lcp.close(now);
            self.on_lcp_outputs(outputs, now);
        } else {
            self.clear_call(now);
        }
    }

    /// LCP is down for good.
    pub(super) fn link_is_down(&mut self, now: Monotonic) {
        if self.step() == Some(PartingStep::Link) {
            self.clear_call(now);
        }
    }

    /// The server has cleared the call, by itself or as asked.
    pub(super) fn cleared(&mut self, words: &str, now: Monotonic) {
        self.server_call = None;
        if self.phase != Phase::Ending {
            let ending = Ending::Failed(self.ended_by_server(words, now));
            self.phase = Phase::Ending;
            self.parting = Some(Parting { ending, step: PartingStep::Call });
        }
        if matches!(self.step(), Some(PartingStep::Link | PartingStep::Call)) {
            self.stop_control(now);
        }
    }

    /// The server agrees to stop.
    pub(super) fn stopped(&mut self, now: Monotonic) {
        if self.step() == Some(PartingStep::Control) {
            self.go(PartingStep::Close, CLOSE_PATIENCE, now);
        }
    }

    /// The next step, the answer to this one being overdue.
    pub(super) fn part_further(&mut self, now: Monotonic) {
        match self.step() {
            Some(PartingStep::Link) => self.clear_call(now),
            Some(PartingStep::Call) => self.stop_control(now),
            Some(PartingStep::Control | PartingStep::Close) | None => self.finish(),
        }
    }

    /// Ends at once: there is no connection to part on.
    pub(super) fn cut(&mut self, failure: Failure) {
        if self.parting.is_none() {
            let ending = Ending::Failed(failure);
            self.parting = Some(Parting { ending, step: PartingStep::Close });
        }
        self.finish();
    }

    fn clear_call(&mut self, now: Monotonic) {
        if self.server_call.is_none() {
            return self.stop_control(now);
        }
        self.send_control(&Message::CallClear { call: self.settings.own_call_id });
        self.go(PartingStep::Call, ANSWER_PATIENCE, now);
    }

    fn stop_control(&mut self, now: Monotonic) {
        if !self.started {
            return self.finish();
        }
        self.send_control(&Message::StopRequest { reason: REASON_NONE });
        self.go(PartingStep::Control, ANSWER_PATIENCE, now);
    }

    fn step(&self) -> Option<PartingStep> {
        self.parting.as_ref().map(|parting| parting.step)
    }

    fn go(&mut self, step: PartingStep, patience: Duration, now: Monotonic) {
        if let Some(parting) = &mut self.parting {
            parting.step = step;
        }
        self.wait(Wait::Parting, patience, now);
    }

    fn finish(&mut self) {
        self.phase = Phase::Ended;
        self.wait = None;
        if let Some(parting) = self.parting.take() {
            self.orders.push(Order::Ended(parting.ending));
        }
    }
}
