//! The outage rule within the core: questions, answers and restarts, also late ones.

use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::core::event::{Event, Hearing, Input, Ranked};
use crate::core::outage::JUDGE_WITHIN;
use crate::core::policy::Policy;
use crate::core::stage::candidate;
use crate::core::time::{Now, Wall};

/// A core with one node whose server never answers.
struct Play {
    core: Core,
    at: Monotonic,
    told: Vec<String>,
    questions: Vec<u64>,
    restarts: Vec<u64>,
}

impl Play {
    fn new() -> Self {
        let core = Core::new(Policy::from(&Config::default()));
        let (told, questions, restarts) = Default::default();
        Play { core, at: Monotonic(0), told, questions, restarts }
    }

    fn outage() -> Self {
        let mut play = Play::new();
        play.see_host();
        play.want(true);
        play
    }

    fn see_host(&mut self) {
        self.feed(Event::Links { changes: vec![], hearing: Hearing::default() });
        self.feed(Event::Found(vec![]));
    }

    fn want(&mut self, wanted: bool) {
        let row = Ranked { rank: 0, candidate: candidate("secret") };
        let candidates = wanted.then_some(row).into_iter().collect();
        self.feed(Event::Desired { candidates, places: 0 });
    }

    fn feed(&mut self, event: Event) {
        let now = Now { at: self.at, wall: Wall(self.at.0), dice: 0 };
        for effect in self.core.handle(Input { now, event }) {
            match effect {
                Effect::Tell(notice) => self.told.push(notice.to_string()),
                Effect::JudgeBackend { question } => self.questions.push(question),
                Effect::RestartBackend { restart } => self.restarts.push(restart),
                Effect::Pppd(_) | Effect::KeepStopped(_) => {}
            }
        }
    }

    /// Lets time pass until this many restarts were asked about.
    fn until_question(&mut self, count: usize) -> u64 {
        while self.questions.len() < count {
            self.at = self.core.next_deadline().unwrap();
            self.feed(Event::Tick);
        }
        self.questions[count - 1]
    }

    /// The same, and nobody answers until the restart begins without.
    fn until_restart(&mut self, count: usize) -> u64 {
        while self.restarts.len() < count {
            self.at = self.core.next_deadline().unwrap();
            self.feed(Event::Tick);
        }
        self.restarts[count - 1]
    }

    fn answer(&mut self, question: u64, judgement: Judgement) {
        self.feed(Event::BackendJudged { question, judgement });
    }

    fn report(&mut self, restart: u64, outcome: RestartOutcome) {
        self.feed(Event::BackendRestarted { restart, outcome });
    }

    fn wait(&mut self, time: Duration) {
        self.at = self.at + time;
        self.feed(Event::Tick);
    }

    fn was_told(&self, text: &str) -> usize {
        self.told.iter().filter(|told| told.contains(text)).count()
    }
}

fn held() -> Judgement {
    Judgement::Held("the port is another's".into())
}

#[test]
fn an_answer_that_comes_after_the_restart_has_begun_is_not_told() {
    let mut play = Play::outage();
    let question = play.until_question(1);
    play.until_restart(1);
    play.answer(question, held());
    assert_eq!(play.was_told("held back"), 0);
}

#[test]
fn an_answer_that_comes_after_the_restart_has_begun_hides_no_empty_window() {
    let mut play = Play::outage();
    let question = play.until_question(1);
    let restart = play.until_restart(1);
    play.answer(question, held());
    play.report(restart, RestartOutcome::Ready(9));
    play.until_question(2);
    assert_eq!(play.was_told("Zero PPP interfaces"), 6, "{:?}", play.told);
}

#[test]
fn an_answer_counts_for_no_later_question() {
    let mut play = Play::outage();
    let first = play.until_question(1);
    play.want(false);
    play.want(true);
    let second = play.until_question(2);
    play.answer(first, Judgement::Clear);
    assert_eq!(play.restarts.len(), 0);
    play.answer(second, Judgement::Clear);
    assert_eq!(play.restarts.len(), 1);
}

#[test]
fn a_report_of_an_earlier_restart_does_not_end_the_one_that_runs() {
    let mut play = Play::outage();
    let first = play.until_restart(1);
    let second = play.until_restart(2);
    let deadline = play.core.outage.deadline();
    play.report(first, RestartOutcome::Ready(9));
    assert_eq!((play.core.outage.deadline(), play.was_told("Backend ready")), (deadline, 0));
    play.report(second, RestartOutcome::Ready(9));
    assert_eq!(play.was_told("Backend ready"), 1);
}

#[test]
fn a_judge_that_takes_all_its_time_is_waited_for() {
    let mut play = Play::outage();
    let question = play.until_question(1);
    play.wait(JUDGE_WITHIN);
    play.answer(question, held());
    assert_eq!((play.restarts.len(), play.was_told("held back")), (0, 1));
}
