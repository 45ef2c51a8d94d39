//! The outage rule within the core: questions, answers and restarts, also late ones.

use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::core::event::{
    CallId, Event, FoundCall, Hearing, IfIndex, Input, Link, LinkChange, Ranked, Rows,
};
use crate::core::failure::{Failure, FailureKind};
use crate::core::notice::Level;
use crate::core::outage::JUDGE_WITHIN;
use crate::core::policy::Policy;
use crate::core::stage::{NODE, candidate};
use crate::core::time::{Now, Wall};
use crate::node::Engine;

/// A core with one node whose server never answers.
struct Play {
    core: Core,
    at: Monotonic,
    told: Vec<String>,
    levels: Vec<Level>,
    questions: Vec<u64>,
    restarts: Vec<u64>,
}

impl Play {
    fn new() -> Self {
        let core = Core::new(Policy::from(&Config::default()));
        let (told, levels, questions, restarts) = Default::default();
        Play { core, at: Monotonic(0), told, levels, questions, restarts }
    }

    fn outage() -> Self {
        let mut play = Play::new();
        play.see_host();
        play.want(true);
        play
    }

    /// No node counts as an outage, too.
    fn without_nodes() -> Self {
        let mut play = Play::new();
        let mut policy = Policy::from(&Config::default());
        policy.outage.restart_with_no_nodes = true;
        play.core = Core::new(policy);
        play
    }

    fn see_host(&mut self) {
        self.feed(Event::Links { changes: vec![], hearing: Hearing::default() });
        self.feed(Event::Found(vec![]));
    }

    fn want(&mut self, wanted: bool) {
        let row = Ranked { rank: 0, candidate: candidate("secret") };
        let candidates = wanted.then_some(row).into_iter().collect();
        let left_out = if wanted { vec![] } else { vec![NODE] };
        self.feed(Event::Desired {
            rows: Rows::Reselected { rows: candidates, left_out },
            places: 0,
        });
    }

    fn feed(&mut self, event: Event) {
        let now = Now { at: self.at, wall: Wall(self.at.0), dice: 0 };
        for effect in self.core.handle(Input { now, event }) {
            match effect {
                Effect::Tell(notice) => {
                    self.told.push(notice.to_string());
                    self.levels.push(notice.level());
                }
                Effect::JudgeBackend { question } => self.questions.push(question),
                Effect::RestartBackend { restart } => self.restarts.push(restart),
                Effect::Change(_) | Effect::Way(_) | Effect::Order(_) | Effect::KeepStopped(_) => {}
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

#[test]
fn the_startup_delay_has_gone_by_when_the_database_is_read_late() {
    let mut play = Play::new();
    play.see_host();
    play.wait(Duration::from_secs(60));
    play.want(true);
    play.until_question(1);
    assert_eq!(play.at, Monotonic(150_000));
}

#[test]
fn a_database_that_was_never_read_counts_as_one_without_nodes() {
    let mut play = Play::without_nodes();
    play.see_host();
    play.until_question(1);
    assert_eq!(play.at, Monotonic(100_000));
}

#[test]
fn a_database_that_was_never_read_is_no_outage_where_no_node_is_none() {
    let mut play = Play::new();
    play.see_host();
    assert_eq!(play.core.outage.deadline(), None);
}

#[test]
fn nothing_is_counted_before_the_links_are_known() {
    let mut play = Play::without_nodes();
    play.feed(Event::Found(vec![]));
    assert_eq!(play.core.outage.deadline(), None);
}

/// A pppd was found, and the link that it had has another name by now.
fn in_doubt() -> Play {
    let mut play = Play::new();
    let link = Link { name: "wan0".into(), up: true, addresses: vec![] };
    let changes = vec![LinkChange { index: IfIndex(7), link: Some(link) }];
    play.feed(Event::Links { changes, hearing: Hearing::default() });
    play.feed(Event::Found(vec![FoundCall {
        call: CallId::Found(0),
        node: NODE,
        engine: Engine::Pppd,
        pid: Some(7),
        interface: Some("ppp0".into()),
        renamed: false,
        dialled: None,
        age: Duration::ZERO,
    }]));
    play.want(true);
    for _ in 0..20 {
        play.wait(Duration::from_secs(60));
    }
    play
}

#[test]
fn nothing_is_restarted_while_a_running_pppd_has_a_link_that_can_not_be_told() {
    let play = in_doubt();
    assert_eq!((play.questions.len(), play.was_told("Zero PPP")), (0, 0), "{:?}", play.told);
}

#[test]
fn what_is_in_doubt_is_told_once() {
    assert_eq!(in_doubt().was_told("so whether the tunnel is up can't be told"), 1);
}

#[test]
fn a_doubt_ends_with_its_pppd() {
    let mut play = in_doubt();
    play.feed(Event::Ended {
        call: CallId::Found(0),
        failure: Failure::new(FailureKind::Hangup, "it is over"),
    });
    assert_eq!(play.was_told("Zero PPP"), 0);
    play.until_question(1);
}

#[test]
fn a_restart_that_was_held_back_is_not_shown_once_no_node_is_wanted() {
    let mut play = Play::outage();
    let question = play.until_question(1);
    play.answer(question, held());
    play.want(false);
    assert_eq!(play.core.backend.held, None);
}

#[test]
fn a_restart_that_begins_unjudged_is_not_shown_as_held_back() {
    let mut play = Play::outage();
    let question = play.until_question(1);
    play.answer(question, held());
    play.until_restart(1);
    assert_eq!(play.core.backend.held, None);
}

#[test]
fn a_restart_that_is_held_back_for_the_same_reason_again_is_told_once() {
    let mut play = Play::outage();
    for count in 1..=2 {
        let question = play.until_question(count);
        play.answer(question, held());
    }
    let Judgement::Held(why) = held() else { panic!() };
    assert_eq!(play.was_told(&why), 1, "{:?}", play.told);
}

#[test]
fn a_restart_that_fails_like_the_last_one_is_told_at_debug() {
    let mut play = Play::outage();
    for (count, level) in [(1, Level::Warning), (2, Level::Debug)] {
        let restart = play.until_restart(count);
        play.report(restart, RestartOutcome::NotReady("no answer".into()));
        assert_eq!(play.levels.last(), Some(&level), "{:?}", play.told);
    }
}
