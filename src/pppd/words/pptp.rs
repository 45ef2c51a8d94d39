//! What pptp tells syslog alone: how far its control connection has come, and what the server
//! answers (pptp_ctrl.c). Its standard error it keeps for trouble, and closes once it has a call.

use super::Cause;
use super::causes::{ANSWERS, Answer};

/// How far a call has come by its control connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    /// Nothing was heard by syslog, so nothing is known.
    #[default]
    Nothing,
    /// pptp runs.
    Started,
    /// The server took the control connection.
    Connection,
    /// The server took the call.
    Call,
}

/// What pptp has told so far.
#[derive(Debug, Default)]
pub(super) struct Pptp {
    reached: Reached,
    /// What the result that follows is the answer to.
    answer: Option<&'static Answer>,
}

impl Pptp {
    /// How far the call has come.
    pub(super) fn reached(&self) -> Reached {
        self.reached
    }

    /// Takes a line in. Returns the cause that it tells as the answer of the server.
    pub(super) fn hear(&mut self, line: &str) -> Option<Cause> {
        let reached = match line {
            "Client connection established." => Reached::Connection,
            _ if line.starts_with("Outgoing call established") => Reached::Call,
            _ => Reached::Started,
        };
        self.reached = self.reached.max(reached);
        let begun = ANSWERS.iter().find(|answer| line.starts_with(answer.line));
        if begun.is_some() {
            self.answer = begun;
            return None;
        }
        let Answer { kind, vague, meaning, .. } = *self.answer?;
        let result = line.split_once("esult code is ").map(|(_, result)| result);
        if let Some(result) =
            result.filter(|result| result.starts_with(|c: char| c.is_ascii_digit()))
        {
            // What "General Error" means is told by the next line.
            let vague = vague || result.contains("'General Error'");
            return Some(Cause { kind, vague, message: format!("{meaning}: result {result}") });
        }
        let error = line.strip_prefix("Error is ")?;
        Some(Cause { kind, vague, message: format!("{meaning}: {error}") })
    }
}

/// The message in a datagram for syslog: `<29>Nov 27 10:00:00 pptp[123]: message` (glibc's syslog.c).
pub(super) fn payload(datagram: &str) -> &str {
    let is_head = |head: &str| head.starts_with('<') && head.ends_with(']');
    match datagram.split_once(": ") {
        Some((head, message)) if is_head(head) => message,
        _ => datagram,
    }
}
