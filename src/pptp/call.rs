//! One call, from a connected TCP socket to its end.

use crate::core::time::Monotonic;

use super::dice::Dice;
use super::event::Event;
use super::order::Order;
use super::settings::Settings;

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The control connection is being set up.
    Control,
    /// The call is asked for, or its data socket is being connected.
    Calling,
    /// LCP.
    Link,
    /// MS-CHAPv2.
    Authenticating,
    /// The unit is being made, or CCP.
    Encrypting,
    /// IPCP, or the interface is being configured.
    Addressing,
    /// The interface is configured.
    Up,
    /// The call is being ended in order.
    Ending,
    /// Over: nothing more comes.
    Ended,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    settings: Settings,
    dice: Dice,
    phase: Phase,
}

impl Call {
    /// A call over a control connection that TCP has just connected, and its first orders.
    pub fn new(settings: Settings, dice: Dice, _now: Monotonic) -> (Self, Vec<Order>) {
        (Call { settings, dice, phase: Phase::Control }, Vec::new())
    }

    /// Takes in what happened; what is to be done, in this order.
    pub fn handle(&mut self, _event: Event<'_>, _now: Monotonic) -> Vec<Order> {
        let _ = (&self.settings, &self.dice);
        Vec::new()
    }

    /// When [`Event::Deadline`] is due, if nothing else happens before. An up call has none: it
    /// costs no timer of its own.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        None
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }
}
