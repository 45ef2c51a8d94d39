//! What the database is told of each change of a tunnel, where `database.write_back` is on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::write_back::{Fact, Reporter};
use crate::core::change::{Change, UpTunnel};
use crate::core::time::Wall;
use crate::node::NodeId;

/// Follows the tunnels and tells the database: a row at once, an event once its cause is known.
#[derive(Debug)]
pub(crate) struct TunnelWriter {
    reporter: Reporter,
    known: BTreeMap<NodeId, Known>,
}

/// A tunnel that is up, or whose fall is not explained yet.
#[derive(Debug)]
struct Known {
    tunnel: Arc<UpTunnel>,
    /// `None` where nobody saw it: it was found up.
    rose_at: Option<Wall>,
    fell_at: Option<Wall>,
}

impl TunnelWriter {
    /// Knows no tunnel yet.
    pub(crate) fn new(reporter: Reporter) -> Self {
        TunnelWriter { reporter, known: BTreeMap::new() }
    }

    /// Takes in a change that was seen at this time, and tells the database of it where `tell`.
    pub(crate) fn follow(&mut self, change: &Change, at: Wall, tell: bool) {
        match change {
            Change::Rose(up) | Change::Readdressed(up) => {
                let rose_at = (!up.adopted).then_some(at);
                let known = Known { tunnel: up.clone(), rose_at, fell_at: None };
                if tell {
                    let reason = if up.adopted { "taken over" } else { "dialled" };
                    self.reporter.tell(known.fact(true, Some(at), reason));
                }
                self.known.insert(up.node, known);
            }
            Change::Renamed(up) => {
                let Some(known) = self.known.get_mut(&up.node) else { return };
                known.tunnel = up.clone();
                if tell {
                    self.reporter.tell_row(known.fact(true, known.rose_at, "renamed"));
                }
            }
            Change::Fell { node } => {
                let Some(known) = self.known.get_mut(node) else { return };
                known.fell_at = Some(at);
                if tell {
                    self.reporter.tell_row(known.fact(false, Some(at), "fell"));
                }
            }
            Change::Explained { node, reason } => {
                let Some(known) = self.known.remove(node) else { return };
                if tell {
                    let at = known.fell_at.unwrap_or(at);
                    self.reporter.tell_event(known.fact(false, Some(at), reason));
                }
            }
        }
    }

    /// Has written what is up, and nothing else: tunnels may have come and gone while nobody wrote.
    pub(crate) fn tell_all(&self) {
        let up = self.known.values().filter(|known| known.fell_at.is_none());
        let facts = up.map(|known| known.fact(true, known.rose_at, "found up"));
        self.reporter.tell_all(facts.collect());
    }

    /// Returns once all that was told so far is written, or was not to be.
    pub(crate) async fn written(&self) {
        self.reporter.written().await;
    }
}

impl Known {
    fn fact(&self, up: bool, at: Option<Wall>, reason: &str) -> Fact {
        let UpTunnel { node, interface, .. } = &*self.tunnel;
        Fact { node: *node, interface: interface.clone(), up, at, reason: reason.to_owned() }
    }
}
