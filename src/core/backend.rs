//! What the outage rule does to the backend: a restart that is judged, begun, and told once a kind.

use super::effect::Effect;
use super::event::{Judgement, RestartFault, RestartOutcome};
use super::notice::Notice;
use super::outage::{Tunnels, Verdict};
use super::time::Monotonic;
use super::{Core, Turn};

/// What was told of the backend last, so that it isn't told again.
#[derive(Clone, Debug, Default)]
pub(super) struct Backend {
    /// How the last restart failed, if it did.
    fault: Option<Fault>,
    /// Why a restart is held back.
    pub(super) held: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Command(RestartFault),
    NotReady,
}

impl Fault {
    fn of(outcome: &RestartOutcome) -> Option<Self> {
        match outcome {
            RestartOutcome::Ready(_) => None,
            RestartOutcome::NotReady(_) => Some(Fault::NotReady),
            RestartOutcome::Failed { kind, .. } => Some(Fault::Command(*kind)),
        }
    }
}

impl Core {
    /// Tells the outage rule how the tunnels stand.
    pub(super) fn watch_outage(&mut self, at: Monotonic) {
        if !self.is_ready() || self.stopping {
            return;
        }
        let tunnels = if !self.up.is_empty() {
            self.backend.fault = None;
            Tunnels::Up
        } else if self.is_in_doubt() {
            Tunnels::InDoubt
        } else {
            // Until the database has been read, no node is wanted.
            Tunnels::Down { wanted: self.known.database && self.wants_a_tunnel() }
        };
        self.outage.observe(tunnels, at);
        if self.outage.is_idle() {
            self.backend.held = None;
        }
    }

    /// What was found is no wish: its row may never come.
    fn wants_a_tunnel(&self) -> bool {
        let has_row = |id| self.tunnels.get(id).is_some_and(|tunnel| tunnel.want.node().is_some());
        self.pool.holders().any(has_row)
    }

    /// Whether a tunnel may be up though no link shows it.
    fn is_in_doubt(&self) -> bool {
        let mut calling = self.calls.values().filter_map(|id| self.tunnels.get(id));
        calling.any(|tunnel| tunnel.is_out_of_sight())
    }

    /// Looks whether a deadline of the outage rule has come.
    pub(super) fn close_window(&mut self, turn: &mut Turn) {
        // Where nothing waits for it, nobody misses its report.
        if self.outage.gives_up_restart(turn.at()) && !self.outage.is_idle() {
            turn.tell(Notice::RestartOverdue);
        }
        match self.outage.expire(turn.at(), turn.now.wall) {
            Some(Verdict::Empty { count, question }) => {
                // While a restart is held back the count stays where it is, and was told.
                if self.backend.held.is_none() {
                    let of = self.outage.policy().windows;
                    turn.tell(Notice::EmptyWindow { count, of });
                }
                if let Some(question) = question {
                    turn.effects.push(Effect::JudgeBackend { question });
                }
            }
            Some(Verdict::Restart(restart)) => self.restart_backend(restart, turn),
            None => {}
        }
    }

    pub(super) fn backend_judged(&mut self, question: u64, judgement: Judgement, turn: &mut Turn) {
        if !self.outage.awaits(question) {
            return;
        }
        let can_help = judgement == Judgement::Clear;
        let restart = self.outage.judged(question, can_help, turn.at(), turn.now.wall);
        if let Some(restart) = restart {
            self.restart_backend(restart, turn);
        }
        match judgement {
            Judgement::Clear => {}
            Judgement::Held(why) if self.backend.held.as_ref() == Some(&why) => {}
            Judgement::Held(why) => {
                turn.tell(Notice::RestartHeld(why.clone()));
                self.backend.held = Some(why);
            }
        }
    }

    fn restart_backend(&mut self, restart: u64, turn: &mut Turn) {
        self.backend.held = None;
        turn.tell(Notice::Restarting { windows: self.outage.policy().windows });
        turn.effects.push(Effect::RestartBackend { restart });
    }

    pub(super) fn backend_restarted(
        &mut self,
        restart: u64,
        outcome: RestartOutcome,
        turn: &mut Turn,
    ) {
        if !self.outage.restarted(restart, outcome.clone(), turn.at()) {
            return;
        }
        let fault = Fault::of(&outcome);
        let repeated = fault.is_some() && fault == self.backend.fault;
        self.backend.fault = fault;
        turn.tell(Notice::Restarted { outcome, repeated });
    }
}

#[cfg(test)]
mod tests;
