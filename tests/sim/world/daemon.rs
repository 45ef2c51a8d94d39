//! The daemon's own life: it starts, dies, and stops.

use super::{Happening, World};
use crate::ledger::Ledger;
use crate::wire::{News, View, Wire};

/// Of all policies in force while a pppd is ended, in milliseconds.
const LONGEST_GRACE: u64 = 9000;

impl World {
    pub(super) fn start_daemon(&mut self) {
        if !self.is_down {
            return;
        }
        (self.is_down, self.is_stopping) = (false, false);
        self.started = self.now;
        let notices = std::mem::take(&mut self.daemon.notices);
        self.daemon = Wire::new(self.policy.clone(), self.records);
        self.daemon.notices = notices;
        self.ledger = Ledger::new(self.policy.clone());
        self.view = View::default();
        self.first_policy = self.policy.clone();
        self.feed(News::Stopped(self.keeper.stopped.clone()));
        self.first_list();
        // Before any order is carried out.
        self.look_for_running(true);
        self.rows_changed();
    }

    /// The daemon is gone at once: what was on its way to it and what it had not done yet is lost.
    pub(super) fn crash(&mut self) {
        if self.is_down {
            return;
        }
        self.end_daemon();
        let gap = self.roll(3000);
        self.later(gap, Happening::DaemonStarts);
    }

    fn end_daemon(&mut self) {
        self.is_down = true;
        self.crash_after_orders = None;
        self.agenda.retain(|_, happening| happening.is_of_the_world());
        self.keeper.forget_all();
        self.kernel.is_deaf = true;
        self.crowded.clear();
    }

    /// The daemon is asked to stop, and started again later.
    pub(super) fn stop_daemon(&mut self, keep: bool) {
        if self.is_down {
            return;
        }
        self.policy.keep_on_exit = keep;
        self.feed(News::Policy(Box::new(self.policy.clone())));
        self.is_stopping = true;
        self.feed(News::Stop);
        let bound = self.now + self.drain_bound();
        while !self.daemon.is_drained()
            && !self.is_down
            && self.broken.is_none()
            && self.step(bound)
        {}
        if !self.is_down && self.broken.is_none() && !self.daemon.is_drained() {
            self.breaks("a_daemon_comes_to_its_end: it does not".into());
        }
        // One that was started by hand just now may not have been told of yet.
        let left = self.processes.iter().filter(|(pid, process)| {
            let is_new = process.by_hand && self.now - process.born < 1000;
            self.keeper.knows(**pid) && !is_new
        });
        let left: Vec<_> = left.map(|(pid, process)| (*pid, process.node)).collect();
        if !keep && !self.is_down && !left.is_empty() {
            self.breaks(format!(
                "a_daemon_that_keeps_nothing_leaves_nothing: it leaves pppds: {left:?}"
            ));
        }
        if !self.is_down {
            self.end_daemon();
            let gap = self.roll(3000);
            self.later(gap, Happening::DaemonStarts);
        }
        self.policy.keep_on_exit = true;
    }

    /// A node may have several pppds, which are ended one after the other.
    fn drain_bound(&self) -> u64 {
        let most = self.running().into_iter().map(|node| self.pids_of(node).len()).max();
        (1 + most.unwrap_or(0) as u64) * (2 * LONGEST_GRACE + 1000) + 100 * self.slowness
    }
}

impl Happening {
    /// Whether it comes to pass with no daemon as well.
    fn is_of_the_world(&self) -> bool {
        matches!(
            self,
            Happening::Life(..)
                | Happening::LinkReturns(_)
                | Happening::AddressesReturn(..)
                | Happening::RowsReturn(_)
        )
    }
}
