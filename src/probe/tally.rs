//! The answers and losses of one tunnel's probes.

use tokio::time::Instant;

/// The newest run of losses, if any.
#[derive(Debug, Default)]
pub(super) struct Tally {
    lost: u32,
    /// When the first probe of the run was sent; while there is none, the newest probe.
    since: Option<Instant>,
    /// Whether the target has answered another tunnel after `since` and before the newest probe.
    elsewhere: bool,
    has_answered: bool,
}

impl Tally {
    /// A probe is sent; `last_answer` is when the target has last answered whichever tunnel.
    pub(super) fn sent(&mut self, now: Instant, last_answer: Option<Instant>) {
        if self.lost == 0 {
            self.since = Some(now);
        }
        self.elsewhere = last_answer.zip(self.since).is_some_and(|(at, since)| at > since);
    }

    /// It was answered; whether that is news where `loss` losses in a row matter.
    pub(super) fn answered(&mut self, loss: u32) -> bool {
        let is_news = !self.has_answered || self.lost >= loss;
        *self = Tally { has_answered: true, ..Tally::default() };
        is_news
    }

    /// It was lost. Where that makes `loss` in a row or more: whether the target has answered
    /// elsewhere meanwhile.
    pub(super) fn lost(&mut self, loss: u32) -> Option<bool> {
        self.lost = self.lost.saturating_add(1);
        (self.lost >= loss).then_some(self.elsewhere)
    }

    /// Losses in a row.
    pub(super) fn losses(&self) -> u32 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LOSS: u32 = 3;

    /// Loses probes that are sent at these seconds; `answer` is when another tunnel was answered.
    fn lose(sent: &[u64], answer: Option<u64>) -> Option<bool> {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut tally = Tally::default();
        sent.iter().fold(None, |_, &second| {
            let before = answer.filter(|answer| *answer < second).map(at);
            tally.sent(at(second), before);
            tally.lost(LOSS)
        })
    }

    #[test]
    fn fewer_losses_than_matter_are_not_told() {
        assert_eq!(lose(&[0, 10], None), None);
        assert_eq!(lose(&[0, 10, 20], None), Some(false));
    }

    #[test]
    fn an_answer_elsewhere_counts_between_the_first_loss_and_the_last_probe() {
        assert_eq!(lose(&[5, 15, 25], Some(3)), Some(false));
        assert_eq!(lose(&[5, 15, 25], Some(12)), Some(true));
        assert_eq!(lose(&[5, 15, 25], Some(26)), Some(false));
    }

    #[test]
    fn the_first_answer_is_news_and_so_is_one_after_losses_that_matter() {
        let mut tally = Tally::default();
        assert!(tally.answered(LOSS));
        assert!(!tally.answered(LOSS));
        (0..LOSS - 1).for_each(|_| _ = tally.lost(LOSS));
        assert!(!tally.answered(LOSS));
        (0..LOSS).for_each(|_| _ = tally.lost(LOSS));
        assert!(tally.answered(LOSS));
    }

    #[test]
    fn an_answer_ends_a_run_of_losses() {
        let mut tally = Tally::default();
        (0..LOSS - 1).for_each(|_| _ = tally.lost(LOSS));
        tally.answered(LOSS);
        assert_eq!(tally.lost(LOSS), None);
    }
}
