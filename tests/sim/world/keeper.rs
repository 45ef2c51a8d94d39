//! pppd's keeper: carries out orders one by one, reports what became of the processes, and notices
//! those that others have started.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use connexa::core::event::{CallId, Dialled, FoundCall};
use connexa::node::{Engine, Node, NodeId};

use super::{Happening, Quirk, Way, World};
use crate::wire::{Did, Exit, News};

#[derive(Debug, Default)]
pub(super) struct Keeper {
    orders: VecDeque<Did>,
    held: BTreeMap<CallId, Held>,
    found: u64,
    /// The process of each call, also when it is gone.
    pids: BTreeMap<CallId, u32>,
    /// These two outlive the daemon.
    pub(super) files: BTreeMap<u32, Node>,
    pub(super) stopped: BTreeSet<NodeId>,
}

#[derive(Debug)]
struct Held {
    pid: u32,
    node: NodeId,
    interface: Option<String>,
    dialled: Option<Dialled>,
}

impl Held {
    fn tell(&self, call: CallId) -> Option<FoundCall> {
        let (interface, dialled) = (self.interface.clone(), self.dialled.clone());
        let (node, pid, renamed) = (self.node, self.pid, false);
        let pid = Some(pid);
        let told = FoundCall {
            call,
            node,
            engine: Engine::Pppd,
            pid,
            interface,
            renamed,
            dialled,
            age: crate::Duration::ZERO,
        };
        matches!(call, CallId::Found(_)).then_some(told)
    }
}

impl Keeper {
    pub(super) fn own_call(&self, pid: u32) -> Option<CallId> {
        let held = self.held.iter().find(|(_, held)| held.pid == pid);
        held.map(|(call, _)| *call).filter(|call| matches!(call, CallId::Dialled(_)))
    }

    /// The calls of a node.
    pub(super) fn calls_of(&self, node: u32) -> Vec<CallId> {
        let calls = self.held.iter().filter(|(_, held)| held.node.0 == node);
        calls.map(|(call, _)| *call).collect()
    }

    pub(super) fn forget_all(&mut self) {
        self.orders.clear();
        self.held.clear();
        self.pids.clear();
        self.found = 0;
    }

    pub(super) fn call_of(&self, pid: u32) -> Option<CallId> {
        self.pids.iter().find(|(_, of)| **of == pid).map(|(call, _)| *call)
    }

    pub(super) fn pid_of(&self, call: CallId) -> Option<u32> {
        self.pids.get(&call).copied()
    }

    pub(super) fn knows(&self, pid: u32) -> bool {
        self.held.values().any(|held| held.pid == pid)
    }
}

impl World {
    pub(super) fn keeper_takes(&mut self, order: Did) {
        if !self.daemon.is_ready() {
            // Should this daemon die, the next one may find its files beside older calls.
            self.processes.values_mut().for_each(|process| process.unsure = true);
        }
        self.keeper.orders.push_back(order);
        self.send(Way::Orders, Happening::OrderIsCarriedOut);
    }

    pub(super) fn carry_out(&mut self) {
        if let Some(left) = self.crash_after_orders {
            self.crash_after_orders = left.checked_sub(1);
            if left == 0 {
                return self.crash();
            }
        }
        match self.keeper.orders.pop_front() {
            Some(Did::WriteFiles(node)) => {
                drop(self.keeper.files.insert(node.id.0, Node::clone(&node)));
            }
            Some(Did::RemoveFiles(id)) => drop(self.keeper.files.remove(&id.0)),
            Some(Did::SweepFiles(keep)) => {
                self.keeper.files.retain(|id, _| keep.contains(&NodeId(*id)));
            }
            Some(Did::Dial { call, node }) => self.dial(call, node.0),
            Some(Did::Signal { call, signal }) => {
                if let Some(pid) = self.keeper.held.get(&call).map(|held| held.pid) {
                    self.signal(pid, signal);
                }
            }
            Some(_) | None => {}
        }
    }

    fn dial(&mut self, call: CallId, node: u32) {
        self.dials += 1;
        let others = self.pids_of(node);
        if others.iter().any(|pid| self.keeper.knows(*pid) && !self.processes[pid].by_hand) {
            return self.breaks(format!("one_pppd_a_node: node {node} has one and is dialled"));
        }
        let Some(dialled) = self.keeper.files.get(&node).cloned() else {
            return self.breaks(format!("dialled_by_its_row: node {node} has no files"));
        };
        if self.quirks.get(&node) == Some(&Quirk::CannotStart) {
            self.quirks.remove(&node);
            return self.send(Way::Exits, Happening::Tell(News::NotSpawned { call }));
        }
        let pid = self.start_process(node, dialled, false);
        let held = Held { pid, node: NodeId(node), interface: None, dialled: None };
        self.keeper.pids.insert(call, pid);
        self.keeper.held.insert(call, held);
        self.send(Way::Spawned, Happening::Tell(News::Spawned { call, pid }));
    }

    /// A process has ended: that is reported, and calls found beside it may be told again.
    pub(super) fn keeper_buries(&mut self, pid: u32, exit: Exit) {
        let call = self.keeper.held.iter().find(|(_, held)| held.pid == pid).map(|(call, _)| *call);
        let Some((call, held)) = call.and_then(|call| self.keeper.held.remove_entry(&call)) else {
            return;
        };
        let exit = if matches!(call, CallId::Found(_)) { Exit::Unseen } else { exit };
        self.send(Way::Exits, Happening::Tell(News::Ended { call, exit }));
        let others = self.keeper.held.iter().filter(|(_, other)| other.node == held.node);
        let found: Vec<_> = others.filter_map(|(call, held)| held.tell(*call)).collect();
        if !found.is_empty() && self.roll(2) == 0 {
            self.send(Way::Exits, Happening::Tell(News::Found(found)));
        }
    }

    pub(super) fn pid_file_changed(&mut self) {
        if !self.is_down {
            self.later(50, Happening::RunningAreLookedFor);
        }
    }

    /// Tells of processes that are new, or whose link is.
    pub(super) fn look_for_running(&mut self, first: bool) {
        let mut news = Vec::new();
        for (pid, process) in &self.processes {
            let link = process.link.and_then(|index| self.kernel.links.get(&index));
            let interface = link.map(|link| link.name.clone());
            let held = self.keeper.held.iter_mut().find(|(_, held)| held.pid == *pid);
            if let Some((call, held)) = held {
                if interface.is_some() && held.interface != interface {
                    held.interface = interface;
                    news.extend(held.tell(*call));
                }
                continue;
            }
            let call = CallId::Found(self.keeper.found);
            self.keeper.found += 1;
            let dialled = self.keeper.files.get(&process.node).map(|node| Dialled {
                server: node.server.ip(),
                login: node.login.as_str().to_owned(),
                password: Some(node.password.clone()),
                mppe: node.mppe.or(Some(self.policy.mppe)),
            });
            let held = Held { pid: *pid, node: NodeId(process.node), interface, dialled };
            news.extend(held.tell(call));
            self.keeper.pids.insert(call, *pid);
            if let Some(index) = process.link {
                self.ledger.own_links.insert(call, index);
            }
            self.keeper.held.insert(call, held);
        }
        if first || !news.is_empty() {
            self.send(Way::Exits, Happening::Tell(News::Found(news)));
        }
    }

    /// Somebody runs `pppd call` for a node.
    pub(super) fn start_by_hand(&mut self, node: u32) {
        let row = self.rows.get(&node).cloned().unwrap_or_else(|| self.new_row(node));
        let files = self.keeper.files.get(&node).cloned();
        let dialled = files.unwrap_or_else(|| super::rows::node(node, &row));
        self.start_process(node, dialled, true);
        self.crowded.remove(&node);
        self.pid_file_changed();
    }
}
