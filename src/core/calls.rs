//! The life of a call: found or dialled, heard, hung up, ended.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::call::{Call, Run};
use super::change::Way;
use super::effect::Order;
use super::event::{CallId, FoundCall, Pid};
use super::failure::{Failure, FailureKind};
use super::notice::Notice;
use super::state::Rest;
use super::stopping::{Step, Why};
use super::tunnel::{Phase, Tunnel, Want};
use super::{Core, Turn};
use crate::node::{NodeId, ServerAddr};

/// The end of a call and the end of its link are told by different ways. The second is waited for this
/// long, also where it is lost and all links are listed anew.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

impl Core {
    /// Calls of our nodes that run are taken over.
    pub(super) fn found(&mut self, found: Vec<FoundCall>, turn: &mut Turn) {
        let were_away = self.kept_while_away();
        self.adopting = true;
        for call in found {
            self.adopt(call, turn);
        }
        self.adopting = false;
        self.tell_away_and_back(&were_away, turn);
        if !std::mem::replace(&mut self.known.running, true) {
            self.keep_only_what_is_known(turn);
        }
        self.trim_pool(turn);
    }

    pub(super) fn adopt(&mut self, found: FoundCall, turn: &mut Turn) {
        let FoundCall { call: call_id, node: id, .. } = found;
        if let Some((node, rank)) = self.pool.take_row(id) {
            self.want(id, Want::Tunnel(node), rank, turn);
        }
        let unknown = || Box::new(Tunnel::new(Want::Unknown, 0, turn.now));
        let tunnel = self.tunnels.entry(id).or_insert_with(unknown);
        if tunnel.run().is_some_and(|run| run.id != call_id) {
            return self.found_second_call(found, turn);
        }
        let FoundCall { engine, pid, interface, renamed, dialled, age, .. } = found;
        // pppd has a link as soon as it has pptp. One that is older than a dial may last has lost the files that tell it.
        let has_link = interface.is_some() || renamed || age >= self.policy.dial_timeout;
        if tunnel.run().is_none() {
            // Until it is up it is a dial like any other, whoever has begun it.
            let server = dialled.as_ref().and_then(|dialled| ServerAddr::new(dialled.server).ok());
            if let Some(server) = server {
                self.dialing.start(call_id, id, server);
            }
            let run = Run::new(call_id, engine, pid, self.inputs);
            let give_up = turn.at() + self.policy.dial_timeout;
            tunnel.phase = Phase::Calling(Box::new(Call::found(run, dialled, give_up)));
            self.calls.insert(call_id, id);
        }
        // pppd may have gone on in a child.
        if let Some(run) = tunnel.run_mut() {
            run.pid = pid;
        }
        if let Some(call) = tunnel.calling(call_id)
            && has_link
        {
            call.had_link();
        }
        if let Some(name) = interface {
            self.link_named(call_id, &name, turn);
        }
        self.miss_row(id, turn);
        self.reconcile(id, turn);
    }

    /// A call was found of a node that has no row.
    fn miss_row(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        if self.known.database && tunnel.want == Want::Unknown && !tunnel.is_away() {
            self.leave(id, Want::Nothing, turn);
        }
    }

    /// The tunnel whose present call this is, and its node.
    fn tunnel_of(&mut self, call: CallId) -> Option<(NodeId, &mut Tunnel)> {
        let id = *self.calls.get(&call)?;
        let tunnel = self.tunnels.get_mut(&id)?;
        (tunnel.run().map(|run| run.id) == Some(call)).then_some((id, &mut **tunnel))
    }

    /// The time of a dial begins: what had to be done first doesn't count.
    pub(super) fn started(
        &mut self,
        call_id: CallId,
        pid: Option<Pid>,
        suspect: Option<String>,
        turn: &Turn,
    ) {
        let give_up = turn.at() + self.policy.dial_timeout;
        let Some((id, tunnel)) = self.tunnel_of(call_id) else { return };
        if let Some(call) = tunnel.calling(call_id) {
            call.started(give_up);
        }
        if let Some(run) = tunnel.run_mut() {
            run.pid = pid;
            run.said.suspects(suspect);
        }
        self.note(id, turn);
    }

    /// A call tells its link's name.
    pub(super) fn link_named(&mut self, call_id: CallId, name: &str, turn: &mut Turn) {
        let Some((id, tunnel)) = self.tunnel_of(call_id) else { return };
        let sought = tunnel.sought();
        if let Some(index) = sought.and_then(|seen| self.links.claim(call_id, name, seen)) {
            self.bind(call_id, index, turn);
        }
        self.note(id, turn);
    }

    /// A call tells why it is about to end.
    pub(super) fn failing(&mut self, call: CallId, cause: Failure, vague: bool, turn: &mut Turn) {
        let Some((id, tunnel)) = self.tunnel_of(call) else { return };
        // Our own signal explains nothing.
        if cause.kind == FailureKind::Killed
            && matches!(&tunnel.phase, Phase::Stopping(stopping) if stopping.is_ended_by_us())
        {
            return;
        }
        let Some(run) = tunnel.run_mut() else { return };
        run.said.hear(cause, vague);
        tunnel.tell_fall_if_explained(id, turn);
        self.note(id, turn);
    }

    /// Hangs up a call, which is ended after the grace.
    pub(super) fn hang_up(&mut self, id: NodeId, why: Why, turn: &mut Turn) {
        self.fall(id, turn);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Phase::Calling(call) = &tunnel.phase else { return };
        let call = call.run.id;
        match &why {
            Why::Unwanted(reason) => {
                if !tunnel.tell_fall(id, &reason.to_string(), turn) {
                    turn.tell(Notice::HangingUp { node: id, why: *reason });
                }
            }
            Why::GivenUp(failure) => drop(tunnel.tell_fall(id, &failure.message, turn)),
            Why::Itself => {}
        }
        turn.order(Order::HangUp { call });
        tunnel.phase.stop(why, Step::HungUp, turn.at() + self.policy.stop_grace);
    }

    /// A call is over.
    pub(super) fn ended(&mut self, call_id: CallId, failure: Failure, turn: &mut Turn) {
        if self.second_calls.ended(call_id) {
            if self.links.of(call_id).is_none() {
                self.leave_link(0..=u64::MAX, turn);
            }
            self.give_link_on(call_id, turn);
            return;
        }
        let Some(id) = self.calls.remove(&call_id) else { return };
        self.fall(id, turn);
        if let Some(sought) = self.tunnels.get(&id).and_then(|tunnel| tunnel.sought()) {
            self.leave_link(sought, turn);
        }
        self.give_link_on(call_id, turn);
        self.dialing.finish(call_id);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let began = tunnel.run().map_or(0, |run| run.began);
        let failure = match tunnel.run() {
            Some(run) => run.said.with_suspect(failure),
            None => failure,
        };
        let ((failure, reason), rests_then) = match &mut tunnel.phase {
            Phase::Resting(_) => return,
            Phase::Calling(_) => ((Some(failure.clone()), failure.message), None),
            Phase::Stopping(stopping) => (stopping.ended(failure), stopping.take_rest()),
        };
        tunnel.tell_fall(id, &reason, turn);
        if tunnel.link().is_some() {
            turn.way(Way::Unlinked { node: id, call: call_id });
        }
        tunnel.phase = Phase::Resting(Rest::Waiting);
        match failure {
            Some(failure) => self.failed(id, failure, began, turn),
            None => self.rest_on(id, rests_then.unwrap_or(Rest::Waiting), turn),
        }
        self.adopt_second_call(id, turn);
        self.reconcile(id, turn);
    }

    /// A call without a known link has ended, and one of those that these inputs have shown may be its own,
    /// which the kernel is still to remove: it is not taken for one of others meanwhile.
    fn leave_link(&mut self, sought: RangeInclusive<u64>, turn: &Turn) {
        self.left_links.push((sought, turn.at() + REMOVED_WITHIN));
    }

    /// A call has ended: its link goes to another that claims it, if any.
    fn give_link_on(&mut self, call: CallId, turn: &mut Turn) {
        if let Some((heir, index)) = self.links.release(call) {
            self.bind(heir, index, turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::core::State;
    use crate::core::event::{Ask, Event};
    use crate::core::policy::Policy;
    use crate::core::stage::{NODE, Stage};

    /// An up tunnel whose link goes, and whose pppd ends by the daemon's signal only.
    fn ended_by_signal(words: &[(FailureKind, bool)]) -> String {
        let mut stage = Stage::in_state(State::Up);
        stage.no_link();
        for (kind, after_the_signal) in words {
            if *after_the_signal {
                stage.wait(Duration::from_secs(5));
            }
            stage.say(Failure::new(*kind, "said"), *kind == FailureKind::Hangup);
        }
        stage.exit(FailureKind::Hangup);
        stage.last_error()
    }

    #[test]
    fn the_ways_of_a_call_that_had_a_link_hear_that_it_is_over() {
        let mut stage = Stage::in_state(State::Up);
        let call = stage.call;
        stage.ways.clear();
        stage.exit(FailureKind::Hangup);
        assert_eq!(stage.ways, [Way::Unlinked { node: NODE, call }]);
        let mut without = Stage::in_state(State::Dialing);
        without.ways.clear();
        without.exit(FailureKind::Unreachable);
        assert_eq!(without.ways, []);
    }

    #[test]
    fn the_daemon_s_own_signal_is_no_cause() {
        assert_eq!(ended_by_signal(&[(FailureKind::Killed, true)]), "link_lost");
    }

    #[test]
    fn a_vague_word_before_the_daemon_s_signal_outweighs_the_signal() {
        let words = [(FailureKind::Hangup, false), (FailureKind::Killed, true)];
        assert_eq!(ended_by_signal(&words), "hangup");
    }

    #[test]
    fn a_daemon_that_stops_before_its_first_look_ends_what_it_then_finds() {
        let mut stage = Stage::in_state(State::Dialing);
        let policy = Policy { keep_on_exit: false, ..Policy::from(&Config::default()) };
        stage.core = Core::new(policy);
        stage.feed(Event::Stop);
        assert!(!stage.core.is_drained());
        stage.find(5);
        assert_eq!(stage.state(), "stopping");
        assert!(!stage.core.is_drained());
    }

    #[test]
    fn a_call_that_was_found_dialling_keeps_its_server_to_itself() {
        let mut stage = Stage::adopting();
        stage.desire_rival();
        assert_eq!(stage.state_of_rival(), "waiting");
    }

    #[test]
    fn what_a_call_says_after_it_was_hung_up_for_its_link_is_its_failure() {
        assert_eq!(ended_by_signal(&[(FailureKind::Mppe, true)]), "mppe");
    }

    #[test]
    fn a_tunnel_that_is_hung_up_is_told_to_be_down_and_a_dial_to_be_hung_up() {
        for (state, told, other) in
            [(State::Up, "is DOWN", "hanging up"), (State::Negotiating, "hanging up", "is DOWN")]
        {
            let mut stage = Stage::in_state(state);
            stage.ask(Ask::Stop);
            assert!(stage.was_told(told) && !stage.was_told(other), "{:?}", stage.told);
        }
    }
}
