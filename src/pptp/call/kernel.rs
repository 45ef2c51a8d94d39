//! What follows when the kernel has done its part.

use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::event::Step;
use crate::pptp::failure::Failure;
use crate::pptp::order::{Flags, KernelOrder};

use super::{Call, Phase, Wait};

/// How long the server's own CCP request is waited for: ours would be lost before its CCP is up.
const THEIR_CCP_PATIENCE: Duration = Duration::from_secs(1);

impl Call {
    pub(super) fn on_done(&mut self, step: Step, now: Monotonic) {
        match step {
            Step::ConnectData if self.phase == Phase::Calling => {
                self.phase = Phase::Link;
                self.wait(Wait::Answer, self.settings.answered_within, now);
                let outputs = self.lcp.start(now);
                self.on_lcp_outputs(outputs, now);
            }
            Step::MakeUnit if self.phase == Phase::Encrypting => self.unit_made(now),
            Step::Configure if self.phase == Phase::Addressing => self.phase = Phase::Up,
            Step::ConnectData
            | Step::MakeUnit
            | Step::Configure
            | Step::SetCompressor
            | Step::SetFlags => {}
        }
    }

    fn unit_made(&mut self, now: Monotonic) {
        self.unit_is_made = true;
        if !self.is_encrypted() {
            return self.start_ipcp(now);
        }
        self.change(KernelOrder::SetFlags(Flags::CcpOpen));
        if self.early_ccp.is_some() {
            self.start_ccp(now);
        } else {
            self.wait(Wait::TheirCcp, THEIR_CCP_PATIENCE, now);
        }
    }

    pub(super) fn nothing_answered(&mut self, now: Monotonic) {
        let seconds = self.settings.answered_within.as_secs();
        let failure = if self.heard {
            Failure::NothingAnswered { seconds }
        } else {
            Failure::NothingHeard { seconds }
        };
        self.fail(failure, now);
    }
}
