//! What the outage rule was told and did.

use connexa::core::event::Judgement;

use crate::wire::{Did, News, Told, View};

use super::Time;

#[derive(Debug, Default)]
pub struct Windows {
    /// When a tunnel was last up.
    pub last_up: Option<Time>,
    /// The question to the judge that is not answered yet, and when it was asked.
    pub question: Option<(u64, Time)>,
    /// The answer to it came just now: whether a restart helps.
    pub answer: Option<bool>,
    /// Something was asked since a tunnel was up or the backend was restarted.
    pub asked: bool,
    /// The restart that began last, and when, until it reports back.
    pub restarting: Option<(u64, Time)>,
    /// When the last restart was over, and how many there were since a tunnel was up.
    pub restarted: Option<Time>,
    pub restarts: u32,
    /// A tunnel was up since the last restart began, or nothing was wanted: windows are counted from
    /// there, whenever the restart is over.
    pub is_anew: bool,
    /// No tunnel was wanted, as of the last news.
    pub is_idle: bool,
    /// Nothing but an answer came since the last question: where that is no, one more window asks.
    pub is_held: bool,
    /// By when something must be asked, as long as nothing comes between.
    pub ask_by: Option<Time>,
}

impl Windows {
    pub(super) fn hear(&mut self, now: Time, news: &News, was_up: bool, limit: Time) {
        if was_up {
            self.last_up = Some(now);
        }
        self.answer = None;
        match news {
            News::Judged { question, judgement }
                if self.question.is_some_and(|(asked, _)| asked == *question) =>
            {
                self.question = None;
                self.answer = Some(*judgement == Judgement::Clear);
            }
            News::Restarted { restart, .. } => {
                // Late reports are not waited for, and one may be of an earlier restart.
                let last = self.restarting.take_if(|(last, _)| last == restart);
                self.restarted = last.map(|(_, began)| now.min(began + limit)).or(self.restarted);
            }
            _ => {}
        }
    }

    pub(super) fn order(&mut self, now: Time, did: &Did) {
        match did {
            Did::Judge { question } => {
                (self.question, self.asked) = (Some((*question, now)), true);
                (self.ask_by, self.is_held) = (None, true);
            }
            Did::Restart { restart } => {
                (self.restarting, self.question) = (Some((*restart, now)), None);
                (self.restarts, self.asked) = (self.restarts + 1, false);
                (self.restarted, self.ask_by) = (None, None);
                (self.is_anew, self.is_held) = (false, false);
            }
            Did::Told(Told::Up(_)) => self.rose(now),
            _ => {}
        }
    }

    pub(super) fn shown(&mut self, now: Time, view: &View) {
        if view.has_up() {
            self.rose(now);
        }
    }

    fn rose(&mut self, now: Time) {
        self.last_up = Some(now);
        (self.restarts, self.asked, self.question) = (0, false, None);
        (self.ask_by, self.is_anew, self.is_held) = (None, true, false);
    }
}
