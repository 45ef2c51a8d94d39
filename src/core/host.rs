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
