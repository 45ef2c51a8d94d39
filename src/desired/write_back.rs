//! What the daemon tells the database, where `database.write_back` is on: which links are up.
//!
//! [`write_back`] gives a [`Reporter`] to whoever learns that a tunnel came up or went down, and
//! the work to be run beside. Facts are written together, some moments after the first of them.
//! While the database can't be written they wait: the newest of each node, and so many others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::store::{self, Batch, MOST_AT_ONCE, Written};
use super::{Problem, Settings};
use crate::core::time::Wall;
use crate::node::NodeId;
use crate::printable::printable;

/// How long facts are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);

/// Events kept at most while the database can't be written; the oldest give way.
const MOST_KEPT: usize = 10_000;

/// Between tries to write; each is twice as long as the last.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A tunnel came up, or went down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Whose tunnel.
    pub node: NodeId,
    /// Its link.
    pub interface: String,
    /// Whether it is up now.
    pub up: bool,
    /// When that happened. `None` where nobody saw it: the tunnel was found up.
    pub at: Option<Wall>,
    /// Why, in words; no secret.
    pub reason: String,
}

/// Takes facts, and never waits.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    waiting: Arc<Mutex<Waiting>>,
    told: watch::Sender<u64>,
    written: watch::Receiver<u64>,
}

/// Facts on their way into the database.
#[derive(Debug, Default)]
struct Waiting {
    /// The newest of each node, for its row.
    rows: BTreeMap<NodeId, Fact>,
    /// All nodes that were up when that was last told as a whole.
    only_up: Option<BTreeSet<NodeId>>,
    /// All of them in order, for the table of events.
    events: VecDeque<Fact>,
    /// Events that gave way.
    lost: u64,
}

impl Waiting {
    fn add(&mut self, fact: Fact) {
        self.rows.insert(fact.node, fact.clone());
        self.add_event(fact);
    }

    fn add_event(&mut self, fact: Fact) {
        self.events.push_back(fact);
        if self.events.len() > MOST_KEPT {
            self.events.pop_front();
            self.lost += 1;
        }
    }

    /// What is up as a whole; that is no event.
    fn replace(&mut self, up: Vec<Fact>) {
        self.only_up = Some(up.iter().map(|fact| fact.node).collect());
        self.rows = up.into_iter().map(|fact| (fact.node, fact)).collect();
    }

    /// The next transaction's worth.
    fn take(&mut self) -> Batch {
        let mut rows = Vec::new();
        while rows.len() < MOST_AT_ONCE {
            let Some((_, fact)) = self.rows.pop_first() else { break };
            rows.push(fact);
        }
        let most = self.events.len().min(MOST_AT_ONCE);
        Batch { only_up: self.only_up.take(), rows, events: self.events.drain(..most).collect() }
    }

    /// What could not be written; newer facts stay as they are.
    fn put_back(&mut self, batch: Batch) {
        if self.only_up.is_none() {
            self.only_up = batch.only_up;
            for fact in batch.rows {
                self.rows.entry(fact.node).or_insert(fact);
            }
        }
        for fact in batch.events.into_iter().rev() {
            self.events.push_front(fact);
        }
    }

    fn is_empty(&self) -> bool {
        self.only_up.is_none() && self.rows.is_empty() && self.events.is_empty()
    }
}

impl Reporter {
    /// Has this written, if `database.write_back` is on by then.
    pub(crate) fn tell(&self, fact: Fact) {
        lock(&self.waiting).add(fact);
        self.told.send_modify(|told| *told += 1);
    }

    /// Has this written into the node's row only: it is no event, or its cause is not known yet.
    pub(crate) fn tell_row(&self, fact: Fact) {
        lock(&self.waiting).rows.insert(fact.node, fact);
        self.told.send_modify(|told| *told += 1);
    }

    /// Has this written as an event only: the row has it already.
    pub(crate) fn tell_event(&self, fact: Fact) {
        lock(&self.waiting).add_event(fact);
        self.told.send_modify(|told| *told += 1);
    }

    /// Has written what is up as a whole: rows of all other nodes are to name no link. For the
    /// daemon's start and the moment that write-back is switched on, when the database may hold
    /// what was true long ago.
    pub(crate) fn tell_all(&self, up: Vec<Fact>) {
        lock(&self.waiting).replace(up);
        self.told.send_modify(|told| *told += 1);
    }

    /// Returns once all that was told so far is written, or was not to be.
    pub(crate) async fn written(&self) {
        let told = *self.told.borrow();
        // Nobody writes any more: nothing to wait for.
        let _ = self.written.clone().wait_for(|written| *written >= told).await;
    }
}

/// A reporter, and the work that it needs done; that ends when all reporters are dropped.
///
/// At the end wait for [`Reporter::written`], not for long: a database may stay locked.
pub(crate) fn write_back(
    settings: watch::Receiver<Settings>,
) -> (Reporter, impl Future<Output = ()> + use<>) {
    let waiting = Arc::new(Mutex::new(Waiting::default()));
    let (told, theirs) = watch::channel(0);
    let (ours, written) = watch::channel(0);
    let writer = Writer {
        settings,
        waiting: waiting.clone(),
        complained: None,
        refused: BTreeMap::new(),
        idle: false,
    };
    (Reporter { waiting, told, written }, writer.run(theirs, ours))
}

struct Writer {
    settings: watch::Receiver<Settings>,
    waiting: Arc<Mutex<Waiting>>,
    /// What was complained about last, until a write succeeds.
    complained: Option<Problem>,
    /// What SQLite refused of each table, as warned of last.
    refused: BTreeMap<String, String>,
    /// It was told that there is nothing to write to.
    idle: bool,
}

impl Writer {
    async fn run(mut self, mut told: watch::Receiver<u64>, written: watch::Sender<u64>) {
        while told.changed().await.is_ok() {
            sleep(GATHER).await;
            let mut retry = FIRST_RETRY;
            loop {
                let seen = *told.borrow_and_update();
                if self.write_some().await.is_err() {
                    sleep(retry).await;
                    retry = (retry * 2).min(LONGEST_RETRY);
                } else if lock(&self.waiting).is_empty() {
                    written.send_replace(seen);
                    break;
                }
            }
        }
    }

    /// Writes a transaction's worth, or forgets all where nothing is to be written.
    async fn write_some(&mut self) -> Result<(), ()> {
        let settings = self.settings.borrow().clone();
        if !settings.database.write_back {
            *lock(&self.waiting) = Waiting::default();
            return Ok(());
        }
        let (batch, lost) = {
            let mut waiting = lock(&self.waiting);
            (waiting.take(), std::mem::take(&mut waiting.lost))
        };
        if lost > 0 {
            tracing::warn!(
                "{lost} rows of watchdog_events were given up, for the database could not be written for too long"
            );
        }
        match store::write(&settings.database, &batch).await {
            Ok(written) => {
                self.tell_of_success(written);
                Ok(())
            }
            Err(what) => {
                lock(&self.waiting).put_back(batch);
                self.complain(what.at(&settings.database.path));
                Err(())
            }
        }
    }

    fn tell_of_success(&mut self, written: Written) {
        if self.complained.take().is_some() {
            tracing::info!("The database is written again");
        }
        for (table, why) in written.refused {
            if self.refused.get(&table) != Some(&why) {
                tracing::warn!(
                    "Table {table:?} refuses what database.write_back writes, which is given up: \
                     {}; change the table, or turn it off",
                    printable(&why)
                );
                self.refused.insert(table, why);
            }
        }
        if !written.has_place && !self.idle {
            tracing::warn!(
                "database.write_back is on and the database has none of the columns ppp_iface, \
                 ppp_interface and last_ppp_up and no table watchdog_events: add some, or turn it off"
            );
        }
        self.idle = !written.has_place;
    }

    fn complain(&mut self, problem: Problem) {
        if self.complained.as_ref() != Some(&problem) {
            tracing::warn!("Can't write back which tunnels are up, trying on: {problem}");
            self.complained = Some(problem);
        }
    }
}

/// Nothing that is done under the lock can fail half way.
fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(node: u32, up: bool) -> Fact {
        let interface = format!("ppp{node}");
        Fact { node: NodeId(node), interface, up, at: Some(Wall(0)), reason: "dialled".into() }
    }

    #[test]
    fn a_fact_that_could_not_be_written_does_not_win_over_a_newer_one() {
        let mut waiting = Waiting::default();
        waiting.add(fact(1, true));
        let batch = waiting.take();
        waiting.add(fact(1, false));
        waiting.put_back(batch);
        let batch = waiting.take();
        assert_eq!(batch.rows, [fact(1, false)]);
        assert_eq!(batch.events, [fact(1, true), fact(1, false)]);
    }

    #[test]
    fn events_that_wait_too_long_give_way_and_rows_do_not() {
        let mut waiting = Waiting::default();
        waiting.add(fact(7, true));
        for _ in 0..MOST_KEPT {
            waiting.add(fact(1, true));
        }
        assert_eq!((waiting.events.len(), waiting.lost, waiting.rows.len()), (MOST_KEPT, 1, 2));
    }
}
