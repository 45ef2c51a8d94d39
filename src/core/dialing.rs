//! Who may dial next.
//!
//! The host as a whole has a cap, and so has each server. A server that was not heard yet is dialled
//! by one at a time, so that a server that is not there, or is strict, is not met by a crowd. One
//! that gave no answer to its last call is doubted, and is dialled by one at a time, too: calls to
//! such servers keep a dial's whole time-out busy, so together they get half of the slots at most, in
//! turn, and the other half is left for servers that answer.

use std::collections::{BTreeMap, BTreeSet};

use super::call::{Call, Run};
use super::effect::Order;
use super::event::CallId;
use super::tunnel::Phase;
use super::{Core, Turn};
use crate::node::{NodeId, ServerAddr};

/// Nodes that wait for a slot, and dials that hold one.
#[derive(Clone, Debug)]
pub(super) struct Dialing {
    /// Dials under way at once to a server that answers.
    per_server: u32,
    place: BTreeMap<NodeId, (u32, ServerAddr)>,
    /// All that wait, by server and rank.
    waiting: BTreeSet<(ServerAddr, u32, NodeId)>,
    /// Servers of which something is known.
    servers: BTreeMap<ServerAddr, Server>,
    /// Servers with somebody waiting that may be dialled, by the rank of the first who waits.
    ready: BTreeSet<(u32, NodeId, ServerAddr)>,
    /// The same for doubted servers, by the turn that they are due.
    doubted: BTreeSet<(u64, ServerAddr)>,
    under_way: BTreeMap<CallId, ServerAddr>,
    turns: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Server {
    /// Dials under way.
    under_way: u32,
    /// It has answered a call.
    heard: bool,
    /// Since which turn it is doubted.
    doubted: Option<u64>,
}

impl Server {
    fn is_full(&self, per_server: u32) -> bool {
        let is_trusted = self.heard && self.doubted.is_none();
        self.under_way >= if is_trusted { per_server } else { 1 }
    }
}

impl Dialing {
    pub(super) fn new(per_server: u32) -> Self {
        Dialing {
            per_server,
            place: BTreeMap::new(),
            waiting: BTreeSet::new(),
            servers: BTreeMap::new(),
            ready: BTreeSet::new(),
            doubted: BTreeSet::new(),
            under_way: BTreeMap::new(),
            turns: 0,
        }
    }

    /// So many dials to one server from now on.
    pub(super) fn set_per_server(&mut self, per_server: u32) {
        let waiting = self.waiting.iter().map(|(server, ..)| *server);
        let servers: BTreeSet<ServerAddr> = waiting.collect();
        servers.iter().for_each(|server| self.take_off(*server));
        self.per_server = per_server;
        servers.iter().for_each(|server| self.line_up(*server));
    }

    /// Queues a node by its rank, or moves it there.
    pub(super) fn wait(&mut self, id: NodeId, rank: u32, server: ServerAddr) {
        if self.place.get(&id) == Some(&(rank, server)) {
            return;
        }
        self.leave(id);
        self.place.insert(id, (rank, server));
        self.take_off(server);
        self.waiting.insert((server, rank, id));
        self.line_up(server);
    }

    /// Takes a node out of the queue.
    pub(super) fn leave(&mut self, id: NodeId) {
        if let Some((rank, server)) = self.place.remove(&id) {
            self.take_off(server);
            self.waiting.remove(&(server, rank, id));
            self.line_up(server);
        }
    }

    /// The node that may dial now with `cap` slots on the host, if any.
    pub(super) fn next(&self, cap: u32) -> Option<(NodeId, ServerAddr)> {
        let cap = usize::try_from(cap).unwrap_or(usize::MAX);
        if self.under_way.len() >= cap {
            return None;
        }
        if let Some(&(_, id, server)) = self.ready.first() {
            return Some((id, server));
        }
        if self.doubted_under_way() >= (cap / 2).max(1) {
            return None;
        }
        let (_, server) = self.doubted.first()?;
        let (_, id) = self.first_waiting(*server)?;
        Some((id, *server))
    }

    fn first_waiting(&self, server: ServerAddr) -> Option<(u32, NodeId)> {
        let all = (server, 0, NodeId(0))..=(server, u32::MAX, NodeId(u32::MAX));
        self.waiting.range(all).next().map(|(_, rank, id)| (*rank, *id))
    }

    fn about(&self, server: ServerAddr) -> Server {
        self.servers.get(&server).copied().unwrap_or_default()
    }

    fn doubted_under_way(&self) -> usize {
        let is_doubted = |server: &&ServerAddr| self.about(**server).doubted.is_some();
        self.under_way.values().filter(is_doubted).count()
    }

    /// A dial takes its slot.
    pub(super) fn start(&mut self, call: CallId, id: NodeId, server: ServerAddr) {
        self.leave(id);
        self.under_way.insert(call, server);
        self.turns += 1;
        let turn = self.turns;
        self.change(server, |s| {
            s.under_way += 1;
            s.doubted = s.doubted.map(|_| turn);
        });
    }

    /// A dial that came up or ended gives its slot back; others are ignored.
    pub(super) fn finish(&mut self, call: CallId) {
        if let Some(server) = self.under_way.remove(&call) {
            self.change(server, |s| s.under_way = s.under_way.saturating_sub(1));
        }
    }

    /// A call has shown that a server answers, or that it does not.
    pub(super) fn heard_of(&mut self, server: ServerAddr, answered: bool) {
        self.turns += 1;
        let turn = self.turns;
        self.change(server, |s| {
            s.doubted = if answered { None } else { s.doubted.or(Some(turn)) };
            s.heard |= answered;
        });
    }

    /// Forgets what is known of servers that no node has any more.
    pub(super) fn keep_servers(&mut self, is_wanted: impl Fn(ServerAddr) -> bool) {
        let gone = self.servers.keys().copied().filter(|address| !is_wanted(*address));
        let gone: Vec<ServerAddr> = gone.collect();
        for server in gone {
            self.change(server, |s| (s.heard, s.doubted) = (false, None));
        }
    }

    /// Changes what is known of a server, and keeps the queues in line with it.
    fn change(&mut self, address: ServerAddr, change: impl FnOnce(&mut Server)) {
        self.take_off(address);
        let mut server = self.about(address);
        change(&mut server);
        if server == Server::default() {
            self.servers.remove(&address);
        } else {
            self.servers.insert(address, server);
        }
        self.line_up(address);
    }

    /// Takes a server off the queues of those that may be dialled, before it or who waits for it
    /// changes.
    fn take_off(&mut self, address: ServerAddr) {
        if let Some((rank, id)) = self.first_waiting(address) {
            self.ready.remove(&(rank, id, address));
        }
        if let Some(turn) = self.about(address).doubted {
            self.doubted.remove(&(turn, address));
        }
    }

    /// Queues it again, as it stands now.
    fn line_up(&mut self, address: ServerAddr) {
        let server = self.about(address);
        match (self.first_waiting(address), server.doubted) {
            (Some(_), _) if server.is_full(self.per_server) => {}
            (Some((rank, id)), None) => drop(self.ready.insert((rank, id, address))),
            (Some(_), Some(turn)) => drop(self.doubted.insert((turn, address))),
            (None, _) => {}
        }
    }
}

impl Core {
    /// Dials for those whose turn it is, as far as there are slots.
    pub(super) fn start_dials(&mut self, turn: &mut Turn) {
        if !self.known.enough() || self.stopping {
            return;
        }
        let cap = self.host.dials_allowed(self.policy.dial_concurrency);
        while let Some((id, server)) = self.dialing.next(cap) {
            let Some(tunnel) = self.tunnels.get_mut(&id) else {
                self.dialing.leave(id);
                continue;
            };
            self.dialled += 1;
            let call = CallId::Dialled(self.dialled);
            let engine = self.policy.engine_of(tunnel.want.node());
            tunnel.retries.attempts += 1;
            let run = Run::new(call, engine, None, self.inputs);
            let tell_at = turn.at() + self.policy.dial_timeout;
            tunnel.phase = Phase::Calling(Box::new(Call::ordered(run, tell_at)));
            self.dialing.start(call, id, server);
            self.calls.insert(call, id);
            turn.order(Order::Dial { call, node: id, engine });
            self.note(id, turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(n: u32) -> ServerAddr {
        ServerAddr::parse(&format!("10.0.0.{n}")).unwrap()
    }

    /// Nodes with their ranks and servers.
    fn queue(nodes: &[(u32, u32, u32)]) -> Dialing {
        let mut dialing = Dialing::new(4);
        for (id, rank, of) in nodes {
            dialing.wait(NodeId(*id), *rank, server(*of));
        }
        dialing
    }

    fn start_all(dialing: &mut Dialing, cap: u32) -> Vec<u32> {
        let mut started = Vec::new();
        while let Some((id, server)) = dialing.next(cap) {
            dialing.start(CallId::Dialled(u64::from(id.0)), id, server);
            started.push(id.0);
        }
        started
    }

    #[test]
    fn a_server_that_was_not_heard_yet_is_dialled_once_at_a_time() {
        let mut dialing = queue(&[(1, 0, 1), (2, 1, 1), (3, 2, 2)]);
        assert_eq!(start_all(&mut dialing, 8), [1, 3]);
        dialing.finish(CallId::Dialled(1));
        assert_eq!(start_all(&mut dialing, 8), [2]);
    }

    #[test]
    fn a_server_that_has_answered_is_dialled_by_as_many_as_are_configured() {
        let mut dialing =
            queue(&[(1, 0, 1), (2, 1, 1), (3, 2, 1), (4, 3, 1), (5, 4, 1), (6, 5, 1)]);
        dialing.heard_of(server(1), true);
        assert_eq!(start_all(&mut dialing, 8), [1, 2, 3, 4]);
        dialing.finish(CallId::Dialled(2));
        assert_eq!(start_all(&mut dialing, 8), [5]);
        dialing.set_per_server(5);
        assert_eq!(start_all(&mut dialing, 8), [6]);
    }

    #[test]
    fn a_server_that_is_doubted_is_dialled_once_at_a_time_until_it_answers() {
        let mut dialing = queue(&[(1, 0, 1), (2, 1, 1), (3, 2, 1)]);
        dialing.heard_of(server(1), true);
        dialing.heard_of(server(1), false);
        assert_eq!(start_all(&mut dialing, 8), [1]);
        dialing.heard_of(server(1), true);
        assert_eq!(start_all(&mut dialing, 8), [2, 3]);
    }

    #[test]
    fn the_host_has_a_cap() {
        let mut dialing = queue(&[(1, 0, 1), (2, 1, 2), (3, 2, 3)]);
        assert_eq!(start_all(&mut dialing, 2), [1, 2]);
    }

    #[test]
    fn the_queue_goes_by_rank() {
        let mut dialing = queue(&[(1, 5, 1), (2, 3, 2)]);
        assert_eq!(start_all(&mut dialing, 8), [2, 1]);
    }

    #[test]
    fn servers_that_do_not_answer_get_half_of_the_slots() {
        let mut dialing = queue(&[(1, 0, 1), (2, 1, 2), (3, 2, 3), (4, 3, 4), (5, 4, 5)]);
        (1..=4).for_each(|n| dialing.heard_of(server(n), false));
        assert_eq!(start_all(&mut dialing, 4), [5, 1, 2]);
    }

    #[test]
    fn servers_that_do_not_answer_take_turns_whatever_their_rank() {
        let mut dialing = queue(&[(1, 0, 1), (2, 1, 2), (3, 2, 3)]);
        (1..=3).for_each(|n| dialing.heard_of(server(n), false));
        assert_eq!(start_all(&mut dialing, 2), [1]);
        dialing.finish(CallId::Dialled(1));
        dialing.wait(NodeId(1), 0, server(1));
        assert_eq!(start_all(&mut dialing, 2), [2]);
    }

    #[test]
    fn a_server_that_answers_again_is_doubted_no_more() {
        let mut dialing = queue(&[(1, 0, 1), (2, 1, 2)]);
        (1..=2).for_each(|n| dialing.heard_of(server(n), false));
        dialing.heard_of(server(1), true);
        assert_eq!(start_all(&mut dialing, 2), [1, 2]);
    }

    #[test]
    fn nothing_is_kept_of_a_server_that_no_node_has() {
        let mut dialing = queue(&[(1, 0, 1)]);
        dialing.heard_of(server(1), false);
        dialing.heard_of(server(2), true);
        dialing.leave(NodeId(1));
        dialing.keep_servers(|_| false);
        assert!(dialing.servers.is_empty() && dialing.doubted.is_empty());
    }
}
