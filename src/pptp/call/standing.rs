//! Going on with a call that is up, in another process than the one that dialled it.

use serde::{Deserialize, Serialize};

use crate::core::time::Monotonic;
use crate::node::Secret;
use crate::pptp::dice::Dice;
use crate::pptp::order::Order;
use crate::pptp::ppp::Negotiation;
use crate::pptp::settings::Settings;

use super::{Call, Phase};

/// What has to be known of a call that is up, beside its [`Settings`] and its descriptors. It does
/// not change as long as the call lasts. Keys and counters stay in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The server's id of the call.
    pub server_call_id: u16,
    /// Our magic number, which echoes carry.
    pub magic: u32,
}

impl Call {
    /// What another process needs to go on with this call; `None` where it is not up.
    pub fn standing(&self) -> Option<Standing> {
        let server_call_id = self.server_call.filter(|_| self.phase == Phase::Up)?;
        Some(Standing { server_call_id, magic: self.lcp.options.magic })
    }

    /// The password of a call that was gone on with, once it is known: a server may ask for it again.
    pub fn know(&mut self, password: Secret) {
        self.settings.password = Some(password);
    }

    /// Goes on with a call that is up. The first order is an echo: its answer, or anything else
    /// that comes, tells that the server is still there; without, the echo timer ends the call.
    /// A server that negotiates anything anew ends it, too.
    pub fn resume(
        settings: Settings,
        standing: Standing,
        dice: Dice,
        now: Monotonic,
    ) -> (Self, Vec<Order>) {
        let (mut call, _start) = Call::new(settings, dice, now);
        call.phase = Phase::Up;
        call.wait = None;
        call.started = true;
        call.server_call = Some(standing.server_call_id);
        call.unit_is_made = true;
        call.heard = true;
        call.answered = true;
        call.lcp = Negotiation::agreed(call.lcp.options);
        call.lcp.options.magic = standing.magic;
        call.ipcp = Negotiation::agreed(call.ipcp.options);
        if call.is_encrypted() {
            call.ccp = Negotiation::agreed(call.ccp.options);
        }
        call.send_echo();
        let orders = std::mem::take(&mut call.orders);
        (call, orders)
    }
}
