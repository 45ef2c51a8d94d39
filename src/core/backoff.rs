//! Exponential back-off with jitter.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The shape of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Curve {
    /// The first wait.
    pub min: Duration,
    /// The longest wait, jitter included.
    pub max: Duration,
    /// How far a wait may stray to either side, in thousandths of it, 0 to 1000.
    pub jitter_permille: u16,
}

impl Curve {
    /// The wait after the `failures`th failure in a row (1 is the first), strayed by `dice`.
    pub fn wait(&self, failures: u32, dice: u64) -> Duration {
        let plain = millis(self.full(failures));
        let spread = plain.saturating_mul(u64::from(self.jitter_permille.min(1000))) / 1000;
        let strayed = plain - spread + scramble(dice) % (2 * spread + 1);
        Duration::from_millis(strayed).min(self.max)
    }

    /// The wait without jitter.
    pub fn full(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        self.min.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.max)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

/// The finaliser of splitmix64: near numbers come out far apart.
pub(super) fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CURVE: Curve =
        Curve { min: Duration::from_secs(5), max: Duration::from_secs(300), jitter_permille: 0 };

    #[test]
    fn each_wait_doubles_until_the_longest() {
        let waits: Vec<_> = (1..=8).map(|n| CURVE.wait(n, 7).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    /// The first of SplitMix64's numbers, by the seeds 0 and 1234567 (java.util.SplittableRandom).
    #[test]
    fn dice_are_scrambled_as_splitmix64_does() {
        assert_eq!(scramble(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(scramble(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn jitter_strays_to_both_sides_of_the_wait() {
        let jittered = Curve { jitter_permille: 200, ..CURVE };
        let waits: Vec<_> = (0..100).map(|dice| jittered.wait(1, dice).as_millis()).collect();
        let [below, above] = [(4000..4500), (5500..6001)]
            .map(|range| waits.iter().filter(|wait| range.contains(*wait)).count());
        assert!(below > 10 && above > 10, "{waits:?}");
    }

    proptest! {
        #[test]
        fn jitter_strays_no_further_than_its_share(failures in prop_oneof![1_u32..9, 1_u32..], dice: u64) {
            let plain = CURVE.wait(failures, 0);
            let strayed = Curve { jitter_permille: 200, ..CURVE }.wait(failures, dice);
            prop_assert!(strayed >= plain * 4 / 5 && strayed <= plain * 6 / 5);
            prop_assert!(strayed <= CURVE.max);
        }
    }
}
