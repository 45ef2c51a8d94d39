//! Deadlines of a node: what is done when something has not happened in time.

use super::call::Due;
use super::links::Sight;
use super::notice::Notice;
use super::stopping::Why;
use super::tunnel::Phase;
use super::{Core, Turn};
use crate::node::NodeId;

impl Core {
    /// A node's deadline has come.
    pub(super) fn expire(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        if tunnel.untold().is_some_and(|fall| fall.tell_by <= turn.at()) {
            self.tell_fall(id, turn);
        }
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        match &mut tunnel.phase {
            Phase::Resting(rest) => *rest = rest.expire(turn.at()),
            Phase::Calling(_) => self.expire_call(id, turn),
            Phase::Stopping(stopping) => stopping.expire(id, self.policy.stop_grace, turn),
        }
        let leaves_at = self.tunnels.get(&id).and_then(|tunnel| tunnel.leaves_at());
        if leaves_at.is_some_and(|at| at <= turn.at()) {
            self.part(id, turn);
        }
        self.reconcile(id, turn);
    }

    /// Tells of a fall that waits for its cause, by what is known of that now.
    pub(super) fn tell_fall(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let said = tunnel.run().and_then(|run| run.said.best());
        let said = said.map(|failure| failure.message.clone());
        let sight = tunnel.link().map(|(index, _)| self.links.sight(index));
        let reason = said.as_deref().unwrap_or(if sight == Some(Sight::Bare) {
            "the link lost its address"
        } else {
            "the link went down"
        });
        tunnel.tell_fall(id, reason, turn);
    }

    fn expire_call(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(Phase::Calling(call)) = self.tunnels.get_mut(&id).map(|tunnel| &mut tunnel.phase)
        else {
            return;
        };
        let after = self.policy.dial_timeout;
        let links = self.known.links.then_some(&self.links);
        match call.expire(turn.at(), after, self.inputs, links) {
            Due::Nothing => {}
            Due::NotStarted => turn.tell(Notice::NotStarted { node: id, after }),
            Due::OutOfSight => {
                self.links.claim_no_later(call.run.id, self.inputs);
                self.dialing.finish(call.run.id);
                turn.tell(Notice::OutOfSight { node: id, pid: call.run.pid });
            }
            Due::End => {
                let sight = call.link().map(|(index, _)| self.links.sight(index));
                let failure = call.overdue(sight, &self.policy);
                self.hang_up(id, Why::GivenUp(failure), turn);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::Config;
    use crate::core::event::{Ask, Event, IfIndex};
    use crate::core::failure::FailureKind;
    use crate::core::policy::Policy;
    use crate::core::stage::{LINK, Stage};
    use crate::core::{Core, State};

    /// A found call past its deadline, whose link ppp0 is named wan0.
    fn out_of_sight() -> Stage {
        let mut stage = Stage::adopting();
        stage.name_link();
        stage.show(LINK, Some("wan0"));
        stage.desire_rival();
        stage.wait(Duration::from_secs(60));
        stage
    }

    #[test]
    fn a_link_that_lost_its_address_is_not_said_to_have_gone_down() {
        let mut stage = Stage::in_state(State::Up);
        stage.link(true, false);
        for _ in 0..3 {
            stage.wait_for_deadline();
        }
        assert!(stage.was_told("is DOWN on ppp0: the link lost its address"), "{:?}", stage.told);
        stage.exit(FailureKind::Hangup);
        assert!(
            stage.was_told("the link lost its address, and had none for 5s"),
            "{:?}",
            stage.told
        );
    }

    /// A dial whose pppd is not started in an hour.
    fn not_started() -> Stage {
        let mut stage = Stage::in_state(State::Backoff);
        stage.is_disk_stuck = true;
        stage.ask(Ask::Retry);
        for _ in 0..60 {
            stage.wait(Duration::from_secs(60));
        }
        stage
    }

    #[test]
    fn a_dial_is_not_given_up_before_its_pppd_is_started() {
        let mut stage = not_started();
        assert_eq!(stage.state(), "dialing");
        stage.feed(Event::Started { call: stage.call, pid: Some(7), suspect: None });
        stage.wait(Duration::from_secs(29));
        assert_eq!(stage.state(), "dialing");
        stage.wait(Duration::from_secs(1));
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_dial_that_takes_too_long_is_told_with_what_may_be_behind_it() {
        let mut stage = not_started();
        let suspect = Some("the options have \"passive\"".to_owned());
        stage.feed(Event::Started { call: stage.call, pid: Some(7), suspect });
        stage.wait(Duration::from_secs(30));
        stage.exit(FailureKind::Killed);
        let reason = "no link within 30s; the options have \"passive\"";
        assert!(stage.was_told(reason), "{:?}", stage.told);
    }

    #[test]
    fn that_the_disk_keeps_a_dial_waiting_is_told_once() {
        let told = not_started().told;
        let told =
            told.iter().filter(|told| told.contains("its files are not yet written")).count();
        assert_eq!(told, 1);
    }

    #[test]
    fn a_found_call_whose_link_has_another_name_is_left_alone_until_it_has_its_own_again() {
        let mut stage = out_of_sight();
        assert_eq!((stage.state().as_str(), stage.state_of_rival()), ("dialing", "dialing"));
        assert!(stage.was_told("which link is its own is not known"), "{:?}", stage.told);
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn a_found_call_whose_link_goes_while_it_has_another_name_is_given_up_in_time() {
        let mut stage = out_of_sight();
        stage.show(LINK, None);
        stage.wait(Duration::from_secs(60));
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_found_call_whose_link_is_gone_is_given_up_in_time() {
        let mut stage = Stage::adopting();
        stage.name_link();
        stage.wait(Duration::from_secs(60));
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_new_link_with_the_name_that_a_found_call_waits_for_is_not_taken_for_its_own() {
        let mut stage = out_of_sight();
        stage.show(IfIndex(8), Some("ppp0"));
        assert_eq!(stage.state(), "dialing");
    }

    #[test]
    fn that_a_found_call_is_left_alone_is_told_once() {
        let mut stage = out_of_sight();
        stage.wait(Duration::from_secs(60));
        let told = stage
            .told
            .iter()
            .filter(|told| told.contains("which link is its own is not known"))
            .count();
        assert_eq!((stage.state().as_str(), told), ("dialing", 1));
    }

    #[test]
    fn a_found_call_that_never_had_a_link_is_given_up_in_time() {
        let mut stage = Stage::adopting();
        stage.wait(Duration::from_secs(60));
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_deadline_that_is_due_again_at_once_waits_for_the_next_turn() {
        let mut stage = Stage::in_state(State::Up);
        stage.configure(|policy| policy.stop_grace = Duration::ZERO);
        stage.ask(Ask::Stop);
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn a_call_that_was_found_is_not_given_up_before_the_links_are_known() {
        let mut stage = Stage::adopting();
        stage.core = Core::new(Policy::from(&Config::default()));
        stage.name_link();
        stage.wait_for_deadline();
        assert_eq!(stage.state(), "dialing");
    }
}
