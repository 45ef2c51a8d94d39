//! One call, from a connected TCP socket to its end.

mod control;
mod end;
mod frames;
mod kernel;
mod layers;
mod liveness;
mod server_end;
mod standing;

use std::time::Duration;

use crate::core::time::Monotonic;

use super::auth::{Chap, StartKeys};
use super::control::{Cutter, Message};
use super::dice::Dice;
use super::event::Event;
use super::failure::Failure;
use super::order::{Addresses, KernelOrder, Order};
use super::ppp::ccp::Ccp;
use super::ppp::ipcp::Ipcp;
use super::ppp::lcp::Lcp;
use super::ppp::{Manner, Negotiation};
use super::settings::{Encryption, Settings};

use end::Parting;
use liveness::{Garbage, Liveness};
pub use standing::Standing;

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

impl Phase {
    /// What is being agreed.
    fn protocol(self) -> Option<&'static str> {
        match self {
            Phase::Link => Some("LCP"),
            Phase::Authenticating => Some("MS-CHAPv2"),
            Phase::Encrypting => Some("CCP"),
            Phase::Addressing => Some("IPCP"),
            Phase::Control | Phase::Calling | Phase::Up | Phase::Ending | Phase::Ended => None,
        }
    }
}

/// How long the reply to Start-Control-Connection-Request is waited for.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// One thing that a call waits for beside the restart timers of its negotiations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The reply to Start-Control-Connection-Request.
    Start,
    /// The reply to Outgoing-Call-Request.
    Call,
    /// The first PPP frame that answers one of ours.
    Answer,
    /// The next step of authentication; so many more times.
    Proof { again: u32 },
    /// The server's own CCP request.
    TheirCcp,
    /// The next step of the parting.
    Parting,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    settings: Settings,
    dice: Dice,
    phase: Phase,
    orders: Vec<Order>,
    wait: Option<(Monotonic, Wait)>,
    cutter: Cutter,
    /// The server took the control connection.
    started: bool,
    /// The server's id of the call, once it has one.
    server_call: Option<u16>,
    lcp: Negotiation<Lcp>,
    chap: Chap,
    keys: Option<StartKeys>,
    ccp: Negotiation<Ccp>,
    ipcp: Negotiation<Ipcp>,
    /// The latest packets of CCP and IPCP that came before their turn.
    early_ccp: Option<Vec<u8>>,
    early_ipcp: Option<Vec<u8>>,
    /// What the interface was given.
    addresses: Option<Addresses>,
    unit_is_made: bool,
    /// A PPP frame came.
    heard: bool,
    /// One came that answers ours: the server hears us.
    answered: bool,
    /// The server's wish for encryption was refused: `tunnel.mppe` is off.
    ccp_refused: bool,
    /// Id of the latest packet that no negotiation sends.
    packet_id: u8,
    liveness: Liveness,
    garbage: Garbage,
    parting: Option<Parting>,
}

impl Call {
    /// A call over a control connection that TCP has just connected, and its first orders.
    pub fn new(settings: Settings, mut dice: Dice, now: Monotonic) -> (Self, Vec<Order>) {
        let (stateful, short_key) = match settings.encryption {
            Encryption::Off => (false, false),
            Encryption::Required { stateful, short_key } => (stateful, short_key),
        };
        let mut call = Call {
            phase: Phase::Control,
            orders: Vec::new(),
            wait: Some((now + START_PATIENCE, Wait::Start)),
            cutter: Cutter::default(),
            started: false,
            server_call: None,
            lcp: Negotiation::new(Lcp::new(settings.mru, dice.magic()), Manner::AskAgain),
            chap: Chap::default(),
            keys: None,
            ccp: Negotiation::new(Ccp::new(stateful, short_key), Manner::OursFirst),
            ipcp: Negotiation::new(Ipcp::new(settings.ask_resolvers), Manner::Plain),
            early_ccp: None,
            early_ipcp: None,
            addresses: None,
            unit_is_made: false,
            heard: false,
            answered: false,
            ccp_refused: false,
            packet_id: 0,
            liveness: Liveness::default(),
            garbage: Garbage::default(),
            parting: None,
            settings,
            dice,
        };
        call.send_control(&Message::StartRequest);
        let orders = std::mem::take(&mut call.orders);
        (call, orders)
    }

    /// Takes in what happened; what is to be done, in this order.
    pub fn handle(&mut self, event: Event<'_>, now: Monotonic) -> Vec<Order> {
        if self.phase == Phase::Ended {
            return Vec::new();
        }
        match event {
            Event::Control(bytes) => self.on_control(bytes, now),
            Event::ControlEnded(words) => self.on_control_ended(words, now),
            Event::Frame(frame) => self.on_frame(frame, now),
            Event::DataEnded(words) => {
                self.fail(Failure::Hangup(format!("PPP reads no more: {words}")), now);
            }
            Event::Done(step) => self.on_done(step, now),
            Event::Failed(step, why) => {
                self.fail(Failure::Kernel { step, why: why.to_owned() }, now);
            }
            Event::HangUp => self.hang_up(now),
            Event::EchoTick { received } => self.on_echo_tick(received, now),
            Event::Deadline => {}
        }
        // Whatever came, what is due is done.
        if self.phase != Phase::Ended {
            self.on_deadline(now);
        }
        std::mem::take(&mut self.orders)
    }

    /// When [`Event::Deadline`] is due, if nothing else happens before. An up call has none: it
    /// costs no timer of its own.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        if self.phase == Phase::Ended {
            return None;
        }
        let wait = self.wait.map(|(at, _)| at);
        [wait, self.lcp.deadline(), self.ccp.deadline(), self.ipcp.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    fn on_deadline(&mut self, now: Monotonic) {
        let outputs = self.lcp.on_deadline(now);
        self.on_lcp_outputs(outputs, now);
        let outputs = self.ccp.on_deadline(now);
        self.on_ccp_outputs(outputs, now);
        let outputs = self.ipcp.on_deadline(now);
        self.on_ipcp_outputs(outputs, now);
        let Some((_, wait)) = self.wait.filter(|(at, _)| *at <= now) else { return };
        self.wait = None;
        match wait {
            Wait::Start => {
                self.fail(Failure::Unreachable { seconds: START_PATIENCE.as_secs() }, now);
            }
            Wait::Call => self.call_unanswered(now),
            Wait::Answer => self.nothing_answered(now),
            Wait::Proof { again } => self.unproven(again, now),
            Wait::TheirCcp => self.start_ccp(now),
            Wait::Parting => self.part_further(now),
        }
    }

    fn wait(&mut self, wait: Wait, patience: Duration, now: Monotonic) {
        self.wait = Some((now + patience, wait));
    }

    fn send_control(&mut self, message: &Message) {
        self.orders.push(Order::Control(message.bytes()));
    }

    fn change(&mut self, order: KernelOrder) {
        self.orders.push(Order::Kernel(order));
    }

    fn is_encrypted(&self) -> bool {
        matches!(self.settings.encryption, Encryption::Required { .. })
    }
}
