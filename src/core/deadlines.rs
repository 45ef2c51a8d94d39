//! Deadlines of a node: what is done when something has not happened in time.

use super::effect::Order;
use super::failure::{Failure, FailureKind};
use super::notice::Notice;
use super::tunnel::{Phase, Stage, Standing, Tunnel, Why};
use super::{Core, Turn};
use crate::node::NodeId;

impl Core {
    /// A node's deadline has come.
    pub(super) fn expire(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let at = turn.at();
        let due = |deadline: Option<_>| deadline.is_some_and(|deadline| deadline <= at);
        if let Some(call) = tunnel.call_mut()
            && due(call.untold.as_ref().map(|fall| fall.tell_by))
        {
            let said = call.said.best().map(|failure| failure.message.clone());
            call.tell_fall(id, said.as_deref().unwrap_or("the link went down"), turn);
        }
        match &mut tunnel.phase {
            Phase::Backoff { until } | Phase::Quarantined { until: Some(until) }
                if *until <= at =>
            {
                tunnel.phase = Phase::Waiting;
            }
            // Which links there are is not known yet.
            Phase::Calling(call)
                if due(call.deadline) && call.is_out_of_sight() && !self.known.links =>
            {
                call.deadline = Some(at + self.policy.dial_timeout);
            }
            Phase::Calling(call)
                if due(call.deadline)
                    && call.is_out_of_sight()
                    && self.links.has_unowned(call.missed.unwrap_or(self.inputs)) =>
            {
                call.deadline = Some(at + self.policy.dial_timeout);
                if call.missed.is_none() {
                    call.missed = Some(self.inputs);
                    self.links.claim_no_later(call.id, self.inputs);
                    self.dialing.finish(call.id);
                    turn.tell(Notice::OutOfSight { node: id, pid: call.pid });
                }
            }
            Phase::Calling(call) if due(call.deadline) && call.is_unstarted() => {
                call.deadline = None;
                turn.tell(Notice::NotStarted { node: id, after: self.policy.dial_timeout });
            }
            Phase::Calling(call) if due(call.deadline) => {
                let failure = self.overdue(id);
                self.hang_up(id, Why::GivenUp(failure), turn);
            }
            Phase::Stopping { until, .. } if *until <= at => self.end_harder(id, turn),
            Phase::Calling(_)
            | Phase::Stopping { .. }
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Quarantined { .. }
            | Phase::Stopped
            | Phase::Invalid => {}
        }
        self.reconcile(id, turn);
    }

    /// Why a call whose deadline has come is given up.
    fn overdue(&self, id: NodeId) -> Failure {
        let Some(call) = self.tunnels.get(&id).and_then(Tunnel::call) else {
            return Failure::new(FailureKind::Timeout, "no tunnel in time");
        };
        let limit = humantime::format_duration(self.policy.dial_timeout);
        if call.was_up {
            let grace = humantime::format_duration(self.policy.stop_grace);
            return Failure::new(
                FailureKind::LinkLost,
                format!("the link stayed down for {grace}"),
            );
        }
        let what = match call.standing {
            Standing::NoLink => "no link",
            Standing::Link(_) | Standing::Up(..) => "a link but no address",
        };
        let message = match call.said.best() {
            Some(said) => format!("{what} within {limit}: {said}"),
            None => format!("{what} within {limit}"),
        };
        Failure::new(FailureKind::Timeout, message)
    }

    /// A call that should be over is not: the next stronger order.
    fn end_harder(&mut self, id: NodeId, turn: &mut Turn) {
        let grace = self.policy.stop_grace;
        let Some(Phase::Stopping { call, stage, until, .. }) =
            self.tunnels.get_mut(&id).map(|t| &mut t.phase)
        else {
            return;
        };
        let call_id = call.id;
        let order = match stage {
            Stage::Leaving => {
                *stage = Stage::HungUp;
                Order::HangUp { call: call_id }
            }
            Stage::HungUp => {
                turn.tell(Notice::Killing { node: id, pid: call.pid });
                *stage = Stage::Ended;
                Order::End { call: call_id }
            }
            Stage::Ended => Order::End { call: call_id },
        };
        *until = turn.at() + grace;
        turn.order(order);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::core::State;
    use crate::core::event::{Ask, Event, IfIndex};
    use crate::core::stage::{LINK, Stage};

    /// A found call past its deadline, whose link ppp0 is named wan0.
    fn out_of_sight() -> Stage {
        let mut stage = Stage::adopting();
        stage.name_link();
        stage.show(LINK, Some("wan0"));
        stage.desire_rival();
        stage.wait(Duration::from_secs(60));
        stage
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
        stage.feed(Event::Started { call: stage.call, pid: Some(7) });
        stage.wait(Duration::from_secs(29));
        assert_eq!(stage.state(), "dialing");
        stage.wait(Duration::from_secs(1));
        assert_eq!(stage.state(), "stopping");
    }

    #[test]
    fn that_the_disk_keeps_a_dial_waiting_is_told_once() {
        let told = not_started().told;
        let told = told.iter().filter(|told| told.contains("its files wait for the disk")).count();
        assert_eq!(told, 1);
    }

    #[test]
    fn a_found_call_whose_link_has_another_name_is_left_alone_until_it_has_its_own_again() {
        let mut stage = out_of_sight();
        assert_eq!((stage.state().as_str(), stage.state_of_rival()), ("dialing", "dialing"));
        assert!(stage.was_told("no link has the name"), "{:?}", stage.told);
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
        let told = stage.told.iter().filter(|told| told.contains("no link has the name")).count();
        assert_eq!((stage.state().as_str(), told), ("dialing", 1));
    }

    #[test]
    fn a_found_call_that_never_had_a_link_is_given_up_in_time() {
        let mut stage = Stage::adopting();
        stage.wait(Duration::from_secs(60));
        assert_eq!(stage.state(), "stopping");
    }
}
