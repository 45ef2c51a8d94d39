//! The outage rule.
//!
//! A window in which no tunnel was up at any moment is an empty one. So many empty windows in a
//! row mean one restart of the backend. A tunnel coming up at any moment sets the count to zero.
//! After a restart the next one needs windows twice as long, up to sixteen times, until a tunnel
//! has been up once.

use super::policy::OutagePolicy;
use super::time::{Monotonic, Wall};

const LONGEST_FACTOR: u32 = 16;

/// What a deadline brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A window was empty; `restart` when it was the last one needed.
    Empty {
        /// Empty windows in a row, this one included.
        count: u32,
        /// Whether the backend is to be restarted now.
        restart: bool,
    },
    /// A restart has taken longer than it may; windows are counted again.
    RestartOverdue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A tunnel is up, or there is nothing to hold up.
    Idle,
    /// A window is open.
    Window { ends: Monotonic },
    /// The backend restarts; no window is open.
    Restarting { overdue: Monotonic },
}

/// The rule's memory.
#[derive(Debug)]
pub struct Outage {
    policy: OutagePolicy,
    phase: Phase,
    /// No window opens before this: the start-up delay.
    not_before: Option<Monotonic>,
    count: u32,
    factor: u32,
    /// A restart has begun and not reported back.
    restarting: bool,
    restarts: u64,
    last_restart: Option<Wall>,
}

impl Outage {
    /// Nothing is watched until the first [`Outage::observe`].
    pub fn new(policy: OutagePolicy) -> Self {
        Outage {
            policy,
            phase: Phase::Idle,
            not_before: None,
            count: 0,
            factor: 1,
            restarting: false,
            restarts: 0,
            last_restart: None,
        }
    }

    /// Goes by another policy from the next window on.
    pub fn set_policy(&mut self, policy: OutagePolicy) {
        self.policy = policy;
    }

    /// Tells the rule how things stand: whether a tunnel is up, and whether any is wanted.
    pub fn observe(&mut self, up: bool, wanted: bool, at: Monotonic) {
        let not_before = *self.not_before.get_or_insert(at + self.policy.startup_delay);
        if up {
            self.factor = 1;
        }
        if up || !(wanted || self.policy.restart_with_no_nodes) {
            self.count = 0;
            self.phase = Phase::Idle;
        } else if self.phase == Phase::Idle {
            self.open_window(at.max(not_before));
        }
    }

    /// Watches no more: the daemon stops, and its tunnels may go down on purpose.
    pub fn stop(&mut self) {
        self.phase = Phase::Idle;
    }

    /// When the rule is next to be looked at. `None` while a tunnel is up.
    pub fn deadline(&self) -> Option<Monotonic> {
        match self.phase {
            Phase::Idle => None,
            Phase::Window { ends } => Some(ends),
            Phase::Restarting { overdue } => Some(overdue),
        }
    }

    /// The end of the open window, for people to see.
    pub fn next_evaluation(&self) -> Option<Monotonic> {
        match self.phase {
            Phase::Window { ends } => Some(ends),
            Phase::Idle | Phase::Restarting { .. } => None,
        }
    }

    /// Looks whether the deadline has come. The next window begins now and not where the last one
    /// ended: nobody watched in between.
    pub fn expire(&mut self, at: Monotonic, wall: Wall) -> Option<Verdict> {
        self.deadline().filter(|deadline| *deadline <= at)?;
        match self.phase {
            Phase::Idle => None,
            Phase::Window { .. } => Some(self.close_window(at, wall)),
            Phase::Restarting { .. } => {
                self.restarting = false;
                self.open_window(at);
                Some(Verdict::RestartOverdue)
            }
        }
    }

    /// The restart is over, well or not.
    pub fn restarted(&mut self, at: Monotonic) {
        self.restarting = false;
        match self.phase {
            Phase::Restarting { .. } => self.open_window(at),
            Phase::Idle | Phase::Window { .. } => {}
        }
    }

    fn open_window(&mut self, from: Monotonic) {
        self.phase = Phase::Window { ends: from + self.policy.interval * self.factor };
    }

    fn close_window(&mut self, at: Monotonic, wall: Wall) -> Verdict {
        // Kept at the limit where a restart that still runs holds the next one back.
        self.count = (self.count + 1).min(self.policy.windows);
        let count = self.count;
        // Never two at once: a tunnel may have been up meanwhile, and the last one still runs.
        let restart = count >= self.policy.windows && !self.restarting;
        if restart {
            self.restarting = true;
            self.count = 0;
            self.factor = (self.factor * 2).min(LONGEST_FACTOR);
            self.restarts += 1;
            self.last_restart = Some(wall);
            // A little longer than the restart allows itself, so that its own report comes first.
            let overdue = at + self.policy.restart_limit + std::time::Duration::from_secs(5);
            self.phase = Phase::Restarting { overdue };
        } else {
            self.open_window(at);
        }
        Verdict::Empty { count, restart }
    }

    /// Empty windows in a row so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Restarts since the daemon's start.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// When the last restart began.
    pub fn last_restart(&self) -> Option<Wall> {
        self.last_restart
    }

    /// The policy in force.
    pub fn policy(&self) -> &OutagePolicy {
        &self.policy
    }

    /// False from the first empty window until a tunnel is up, or none is wanted.
    pub fn is_healthy(&self) -> bool {
        self.phase == Phase::Idle || (self.count == 0 && self.factor == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outage() -> Outage {
        Outage::new(OutagePolicy {
            interval: Duration::from_secs(30),
            windows: 3,
            startup_delay: Duration::from_secs(10),
            restart_with_no_nodes: false,
            restart_limit: Duration::from_secs(60),
        })
    }

    fn second(n: u64) -> Monotonic {
        Monotonic(n * 1000)
    }

    /// Lets every deadline come until a restart; returns its second.
    fn next_restart(outage: &mut Outage) -> u64 {
        loop {
            let at = outage.deadline().unwrap();
            if let Some(Verdict::Empty { restart: true, .. }) = outage.expire(at, Wall(0)) {
                outage.restarted(at);
                return at.0 / 1000;
            }
        }
    }

    #[test]
    fn three_empty_windows_after_the_startup_delay_mean_a_restart() {
        let mut outage = outage();
        outage.observe(false, true, second(0));
        assert_eq!(next_restart(&mut outage), 10 + 3 * 30);
    }

    #[test]
    fn a_tunnel_that_was_up_within_a_window_starts_the_count_again() {
        let mut outage = outage();
        outage.observe(false, true, second(0));
        outage.expire(second(40), Wall(0));
        outage.expire(second(70), Wall(0));
        outage.observe(true, true, second(80));
        outage.observe(false, true, second(81));
        assert_eq!(next_restart(&mut outage), 81 + 3 * 30);
    }

    #[test]
    fn no_timer_runs_while_a_tunnel_is_up() {
        let mut outage = outage();
        outage.observe(true, true, second(0));
        assert_eq!(outage.deadline(), None);
    }

    #[test]
    fn nothing_wanted_is_no_outage() {
        let mut outage = outage();
        outage.observe(false, false, second(0));
        assert_eq!(outage.deadline(), None);
    }

    #[test]
    fn each_restart_in_vain_doubles_the_windows_up_to_sixteen_times() {
        let mut outage = outage();
        outage.observe(false, true, second(0));
        let mut last = next_restart(&mut outage);
        let mut gaps = Vec::new();
        for _ in 0..6 {
            let at = next_restart(&mut outage);
            gaps.push((at - last) / 90);
            last = at;
        }
        assert_eq!(gaps, [2, 4, 8, 16, 16, 16]);
    }

    /// A restart begins, a tunnel comes and goes, and the restart has not reported back yet when
    /// this many more windows have ended.
    fn restart_still_running(windows: u64) -> Outage {
        let mut outage = outage();
        outage.observe(false, true, second(0));
        for at in [40, 70, 100] {
            outage.expire(second(at), Wall(0));
        }
        outage.observe(true, true, second(101));
        outage.observe(false, true, second(102));
        for window in 1..=windows {
            outage.expire(second(102 + 30 * window), Wall(0));
        }
        outage
    }

    #[test]
    fn a_restart_that_still_runs_is_not_joined_by_another() {
        assert_eq!(restart_still_running(3).restarts(), 1);
    }

    #[test]
    fn while_a_restart_runs_the_count_stays_at_its_limit() {
        assert_eq!(restart_still_running(4).count(), 3);
    }

    #[test]
    fn a_tunnel_up_once_makes_windows_short_again() {
        let mut outage = outage();
        outage.observe(false, true, second(0));
        let at = next_restart(&mut outage);
        outage.observe(true, true, second(at + 1));
        outage.observe(false, true, second(at + 2));
        assert_eq!(next_restart(&mut outage), at + 2 + 90);
    }
}
