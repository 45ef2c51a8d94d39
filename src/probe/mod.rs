//! Whether tunnels that are up carry anything: a target is asked through each of them again and
//! again, and the core is told when answers stay away.
//!
//! Without a target there is no timer and no socket.

mod icmp;
mod tally;
mod tcp;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use tally::Tally;

use crate::config::{self, Target};
use crate::core::change::{Change, UpTunnel};
use crate::core::event::{Event, Probed};
use crate::node::NodeId;

/// A tunnel that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Passage {
    tunnel: Arc<UpTunnel>,
    /// Which rise of the daemon's life this is: a tunnel that fell and rose begins afresh.
    rise: u64,
}

/// What is to be probed, and how.
#[derive(Clone, Debug)]
struct Wanted {
    probe: config::Probe,
    passages: BTreeMap<NodeId, Passage>,
    rises: u64,
}

/// Tells the probing task which tunnels are up. Never waits, and only the newest counts.
#[derive(Debug)]
pub(crate) struct Prober(watch::Sender<Wanted>);

impl Prober {
    /// A prober, and the task that does its work and tells the core of it.
    pub(crate) fn new(
        probe: config::Probe,
        events: mpsc::Sender<Event>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (prober, wanted) =
            watch::channel(Wanted { probe, passages: BTreeMap::new(), rises: 0 });
        (Prober(prober), run(wanted, events))
    }

    /// The configuration was read again.
    pub(crate) fn configure(&self, probe: &config::Probe) {
        self.0.send_if_modified(|wanted| {
            std::mem::replace(&mut wanted.probe, probe.clone()) != *probe
        });
    }

    /// Follows what became of a tunnel.
    pub(crate) fn follow(&self, change: &Change) {
        match change {
            Change::Rose(up) | Change::Readdressed(up) => self.0.send_modify(|wanted| {
                wanted.rises += 1;
                let rise = wanted.rises;
                let passage = Passage { tunnel: up.clone(), rise };
                wanted.passages.insert(up.node, passage);
            }),
            Change::Renamed(up) => self.0.send_modify(|wanted| {
                if let Some(passage) = wanted.passages.get_mut(&up.node) {
                    passage.tunnel = up.clone();
                }
            }),
            Change::Fell { node } => {
                self.0.send_if_modified(|wanted| wanted.passages.remove(node).is_some());
            }
            Change::Explained { .. } => {}
        }
    }
}

/// How a probe went.
#[derive(Debug)]
enum Outcome {
    /// The target has answered.
    Answered,
    /// It has not, in time.
    Lost,
    /// This host could not ask: that says nothing of the tunnel.
    Unsent(io::Error),
}

impl Outcome {
    /// Of an attempt that ended with an error. What a router says of the target came through the
    /// tunnel, and yet the target did not answer.
    fn of(error: io::Error) -> Self {
        #[allow(clippy::wildcard_enum_match_arm, reason = "the kinds of errors are not ours")]
        match error.kind() {
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => Outcome::Lost,
            _ => Outcome::Unsent(error),
        }
    }
}

/// A tunnel that is probed.
#[derive(Debug)]
struct Probing {
    passage: Passage,
    tally: Tally,
    /// When the next probe is sent.
    due: Instant,
    /// When the newest one was sent.
    sent: Instant,
    /// The one that is under way.
    running: Option<AbortHandle>,
    /// How many in a row this host could not send.
    unsent: u32,
}

/// Probes that are under way: of which node, at which rise, and how they went.
type Running = JoinSet<(NodeId, u64, Outcome)>;

/// Everything that is probed now.
#[derive(Debug, Default)]
struct Probes {
    probe: config::Probe,
    tunnels: BTreeMap<NodeId, Probing>,
    running: Running,
    last_answer: Option<Instant>,
    /// The first answer that the core was not told of with losses.
    answered: Option<Instant>,
}

/// Probes tunnels as wanted, until the prober is gone.
async fn run(mut wanted: watch::Receiver<Wanted>, events: mpsc::Sender<Event>) {
    let mut probes = Probes::default();
    loop {
        probes.adjust(&wanted.borrow_and_update());
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = until(probes.next()) => probes.send(),
            Some(ended) = probes.running.join_next() => {
                // One that was given up on the way says nothing.
                let Ok((node, rise, outcome)) = ended else { continue };
                if let Some(event) = probes.conclude(node, rise, outcome) {
                    // Nobody to tell once the daemon has stopped.
                    let _ = events.send(event).await;
                }
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Probes {
    /// Begins and ends probing where that is due.
    fn adjust(&mut self, wanted: &Wanted) {
        if self.probe != wanted.probe {
            self.probe = wanted.probe.clone();
            self.tunnels.clear();
            self.running = Running::new();
            self.last_answer = None;
            self.answered = None;
        }
        let is_on = self.probe.target.is_some();
        self.tunnels.retain(|node, probing| {
            let stays = wanted.passages.get(node) == Some(&probing.passage);
            if !stays && let Some(running) = &probing.running {
                running.abort();
            }
            stays
        });
        for (node, passage) in wanted.passages.iter().filter(|_| is_on) {
            let interval = self.probe.interval.get();
            self.tunnels.entry(*node).or_insert_with(|| Probing {
                passage: passage.clone(),
                tally: Tally::default(),
                due: Instant::now() + offset(*node, interval),
                sent: Instant::now(),
                running: None,
                unsent: 0,
            });
        }
    }

    /// When the next probe is due.
    fn next(&self) -> Option<Instant> {
        let idle = self.tunnels.values().filter(|probing| probing.running.is_none());
        idle.map(|probing| probing.due).min()
    }

    /// Sends what is due.
    fn send(&mut self) {
        let Some(target) = self.probe.target else { return };
        let (now, limit) = (Instant::now(), self.probe.timeout.get());
        let idle = self.tunnels.iter_mut().filter(|(_, probing)| probing.running.is_none());
        for (node, probing) in idle.filter(|(_, probing)| probing.due <= now) {
            // After a sleep of the host, what was missed is not made up for.
            probing.due = (probing.due + self.probe.interval.get()).max(now);
            probing.sent = now;
            probing.tally.sent(now, self.last_answer);
            let (node, rise) = (*node, probing.passage.rise);
            let interface = probing.passage.tunnel.interface.clone();
            let running = self.running.spawn(async move {
                let outcome = ask(target, &interface, limit).await;
                (node, rise, outcome)
            });
            probing.running = Some(running);
        }
    }

    /// Takes in how a probe went; says what the core is to know of it.
    fn conclude(&mut self, node: NodeId, rise: u64, outcome: Outcome) -> Option<Event> {
        let probing = self.tunnels.get_mut(&node).filter(|now| now.passage.rise == rise)?;
        probing.running = None;
        let loss = self.probe.loss;
        let target = self.probe.target?.to_string();
        let call = probing.passage.tunnel.call;
        let probed = match outcome {
            Outcome::Answered => {
                self.last_answer = Some(Instant::now());
                self.answered = self.answered.or(self.last_answer);
                probing.tally.answered(loss).then_some(Probed::Answered { target })
            }
            Outcome::Lost => probing.tally.lost(loss).map(|elsewhere| {
                let count = probing.tally.losses();
                let answered = self.answered.take_if(|at| *at < probing.sent).is_some();
                Probed::Lost { target, count, elsewhere, answered }
            }),
            Outcome::Unsent(error) => {
                probing.tell_trouble(node, &target, &error);
                return None;
            }
        };
        probing.unsent = 0;
        probed.map(|probed| Event::Probed { call, probed })
    }
}

impl Probing {
    /// One that can't be sent is a link that goes at that moment.
    fn tell_trouble(&mut self, node: NodeId, target: &str, error: &io::Error) {
        self.unsent = self.unsent.saturating_add(1);
        if self.unsent == 2 {
            let interface = &self.passage.tunnel.interface;
            tracing::warn!(
                NODE_ID = node.0,
                INTERFACE = interface,
                "Node {node}: {target} can't be probed through {interface}, which says nothing of the tunnel: {error}"
            );
        }
    }
}

/// Asks the target once.
async fn ask(target: Target, interface: &str, limit: Duration) -> Outcome {
    let asked = async {
        match target {
            Target::Icmp(ip) => icmp::ask(ip, interface).await,
            Target::Tcp(address) => tcp::ask(address, interface).await,
        }
    };
    tokio::time::timeout(limit, asked).await.unwrap_or(Outcome::Lost)
}

/// When a tunnel is first probed after its rise, so that many that rise at once are not probed at
/// once: nodes come in any order of ids, and near ids lie far apart.
fn offset(node: NodeId, interval: Duration) -> Duration {
    // The golden ratio's fraction of 2^32 spreads successive numbers evenly.
    interval * (node.0.wrapping_mul(0x9e37_79b9) >> 16) / (1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_probes_are_spread_over_the_interval() {
        let interval = Duration::from_secs(10);
        let mut offsets: Vec<_> = (1..=50).map(|node| offset(NodeId(node), interval)).collect();
        offsets.sort();
        assert!(offsets.iter().all(|offset| *offset <= interval));
        let gaps = offsets.windows(2).map(|pair| pair[1] - pair[0]);
        let widest = gaps.max().unwrap();
        assert!(widest < Duration::from_millis(500), "{widest:?}");
    }
}
