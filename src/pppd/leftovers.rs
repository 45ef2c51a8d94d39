//! What calls leave behind when they do not end as a whole: processes of pptp, and pid files.
//!
//! pptp's processes end with their pppd, but one that is stopped, hangs in a connect or was just
//! about to start does not. And a pppd does not end with the call manager of its pptp: until it
//! misses its echoes, the tunnel looks up and carries nothing. Ending the other pptp of that call
//! makes its pppd notice.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::managers::Managers;
use super::scene::{Findings, Lost, Orphan, Scene};
use super::stale;
use crate::config::Paths;
use crate::core::event::Pid;
use crate::node::NodeId;
use crate::process::Process;

/// What ends by itself has this long for it, and many ends are looked at together.
const GRACE: Duration = Duration::from_secs(3);

/// From TERM to KILL.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many looks that fail, [`GRACE`] apart: a minute.
const LOOKS: u32 = 20;

/// Clears up some time after each call to `stirred` and after the end of each call manager, and
/// does nothing else.
pub(super) async fn keep_clear(paths: Paths, stirred: Arc<Notify>) {
    let mut watch = match Managers::new() {
        Ok(managers) => Watch { paths, managers, gateways: BTreeSet::new() },
        Err(error) => return tracing::error!("left-over processes can't be watched: {error}"),
    };
    loop {
        tokio::select! {
            () = stirred.notified() => {}
            () = watch.managers.ended() => {}
        }
        sleep(GRACE).await;
        let mut cleared = watch.clear_for_sure().await;
        if let Ok(Doubt::Some) = cleared {
            // A dial that has only begun is beyond doubt by then.
            sleep(GRACE).await;
            cleared = watch.clear_for_sure().await;
        }
        if let Err(error) = cleared {
            tracing::error!(
                "left-over processes were looked for in vain for a minute: {error}; the next look is when \
                 another call begins or ends"
            );
        }
    }
}

/// Ends what is left of calls that have all ended, within this time: for a daemon that is about to
/// end and leaves no tunnel. Never to be called in a dry run.
pub(super) async fn clear_at_the_end(paths: &Paths, within: Duration) {
    let findings = match look(paths, BTreeSet::new(), BTreeSet::new()).await {
        Ok(findings) => findings,
        Err(error) => return tell(&error),
    };
    let orphans = held(findings.orphans);
    // Most end by themselves, and a moment after their pppd.
    if timeout(within / 4, all_gone(&orphans)).await.is_err() {
        end(&orphans, within / 2).await;
    }
}

struct Watch {
    paths: Paths,
    managers: Managers,
    /// That were there at the last look.
    gateways: BTreeSet<Pid>,
}

/// Whether another look is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    Some,
}

impl Watch {
    /// Looks until a look succeeds, for what was not seen is not there for that alone; an error that
    /// lasts ends it.
    async fn clear_for_sure(&mut self) -> io::Result<Doubt> {
        let mut failures = Failures::default();
        loop {
            match self.clear().await {
                Err(error) if failures.may_pass(&error) => sleep(GRACE).await,
                cleared => return cleared,
            }
        }
    }

    async fn clear(&mut self) -> io::Result<Doubt> {
        let watched = self.managers.living().collect();
        let findings = look(&self.paths, self.gateways.clone(), watched).await?;
        self.gateways = findings.gateways;
        for (pid, pidfd) in findings.managers {
            if let Err(error) = self.managers.watch(pid, pidfd) {
                tracing::warn!("the call manager {pid} of pptp can't be watched: {error}");
            }
        }
        end(&held(findings.orphans), PATIENCE).await;
        Ok(if findings.doubt { Doubt::Some } else { Doubt::None })
    }
}

/// Looks in a row that have failed.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    /// Whether it is worth another look. The first is told.
    fn may_pass(&mut self, error: &io::Error) -> bool {
        self.0 += 1;
        match self.0 {
            1 => tell(error),
            _ => tracing::debug!("{error}"),
        }
        self.0 < LOOKS
    }
}

/// Looks at what there is, and removes stale files.
async fn look(
    paths: &Paths,
    before: BTreeSet<Pid>,
    watched: BTreeSet<Pid>,
) -> io::Result<Findings> {
    let paths = paths.clone();
    let look = move || {
        stale::finish(&paths.run_dir, &paths.pppd)?;
        let scene = Scene::look(&paths)?;
        scene.clear_files(&paths.pppd)?;
        scene.judge(&before, &watched)
    };
    spawn_blocking(look).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn tell(error: &io::Error) {
    tracing::warn!("left-over processes can't be looked for: {error}");
}

/// An orphan whose end is heard.
struct Held {
    node: NodeId,
    pid: Pid,
    lost: Lost,
    process: Process,
}

fn held(orphans: Vec<Orphan>) -> Vec<Held> {
    let hear = |Orphan { node, pid, pidfd, lost }| {
        Some(Held { node, pid, lost, process: Process::new(pidfd).ok()? })
    };
    orphans.into_iter().filter_map(hear).collect()
}

async fn all_gone(orphans: &[Held]) {
    for orphan in orphans {
        orphan.process.gone().await;
    }
}

/// TERM, and KILL after `patience`.
async fn end(orphans: &[Held], patience: Duration) {
    for Held { node, pid, lost, process } in orphans.iter().filter(|orphan| orphan.process.lives())
    {
        let what = match lost {
            Lost::Pppd => "has outlived its pppd",
            Lost::Manager => "has lost its call manager",
        };
        tracing::info!(NODE_ID = node.0, "Node {node}: pptp {pid} {what}; ending it");
        process.signal(Signal::TERM);
    }
    if timeout(patience, all_gone(orphans)).await.is_ok() {
        return;
    }
    for Held { node, pid, process, .. } in orphans.iter().filter(|orphan| orphan.process.lives()) {
        tracing::warn!(NODE_ID = node.0, "pptp {pid} ignored SIGTERM; sending SIGKILL");
        process.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_fails_is_made_again_and_not_for_ever() {
        let mut failures = Failures::default();
        let error = io::Error::other("no file");
        let more = (0..).take_while(|_| failures.may_pass(&error)).count();
        assert_eq!(more, 19);
    }
}
