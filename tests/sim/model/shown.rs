//! Whether what the core shows is what is so.

use connexa::control::api;
use connexa::core::event::Candidate;
use connexa::core::report::Report;
use connexa::node::NodeId;

use super::{Model, Time};

impl Model {
    /// The state that the node must be shown in; `None` when it must not be shown.
    pub(super) fn state(&self, id: NodeId) -> Option<&'static str> {
        if let Some(call) = self.calls.get(&id) {
            return Some(match (call.ending, call.up, call.link) {
                (Some(_), _, _) => "stopping",
                (None, Some(_), _) => "up",
                (None, None, Some(_)) => "negotiating",
                (None, None, None) => "dialing",
            });
        }
        let trouble = self.trouble.get(&id);
        match self.rows.as_ref()?.get(&id)? {
            (_, Candidate::Invalid(_)) => Some("invalid"),
            _ if self.stopped.contains(&id) => Some("stopped"),
            _ if trouble.is_some_and(|t| t.quarantined) => Some("quarantined"),
            _ if trouble.is_some_and(|t| t.wait_until.is_some()) => Some("backoff"),
            _ => Some("waiting"),
        }
    }

    /// The core shows this now, and wants to be woken then.
    pub fn shows(&self, report: &Report, deadline: Option<Time>) -> Result<(), String> {
        for node in &report.nodes {
            self.shows_node(node, deadline)?;
        }
        let rows = self.rows.iter().flat_map(|rows| rows.keys());
        let mut shown = rows.chain(self.calls.keys());
        let has = |id: &NodeId| report.nodes.binary_search_by_key(&id.0, |n| n.id).is_ok();
        if let Some(id) = shown.find(|id| !has(id)) {
            return Err(format!("node {id} is not shown"));
        }
        self.nobody_waits_in_vain(deadline)
    }

    fn shows_node(&self, node: &api::Node, deadline: Option<Time>) -> Result<(), String> {
        let id = NodeId(node.id);
        let state = self.state(id);
        if state != Some(node.state.as_str()) {
            return Err(format!("node {id} is shown {} and is {state:?}", node.state));
        }
        let call = self.calls.get(&id);
        let address = call.and_then(|call| call.up).map(|(address, _)| address);
        if (node.local_ip, node.remote_ip) != (address.map(|a| a.0), address.and_then(|a| a.1)) {
            return Err(format!("node {id} is shown with {:?}, not {address:?}", node.local_ip));
        }
        if node.ifindex != call.and_then(|call| call.link) {
            return Err(format!("node {id} is shown on link {:?}", node.ifindex));
        }
        let by = match call {
            Some(call) => match (call.ending, call.up) {
                (Some(ending), _) => Some(ending.next),
                (None, Some(_)) => call.settle,
                (None, None) => call.give_up,
            },
            None => self
                .trouble
                .get(&id)
                .and_then(|t| t.wait_until)
                .filter(|_| state == Some("backoff")),
        };
        match by {
            Some(by) if deadline.is_none_or(|deadline| deadline > by) => {
                Err(format!("node {id} must be looked at by {by}, the core wakes at {deadline:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whoever waits, waits for a dial under way or a probe.
    fn nobody_waits_in_vain(&self, deadline: Option<Time>) -> Result<(), String> {
        if !self.may_dial() {
            return Ok(());
        }
        let dials = self.dials().count();
        for node in self.nodes().filter(|node| self.state(node.id) == Some("waiting")) {
            let (id, server) = (node.id, node.server);
            let full = dials >= self.cap();
            let busy = self.dials().any(|other| other == server);
            let doubted =
                self.doubted.contains(&server) && self.doubted_dials() >= self.doubted_cap();
            let probe = self.host.fault && deadline.is_some();
            if !(full || busy || doubted || probe) {
                return Err(format!("node {id} waits and may be dialled"));
            }
        }
        Ok(())
    }
}
