//! The outage rule against a brute-force model that looks at every millisecond.

use std::time::Duration;

use connexa::core::event::RestartOutcome;
use connexa::core::outage::{Outage, Tunnels, Verdict};
use connexa::core::policy::OutagePolicy;
use connexa::core::time::{Monotonic, Wall};

const SCHEDULES: u64 = 1_000_000;
/// Milliseconds that a schedule lasts.
const LENGTH: u64 = 120;

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// What is seen in one millisecond, in this order; then deadlines are served.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    /// A tunnel that comes and goes within the millisecond.
    flash: bool,
    /// Whether a tunnel is up from now on.
    up: bool,
    wanted: bool,
}

#[derive(Debug)]
struct Schedule {
    interval: u64,
    windows: u32,
    delay: u64,
    with_no_nodes: bool,
    /// How long each restart takes.
    restart: u64,
    /// How long it takes to judge whether a restart helps.
    judging: u64,
    /// Of how many judgements one says that it can't.
    held_one_in: u64,
    moments: Vec<Moment>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        // Some worlds are quiet, some are not.
        let rare = 2 + dice.roll(90);
        let mut last = Moment { up: dice.roll(2) == 0, wanted: dice.roll(8) > 0, flash: false };
        let mut next = || {
            last.up ^= dice.roll(rare) == 0;
            last.wanted ^= dice.roll(rare * 4) == 0;
            Moment { flash: dice.roll(rare * 3) == 0, ..last }
        };
        let moments = (0..LENGTH).map(|_| next()).collect();
        Schedule {
            interval: 1 + dice.roll(8),
            windows: 1 + dice.roll(4) as u32,
            delay: dice.roll(12),
            with_no_nodes: dice.roll(4) == 0,
            restart: 1 + dice.roll(9),
            judging: dice.roll(3),
            held_one_in: 1 + dice.roll(4),
            moments,
        }
    }

    /// Whether judgement number `n` lets the restart begin.
    fn can_help(&self, n: u64) -> bool {
        self.held_one_in == 1 || !n.is_multiple_of(self.held_one_in)
    }

    /// Milliseconds in which the rule restarts the backend.
    fn played_by_the_rule(&self) -> Vec<u64> {
        let mut outage = Outage::new(OutagePolicy {
            interval: Duration::from_millis(self.interval),
            windows: self.windows,
            startup_delay: Duration::from_millis(self.delay),
            restart_with_no_nodes: self.with_no_nodes,
            restart_limit: Duration::from_secs(60),
        });
        let (mut restarts, mut judgements) = (Vec::new(), 0);
        let (mut judged_at, mut restarted_at) = (None, None);
        let (mut asked, mut begun) = (0, 0);
        for (now, moment) in (0..).zip(&self.moments) {
            let at = Monotonic(now);
            if moment.flash {
                outage.observe(Tunnels::Up, at);
            }
            let down = Tunnels::Down { wanted: moment.wanted };
            outage.observe(if moment.up { Tunnels::Up } else { down }, at);
            if restarted_at == Some(now) {
                outage.restarted(begun, RestartOutcome::Ready(1), at);
                restarted_at = None;
            }
            if judged_at == Some(now) {
                judged_at = None;
                judgements += 1;
                let can_help = self.can_help(judgements);
                if let Some(restart) = outage.judged(asked, can_help, at, Wall(0)) {
                    begun = restart;
                    restarts.push(now);
                    restarted_at = Some(now + self.restart);
                }
            }
            let verdict = outage.expire(at, Wall(0));
            if let Some(Verdict::Empty { question: Some(question), .. }) = verdict {
                asked = question;
                judged_at = Some(now + 1 + self.judging);
            }
        }
        restarts
    }

    /// The same as the contract has it: count milliseconds without a tunnel.
    fn played_by_hand(&self) -> Vec<u64> {
        let mut restarts = Vec::new();
        let (mut quiet, mut empty, mut factor, mut judgements) = (0, 0, 1, 0);
        let mut was_up_or_idle = true;
        let (mut judged_at, mut restarted_at) = (None, None);
        // A restart and a judgement close the window, unless a tunnel was up since they began.
        let mut pauses = false;
        for (now, moment) in (0..).zip(&self.moments) {
            let saw_one = moment.flash || moment.up;
            let wanted = moment.wanted || self.with_no_nodes;
            if saw_one {
                factor = 1;
            }
            if saw_one || !wanted {
                (quiet, empty, pauses) = (0, 0, false);
                was_up_or_idle = true;
            } else if !pauses && !was_up_or_idle && now > self.delay {
                quiet += 1;
            }
            if !moment.up && wanted {
                was_up_or_idle = false;
            }
            if restarted_at == Some(now) {
                restarted_at = None;
                if pauses && judged_at.is_none() {
                    (pauses, quiet) = (false, 0);
                }
            }
            if judged_at == Some(now) {
                judged_at = None;
                judgements += 1;
                if pauses && self.can_help(judgements) {
                    restarts.push(now);
                    restarted_at = Some(now + self.restart);
                    empty = 0;
                    factor = (factor * 2).min(16);
                } else if pauses {
                    (pauses, quiet) = (false, 0);
                }
            }
            if !pauses && !was_up_or_idle && quiet == self.interval * factor {
                quiet = 0;
                empty = (empty + 1).min(self.windows);
                if empty == self.windows && restarted_at.is_none() {
                    pauses = true;
                    judged_at = Some(now + 1 + self.judging);
                }
            }
        }
        restarts
    }
}

#[test]
fn no_restart_is_false_and_none_is_missed() {
    let mut restarts = 0;
    for seed in 0..SCHEDULES {
        let schedule = Schedule::new(seed);
        let played = schedule.played_by_the_rule();
        assert_eq!(played, schedule.played_by_hand(), "seed {seed}: {schedule:?}");
        restarts += played.len();
    }
    assert!(restarts > 1_000_000, "only {restarts} restarts: the schedules are too lively");
}
