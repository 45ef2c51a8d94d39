//! A second call of a node that has one already. At most one is kept: the one that is up, or else one that may
//! be up out of sight, or else the one that the daemon did not start, for it may be up on the server already.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::Order;
use super::event::{CallId, FoundCall};
use super::links::Sight;
use super::notice::{HangUp, Notice};
use super::stopping::Why;
use super::time::Monotonic;
use super::{Core, Turn};
use crate::node::NodeId;

/// Calls beside the one that their node goes by. There are hardly ever any.
#[derive(Clone, Debug, Default)]
pub(super) struct SecondCalls(BTreeMap<CallId, Second>);

#[derive(Clone, Debug)]
struct Second {
    found: FoundCall,
    /// It was hung up, and is to be ended then.
    end_at: Option<Monotonic>,
    /// That it went on was told.
    told: bool,
}

impl SecondCalls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.0.values().filter_map(|second| second.end_at).min()
    }

    /// The call has ended. Whether it was one of these.
    pub(super) fn ended(&mut self, call: CallId) -> bool {
        self.0.remove(&call).is_some()
    }

    fn of(&self, node: NodeId) -> Vec<CallId> {
        self.0.iter().filter(|(_, s)| s.found.node == node).map(|(call, _)| *call).collect()
    }
}

impl Core {
    /// A call was found beside the node's own.
    pub(super) fn found_second_call(&mut self, found: FoundCall, turn: &mut Turn) {
        let (call, id) = (found.call, found.node);
        if let Some(name) = &found.interface {
            // So that its link is not one of others, also while the kernel removes it. It has it already.
            let latest = if self.known.links { self.inputs } else { u64::MAX };
            self.links.claim(call, name, 0..=latest);
        }
        let old = self.second_calls.0.remove(&call);
        let (end_at, told) = old.map_or((None, false), |old| (old.end_at, old.told));
        self.second_calls.0.insert(call, Second { found, end_at, told });
        self.choose(id, turn);
    }

    /// The links are known now, so that of several calls of a node the live one can be told.
    pub(super) fn choose_all(&mut self, turn: &mut Turn) {
        for call in self.second_calls.0.keys() {
            self.links.claim_no_later(*call, self.inputs);
        }
        let ids: BTreeSet<NodeId> = self.second_calls.0.values().map(|s| s.found.node).collect();
        for id in ids {
            self.choose(id, turn);
        }
    }

    /// Which of a node's calls goes.
    fn choose(&mut self, id: NodeId, turn: &mut Turn) {
        let is_hidden = self.known.links && self.is_out_of_sight(id) && !self.has_second_up(id);
        if self.up.contains(&id) || is_hidden || self.ends_all() {
            self.hang_up_second_calls(id, turn);
        } else if self.known.links {
            self.hang_up(id, Why::Unwanted(HangUp::SecondCall), turn);
            self.note(id, turn);
        }
    }

    /// Whether one of them is up and was not hung up.
    fn has_second_up(&self, id: NodeId) -> bool {
        let seconds = self.second_calls.0.iter();
        let goes_on =
            seconds.filter(|(_, second)| second.found.node == id && second.end_at.is_none());
        let mut links = goes_on.filter_map(|(call, _)| self.links.of(*call));
        links.any(|index| match self.links.sight(index) {
            Sight::Full(_) | Sight::Half(_) => true,
            Sight::Bare | Sight::Down | Sight::Gone => false,
        })
    }

    /// Hangs up every second call of a node; it is ended after the grace.
    pub(super) fn hang_up_second_calls(&mut self, id: NodeId, turn: &mut Turn) {
        let kept = self.tunnels.get(&id).and_then(|tunnel| tunnel.run()).and_then(|run| run.pid);
        let end_at = turn.at() + self.policy.stop_grace;
        for call in self.second_calls.of(id) {
            let Some(second) = self.second_calls.0.get_mut(&call) else { continue };
            if second.end_at.is_none() {
                second.end_at = Some(end_at);
                turn.tell(Notice::SecondCall { node: id, pid: second.found.pid, kept });
                turn.order(Order::HangUp { call });
            }
        }
    }

    /// The node's call has ended: a second one takes its place, or is waited for when it was
    /// hung up.
    pub(super) fn adopt_second_call(&mut self, id: NodeId, turn: &mut Turn) {
        let Some(call) = self.second_calls.of(id).first().copied() else { return };
        let Some(second) = self.second_calls.0.remove(&call) else { return };
        self.adopt(second.found, turn);
        // Also where its files tell of it no more.
        if let Some(index) = self.links.of(call) {
            self.bind(call, index, turn);
        }
        if second.end_at.is_some() {
            self.hang_up(id, Why::Unwanted(HangUp::SecondCall), turn);
            self.note(id, turn);
        }
    }

    pub(super) fn end_second_calls(&mut self, turn: &mut Turn) {
        let (at, grace) = (turn.at(), self.policy.stop_grace);
        for (call, Second { found, end_at, told }) in &mut self.second_calls.0 {
            if end_at.is_some_and(|end_at| end_at <= at) {
                *end_at = Some(at + grace);
                if !std::mem::replace(told, true) {
                    turn.tell(Notice::Killing { node: found.node, pid: found.pid });
                }
                turn.order(Order::End { call: *call });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::Config;
    use crate::core::event::{CallId, Event, IfIndex};
    use crate::core::failure::FailureKind;
    use crate::core::policy::Policy;
    use crate::core::stage::{LINK, Stage};
    use crate::core::{Core, State};

    /// Two pppds of a node were found, and no link is known yet.
    fn before_the_links() -> Stage {
        let mut stage = Stage::adopting();
        stage.core = Core::new(Policy::from(&Config::default()));
        stage.name_link();
        stage.find(1);
        stage
    }

    #[test]
    fn of_two_pppds_that_were_found_before_the_links_the_live_one_is_kept() {
        let mut stage = before_the_links();
        assert_eq!(stage.state(), "dialing");
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
        assert!(stage.was_told("a second pppd"), "{:?}", stage.told);
    }

    #[test]
    fn of_two_pppds_that_were_found_before_the_links_one_goes_where_neither_is_up() {
        let mut stage = before_the_links();
        stage.link(false, false);
        assert_eq!(stage.state(), "stopping");
    }

    /// The node's tunnel was taken over after its link ppp0 was renamed, so that it can't be seen.
    fn out_of_sight() -> Stage {
        let mut stage = Stage::adopting();
        stage.name_link();
        stage.show(LINK, Some("wan0"));
        stage.wait(Duration::from_secs(60));
        assert!(stage.was_told("left as it is"), "{:?}", stage.told);
        stage
    }

    #[test]
    fn a_tunnel_that_is_out_of_sight_is_kept_and_a_second_pppd_is_not() {
        let mut stage = out_of_sight();
        stage.find(5);
        assert_eq!(stage.hung_up, [CallId::Found(5)]);
    }

    #[test]
    fn of_a_tunnel_out_of_sight_and_one_that_is_up_the_latter_is_kept() {
        let mut stage = out_of_sight();
        stage.show_up(IfIndex(LINK.0 + 1), "ppp1");
        stage.find_with_link(CallId::Found(5), Some("ppp1".to_owned()));
        assert_eq!(stage.hung_up, [stage.call]);
    }

    #[test]
    fn a_second_pppd_that_even_sigkill_does_not_end_is_told_once() {
        let mut stage = Stage::in_state(State::Up);
        stage.find(5);
        for _ in 0..3 {
            stage.wait(Duration::from_secs(5));
        }
        let told = stage.told.iter().filter(|told| told.contains("ignored SIGTERM")).count();
        assert_eq!(told, 1, "{:?}", stage.told);
    }

    #[test]
    fn a_second_pppd_is_ended_in_time_and_waited_for_by_a_daemon_that_ends_all() {
        let mut stage = Stage::in_state(State::Up);
        stage.find(5);
        let grace = Policy::from(&Config::default()).stop_grace;
        assert_eq!(stage.core.second_calls.deadline(), Some(stage.now() + grace));
        assert!(!stage.core.second_calls.is_empty());
        stage.configure(|policy| policy.keep_on_exit = false);
        stage.feed(Event::Stop);
        stage.exit(FailureKind::Hangup);
        assert!(!stage.core.is_drained());
    }
}
