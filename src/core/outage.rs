//! The outage rule.
//!
//! A window in which no tunnel was up at any moment is an empty one. So many empty windows in a
//! row mean one restart of the backend, unless whoever holds its port makes that useless: then it is
//! held back, and judged again after each further empty window. A tunnel coming up at any moment
//! sets the count to zero. After a restart the next one needs windows twice as long, up to sixteen
//! times, until a tunnel has been up once.

use std::time::Duration;

use super::event::RestartOutcome;
use super::policy::OutagePolicy;
use super::time::{Monotonic, Wall};

const LONGEST_FACTOR: u32 = 16;

/// Where the core's clock begins.
const DAEMON_START: Monotonic = Monotonic(0);

/// How long it may take to find out whether a restart can help.
pub const JUDGE_WITHIN: Duration = Duration::from_secs(10);

/// An answer may come so much later than its limit: a command that hangs is ended first.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// What a deadline brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A window was empty.
    Empty {
        /// Empty windows in a row, this one included.
        count: u32,
        /// When it was the last one needed: the number of the question whether a restart can help.
        question: Option<u64>,
    },
    /// Nobody could say in time whether a restart helps: this one is to begin now.
    Restart(u64),
}

/// How the tunnels stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnels {
    /// One is up.
    Up,
    /// None is seen to be up, and one may be: its call goes on, and its link can't be told for sure.
    InDoubt,
    /// None is up.
    Down {
        /// Whether any is wanted.
        wanted: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A tunnel is up, or may be, or there is nothing to hold up.
    Idle,
    /// A window is open.
    Window { ends: Monotonic },
    /// A restart is due; whether it can help is being found out.
    Judging { question: u64, until: Monotonic },
    /// The backend restarts; no window is open.
    Restarting,
}

/// A restart of the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// When it began.
    pub began: Wall,
    /// When it has taken longer than it may.
    pub overdue_at: Monotonic,
    /// How far it is.
    pub progress: Progress,
}

impl Restart {
    fn runs(&self) -> bool {
        self.progress == Progress::Runs
    }
}

/// How far a restart is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has not reported back.
    Runs,
    /// It has not reported back in time.
    Overdue,
    /// It is over.
    Over(RestartOutcome),
}

/// The rule's memory.
#[derive(Clone, Debug)]
pub struct Outage {
    policy: OutagePolicy,
    phase: Phase,
    count: u32,
    factor: u32,
    /// Questions so far, whether a restart can help.
    questions: u64,
    /// Restarts that have begun.
    begun: u64,
    /// Those whose command has done its work.
    restarts: u64,
    /// The one that has begun last.
    last_restart: Option<Restart>,
}

impl Outage {
    /// Nothing is watched until the first [`Outage::observe`].
    pub fn new(policy: OutagePolicy) -> Self {
        Outage {
            policy,
            phase: Phase::Idle,
            count: 0,
            factor: 1,
            questions: 0,
            begun: 0,
            restarts: 0,
            last_restart: None,
        }
    }

    /// Goes by another policy from the next window on.
    pub fn set_policy(&mut self, policy: OutagePolicy) {
        self.policy = policy;
    }

    /// Tells the rule how things stand.
    pub fn observe(&mut self, tunnels: Tunnels, at: Monotonic) {
        let is_empty = match tunnels {
            Tunnels::Up => {
                self.factor = 1;
                false
            }
            Tunnels::InDoubt => false,
            Tunnels::Down { wanted } => wanted || self.policy.restart_with_no_nodes,
        };
        if !is_empty {
            self.count = 0;
            self.phase = Phase::Idle;
        } else if self.phase == Phase::Idle {
            self.open_window(at.max(DAEMON_START + self.policy.startup_delay));
        }
    }

    /// Watches no more: the daemon stops, and its tunnels may go down on purpose.
    pub fn stop(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Whether nothing is counted: a tunnel is up, or may be, or none is wanted.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// When the rule is next to be looked at. `None` while a tunnel is up.
    pub fn deadline(&self) -> Option<Monotonic> {
        match self.phase {
            Phase::Idle => None,
            Phase::Window { ends } => Some(ends),
            Phase::Judging { until, .. } => Some(until),
            Phase::Restarting => self.last_restart.as_ref().map(|last| last.overdue_at),
        }
    }

    /// The end of the open window, for people to see.
    pub fn next_evaluation(&self) -> Option<Monotonic> {
        match self.phase {
            Phase::Window { ends } => Some(ends),
            Phase::Idle | Phase::Judging { .. } | Phase::Restarting => None,
        }
    }

    /// Whether the last restart has taken longer than it may, and was not waited for in vain before: it holds
    /// no other one up any more.
    pub fn gives_up_restart(&mut self, at: Monotonic) -> bool {
        let is_late = |last: &Restart| last.runs() && last.overdue_at <= at;
        if !self.last_restart.as_ref().is_some_and(is_late) {
            return false;
        }
        self.progress(Progress::Overdue);
        if self.phase == Phase::Restarting {
            self.open_window(at);
        }
        true
    }

    /// Looks whether the deadline has come, after [`Outage::gives_up_restart`]. The next window begins now and not
    /// where the last one ended: nobody watched in between.
    pub fn expire(&mut self, at: Monotonic, wall: Wall) -> Option<Verdict> {
        self.deadline().filter(|deadline| *deadline <= at)?;
        match self.phase {
            Phase::Idle | Phase::Restarting => None,
            Phase::Window { .. } => Some(self.close_window(at)),
            Phase::Judging { .. } => Some(Verdict::Restart(self.begin_restart(at, wall))),
        }
    }

    /// Whether an answer to this question is still waited for: by the time that it comes, a tunnel
    /// may be up, or a restart begun without it.
    pub fn awaits(&self, question: u64) -> bool {
        matches!(self.phase, Phase::Judging { question: asked, .. } if asked == question)
    }

    /// The restart that was asked about can help, or can't. The number of the restart, when it is
    /// to begin now.
    pub fn judged(
        &mut self,
        question: u64,
        can_help: bool,
        at: Monotonic,
        wall: Wall,
    ) -> Option<u64> {
        if !self.awaits(question) {
            return None;
        }
        if can_help {
            return Some(self.begin_restart(at, wall));
        }
        self.open_window(at);
        None
    }

    /// A restart is over, well or not. False when a later one has begun since: what became of an
    /// earlier one matters no more.
    pub fn restarted(&mut self, restart: u64, outcome: RestartOutcome, at: Monotonic) -> bool {
        if restart != self.begun {
            return false;
        }
        match outcome {
            RestartOutcome::Ready(_) | RestartOutcome::NotReady(_) => self.restarts += 1,
            RestartOutcome::Failed { .. } => {}
        }
        self.progress(Progress::Over(outcome));
        match self.phase {
            Phase::Restarting => self.open_window(at),
            Phase::Idle | Phase::Window { .. } | Phase::Judging { .. } => {}
        }
        true
    }

    fn open_window(&mut self, from: Monotonic) {
        self.phase =
            Phase::Window { ends: from + self.policy.interval.saturating_mul(self.factor) };
    }

    fn close_window(&mut self, at: Monotonic) -> Verdict {
        // Kept at the limit while something holds the restart back.
        self.count = (self.count + 1).min(self.policy.windows);
        // Never two at once: a tunnel may have been up meanwhile, and the last one still runs.
        let runs = self.last_restart.as_ref().is_some_and(Restart::runs);
        let enough = self.count >= self.policy.windows && !runs;
        if enough {
            self.questions += 1;
            let (question, until) = (self.questions, at + JUDGE_WITHIN + REPORT_WITHIN);
            self.phase = Phase::Judging { question, until };
        } else {
            self.open_window(at);
        }
        Verdict::Empty { count: self.count, question: enough.then_some(self.questions) }
    }

    fn begin_restart(&mut self, at: Monotonic, wall: Wall) -> u64 {
        self.count = 0;
        self.factor = (self.factor * 2).min(LONGEST_FACTOR);
        self.begun += 1;
        let overdue_at = at + self.policy.restart_limit + REPORT_WITHIN;
        self.last_restart = Some(Restart { began: wall, overdue_at, progress: Progress::Runs });
        self.phase = Phase::Restarting;
        self.begun
    }

    fn progress(&mut self, progress: Progress) {
        if let Some(last) = &mut self.last_restart {
            last.progress = progress;
        }
    }

    /// Empty windows in a row so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Restarts since the daemon's start; one whose command has failed is none.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// The restart that has begun last, well or not.
    pub fn last_restart(&self) -> Option<&Restart> {
        self.last_restart.as_ref()
    }

    /// The policy in force.
    pub fn policy(&self) -> &OutagePolicy {
        &self.policy
    }

    /// False from the first empty window until a tunnel is up, or none is wanted.
    pub fn is_healthy(&self) -> bool {
        self.is_idle() || (self.count == 0 && self.factor == 1)
    }
}

#[cfg(test)]
mod tests;
