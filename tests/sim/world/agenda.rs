//! What comes when: the world's time and its dice.

use std::time::Duration;

use super::{Happening, Way, World};
use crate::wire::News;

impl World {
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration.as_millis() as u64;
        while self.broken.is_none() && self.step(end) {}
        self.now = self.now.max(end);
    }

    /// The next thing that happens, unless it is later than `end`.
    pub(super) fn step(&mut self, end: u64) -> bool {
        let happening = self.agenda.first_key_value().map(|(&(at, _), _)| at);
        let deadline = (!self.is_down).then(|| self.daemon.deadline()).flatten();
        let deadline = deadline.map(|at| at + self.started);
        let next = happening.into_iter().chain(deadline).min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        // After a leap, what is due comes late and in any order.
        self.now = self.now.max(next);
        let both_due = [happening, deadline].iter().all(|at| at.is_some_and(|at| at <= self.now));
        let happens = if both_due { self.roll(2) == 0 } else { happening == Some(next) };
        if happens {
            if let Some((_, happening)) = self.agenda.pop_first() {
                self.happen(happening);
            }
        } else {
            self.feed(News::Tick);
        }
        true
    }

    pub(super) fn later(&mut self, after: u64, happening: Happening) {
        self.serial += 1;
        self.agenda.insert((self.now + after, self.serial), happening);
    }

    /// Some time from now, and after whatever else was sent that way.
    pub(super) fn send(&mut self, way: Way, happening: Happening) {
        let delay = match self.roll(20) {
            0 => self.roll(10 * self.slowness),
            1..5 => self.roll(self.slowness),
            _ => 0,
        };
        let at = self.ways[way as usize].max(self.now + delay);
        self.ways[way as usize] = at;
        self.serial += 1;
        self.agenda.insert((at, self.serial), happening);
    }

    /// What is sent that way from now on takes its time.
    pub(super) fn delay(&mut self, way: Way) {
        let at = self.now + self.roll(10 * self.slowness);
        self.ways[way as usize] = self.ways[way as usize].max(at);
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }
}
