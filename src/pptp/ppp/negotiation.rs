//! Negotiation of options by the automaton (RFC 1661 sections 4 and 5), the same for LCP, CCP and
//! IPCP. Every loop that the other side could keep up for ever is bounded.

use std::fmt::Debug;
use std::time::Duration;

use crate::core::time::Monotonic;
use crate::pptp::failure::Failure;

use super::automaton::{Action, Event, State, next};
use super::option::{Opt, option_bytes, parse_options};
use super::packet::{Code, Packet};

/// Tries of a request, of a Terminate-Request, and refusals before an option is rejected (section
/// 4.6).
const MAX_CONFIGURE: u32 = 10;
const MAX_TERMINATE: u32 = 2;
const MAX_FAILURE: u32 = 5;
/// Refusals of our own requests that are followed.
const MAX_NAKS_TAKEN: u32 = 10;
/// Requests that are answered before the two sides have agreed.
const MAX_REQUESTS_TAKEN: u32 = 40;
/// How often an acknowledged request that comes again is acknowledged again without negotiating
/// anew: the acknowledgement was lost.
const MAX_REPEATS: u32 = 3;

/// How long a try is waited for: lost ones early in a dial are found sooner than by the RFC's 3 s.
fn patience(tries_left: u32) -> Duration {
    match MAX_CONFIGURE.saturating_sub(tries_left) {
        0 | 1 => Duration::from_secs(1),
        2 => Duration::from_secs(2),
        _ => Duration::from_secs(3),
    }
}

/// How long the answer to a Terminate-Request is waited for.
const TERMINATE_PATIENCE: Duration = Duration::from_millis(800);

/// What one protocol wants and takes.
pub(in crate::pptp) trait Options: Debug {
    /// Its name for people.
    const NAME: &'static str;

    /// The options of our request.
    fn wanted(&self) -> Vec<Opt>;

    /// Judges a request. Without `patience` there have been Naks enough: an answer that can only be
    /// a Nak is a failure or a Reject.
    fn judge(&mut self, asked: &[Opt], patience: bool) -> Judgement;

    /// Our request was answered by a Nak with these options.
    fn naked(&mut self, options: &[Opt]) -> Result<(), Failure>;

    /// Our request was answered by a Reject of these options.
    fn rejected(&mut self, options: &[Opt]) -> Result<(), Failure>;

    /// What it means that all tries stay unanswered.
    fn unanswered(&self) -> Failure {
        self.without_answer()
    }

    /// That, where nothing more is known of it.
    fn without_answer(&self) -> Failure {
        self.disagreement(format!("{MAX_CONFIGURE} requests stayed without an answer that counts"))
    }

    /// What it means that no end of the negotiation is in sight.
    fn disagreement(&self, detail: String) -> Failure {
        Failure::Negotiation { protocol: Self::NAME, detail }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Judgement {
    Ack,
    Nak(Vec<Opt>),
    Reject(Vec<Opt>),
    Fail(Failure),
}

/// What a negotiation leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Output {
    /// Send this.
    Send(Packet),
    /// Both sides agree.
    Up,
    /// They no longer do.
    Down,
    /// Nothing more is to come: terminated, or given up.
    Finished,
    /// The other side wants an end, with its words.
    Terminated(Vec<u8>),
    /// An echo of the other side may be answered.
    EchoDue,
    /// No agreement.
    Failed(Failure),
}

/// How a negotiation begins, beside what the automaton says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Manner {
    /// As the automaton says.
    Plain,
    /// The first packet of the other side tells that it has begun to listen: our request, which may
    /// have come too early, goes out again at once. Before the answer to theirs, for one that came
    /// after it would begin all anew.
    AskAgain,
    /// Theirs is acknowledged only after ours is.
    OursFirst,
}

/// One negotiation.
#[derive(Debug)]
pub(in crate::pptp) struct Negotiation<O> {
    /// What is negotiated.
    pub(in crate::pptp) options: O,
    state: State,
    /// Id of our latest request; it changes when its options do and after a valid answer.
    request_id: u8,
    /// Whether the latest request has had its answer: copies that come later don't count.
    answered: bool,
    /// Id of Terminate-Requests and Code-Rejects.
    other_id: u8,
    tries_left: u32,
    deadline: Option<Monotonic>,
    naks_sent: u32,
    naks_taken: u32,
    requests_taken: u32,
    /// The options that were acknowledged last, and how often they came again.
    acknowledged: Option<Vec<u8>>,
    repeats: u32,
    manner: Manner,
    /// A request that waits for ours to be acknowledged.
    held: Option<Packet>,
}

/// What the actions of one event send.
#[derive(Default)]
struct Content {
    /// The answer to a request.
    answer: Option<Packet>,
    /// What is acknowledged or rejected.
    received: Option<Packet>,
}

impl<O: Options> Negotiation<O> {
    pub(in crate::pptp) fn new(options: O, manner: Manner) -> Self {
        Negotiation {
            options,
            state: State::Initial,
            request_id: 0,
            answered: false,
            other_id: 0,
            tries_left: 0,
            deadline: None,
            naks_sent: 0,
            naks_taken: 0,
            requests_taken: 0,
            acknowledged: None,
            repeats: 0,
            manner,
            held: None,
        }
    }

    /// One that came to its agreement elsewhere, in a process before this one.
    pub(in crate::pptp) fn agreed(options: O) -> Self {
        Negotiation { state: State::Opened, answered: true, ..Self::new(options, Manner::Plain) }
    }

    /// Begins: wanted up, and the lower layer is.
    pub(in crate::pptp) fn start(&mut self, now: Monotonic) -> Vec<Output> {
        let mut outputs = self.step(Event::Open, Content::default(), now);
        outputs.extend(self.step(Event::Up, Content::default(), now));
        outputs
    }

    /// Wanted down.
    pub(in crate::pptp) fn close(&mut self, now: Monotonic) -> Vec<Output> {
        self.step(Event::Close, Content::default(), now)
    }

    pub(in crate::pptp) fn is_started(&self) -> bool {
        !matches!(self.state, State::Initial | State::Starting)
    }

    pub(in crate::pptp) fn is_opened(&self) -> bool {
        self.state == State::Opened
    }

    /// Whether it is over, or an end of it is under way.
    pub(in crate::pptp) fn is_ending(&self) -> bool {
        matches!(self.state, State::Closing | State::Closed | State::Stopping | State::Stopped)
    }

    pub(in crate::pptp) fn deadline(&self) -> Option<Monotonic> {
        self.deadline
    }

    /// The restart timer ran out, if it did.
    pub(in crate::pptp) fn on_deadline(&mut self, now: Monotonic) -> Vec<Output> {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Vec::new();
        }
        self.deadline = None;
        if self.tries_left > 0 {
            return self.step(Event::TimeoutAgain, Content::default(), now);
        }
        let was_asking =
            matches!(self.state, State::RequestSent | State::AckReceived | State::AckSent);
        let mut outputs = self.step(Event::TimeoutLast, Content::default(), now);
        if was_asking {
            outputs.push(Output::Failed(self.options.unanswered()));
        }
        outputs
    }

    /// An echo or discard request came.
    pub(in crate::pptp) fn echo(&mut self, now: Monotonic) -> Vec<Output> {
        self.step(Event::Echo, Content::default(), now)
    }

    /// A packet came.
    pub(in crate::pptp) fn receive(&mut self, packet: Packet, now: Monotonic) -> Vec<Output> {
        let received = |packet| Content { received: Some(packet), answer: None };
        match packet.code {
            Code::ConfigureRequest => self.request(packet, now),
            Code::ConfigureAck | Code::ConfigureNak | Code::ConfigureReject => {
                self.answer(&packet, now)
            }
            Code::TerminateRequest => {
                let words = packet.data.clone();
                let mut outputs = vec![Output::Terminated(words)];
                outputs.extend(self.step(Event::TerminateRequest, received(packet), now));
                outputs
            }
            Code::TerminateAck => self.step(Event::TerminateAck, Content::default(), now),
            Code::CodeReject => {
                // Without the codes 1 to 7 there is no negotiation (section 5.6).
                let bad = packet.data.first().is_some_and(|code| (1..=7).contains(code));
                let event = if bad { Event::RejectBad } else { Event::RejectGood };
                let mut outputs = self.step(event, Content::default(), now);
                if bad {
                    let detail = "the server does not know its packets (Code-Reject)".to_owned();
                    outputs.push(Output::Failed(self.options.disagreement(detail)));
                }
                outputs
            }
            Code::ProtocolReject
            | Code::EchoRequest
            | Code::EchoReply
            | Code::DiscardRequest
            | Code::ResetRequest
            | Code::ResetAck
            | Code::Other(_) => self.step(Event::UnknownCode, received(packet), now),
        }
    }

    fn request(&mut self, packet: Packet, now: Monotonic) -> Vec<Output> {
        let Some(asked) = parse_options(&packet.data) else { return Vec::new() };
        let again = self.acknowledged.as_ref() == Some(&packet.data);
        if self.is_opened() && again && self.repeats < MAX_REPEATS {
            self.repeats += 1;
            return vec![Output::Send(Packet::new(Code::ConfigureAck, packet.id, packet.data))];
        }
        self.requests_taken += 1;
        if self.requests_taken > MAX_REQUESTS_TAKEN {
            let detail = format!("the server sent more than {MAX_REQUESTS_TAKEN} requests");
            return vec![Output::Failed(self.options.disagreement(detail))];
        }
        let again = self.ask_again(now);
        let patience = self.naks_sent < MAX_FAILURE;
        let (event, code, data) = match self.options.judge(&asked, patience) {
            Judgement::Ack => {
                if self.holds(&packet) {
                    self.held = Some(packet);
                    return Vec::new();
                }
                self.acknowledged = Some(packet.data.clone());
                self.repeats = 0;
                (Event::RequestGood, Code::ConfigureAck, packet.data.clone())
            }
            Judgement::Nak(options) => {
                self.naks_sent += 1;
                (Event::RequestBad, Code::ConfigureNak, option_bytes(&options))
            }
            Judgement::Reject(options) => {
                (Event::RequestBad, Code::ConfigureReject, option_bytes(&options))
            }
            Judgement::Fail(failure) => return vec![Output::Failed(failure)],
        };
        let mut outputs: Vec<_> = again.into_iter().collect();
        self.held = None;
        let answer = Packet::new(code, packet.id, data);
        let content = Content { answer: Some(answer), received: Some(packet) };
        outputs.extend(self.step(event, content, now));
        outputs
    }

    /// Our own request once more, at the first of theirs.
    fn ask_again(&mut self, now: Monotonic) -> Option<Output> {
        let due = self.manner == Manner::AskAgain
            && self.requests_taken == 1
            && self.state == State::RequestSent;
        due.then(|| Output::Send(self.our_request(now)))
    }

    /// Whether a request that could be acknowledged waits for ours to be. One that comes a second
    /// time does not: the other side may be waiting in the same way.
    fn holds(&self, packet: &Packet) -> bool {
        self.manner == Manner::OursFirst
            && self.state == State::RequestSent
            && self.held.as_ref().is_none_or(|held| held.data != packet.data)
    }

    fn answer(&mut self, packet: &Packet, now: Monotonic) -> Vec<Output> {
        if !self.is_started() || packet.id != self.request_id || self.answered {
            return Vec::new();
        }
        if packet.code == Code::ConfigureAck {
            // It must say what the request said (section 5.2).
            if packet.data != option_bytes(&self.options.wanted()) {
                return Vec::new();
            }
            self.answered = true;
            let mut outputs = self.step(Event::Ack, Content::default(), now);
            if let Some(held) = self.held.take() {
                outputs.extend(self.request(held, now));
            }
            return outputs;
        }
        let Some(options) = parse_options(&packet.data) else { return Vec::new() };
        self.answered = true;
        self.naks_taken += 1;
        if self.naks_taken > MAX_NAKS_TAKEN {
            let detail = format!("the server refused more than {MAX_NAKS_TAKEN} requests");
            return vec![Output::Failed(self.options.disagreement(detail))];
        }
        let taken = if packet.code == Code::ConfigureNak {
            self.options.naked(&options)
        } else {
            self.options.rejected(&options)
        };
        match taken {
            Ok(()) => self.step(Event::Nak, Content::default(), now),
            Err(failure) => vec![Output::Failed(failure)],
        }
    }

    fn step(&mut self, event: Event, content: Content, now: Monotonic) -> Vec<Output> {
        let Some((actions, state)) = next(self.state, event) else { return Vec::new() };
        self.state = state;
        let mut outputs = Vec::new();
        for action in actions {
            self.act(*action, actions.contains(&Action::Str), &content, now, &mut outputs);
        }
        if matches!(
            state,
            State::Initial | State::Starting | State::Closed | State::Stopped | State::Opened
        ) {
            self.deadline = None;
        }
        outputs
    }

    fn act(
        &mut self,
        action: Action,
        terminates: bool,
        content: &Content,
        now: Monotonic,
        outputs: &mut Vec<Output>,
    ) {
        match action {
            Action::Tlu => outputs.push(Output::Up),
            Action::Tld => outputs.push(Output::Down),
            Action::Tls => {}
            Action::Tlf => outputs.push(Output::Finished),
            Action::Irc => self.tries_left = if terminates { MAX_TERMINATE } else { MAX_CONFIGURE },
            Action::Zrc => {
                self.tries_left = 0;
                self.deadline = Some(now + TERMINATE_PATIENCE);
            }
            Action::Scr => outputs.push(Output::Send(self.our_request(now))),
            Action::Sca | Action::Scn => outputs.extend(content.answer.clone().map(Output::Send)),
            Action::Str => {
                self.tries_left = self.tries_left.saturating_sub(1);
                self.deadline = Some(now + TERMINATE_PATIENCE);
                self.other_id = self.other_id.wrapping_add(1);
                outputs.push(Output::Send(Packet::new(
                    Code::TerminateRequest,
                    self.other_id,
                    Vec::new(),
                )));
            }
            Action::Sta => {
                let id = content.received.as_ref().map_or(self.other_id, |packet| packet.id);
                outputs.push(Output::Send(Packet::new(Code::TerminateAck, id, Vec::new())));
            }
            Action::Scj => {
                let Some(packet) = &content.received else { return };
                self.other_id = self.other_id.wrapping_add(1);
                outputs.push(Output::Send(Packet::new(
                    Code::CodeReject,
                    self.other_id,
                    packet.bytes(),
                )));
            }
            Action::Ser => outputs.push(Output::EchoDue),
        }
    }

    /// Our request. A try that is repeated keeps its id, so that an answer to the first counts
    /// however late it comes (section 5.1 allows it).
    fn our_request(&mut self, now: Monotonic) -> Packet {
        let new = self.answered || self.request_id == 0;
        if new {
            self.request_id = self.request_id.wrapping_add(1).max(1);
            self.answered = false;
        }
        self.tries_left = self.tries_left.saturating_sub(1);
        self.deadline = Some(now + patience(self.tries_left));
        let data = option_bytes(&self.options.wanted());
        Packet::new(Code::ConfigureRequest, self.request_id, data)
    }
}

#[cfg(test)]
mod tests;
