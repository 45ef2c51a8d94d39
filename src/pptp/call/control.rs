//! A call's part on the control connection (RFC 2637).

use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::control::{Message, call_refused, connection_refused, disconnected, stopped};
use crate::pptp::failure::Failure;
use crate::pptp::order::KernelOrder;

use super::{Call, Phase, Wait};

/// How long the reply to Outgoing-Call-Request is waited for.
const CALL_PATIENCE: Duration = Duration::from_secs(15);

impl Call {
    pub(super) fn on_control(&mut self, bytes: &[u8], now: Monotonic) {
        self.cutter.feed(bytes);
        while self.phase != Phase::Ended {
            match self.cutter.next() {
                Ok(Some(message)) => self.on_message(message, now),
                Ok(None) => return,
                Err(garbage) => {
                    let words = format!("what answers there does not speak PPTP: {garbage}");
                    let failure = if self.started {
                        Failure::Negotiation { protocol: "PPTP", detail: words }
                    } else {
                        Failure::Refused(words)
                    };
                    return self.cut(failure);
                }
            }
        }
    }

    /// Without the control connection there is no call (section 3.1.4), and no way to end it in
    /// order.
    pub(super) fn on_control_ended(&mut self, words: Option<&str>, now: Monotonic) {
        let how = words.unwrap_or("it closed the control connection");
        let failure = match self.phase {
            Phase::Control => Failure::Refused(format!("instead of an answer: {how}")),
            Phase::Calling => {
                Failure::CallRefused { words: format!("instead of an answer: {how}"), cause: None }
            }
            Phase::Link
            | Phase::Authenticating
            | Phase::Encrypting
            | Phase::Addressing
            | Phase::Up
            | Phase::Ending
            | Phase::Ended => match words {
                Some(words) => Failure::Hangup(format!("control connection: {words}")),
                None => self.ended_by_server(how, now),
            },
        };
        self.cut(failure);
    }

    fn on_message(&mut self, message: Message, now: Monotonic) {
        match message {
            Message::EchoRequest { id } => self.send_control(&Message::EchoReply { id }),
            Message::StartReply(reply) => {
                // A second one changes nothing.
                if self.phase != Phase::Control {
                } else if reply.result == 1 {
                    self.started = true;
                    self.phase = Phase::Calling;
                    self.wait(Wait::Call, CALL_PATIENCE, now);
                    self.send_control(&Message::CallRequest { call: self.settings.own_call_id });
                } else {
                    let words = connection_refused(reply.result, reply.error);
                    self.fail(Failure::Refused(words), now);
                }
            }
            Message::CallReply(reply) => {
                let ours = reply.peer_call == self.settings.own_call_id;
                if self.phase != Phase::Calling || self.server_call.is_some() || !ours {
                } else if reply.result == 1 {
                    self.server_call = Some(reply.call);
                    self.wait = None;
                    self.change(KernelOrder::ConnectData { server_call_id: reply.call });
                } else {
                    let cause = Some(reply.cause).filter(|cause| *cause != 0);
                    self.fail(Failure::CallRefused { words: call_refused(&reply), cause }, now);
                }
            }
            Message::CallClear { call } if self.is_ours(call) => {
                self.cleared("it cleared it (Call-Clear-Request)", now);
            }
            Message::CallDisconnected { call, result, error, cause, statistics }
                if self.is_ours(call) =>
            {
                self.cleared(&disconnected(result, error, cause, &statistics), now);
            }
            Message::StopRequest { reason } => {
                self.send_control(&Message::StopReply);
                self.cut(self.ended_by_server(&stopped(reason), now));
            }
            Message::StopReply => self.stopped(now),
            Message::StartRequest
            | Message::EchoReply { .. }
            | Message::CallRequest { .. }
            | Message::CallClear { .. }
            | Message::CallDisconnected { .. }
            | Message::WanError
            | Message::SetLinkInfo => {}
        }
    }

    /// Servers name the call by their own id or by ours.
    fn is_ours(&self, call: u16) -> bool {
        self.server_call.is_some_and(|server| call == server || call == self.settings.own_call_id)
    }

    pub(super) fn call_unanswered(&mut self, now: Monotonic) {
        let words = format!(
            "no answer for call id {} in {} s",
            self.settings.own_call_id,
            CALL_PATIENCE.as_secs()
        );
        self.fail(Failure::CallRefused { words, cause: None }, now);
    }
}
