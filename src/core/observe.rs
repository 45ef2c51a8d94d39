//! From the kernel's view of a link to the state of a tunnel.

use std::time::Duration;

use super::change::{Change, UpTunnel};
use super::event::{CallId, IfIndex};
use super::links::{Addresses, Sight};
use super::notice::Notice;
use super::tunnel::{Call, Fall, Phase, Stage, Standing, Tunnel, Want, Why};
use super::{Core, Turn};
use crate::node::NodeId;

/// pppd sets the local address, then the peer's, and the kernel shows the second step as a
/// removal and an addition. So an address without a peer, or one that vanished under a link that
/// is up, is given this long.
const SETTLE: Duration = Duration::from_millis(250);

/// A fall and its cause come by different ways; the cause is waited for this long.
const TELL_WITHIN: Duration = Duration::from_secs(1);

impl Core {
    /// The link of a call is known, or has changed.
    pub(super) fn bind(&mut self, call: CallId, index: IfIndex, turn: &mut Turn) {
        let Some(&id) = self.calls.get(&call) else { return };
        if let Some(call) = self.tunnels.get_mut(&id).and_then(Tunnel::call_mut)
            && call.standing == Standing::NoLink
        {
            call.standing = Standing::Link(index);
            if call.missed.is_some() {
                call.deadline = Some(turn.at() + self.policy.dial_timeout);
            }
            self.host.acquit(self.inputs);
        }
        self.reconcile(id, turn);
    }

    /// Brings the standing of a call in line with what the kernel shows of its link.
    pub(super) fn observe(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(Tunnel { phase: Phase::Calling(call), .. }) = self.tunnels.get_mut(&id) else {
            return;
        };
        let Some(index) = call.link() else { return };
        let is_up = matches!(call.standing, Standing::Up(..));
        if let Some(name) = self.links.name(index)
            && call.interface.as_deref() != Some(name)
            && let Some(from) = call.interface.replace(name.to_owned())
            && is_up
        {
            let interface = name.to_owned();
            turn.change(Change::Renamed { node: id, interface: interface.clone() });
            turn.tell(Notice::Renamed { node: id, index, from, interface });
        }
        let settled = call.settle.is_some_and(|settle| settle <= turn.at());
        match self.links.sight(index) {
            Sight::Full(addresses) => self.rise(id, index, addresses, turn),
            Sight::Half(addresses) if settled => self.rise(id, index, addresses, turn),
            Sight::Half(_) => {
                call.settle.get_or_insert(turn.at() + SETTLE);
            }
            Sight::Bare if is_up && !settled => {
                call.settle.get_or_insert(turn.at() + SETTLE);
            }
            Sight::Bare | Sight::Down if is_up => {
                self.fall(id, turn);
                self.await_return(id, turn);
            }
            Sight::Bare | Sight::Down => call.settle = None,
            Sight::Gone => {
                if is_up {
                    self.fall(id, turn);
                }
                self.await_exit(id, turn);
            }
        }
    }

    fn rise(&mut self, id: NodeId, index: IfIndex, addresses: Addresses, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Phase::Calling(call) = &mut tunnel.phase else { return };
        call.settle = None;
        let standing = Standing::Up(index, addresses);
        if call.standing == standing {
            return;
        }
        call.tell_fall(id, "the link was down for a moment", turn);
        let was_up = matches!(call.standing, Standing::Up(..));
        if !was_up {
            call.up_since = Some(turn.at());
            call.was_up = true;
        }
        call.standing = standing;
        call.deadline = None;
        let up = UpTunnel {
            node: id,
            call: call.id,
            index,
            interface: call.interface.clone().unwrap_or_default(),
            local: addresses.local,
            remote: addresses.remote,
            adopted: call.is_adopted(),
        };
        turn.change(if was_up { Change::Readdressed(up) } else { Change::Rose(up) });
        turn.tell(Notice::Up {
            node: id,
            index,
            interface: call.interface.clone().unwrap_or_default(),
            local: addresses.local,
            remote: addresses.remote,
            pid: call.pid,
            adopted: call.is_adopted(),
        });
        tunnel.retries.refusals = 0;
        self.dialing.finish(call.id);
        if let Want::Tunnel(node) = &tunnel.want {
            self.dialing.heard_of(node.server, true);
        }
        self.up.insert(id);
        self.part_with_seconds(id, turn);
        // A tunnel that is up for less than one turn counts all the same.
        self.watch_outage(turn.at());
    }

    /// An up tunnel is up no more. The cause may still be on its way.
    pub(super) fn fall(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Some(call) = tunnel.phase.call_mut() else { return };
        let Standing::Up(index, _) = call.standing else { return };
        call.standing = Standing::Link(index);
        call.settle = None;
        turn.change(Change::Fell { node: id });
        call.untold = Some(Fall {
            index,
            interface: call.interface.clone().unwrap_or_default(),
            tell_by: turn.at() + TELL_WITHIN,
        });
        call.tell_fall_if_explained(id, turn);
        let stable_after = self.policy.stable_after;
        if call.up_since.take().is_some_and(|since| turn.at().since(since) >= stable_after) {
            tunnel.retries.reset();
        }
        self.up.remove(&id);
    }

    /// The link is there and down: it may come back, for a while.
    fn await_return(&mut self, id: NodeId, turn: &Turn) {
        if let Some(Phase::Calling(call)) = self.tunnels.get_mut(&id).map(|t| &mut t.phase) {
            call.deadline = Some(turn.at() + self.policy.stop_grace);
        }
    }

    /// The link is gone: pppd is about to exit, and says why if it is let.
    fn await_exit(&mut self, id: NodeId, turn: &Turn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let until = turn.at() + self.policy.stop_grace;
        tunnel.phase.stop(Why::Itself, Stage::Leaving, until);
    }
}

impl Call {
    /// Tells of a fall that nobody was told of yet.
    pub(super) fn tell_fall(&mut self, node: NodeId, reason: &str, turn: &mut Turn) {
        let Some(Fall { index, interface, .. }) = self.untold.take() else { return };
        let reason = reason.to_owned();
        turn.change(Change::Explained { node, reason: reason.clone() });
        turn.tell(Notice::Down { node, index, interface, reason, pid: self.pid });
    }

    /// Tells of a fall at once when pppd has plainly said why.
    pub(super) fn tell_fall_if_explained(&mut self, node: NodeId, turn: &mut Turn) {
        if let Some(failure) = self.said.plain().cloned() {
            self.tell_fall(node, &failure.message, turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::change::Change;
    use crate::core::State;
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
