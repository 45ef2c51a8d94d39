//! The core's state, to be shown: in the core's own types, each moment as the core reckons it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::Core;
use super::call::Run;
use super::event::{Hearing, IfIndex, InvalidRow, Pid};
use super::failure::Failure;
use super::outage::Restart;
use super::policy::OutagePolicy;
use super::reason::Reason;
use super::state::State;
use super::surroundings::Note;
use super::time::{Monotonic, Now, Wall};
use super::tunnel::{Phase, Tunnel, Want};
use crate::node::{Engine, Node, NodeId};

/// The whole state.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outage rule.
    pub outage: OutageReport,
    /// How the kernel is heard.
    pub hearing: Hearing,
    /// When it was heard last.
    pub heard_at: Option<Wall>,
    /// Whether the database was read at least once.
    pub database_was_read: bool,
    /// Why it can't be read just now.
    pub database_problem: Option<String>,
    /// Why no tunnel can be dialled.
    pub host_fault: Option<Failure>,
    /// Every node, by id.
    pub nodes: Vec<NodeReport>,
}

/// The outage rule.
#[derive(Clone, Debug)]
pub struct OutageReport {
    /// Tunnels of nodes that are up.
    pub up: usize,
    /// Empty windows in a row.
    pub count: u32,
    /// How it is judged.
    pub policy: OutagePolicy,
    /// False from the first empty window until a tunnel is up.
    pub is_healthy: bool,
    /// Restarts since the daemon's start.
    pub restarts: u64,
    /// The last one.
    pub last_restart: Option<Restart>,
    /// Why a restart that is due is held back.
    pub held: Option<String>,
    /// When the open window ends.
    pub next_evaluation: Option<Monotonic>,
}

/// What is wanted of a node, as far as it is known.
#[derive(Clone, Debug)]
pub enum Row {
    /// Its row is not known: a tunnel that was found, or whose row is gone.
    Unknown,
    /// It can be dialled.
    Node(Arc<Node>),
    /// It can't.
    Invalid(Arc<InvalidRow>),
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// Its id.
    pub id: NodeId,
    /// Its row.
    pub row: Row,
    /// Its state.
    pub state: State,
    /// When the state began.
    pub since: Now,
    /// What makes its call, or will make the next one.
    pub engine: Engine,
    /// The link's name.
    pub interface: Option<String>,
    /// The link's index.
    pub index: Option<IfIndex>,
    /// Our address.
    pub local: Option<Ipv4Addr>,
    /// The server's address in the tunnel.
    pub remote: Option<Ipv4Addr>,
    /// The process of its call.
    pub pid: Option<Pid>,
    /// Taken over, not dialled.
    pub adopted: bool,
    /// Dials since the tunnel was last stable.
    pub attempts: u32,
    /// When the next dial is due.
    pub next_attempt: Option<Monotonic>,
    /// When it is given up, for its row is away.
    pub leaves_at: Option<Monotonic>,
    /// It could be dialled, and all places are taken.
    pub waits_for_place: bool,
    /// The last failure of a dial.
    pub last_failure: Option<Failure>,
    /// Why it is in its state.
    pub reason: Option<Reason>,
    /// What is odd about it though it is up.
    pub notes: Vec<Note>,
}

impl Core {
    /// The whole state, to be shown.
    pub fn report(&self) -> Report {
        let nodes = self.tunnels.iter().map(|(id, tunnel)| self.report_node(*id, tunnel));
        Report { nodes: nodes.collect(), ..self.report_whole() }
    }

    /// All but the nodes, to be shown.
    pub fn report_whole(&self) -> Report {
        Report {
            outage: self.report_outage(),
            hearing: self.hearing,
            heard_at: self.heard_at,
            database_was_read: self.known.database,
            database_problem: self.known.database_problem.clone(),
            host_fault: self.host.fault().cloned(),
            nodes: Vec::new(),
        }
    }

    /// One node, to be shown.
    pub fn report_one(&self, id: NodeId) -> Option<NodeReport> {
        self.tunnels.get(&id).map(|tunnel| self.report_node(id, tunnel))
    }

    /// A candidate that waits for a place and never had a call, to be shown.
    pub fn report_candidate(&self, id: NodeId, since: Now) -> Option<NodeReport> {
        let node = self.pool.row(id)?;
        let tunnel = Tunnel::new(Want::Tunnel(node.clone()), 0, since);
        Some(self.report_node(id, &tunnel))
    }

    /// The links of all nodes that are up.
    pub fn up_links(&self) -> impl Iterator<Item = (NodeId, IfIndex)> + '_ {
        self.up.iter().filter_map(|id| {
            let (index, _) = self.tunnels.get(id)?.link()?;
            Some((*id, index))
        })
    }

    fn report_outage(&self) -> OutageReport {
        OutageReport {
            up: self.up.len(),
            count: self.outage.count(),
            policy: *self.outage.policy(),
            is_healthy: self.outage.is_healthy(),
            restarts: self.outage.restarts(),
            last_restart: self.outage.last_restart().cloned(),
            held: self.backend.held.clone(),
            next_evaluation: self.outage.next_evaluation(),
        }
    }

    fn report_node(&self, id: NodeId, tunnel: &Tunnel) -> NodeReport {
        let (run, link) = (tunnel.run(), tunnel.link());
        let addresses = tunnel.up().map(|up| up.addresses);
        let (state, since) = tunnel.shown;
        NodeReport {
            id,
            row: match &tunnel.want {
                Want::Tunnel(node) => Row::Node(node.clone()),
                Want::Invalid(row) => Row::Invalid(row.clone()),
                Want::Unknown | Want::Nothing => Row::Unknown,
            },
            state,
            since,
            engine: run.map_or_else(|| self.policy.engine_of(tunnel.want.node()), |run| run.engine),
            interface: link.map(|(_, name)| name.to_owned()),
            index: link.map(|(index, _)| index),
            local: addresses.map(|addresses| addresses.local),
            remote: addresses.and_then(|addresses| addresses.remote),
            pid: run.and_then(|run| run.pid),
            adopted: run.is_some_and(Run::is_adopted),
            attempts: tunnel.retries.attempts,
            next_attempt: next_attempt(&tunnel.phase).filter(|_| !tunnel.is_away()),
            leaves_at: tunnel.leaves_at(),
            waits_for_place: self.pool.lets_wait(id),
            last_failure: tunnel.retries.last.clone(),
            reason: self.reason(id, tunnel),
            notes: addresses.map(|addresses| self.notes(addresses)).unwrap_or_default(),
        }
    }
}

fn next_attempt(phase: &Phase) -> Option<Monotonic> {
    match phase {
        Phase::Resting(rest) => rest.until(),
        Phase::Calling(_) | Phase::Stopping(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::State;
    use crate::core::event::Event;
    use crate::core::stage::{LINK, NODE, Stage, candidate};

    #[test]
    fn the_next_attempt_is_when_the_wait_ends_and_none_while_the_row_is_away() {
        let mut stage = Stage::in_state(State::Backoff);
        let next = |stage: &Stage| stage.core.report_one(NODE).unwrap().next_attempt;
        let deadline = stage.core.tunnels[&NODE].phase.deadline();
        assert!(deadline.is_some());
        assert_eq!(next(&stage), deadline);
        stage.desire(None);
        assert_eq!(next(&stage), None);
    }

    #[test]
    fn what_is_up_is_shown_with_its_link_and_what_is_not_is_not() {
        let links = |stage: &Stage| stage.core.up_links().collect::<Vec<_>>();
        assert_eq!(links(&Stage::in_state(State::Up)), [(NODE, LINK)]);
        assert_eq!(links(&Stage::in_state(State::Negotiating)), []);
    }

    #[test]
    fn a_candidate_that_never_had_a_call_is_shown_as_one_that_waits() {
        let mut stage = Stage::with_no_calls_known();
        stage.feed(Event::Found(vec![]));
        stage.prefer_rival(Some(candidate("secret")));
        let since = Now { at: Monotonic(5), wall: Wall(6), dice: 0 };
        let shown = stage.core.report_candidate(NODE, since).unwrap();
        assert_eq!(
            (shown.state, shown.since, shown.waits_for_place),
            (State::Waiting, since, true)
        );
        assert!(stage.core.report_candidate(NodeId(77), since).is_none());
    }

    #[test]
    fn a_state_is_told_by_its_node_and_tunnels_that_are_up_are_counted() {
        for (state, up) in [(State::Up, 1), (State::Negotiating, 0)] {
            let core = Stage::in_state(state).core;
            assert_eq!((core.state(NODE), core.up_count()), (Some(state), up));
            assert_eq!(core.state(NodeId(77)), None);
        }
    }

    #[test]
    fn a_report_has_every_node_and_that_of_the_whole_has_none() {
        let core = Stage::in_state(State::Up).core;
        let ids: Vec<_> = core.report().nodes.iter().map(|node| node.id).collect();
        assert_eq!(ids, [NODE]);
        assert!(core.report_whole().nodes.is_empty());
    }
}
