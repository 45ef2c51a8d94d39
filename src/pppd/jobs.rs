//! Starting pppds, and looking for those that others have started: both may block, so neither is
//! done by the keeper itself. They are done one at a time, for a look beside a start would take the
//! new pppd for a stranger's.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use tokio::task::{JoinSet, spawn_blocking};

use super::found::{self, Sighting};
use super::host_options;
use super::signal::Signal;
use super::spawn::{self, Programs, Started};
use crate::config::Paths;
use crate::core::event::{CallId, Pid};
use crate::core::failure::{Failure, FailureKind};
use crate::node::NodeId;
use crate::watch::Changed;

/// A pppd that is to be started.
#[derive(Debug)]
pub(super) struct Dial {
    /// The call.
    pub(super) call: CallId,
    /// Whom it calls.
    pub(super) node: NodeId,
    /// The server, as far as the node's files tell it.
    pub(super) server: Option<Ipv4Addr>,
    /// The name that its link is to have, where pppd is told one.
    pub(super) link: Option<String>,
    /// By what.
    pub(super) programs: Programs,
    /// Where pppd reads its options.
    pub(super) ppp_dir: PathBuf,
    /// Where the call's socket is.
    pub(super) run_dir: PathBuf,
    /// The password is one that pppd and other systems may hash in different ways.
    pub(super) is_odd: bool,
}

/// What came of a job.
pub(super) enum Done {
    /// A pppd was started, or not.
    Started {
        /// Of this dial.
        dial: Box<Dial>,
        /// The pppd.
        started: Result<Started, Failure>,
    },
    /// What a look has seen.
    Looked(io::Result<Vec<Sighting>>),
}

/// What a signal meets of a call that has no pppd yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// The call was not begun, and won't be.
    Withdrawn,
    /// Its pppd is being started, and gets the signal then.
    Starting,
    /// Nothing.
    Nothing,
}

/// Jobs to be done, and the one that is under way.
#[derive(Default)]
pub(super) struct Jobs {
    dials: VecDeque<Dial>,
    /// What of the run folder is to be looked at.
    look: Option<Changed>,
    /// At most one.
    tasks: JoinSet<Done>,
    /// The call that is being started, and the strongest signal that was meant for it.
    starting: Option<(CallId, Option<Signal>)>,
}

impl Jobs {
    /// Has a pppd started in its turn.
    pub(super) fn dial(&mut self, dial: Dial) {
        self.dials.push_back(dial);
    }

    /// Has this of the run folder looked at.
    pub(super) fn look(&mut self, changed: Changed) {
        self.look = Some(match self.look.take() {
            Some(before) => before.and(changed),
            None => changed,
        });
    }

    /// Takes a signal for a call that has no pppd yet. Of two, the stronger is kept.
    pub(super) fn signal(&mut self, call: CallId, signal: Signal) -> Met {
        if let Some((starting, kept)) = &mut self.starting
            && *starting == call
        {
            *kept = (*kept).max(Some(signal));
            return Met::Starting;
        }
        let queued = self.dials.len();
        self.dials.retain(|dial| dial.call != call);
        if self.dials.len() < queued { Met::Withdrawn } else { Met::Nothing }
    }

    /// Begins the next job, unless one is under way. `held` are the pppds that are known.
    pub(super) fn begin(&mut self, paths: &Paths, held: impl FnOnce() -> BTreeSet<Pid>) {
        if !self.tasks.is_empty() {
            return;
        }
        if let Some(changed) = self.look.take() {
            self.tasks.spawn(look(paths.clone(), held(), changed));
        } else if let Some(dial) = self.dials.pop_front() {
            self.starting = Some((dial.call, None));
            self.tasks.spawn(start(dial));
        }
    }

    /// Returns when a job is done, with the signal that a new pppd is to get at once; never
    /// while there is none.
    pub(super) async fn done(&mut self) -> (Done, Option<Signal>) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(done)) => return (done, self.starting.take().and_then(|(_, kept)| kept)),
                // They tell of every failure, so this is the end of the runtime.
                Some(Err(error)) => tracing::debug!("a job is not done: {error}"),
                None => std::future::pending().await,
            }
        }
    }

    /// Whether a look is under way or still to come.
    pub(super) fn is_to_look(&self) -> bool {
        self.look.is_some() || (!self.tasks.is_empty() && self.starting.is_none())
    }

    /// Whether no pppd is to be started.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.dials.is_empty()
    }
}

async fn start(dial: Dial) -> Done {
    let (programs, node) = (dial.programs.clone(), dial.node);
    let (ppp_dir, run_dir) = (dial.ppp_dir.clone(), dial.run_dir.clone());
    let start = move || {
        let suspect = host_options::check(&ppp_dir, node)?;
        Ok(Started { suspect, ..spawn::start(&programs, node, &run_dir)? })
    };
    let started = spawn_blocking(start).await;
    let started = started.unwrap_or_else(|error| {
        let message = format!("can't start pppd: {error}; restart connexad");
        Err(Failure::new(FailureKind::Unexplained, message))
    });
    Done::Started { dial: Box::new(dial), started }
}

async fn look(paths: Paths, held: BTreeSet<Pid>, changed: Changed) -> Done {
    let sightings = spawn_blocking(move || found::look(&paths, &held, &changed)).await;
    Done::Looked(sightings.unwrap_or_else(|error| Err(io::Error::other(error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(number: u64) -> Dial {
        let [pppd, pptp] = ["/nowhere/pppd", "/nowhere/pptp"].map(Into::into);
        let (call, programs) = (CallId::Dialled(number), Programs { pppd, pptp });
        let [ppp_dir, run_dir] = ["/nowhere", "/nowhere"].map(Into::into);
        let (node, server, link) = (NodeId(2), None, None);
        Dial { call, node, server, link, programs, ppp_dir, run_dir, is_odd: false }
    }

    /// Two dials of which the first is begun.
    fn begun() -> Jobs {
        let mut jobs = Jobs::default();
        jobs.dial(dial(1));
        jobs.dial(dial(2));
        jobs.begin(&Paths::default(), BTreeSet::new);
        jobs
    }

    #[tokio::test]
    async fn of_signals_for_a_call_that_is_being_started_the_strongest_is_kept() {
        let mut jobs = begun();
        for signal in [Signal::Terminate, Signal::Kill, Signal::Kill, Signal::Terminate] {
            assert_eq!(jobs.signal(CallId::Dialled(1), signal), Met::Starting);
        }
        assert_eq!(jobs.done().await.1, Some(Signal::Kill));
    }

    #[tokio::test]
    async fn a_call_that_is_not_begun_is_never_started_once_it_is_signalled() {
        let mut jobs = begun();
        assert_eq!(jobs.signal(CallId::Dialled(2), Signal::Terminate), Met::Withdrawn);
        assert_eq!(jobs.done().await.1, None);
        assert!(jobs.is_idle());
    }

    #[tokio::test]
    async fn a_signal_for_a_call_that_nobody_starts_meets_nothing() {
        assert_eq!(begun().signal(CallId::Dialled(3), Signal::Kill), Met::Nothing);
    }
}
