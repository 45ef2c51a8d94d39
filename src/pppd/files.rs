//! The files of nodes, written beside all else: a disk may take its time.
//!
//! One piece of work is under way at a time. What a dial waits for goes first, so a dial waits for
//! its own node's files, and at most for one file more that was begun before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::round::{Problems, Round};
use super::wanted::Wanted;
use crate::core::event::CallId;
use crate::core::failure::{Failure, FailureKind};
use crate::node::NodeId;

/// How a round of file work is done.
pub(super) type Disk = Arc<dyn Fn(Round) -> Problems + Send + Sync>;

/// The files that are wanted, the work on them, and the dials that wait for it.
pub(super) struct Files {
    /// What there should be.
    pub(super) wanted: Wanted,
    disk: Disk,
    waiting: BTreeMap<CallId, Waiting>,
    /// At most one.
    rounds: JoinSet<Problems>,
    under_way: UnderWay,
    /// The changes that `chap-secrets` has, by number.
    secrets: u64,
    /// What the last work on them came to.
    problems: Problems,
    /// Whether it was told that `chap-secrets` is written in place.
    told: bool,
}

/// A dial that waits.
struct Waiting {
    node: NodeId,
    /// The change of `chap-secrets` that it needs.
    secrets: u64,
}

#[derive(Default)]
struct UnderWay {
    nodes: BTreeSet<NodeId>,
    secrets: Option<u64>,
}

/// A dial whose files are there, or why they are not.
pub(super) type Ready = (CallId, NodeId, Result<(), Failure>);

impl Files {
    pub(super) fn new(wanted: Wanted, disk: Disk) -> Self {
        Files {
            wanted,
            disk,
            waiting: BTreeMap::new(),
            rounds: JoinSet::new(),
            under_way: UnderWay::default(),
            secrets: 0,
            problems: Problems::default(),
            told: false,
        }
    }

    /// Has the node's files looked at, for a call that is then [`Files::ready`].
    pub(super) fn await_for(&mut self, call: CallId, node: NodeId) {
        let secrets = self.wanted.look_again(node);
        self.waiting.insert(call, Waiting { node, secrets });
    }

    /// The call is not wanted any more. Whether it has waited.
    pub(super) fn withdraw(&mut self, call: CallId) -> bool {
        self.waiting.remove(&call).is_some()
    }

    /// Begins what is to be done next, unless something is under way.
    pub(super) fn begin(&mut self) {
        if !self.rounds.is_empty() {
            return;
        }
        let awaited = self.waiting.values().map(|waiting| waiting.node).collect();
        let Some(round) = self.wanted.next_round(&awaited) else { return };
        self.under_way = UnderWay { nodes: round.nodes(), secrets: round.change() };
        let disk = self.disk.clone();
        self.rounds.spawn_blocking(move || disk(round));
    }

    /// Returns when a piece of work is done; never while there is none.
    pub(super) async fn done(&mut self) {
        let Some(done) = self.rounds.join_next().await else { return std::future::pending().await };
        let UnderWay { nodes, secrets } = std::mem::take(&mut self.under_way);
        let done = done.unwrap_or_else(|error| {
            tracing::error!("The work on pppd's files has failed: {error}");
            Problems::of_a_panic(self.wanted.ppp_dir(), &nodes, secrets.is_some(), &error)
        });
        if let Some(path) = done.in_place().filter(|_| !std::mem::replace(&mut self.told, true)) {
            tracing::warn!(
                "{} can't be replaced as a whole (a mount point, or its folder can't be written), so \
                 it is written in place; what it held is kept beside it until that is done",
                path.display()
            );
        }
        for told in done.untold() {
            tracing::warn!("{told}");
        }
        if let Some(change) = secrets {
            self.wanted.seen(change, done.right());
            self.secrets = change;
        }
        self.problems.replace(&nodes, secrets.is_some(), done);
    }

    /// The calls that wait no more, in the order in which they were dialled.
    pub(super) fn ready(&mut self) -> Vec<Ready> {
        let is_done = |waiting: &Waiting| {
            self.secrets >= waiting.secrets
                && !self.wanted.is_due(waiting.node)
                && !self.under_way.nodes.contains(&waiting.node)
        };
        let done: Vec<_> = self.waiting.extract_if(.., |_, waiting| is_done(waiting)).collect();
        let ready = |(call, Waiting { node, .. })| {
            let problem = self.problems.of(node);
            let failure = |problem| Failure::new(FailureKind::Files, format!("{problem}"));
            (call, node, problem.map_or(Ok(()), |problem| Err(failure(problem))))
        };
        done.into_iter().map(ready).collect()
    }

    /// Whether nothing is under way and nothing is left to do.
    pub(super) fn is_idle(&self) -> bool {
        self.rounds.is_empty() && self.waiting.is_empty() && self.wanted.is_done()
    }
}
