//! What becomes of a tunnel whose probes are lost.
//!
//! A tunnel is hung up when it has carried the target before and the target answers elsewhere. Where
//! it answers nowhere it may be the target that is down, so one tunnel is dialled again as a trial,
//! and the others are left as they are until a probe is answered. Of a tunnel that was taken over
//! nobody knows what it carried: it is dialled again once when the target answers elsewhere.

use super::call::{Call, Standing};
use super::event::{CallId, Probed};
use super::failure::{Failure, FailureKind};
use super::notice::{Notice, WhyKept};
use super::stopping::Why;
use super::{Core, Turn};
use crate::node::NodeId;

impl Core {
    /// Probes through the tunnel of a call have shown something.
    pub(super) fn probed(&mut self, call: CallId, probed: Probed, turn: &mut Turn) {
        // Whatever became of the call meanwhile. An answer itself ends no trial: losses of probes
        // that were sent before it may be on their way.
        if let Probed::Lost { answered: true, .. } = probed {
            self.trial = false;
        }
        let Some(&id) = self.calls.get(&call) else { return };
        match probed {
            Probed::Answered { target } => self.probe_answered(id, call, target, turn),
            Probed::Lost { target, count, elsewhere, .. } => {
                if let Some(failure) = self.probes_lost(id, call, target, count, elsewhere, turn) {
                    self.hang_up(id, Why::GivenUp(failure), turn);
                }
            }
        }
        self.note(id, turn);
    }

    fn probe_answered(&mut self, id: NodeId, of: CallId, target: String, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Some(Call { standing: Standing::Up(up), .. }) = tunnel.calling(of) else { return };
        let was_told = std::mem::take(&mut up.silence_told);
        let interface = up.name.clone();
        tunnel.carried = Some(target.clone());
        if was_told {
            turn.tell(Notice::ProbeAnswered { node: id, interface, target });
        }
    }

    /// Why the tunnel is to be given up, if it is.
    fn probes_lost(
        &mut self,
        id: NodeId,
        of: CallId,
        target: String,
        count: u32,
        elsewhere: bool,
        turn: &mut Turn,
    ) -> Option<Failure> {
        let tunnel = self.tunnels.get_mut(&id)?;
        let carried = tunnel.carried.clone();
        let Some(Call { run, standing: Standing::Up(up), .. }) = tunnel.calling(of) else {
            return None;
        };
        let interface = up.name.clone();
        let unknown = carried.is_none() && run.is_adopted();
        let why = if carried.as_ref() != Some(&target) && !(unknown && elsewhere) {
            WhyKept::NeverAnswered
        } else if !elsewhere && self.trial {
            WhyKept::AnswersNowhere
        } else {
            self.trial |= !elsewhere;
            let probes = if count == 1 { "probe" } else { "probes" };
            let message = format!("{count} {probes} of {target} through {interface} lost");
            return Some(Failure::new(FailureKind::ProbeFailed, message));
        };
        if !std::mem::replace(&mut up.silence_told, true) {
            turn.tell(Notice::ProbesLost { node: id, interface, target, count, why });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::core::State;
    use crate::core::event::{Ask, CallId, Event, Probed};
    use crate::core::failure::FailureKind;
    use crate::core::stage::{Stage, candidate};

    fn answer(stage: &mut Stage, call: CallId) {
        let probed = Probed::Answered { target: "10.0.0.1".into() };
        stage.feed(Event::Probed { call, probed });
    }

    fn lose(stage: &mut Stage, call: CallId, elsewhere: bool) {
        lose_after(stage, call, elsewhere, false);
    }

    fn lose_after(stage: &mut Stage, call: CallId, elsewhere: bool, answered: bool) {
        let probed = Probed::Lost { target: "10.0.0.1".into(), count: 3, elsewhere, answered };
        stage.feed(Event::Probed { call, probed });
    }

    /// An up tunnel that has carried the target.
    fn carrying() -> Stage {
        let mut stage = Stage::in_state(State::Up);
        let call = stage.call;
        answer(&mut stage, call);
        stage
    }

    #[test]
    fn a_tunnel_that_loses_what_others_carry_is_hung_up_and_dialled_again_after_a_while() {
        let mut stage = carrying();
        let call = stage.call;
        lose(&mut stage, call, true);
        assert_eq!(stage.state(), "stopping");
        stage.exit(FailureKind::Killed);
        assert_eq!(
            (stage.state().as_str(), stage.last_error().as_str()),
            ("backoff", "probe_failed")
        );
        let told = "(attempt 2): 3 probes of 10.0.0.1 through ppp0 lost";
        assert!(stage.was_told(told), "{:?}", stage.told);
        stage.wait_for_deadline();
        assert_eq!(stage.state(), "dialing");
    }

    #[test]
    fn that_a_target_answers_again_is_told_though_the_link_was_down_for_a_moment_since_its_losses()
    {
        let mut stage = Stage::in_state(State::Up);
        let call = stage.call;
        lose(&mut stage, call, false);
        stage.link(false, true);
        stage.link(true, true);
        answer(&mut stage, call);
        assert!(stage.was_told("answers again"), "{:?}", stage.told);
    }

    #[test]
    fn a_verdict_on_an_earlier_call_says_nothing_of_this_one() {
        let mut stage = carrying();
        let earlier = stage.call;
        stage.exit(FailureKind::Hangup);
        stage.wait_for_deadline();
        stage.no_link();
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
        lose(&mut stage, earlier, true);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn a_tunnel_that_is_not_up_is_not_hung_up_for_its_probes() {
        for state in [State::Dialing, State::Negotiating, State::Stopping] {
            let mut stage = Stage::in_state(state);
            let call = stage.call;
            answer(&mut stage, call);
            lose(&mut stage, call, true);
            assert_eq!(stage.state(), state.name());
        }
    }

    #[test]
    fn a_stop_of_the_operator_is_not_turned_into_a_failure() {
        let mut stage = carrying();
        let call = stage.call;
        stage.ask(Ask::Stop);
        lose(&mut stage, call, true);
        stage.exit(FailureKind::Killed);
        assert_eq!(stage.state(), "stopped");
    }

    #[test]
    fn a_target_that_never_answered_through_a_node_is_told_once_and_the_tunnel_stays() {
        let mut stage = Stage::in_state(State::Up);
        let call = stage.call;
        lose(&mut stage, call, true);
        lose(&mut stage, call, true);
        assert_eq!(stage.state(), "up");
        let told =
            stage.told.iter().filter(|told| told.contains("the target has never answered")).count();
        assert_eq!(told, 1, "{:?}", stage.told);
    }

    /// A tunnel that was dialled again as a trial, and is kept though the target answers nowhere.
    fn after_a_trial() -> Stage {
        let mut stage = carrying();
        let call = stage.call;
        lose(&mut stage, call, false);
        assert_eq!(stage.state(), "stopping");
        stage.no_link();
        stage.exit(FailureKind::Killed);
        stage.wait_for_deadline();
        stage.link(true, true);
        let second = stage.call;
        lose(&mut stage, second, false);
        assert_eq!(stage.state(), "up");
        stage
    }

    #[test]
    fn a_target_that_answers_elsewhere_again_ends_what_was_kept_after_a_trial() {
        let mut stage = after_a_trial();
        let call = stage.call;
        lose(&mut stage, call, true);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn where_the_target_answers_nowhere_one_call_is_given_up_and_the_next_one_is_kept() {
        let mut stage = after_a_trial();
        let second = stage.call;
        assert!(stage.was_told("the target answers through no tunnel"), "{:?}", stage.told);
        answer(&mut stage, second);
        assert!(stage.was_told("10.0.0.1 answers again through ppp0"), "{:?}", stage.told);
        lose_after(&mut stage, second, false, true);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_loss_of_what_was_sent_before_the_target_came_back_is_no_reason_for_another_trial() {
        let mut stage = after_a_trial();
        let call = stage.call;
        answer(&mut stage, call);
        lose(&mut stage, call, false);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn an_answer_that_was_no_news_ends_a_trial() {
        let mut stage = after_a_trial();
        let call = stage.call;
        lose_after(&mut stage, call, false, true);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_tunnel_that_was_taken_over_dead_is_dialled_again_once() {
        let mut stage = Stage::adopting();
        stage.name_link();
        stage.link(true, true);
        let call = stage.call;
        lose(&mut stage, call, false);
        assert_eq!(stage.state(), "up");
        lose(&mut stage, call, true);
        assert_eq!(stage.state(), "stopping");
        stage.no_link();
        stage.exit(FailureKind::Unexplained);
        stage.wait_for_deadline();
        stage.link(true, true);
        let second = stage.call;
        lose(&mut stage, second, true);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn a_row_that_changes_where_to_dial_has_carried_nothing_yet() {
        let mut stage = carrying();
        stage.desire(Some(candidate("another")));
        stage.no_link();
        stage.exit(FailureKind::Killed);
        stage.link(true, true);
        let call = stage.call;
        lose(&mut stage, call, true);
        assert_eq!(stage.state(), "up");
    }
}
