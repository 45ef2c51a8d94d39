//! The rules that the core goes by, and what becomes of what was begun by others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Curve;
use super::call::Call;
use super::time::Monotonic;
use super::tunnel::Phase;
use super::{Core, Turn};
use crate::node::{Engine, Mppe, Node, NodeId};

/// The rules that the core goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Dials under way at once on this host.
    pub dial_concurrency: u32,
    /// Of those, to one server that has answered.
    pub dial_concurrency_per_server: u32,
    /// From the start of a dial to addresses on the link.
    pub dial_timeout: Duration,
    /// From a hang-up to its end by force.
    pub stop_grace: Duration,
    /// Waits between failed dials.
    pub backoff: Curve,
    /// Up for this long, a tunnel's failures are forgotten.
    pub stable_after: Duration,
    /// Authentication refusals in a row that end the tries.
    pub quarantine_after: u32,
    /// A login that has worked is quarantined only when it was refused for so long.
    pub quarantine_grace: Duration,
    /// How often a quarantined node is dialled all the same; zero is never.
    pub quarantine_rest: Duration,
    /// So long a node goes on as it is though its row is away.
    pub absence_grace: Duration,
    /// Leave tunnels up when the daemon stops.
    pub keep_on_exit: bool,
    /// When an outage is declared.
    pub outage: OutagePolicy,
    /// Encryption of rows that say nothing.
    pub mppe: Mppe,
    /// What dials rows that say nothing.
    #[serde(default)]
    pub engine: Engine,
}

impl Policy {
    /// What a node is dialled by, where its row is known.
    pub(super) fn engine_of(&self, node: Option<&Node>) -> Engine {
        node.and_then(|node| node.engine).unwrap_or(self.engine)
    }

    /// When a node that is quarantined at this moment is dialled all the same.
    pub(super) fn rest_until(&self, at: Monotonic) -> Option<Monotonic> {
        (!self.quarantine_rest.is_zero()).then(|| at + self.quarantine_rest)
    }
}

/// When an outage is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutagePolicy {
    /// How long a window is.
    pub interval: Duration,
    /// Empty windows in a row that make an outage.
    pub windows: u32,
    /// From the daemon's start to the first window.
    pub startup_delay: Duration,
    /// Whether an empty desired set counts.
    pub restart_with_no_nodes: bool,
    /// The longest that a restart can take, from the command to the open port.
    pub restart_limit: Duration,
}

impl Core {
    /// The configuration was read again.
    pub(super) fn set_policy(&mut self, policy: Policy, turn: &Turn) {
        // New options reach a running tunnel at its next dial. Adopted ones are no exception, so it does not
        // matter any more which ones they were dialled with.
        if policy.mppe != self.policy.mppe {
            for call in self.calls_of_rows(|node| node.mppe.is_none()) {
                call.forget_encryption();
            }
        }
        if policy.engine != self.policy.engine {
            for call in self.calls_of_rows(|node| node.engine.is_none()) {
                call.forget_engine();
            }
        }
        self.outage.set_policy(policy.outage);
        self.dialing.set_per_server(policy.dial_concurrency_per_server);
        let rest_differs = policy.quarantine_rest != self.policy.quarantine_rest;
        self.policy = policy;
        if rest_differs {
            self.rest_anew(turn);
        }
    }

    /// Quarantined nodes rest by the new policy, from now on.
    fn rest_anew(&mut self, turn: &Turn) {
        let rest_until = self.policy.rest_until(turn.at());
        let ids: Vec<NodeId> = self.tunnels.keys().copied().collect();
        for id in ids {
            if let Some(Phase::Resting(rest)) =
                self.tunnels.get_mut(&id).map(|tunnel| &mut tunnel.phase)
            {
                *rest = rest.rest_until(rest_until);
                self.note(id, turn);
            }
        }
        self.refused.rest_until(rest_until);
    }

    /// Calls of rows that say nothing of an option, or that are not known yet.
    fn calls_of_rows(
        &mut self,
        says_nothing: fn(&Node) -> bool,
    ) -> impl Iterator<Item = &mut Call> {
        self.tunnels.values_mut().filter_map(move |tunnel| match &mut tunnel.phase {
            Phase::Calling(call) if tunnel.want.node().is_none_or(says_nothing) => {
                Some(&mut **call)
            }
            Phase::Calling(_) | Phase::Resting(_) | Phase::Stopping(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::State;
    use crate::core::event::{Ask, CallId, Candidate, Event, FoundCall};
    use crate::core::failure::FailureKind;
    use crate::core::stage::{NODE, Stage, candidate, node};

    fn by(engine: Option<Engine>) -> Option<Candidate> {
        Some(Candidate::Node(Node { engine, ..node("secret") }.into()))
    }

    /// A daemon that goes by this engine, has found its host and dials nothing yet.
    fn with_engine(engine: Engine) -> Stage {
        let mut stage = Stage::with_no_calls_known();
        stage.configure(|policy| policy.engine = engine);
        stage
    }

    #[test]
    fn a_row_that_names_an_engine_is_dialled_by_it_and_others_by_the_configuration_s() {
        for (row, dialled) in [(None, Engine::Kernel), (Some(Engine::Pppd), Engine::Pppd)] {
            let mut stage = with_engine(Engine::Kernel);
            stage.feed(Event::Found(vec![]));
            stage.desire(by(row));
            assert_eq!(stage.dialled_by, Some(dialled));
        }
    }

    #[test]
    fn a_row_that_names_another_engine_is_dialled_again() {
        let mut stage = Stage::in_state(State::Up);
        stage.desire(by(Some(Engine::Kernel)));
        assert_eq!(stage.state(), "stopping");
        stage.exit(FailureKind::Killed);
        assert_eq!(stage.dialled_by, Some(Engine::Kernel));
    }

    #[test]
    fn a_pppd_that_is_found_for_a_node_of_another_engine_is_ended() {
        let mut stage = with_engine(Engine::Kernel);
        stage.find(0);
        assert_eq!(stage.state(), "dialing");
        stage.desire(by(None));
        assert_eq!(stage.hung_up, [CallId::Found(0)]);
    }

    #[test]
    fn another_engine_for_all_reaches_a_tunnel_at_its_next_dial() {
        let mut stage = Stage::adopting();
        stage.configure(|policy| policy.engine = Engine::Kernel);
        stage.link(true, true);
        assert_eq!(stage.state(), "up");
        assert_eq!(stage.core.report_one(NODE).unwrap().engine, Engine::Pppd);
        stage.end(CallId::Found(0), FailureKind::Hangup);
        stage.wait_for_deadline();
        assert_eq!(stage.dialled_by, Some(Engine::Kernel));
    }

    #[test]
    fn a_daemon_that_keeps_its_tunnels_leaves_them_whatever_makes_them() {
        let mut stage = with_engine(Engine::Kernel);
        stage.feed(Event::Found(vec![]));
        stage.desire(by(None));
        stage.feed(Event::Stop);
        assert!(stage.core.is_drained() && stage.hung_up.is_empty());
    }

    #[test]
    fn a_tunnel_of_the_kernel_s_that_is_found_for_a_node_of_pppd_s_is_ended_and_dialled_again() {
        let mut stage = with_engine(Engine::Pppd);
        let call = CallId::Found(0);
        let (engine, interface) = (Engine::Kernel, Some("ppp0".to_owned()));
        let (pid, renamed, dialled, age) = (None, false, None, Duration::ZERO);
        let found = FoundCall { call, node: NODE, engine, pid, interface, renamed, dialled, age };
        stage.feed(Event::Found(vec![found]));
        stage.desire(by(None));
        assert_eq!(stage.hung_up, [call]);
        stage.end(call, FailureKind::Killed);
        assert_eq!(stage.dialled_by, Some(Engine::Pppd));
    }

    #[test]
    fn a_core_without_a_call_ends_at_once() {
        let mut stage = with_engine(Engine::Kernel);
        stage.feed(Event::Stop);
        assert!(Core::is_drained(&stage.core));
    }

    #[test]
    fn encryption_that_is_configured_anew_reaches_an_adopted_tunnel_at_its_next_dial() {
        let mut stage = Stage::adopting();
        stage.configure(|policy| policy.mppe = Mppe::Off);
        stage.desire(Some(candidate("secret")));
        stage.ask(Ask::Start);
        assert_ne!(stage.state(), "stopping");
    }

    #[test]
    fn encryption_that_is_configured_anew_before_the_rows_are_known_cuts_no_tunnel() {
        let mut stage = Stage::adopting_before_the_rows(Some("secret"));
        stage.name_link();
        stage.link(true, true);
        stage.configure(|policy| policy.mppe = Mppe::Off);
        stage.desire(Some(candidate("secret")));
        assert_eq!(stage.state(), "up");
    }

    #[test]
    fn a_rest_that_is_configured_anew_holds_for_who_is_quarantined_already() {
        let mut stage = Stage::in_state(State::Quarantined);
        stage.configure(|policy| policy.quarantine_rest = Duration::from_secs(60));
        stage.wait(Duration::from_secs(60));
        assert_eq!(stage.state(), "dialing");
    }
}
