//! When a socket is read again. Each wake of a task costs more than the message that wakes it, so in
//! a storm messages are read together: a storm costs by its time and not by its messages.

use std::time::Duration;

use tokio::time::Instant;

/// Messages that follow each other within this are parts of a storm.
const QUICK: Duration = Duration::from_millis(3);

/// In a storm, what comes within this time is read together; it waits in the kernel's buffer. The quickest storm
/// measured makes some 24 changes of links in this time.
const BREATH: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Something was read since the socket was found empty.
    has_read: bool,
    /// When it was found empty the last time after that.
    emptied: Option<Instant>,
    rests: Option<Instant>,
}

impl Pace {
    /// A message was read.
    pub(super) fn read(&mut self) {
        self.has_read = true;
    }

    /// There is none left.
    pub(super) fn is_empty(&mut self, now: Instant) {
        self.rests = None;
        if std::mem::take(&mut self.has_read) {
            let last = self.emptied.replace(now);
            let is_quick = last.is_some_and(|last| now - last <= QUICK);
            self.rests = is_quick.then_some(now + BREATH);
        }
    }

    /// Until when arrivals should wake nobody, if so.
    pub(super) fn rests(&self) -> Option<Instant> {
        self.rests
    }

    /// Now they may.
    pub(super) fn rested(&mut self) {
        self.rests = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(pace: &mut Pace, at: Instant) -> Option<Instant> {
        pace.read();
        pace.is_empty(at);
        pace.rests()
    }

    #[test]
    fn what_comes_alone_is_read_at_once() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(reads(&mut pace, start), None);
        assert_eq!(reads(&mut pace, start + QUICK * 2), None);
    }

    #[test]
    fn in_a_storm_the_next_read_waits_for_a_breath() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        reads(&mut pace, start);
        assert_eq!(reads(&mut pace, start + QUICK), Some(start + QUICK + BREATH));
    }

    #[test]
    fn a_breath_without_a_message_ends_the_storm() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        reads(&mut pace, start);
        reads(&mut pace, start);
        pace.rested();
        pace.is_empty(start + BREATH);
        assert_eq!(pace.rests(), None);
    }
}
