//! Faults of the host itself: no PPP in the kernel, no pppd. They hold back every dial, are told
//! once, and are tried again by one probe at a time.

use super::backoff::Curve;
use super::failure::Failure;
use super::time::Monotonic;

/// What is known of the host's fitness.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    fault: Option<Failure>,
    probes: u32,
    probe_at: Option<Monotonic>,
    /// Number of the input that last showed the host fit.
    fit: u64,
}

impl Host {
    /// A call failed by the host's fault. True when that is news; of a call older than the proof
    /// that the host is fit, it is none.
    pub(super) fn failed(
        &mut self,
        failure: &Failure,
        began: u64,
        curve: &Curve,
        at: Monotonic,
        dice: u64,
    ) -> bool {
        if began < self.fit {
            return false;
        }
        if self.probe_at.is_none() {
            self.probes += 1;
            self.probe_at = Some(at + curve.wait(self.probes, dice));
        }
        let news = self.fault.as_ref().map(|f| f.kind) != Some(failure.kind);
        self.fault = Some(failure.clone());
        news
    }

    /// A call got past the host, in the input of this number.
    pub(super) fn works(&mut self, input: u64) {
        *self = Host { fit: input, ..Host::default() };
    }

    /// Something on the host changed: probe at once.
    pub(super) fn changed(&mut self) {
        self.probe_at = None;
        self.probes = 0;
    }

    /// How many dials may be under way, out of `cap`.
    pub(super) fn dials_allowed(&self, cap: u32) -> u32 {
        match (&self.fault, self.probe_at) {
            (None, _) => cap,
            (Some(_), None) => 1,
            (Some(_), Some(_)) => 0,
        }
    }

    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.probe_at
    }

    pub(super) fn expire(&mut self, at: Monotonic) {
        if self.probe_at.is_some_and(|probe| probe <= at) {
            self.probe_at = None;
        }
    }

    /// The fault, while there is one.
    pub(super) fn fault(&self) -> Option<&Failure> {
        self.fault.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::failure::FailureKind;

    const CURVE: Curve =
        Curve { min: Duration::from_secs(5), max: Duration::from_secs(300), jitter_permille: 0 };

    fn second(n: u64) -> Monotonic {
        Monotonic(n * 1000)
    }

    /// Whether it is news that a call which began by this input failed by the host's fault, at this second.
    fn fails(host: &mut Host, began: u64, at: u64) -> bool {
        let failure = Failure::new(FailureKind::NoPppSupport, "no /dev/ppp");
        host.failed(&failure, began, &CURVE, second(at), 0)
    }

    #[test]
    fn a_fault_is_news_once_and_holds_back_every_dial_but_a_probe() {
        let mut host = Host::default();
        assert_eq!((host.dials_allowed(8), host.deadline()), (8, None));
        assert!(fails(&mut host, 0, 0));
        assert_eq!((host.dials_allowed(8), host.deadline()), (0, Some(second(5))));
        assert!(!fails(&mut host, 0, 1));
        let other = Failure::new(FailureKind::Files, "disk full");
        assert!(host.failed(&other, 0, &CURVE, second(1), 0));
    }

    #[test]
    fn probes_are_made_one_by_one_and_ever_more_rarely() {
        let mut host = Host::default();
        let mut at = 0;
        for wait in [5, 10, 20] {
            fails(&mut host, 0, at);
            at += wait;
            host.expire(second(at - 1));
            assert_eq!(host.dials_allowed(8), 0, "a second early");
            host.expire(second(at));
            assert_eq!(host.dials_allowed(8), 1);
        }
    }

    #[test]
    fn a_change_of_the_host_is_probed_at_once_and_waits_anew() {
        let mut host = Host::default();
        fails(&mut host, 0, 0);
        host.expire(second(5));
        fails(&mut host, 0, 5);
        host.changed();
        assert_eq!((host.dials_allowed(8), host.deadline()), (1, None));
        fails(&mut host, 0, 6);
        assert_eq!(host.deadline(), Some(second(6 + 5)));
    }

    #[test]
    fn a_call_that_got_past_the_host_ends_the_fault_and_what_began_before_says_nothing() {
        let mut host = Host::default();
        fails(&mut host, 3, 0);
        host.works(7);
        assert_eq!((host.fault(), host.dials_allowed(8)), (None, 8));
        assert!(!fails(&mut host, 6, 1));
        assert_eq!(host.fault(), None);
        assert!(fails(&mut host, 7, 1));
    }
}
