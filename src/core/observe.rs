//! From the kernel's view of a link to the state of a tunnel.

use std::time::Duration;

use super::call::Look;
use super::change::{Change, Way};
use super::event::{CallId, Hearing, IfIndex, LinkChange};
use super::links::Addresses;
use super::stopping::{Step, Why};
use super::tunnel::{Phase, Tunnel};
use super::{Core, Turn};
use crate::node::{NodeId, ServerAddr};

/// A fall and its cause come by different ways; the cause is waited for this long.
const TELL_WITHIN: Duration = Duration::from_secs(1);

impl Core {
    /// The kernel tells of links.
    pub(super) fn hear(&mut self, changes: Vec<LinkChange>, hearing: Hearing, turn: &mut Turn) {
        let are_new = !std::mem::replace(&mut self.known.links, true);
        self.hearing = hearing;
        self.heard_at = Some(turn.now.wall);
        for change in changes {
            if let Some((call, index)) = self.links.apply(change, self.inputs) {
                self.bind(call, index, turn);
            }
        }
        if are_new {
            self.choose_all(turn);
        }
    }

    /// The link of a call is known, or has changed.
    pub(super) fn bind(&mut self, call: CallId, index: IfIndex, turn: &mut Turn) {
        let Some(&id) = self.calls.get(&call) else { return };
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let name = self.links.name(index).unwrap_or_default();
        let limit = turn.at() + self.policy.dial_timeout;
        let is_news = match &mut tunnel.phase {
            Phase::Resting(_) => false,
            Phase::Calling(call) => call.take_link(index, name, limit),
            Phase::Stopping(stopping) => stopping.take_link(index, name),
        };
        if is_news {
            self.host.works(self.inputs);
            turn.way(Way::Linked { node: id, call, index });
        }
        self.reconcile(id, turn);
    }

    /// Whether its call had a link when it was found, and none is seen to be that.
    pub(super) fn is_out_of_sight(&self, id: NodeId) -> bool {
        self.tunnels.get(&id).is_some_and(|tunnel| tunnel.is_out_of_sight())
    }

    /// Brings the standing of a call in line with what the kernel shows of its link.
    pub(super) fn observe(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(Phase::Calling(call)) = self.tunnels.get_mut(&id).map(|tunnel| &mut tunnel.phase)
        else {
            return;
        };
        let Some((index, _)) = call.link() else { return };
        if let Some(name) = self.links.name(index) {
            call.follow_name(id, name, turn);
        }
        if self.refuse_address(id, index, turn) {
            return;
        }
        let Some(Phase::Calling(call)) = self.tunnels.get_mut(&id).map(|tunnel| &mut tunnel.phase)
        else {
            return;
        };
        match call.look(self.links.sight(index), turn.at()) {
            Look::Stays => {}
            Look::Rises(addresses) => self.rise(id, addresses, turn),
            Look::Falls => self.fall(id, turn),
            Look::IsGone => {
                self.fall(id, turn);
                self.await_end(id, turn);
            }
        }
    }

    fn rise(&mut self, id: NodeId, addresses: Addresses, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.tell_fall(id, "the link was down for a moment", turn);
        let Phase::Calling(call) = &mut tunnel.phase else { return };
        let link = call.link().and_then(|(index, _)| self.links.as_it_is_since(index));
        if !call.rise(id, addresses, link.unwrap_or(self.inputs), turn) {
            return;
        }
        let found = call.dialled.as_ref().and_then(|found| ServerAddr::new(found.server).ok());
        let call = call.run.id;
        tunnel.retries.worked();
        self.dialing.finish(call);
        if let Some(server) = found.or(tunnel.want.node().map(|node| node.server)) {
            self.dialing.heard_of(server, true);
        }
        self.up.insert(id);
        self.hang_up_second_calls(id, turn);
        // A tunnel that is up for less than one turn counts all the same.
        self.watch_outage(turn.at());
    }

    /// An up tunnel is up no more. The cause may still be on its way, and so may its link.
    pub(super) fn fall(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Phase::Calling(call) = &mut tunnel.phase else { return };
        let tell_by = turn.at() + TELL_WITHIN;
        let Some(since) = call.fall(tell_by, turn.at() + self.policy.stop_grace) else { return };
        turn.change(Change::Fell { node: id });
        tunnel.tell_fall_if_explained(id, turn);
        if turn.at().since(since) >= self.policy.stable_after {
            tunnel.retries.reset();
        }
        self.up.remove(&id);
    }

    /// The link is gone: the call is about to end, and says why if it is let.
    fn await_end(&mut self, id: NodeId, turn: &Turn) {
        let until = turn.at() + self.policy.stop_grace;
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.phase.stop(Why::Itself, Step::Leaving, until);
        }
    }
}

impl Tunnel {
    /// Tells of a fall that nobody was told of yet. Whether there was one.
    pub(super) fn tell_fall(&mut self, id: NodeId, reason: &str, turn: &mut Turn) -> bool {
        let Some(fall) = self.take_untold() else { return false };
        fall.tell(id, self.run().and_then(|run| run.pid), reason, turn);
        true
    }

    /// Tells of a fall at once when the call has plainly said why.
    pub(super) fn tell_fall_if_explained(&mut self, id: NodeId, turn: &mut Turn) {
        let plain = self.run().and_then(|run| run.said.plain());
        if let Some(reason) = plain.map(|failure| failure.message.clone()) {
            self.tell_fall(id, &reason, turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::change::Change;
    use crate::core::State;
    use crate::core::event::Event;
    use crate::core::failure::{Failure, FailureKind};
    use crate::core::stage::{NODE, Stage};

    fn fell() -> Stage {
        let mut stage = Stage::in_state(State::Up);
        stage.changes.clear();
        stage.no_link();
        stage
    }

    #[test]
    fn a_fall_is_followed_at_once_and_explained_when_its_cause_is_known() {
        let mut stage = fell();
        assert_eq!(stage.changes, [Change::Fell { node: NODE }]);
        assert!(!stage.was_told("is DOWN"), "{:?}", stage.told);
        stage.say(Failure::new(FailureKind::EchoTimeout, "No response"), false);
        let reason = "No response".to_owned();
        assert_eq!(stage.changes.last(), Some(&Change::Explained { node: NODE, reason }));
        assert!(stage.was_told("is DOWN"), "{:?}", stage.told);
    }

    #[test]
    fn a_fall_whose_cause_stays_unknown_is_explained_once_a_second_has_gone_by() {
        let mut stage = fell();
        stage.wait(Duration::from_secs(1));
        let reason = "the link went down".to_owned();
        let explained = Change::Explained { node: NODE, reason };
        assert_eq!(stage.changes, [Change::Fell { node: NODE }, explained]);
    }

    #[test]
    fn a_fall_whose_cause_is_awaited_is_explained_before_the_daemon_ends() {
        let mut stage = fell();
        stage.feed(Event::Stop);
        assert!(stage.was_told("is DOWN on ppp0: the link went down"), "{:?}", stage.told);
        assert!(stage.core.is_drained());
    }

    #[test]
    fn a_fall_is_explained_before_the_tunnel_rises_again() {
        let mut stage = Stage::in_state(State::Up);
        stage.changes.clear();
        stage.link(false, true);
        stage.link(true, true);
        let [Change::Fell { .. }, Change::Explained { .. }, Change::Rose(up)] = &stage.changes[..]
        else {
            panic!("{:?}", stage.changes);
        };
        assert_eq!(up.node, NODE);
    }
}
