//! The operator's own programs, run when a tunnel comes up or goes down.
//!
//! For one node they run one after the other, in the order of what happened. A node whose tunnel
//! comes and goes quicker than its hooks run has at most two that wait: a tunnel that is gone
//! before its `up` has begun is told to nobody.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};

use crate::backend::log_lines;
use crate::command::{CommandError, LAST_WORDS, end_within, shown, start_with};
use crate::config;
use crate::core::change::{Change, UpTunnel};
use crate::node::NodeId;

/// Hooks of all nodes that run at once.
const AT_ONCE: usize = 8;

/// One run of a hook.
#[derive(Clone, Debug)]
struct Job {
    is_up: bool,
    tunnel: Arc<UpTunnel>,
    reason: String,
    argv: Vec<String>,
    limit: Duration,
}

/// Starts hooks; never waits for them.
#[derive(Debug)]
pub(crate) struct Hooks {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    /// Closed by the end of the work.
    ended: oneshot::Receiver<()>,
    /// The tunnels that are up, as they were told.
    up: BTreeMap<NodeId, Arc<UpTunnel>>,
    dry_run: bool,
}

impl Hooks {
    /// What takes changes in, and the work, which goes on until the former is finished.
    pub(crate) fn new(dry_run: bool) -> (Self, impl Future<Output = ()>) {
        // Unbounded because the loop may not wait; it is read at once, whatever hooks run.
        let (jobs, work) = mpsc::unbounded_channel();
        let (at_end, ended) = oneshot::channel();
        let work = async move {
            run(work).await;
            drop(at_end);
        };
        (Hooks { jobs: Some(jobs), ended, up: BTreeMap::new(), dry_run }, work)
    }

    /// Follows what became of a tunnel. `down` is told why, and so runs once the fall is explained.
    pub(crate) fn follow(&mut self, change: &Change, hooks: &config::Hooks) {
        match change {
            Change::Rose(up) | Change::Readdressed(up) => {
                self.up.insert(up.node, up.clone());
                let reason = if up.adopted { "adopted" } else { "dialled" };
                self.run(true, up.clone(), reason, hooks);
            }
            Change::Renamed(up) => drop(self.up.insert(up.node, up.clone())),
            Change::Fell { .. } => {}
            Change::Explained { node, reason } => {
                if let Some(up) = self.up.remove(node) {
                    self.run(false, up, reason, hooks);
                }
            }
        }
    }

    fn run(&self, is_up: bool, tunnel: Arc<UpTunnel>, reason: &str, hooks: &config::Hooks) {
        let argv = if is_up { &hooks.up } else { &hooks.down };
        let argv = argv.clone().unwrap_or_default();
        if self.dry_run {
            if !argv.is_empty() {
                tracing::info!("Dry run: would run `{}` for node {}", shown(&argv), tunnel.node);
            }
            return;
        }
        let (reason, limit) = (reason.to_owned(), hooks.timeout.get());
        if let Some(jobs) = &self.jobs {
            // Its work ends only with the daemon.
            let _ = jobs.send(Job { is_up, tunnel, reason, argv, limit });
        }
    }

    /// Lets what has begun or waits come to its end, within `limit`.
    pub(crate) async fn finish(&mut self, limit: Duration) {
        self.jobs = None;
        let _ = timeout(limit, &mut self.ended).await;
    }
}

async fn run(mut work: mpsc::UnboundedReceiver<Job>) {
    let mut waiting: BTreeMap<NodeId, Line> = BTreeMap::new();
    let mut running = JoinSet::new();
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut open = true;
    while open || !running.is_empty() {
        tokio::select! {
            job = work.recv(), if open => match job {
                None => open = false,
                // A node's entry is there while one of its hooks runs.
                Some(job) => match waiting.get_mut(&job.tunnel.node) {
                    Some(line) => line.add(job),
                    None => {
                        waiting.insert(job.tunnel.node, Line { is_up: job.is_up, queue: VecDeque::new() });
                        running.spawn(carry_out(job, slots.clone()));
                    }
                },
            },
            Some(done) = running.join_next(), if !running.is_empty() => {
                let node = match done {
                    Ok(node) => node,
                    Err(failed) => match failed.try_into_panic() {
                        // A panic of this work, too.
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => continue,
                    },
                };
                match waiting.get_mut(&node).and_then(Line::next) {
                    Some(job) => drop(running.spawn(carry_out(job, slots.clone()))),
                    None => drop(waiting.remove(&node)),
                }
            }
        }
    }
}

/// The hooks of one node.
#[derive(Debug)]
struct Line {
    /// Whether the one that runs is `up`.
    is_up: bool,
    queue: VecDeque<Job>,
}

impl Line {
    /// A waiting `up` gives way to what comes after it; after a `down`, another one tells nothing.
    fn add(&mut self, job: Job) {
        if self.queue.back().is_some_and(|last| last.is_up) {
            self.queue.pop_back();
        }
        let was_up = self.queue.back().map_or(self.is_up, |last| last.is_up);
        if job.is_up || was_up {
            self.queue.push_back(job);
        }
    }

    fn next(&mut self) -> Option<Job> {
        let job = self.queue.pop_front()?;
        self.is_up = job.is_up;
        Some(job)
    }
}

async fn carry_out(job: Job, slots: Arc<Semaphore>) -> NodeId {
    let _slot = slots.acquire().await;
    if !job.argv.is_empty()
        && let Err(problem) = run_one(&job).await
    {
        let (node, name) = (job.tunnel.node, job.name());
        tracing::warn!(NODE_ID = node.0, "Node {node}: {name} failed: {problem}");
    }
    job.tunnel.node
}

/// Why a hook has failed.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("its start has failed: {0}")]
    Start(#[from] JoinError),
    #[error("`{command}` ended with {status}")]
    Status { command: String, status: ExitStatus },
}

async fn run_one(job: &Job) -> Result<(), HookError> {
    // Where the program lies on a mount that hangs, so does its start.
    let starting = job.clone();
    let mut starting = spawn_blocking(move || start_with(&starting.argv, &starting.environment()));
    let started = match timeout(job.limit, &mut starting).await {
        Ok(started) => started,
        Err(_) => {
            let (node, name) = (job.tunnel.node, job.name());
            tracing::warn!(NODE_ID = node.0, "Node {node}: {name} hangs in its start");
            starting.await
        }
    };
    let mut child = started??;
    let about = format!("{} of node {}", job.name(), job.tunnel.node);
    let output = (child.stdout.take(), child.stderr.take());
    let mut logging = tokio::spawn(async move {
        let heard = |_: &str| {};
        tokio::join!(log_lines(&about, output.0, heard), log_lines(&about, output.1, heard));
    });
    let ended = end_within(&mut child, &job.argv, job.limit, Instant::now()).await;
    // What the hook left running may hold its output open, and is read on: it would be ended by SIGPIPE.
    let _ = timeout(LAST_WORDS, &mut logging).await;
    let status = ended?;
    if status.success() {
        Ok(())
    } else {
        Err(HookError::Status { command: shown(&job.argv), status })
    }
}

impl Job {
    fn name(&self) -> &'static str {
        if self.is_up { "hooks.up" } else { "hooks.down" }
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let UpTunnel { node, interface, local, remote, .. } = &*self.tunnel;
        vec![
            ("CONNEXA_NODE_ID", node.to_string()),
            ("CONNEXA_INTERFACE", interface.clone()),
            ("CONNEXA_LOCAL_IP", local.to_string()),
            ("CONNEXA_REMOTE_IP", remote.map(|ip| ip.to_string()).unwrap_or_default()),
            ("CONNEXA_REASON", self.reason.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{CallId, IfIndex};

    /// What runs after a running `up`, when these come meanwhile; `+` is up, `-` is down.
    fn after_up(comes: &str) -> String {
        let mut line = Line { is_up: true, queue: VecDeque::new() };
        for what in comes.chars() {
            let tunnel = UpTunnel {
                node: NodeId(1),
                call: CallId::Dialled(1),
                index: IfIndex(7),
                interface: "ppp0".into(),
                local: [10, 0, 0, 1].into(),
                remote: None,
                adopted: false,
            };
            let (argv, limit, reason) = (Vec::new(), Duration::from_secs(1), String::new());
            line.add(Job { is_up: what == '+', tunnel: Arc::new(tunnel), reason, argv, limit });
        }
        std::iter::from_fn(|| line.next()).map(|job| if job.is_up { '+' } else { '-' }).collect()
    }

    #[test]
    fn at_most_a_down_and_an_up_wait_and_every_up_gets_its_down() {
        for (comes, runs) in [("-", "-"), ("-+-+-+", "-+"), ("-+-", "-"), ("+-", "-"), ("+", "+")] {
            assert_eq!(after_up(comes), runs, "{comes}");
        }
    }
}
