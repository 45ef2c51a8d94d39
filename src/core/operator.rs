//! What the operator asks of a node: start, stop, retry.

use super::effect::Effect;
use super::event::Ask;
use super::notice::{HangUp, Notice};
use super::tunnel::{Phase, Retries, Why};
use super::{Core, Turn};
use crate::node::NodeId;

use std::collections::BTreeSet;

impl Core {
    /// Whether there is something to ask of this node.
    pub fn knows(&self, id: NodeId) -> bool {
        self.tunnels.contains_key(&id) || self.stopped.contains(&id)
    }

    /// An earlier daemon left these nodes stopped.
    pub(super) fn stopped_before(&mut self, stopped: BTreeSet<NodeId>, turn: &mut Turn) {
        self.stopped = stopped;
        let ids: Vec<NodeId> = self.tunnels.keys().copied().collect();
        for id in ids {
            self.reconcile(id, turn);
        }
    }

    pub(super) fn asked(&mut self, id: NodeId, ask: Ask, turn: &mut Turn) {
        if !self.knows(id) {
            return;
        }
        let differs = match ask {
            Ask::Start => self.stopped.remove(&id),
            Ask::Stop => self.stopped.insert(id),
            Ask::Retry => false,
        };
        turn.tell(Notice::Asked { node: id, ask });
        if differs {
            turn.effects.push(Effect::KeepStopped(self.stopped.clone()));
            // Before the database was read, nobody knows.
            let wanted = self.count_wanted();
            self.known.wanted = self.known.wanted.map(|_| wanted);
        }
        match ask {
            Ask::Start | Ask::Retry => self.forget_failures(id),
            Ask::Stop => {}
        }
        self.reconcile(id, turn);
    }

    /// What failed before counts no more, and is not waited for.
    fn forget_failures(&mut self, id: NodeId) {
        self.host.changed();
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.retries = Retries::default();
        match tunnel.phase {
            Phase::Backoff { .. } | Phase::Quarantined => tunnel.phase = Phase::Waiting,
            Phase::Stopping { why: ref mut why @ (Why::Itself | Why::GivenUp(_)), .. } => {
                *why = Why::Unwanted(HangUp::Retried);
            }
            Phase::Stopping { why: Why::Unwanted(_), .. }
            | Phase::Waiting
            | Phase::Calling(_)
            | Phase::Stopped
            | Phase::Invalid => {}
        }
    }
}
