//! What calls leave behind when their pppd does not end by itself: processes of pptp, and pid files.
//!
//! pptp's processes end with their pppd, but one that is stopped, hangs in a connect or was just
//! about to start does not. Every process of a call lives in the call's own mount namespace, which
//! bears the node's name (see `peer_file`), and one of them is a child of its pppd.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::peer_file;
use super::process::{Process, take_hold};
use super::processes::{self, Caller};
use super::stale::{self, PidFile};
use crate::config::Paths;
use crate::core::effect::Signal;
use crate::core::event::Pid;
use crate::node::NodeId;

/// What ends by itself has this long for it, and many ends are looked at together.
const GRACE: Duration = Duration::from_secs(3);

/// From TERM to KILL.
const PATIENCE: Duration = Duration::from_secs(2);

/// Clears up some time after each call to `ended`, and does nothing else.
pub(super) async fn keep_clear(paths: Paths, ended: Arc<Notify>) {
    loop {
        ended.notified().await;
        sleep(GRACE).await;
        if clear(&paths).await == Doubt::Some {
            // A dial that has only begun is beyond doubt by then.
            sleep(GRACE).await;
            clear(&paths).await;
        }
    }
}

/// Whether processes were left alone that may belong to a living pppd, or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    Some,
}

async fn clear(paths: &Paths) -> Doubt {
    let paths = paths.clone();
    match spawn_blocking(move || Scene::look(&paths).map(|scene| scene.clear(&paths))).await {
        Ok(Ok((orphans, doubt))) => {
            end(orphans).await;
            return doubt;
        }
        Ok(Err(error)) => tracing::warn!("left-over processes can't be looked for: {error}"),
        Err(error) => tracing::error!("looking for left-over processes has failed: {error}"),
    }
    Doubt::None
}

/// A process that has outlived its pppd.
struct Orphan {
    node: NodeId,
    pid: Pid,
    process: Process,
}

async fn end(orphans: Vec<Orphan>) {
    for Orphan { node, pid, process } in &orphans {
        tracing::info!(
            NODE_ID = node.0,
            "Node {node}: pptp {pid} has outlived its pppd; ending it"
        );
        process.signal(Signal::Terminate);
    }
    let all_gone = async {
        for orphan in &orphans {
            orphan.process.gone().await;
        }
    };
    if timeout(PATIENCE, all_gone).await.is_ok() {
        return;
    }
    for Orphan { node, pid, process } in orphans.iter().filter(|orphan| orphan.process.lives()) {
        tracing::warn!(NODE_ID = node.0, "pptp {pid} ignored SIGTERM; sending SIGKILL");
        process.signal(Signal::Kill);
    }
}

/// All that calls have at a moment.
struct Scene {
    /// Looked at first: a file that is written later differs from what stands here.
    pid_files: Vec<PidFile>,
    callers: Vec<Caller>,
    /// By mount namespace.
    calls: BTreeMap<PathBuf, Remains>,
}

/// The processes of one call, pppd excepted.
#[derive(Debug, PartialEq, Eq)]
struct Remains {
    node: NodeId,
    /// Each with its parent.
    members: BTreeMap<Pid, Option<Pid>>,
}

impl Scene {
    fn look(paths: &Paths) -> io::Result<Scene> {
        let pid_files = stale::pid_files(&paths.run_dir);
        let own = processes::mount_namespace(std::process::id());
        let mut callers = Vec::new();
        let mut calls: BTreeMap<PathBuf, Option<Remains>> = BTreeMap::new();
        for pid in processes::all()? {
            let Some(space) = processes::mount_namespace(pid) else { continue };
            callers.extend(processes::caller(pid));
            if Some(&space) == own.as_ref() {
                continue;
            }
            let remains = calls.entry(space).or_insert_with(|| {
                let node = peer_file::marked(&processes::mounts(pid))?;
                Some(Remains { node, members: BTreeMap::new() })
            });
            if let Some(remains) = remains {
                remains.members.insert(pid, processes::parent(pid));
            }
        }
        let calls = calls.into_iter().filter_map(|(space, remains)| Some((space, remains?)));
        Ok(Scene { pid_files, callers, calls: calls.collect() })
    }

    fn clear(&self, paths: &Paths) -> (Vec<Orphan>, Doubt) {
        for file in &self.pid_files {
            if !self.callers.iter().any(|caller| caller.node == file.node) && file.names_nobody() {
                file.take_away();
            }
        }
        let mut doubt = Doubt::None;
        let mut orphans = Vec::new();
        for (space, remains) in &self.calls {
            match judge(remains, &self.calls, &self.callers) {
                Verdict::Runs => {}
                Verdict::Unclear => doubt = Doubt::Some,
                Verdict::Over => orphans.extend(take_hold_of_all(space, remains, &paths.pptp)),
            }
        }
        (orphans, doubt)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Runs,
    Over,
    /// Without a parent, but there is a pppd of the node without any process. It has only begun; or
    /// it was detached when it was up (`updetach`), which changes its number under its children.
    Unclear,
}

fn judge(remains: &Remains, calls: &BTreeMap<PathBuf, Remains>, callers: &[Caller]) -> Verdict {
    if callers.iter().any(|caller| remains.is_of(caller)) {
        return Verdict::Runs;
    }
    let mut of_the_node = callers.iter().filter(|caller| caller.node == remains.node);
    let all_have_theirs = of_the_node.all(|caller| calls.values().any(|call| call.is_of(caller)));
    if all_have_theirs { Verdict::Over } else { Verdict::Unclear }
}

impl Remains {
    fn is_of(&self, caller: &Caller) -> bool {
        self.node == caller.node && self.members.values().any(|parent| *parent == Some(caller.pid))
    }
}

/// Takes hold of the call's processes of pptp. Others are left: an operator's shell may have come
/// in to look around.
fn take_hold_of_all(space: &Path, remains: &Remains, pptp: &Path) -> Vec<Orphan> {
    let take = |&pid: &Pid| {
        let pidfd = take_hold(pid).ok()?;
        // Asked again, now that its number can't become another's unnoticed.
        let is_it = processes::mount_namespace(pid).as_deref() == Some(space)
            && processes::runs(pid, pptp, "pptp")
            && processes::is_root_as_we(pid)
            && processes::is_here(pid);
        let process = Process::new(pidfd).ok().filter(|process| is_it && process.lives())?;
        Some(Orphan { node: remains.node, pid, process })
    };
    remains.members.keys().filter_map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PPPD: Caller = Caller { pid: 10, parent: 1, node: NodeId(2) };

    fn call(node: u32, members: &[(Pid, Pid)]) -> Remains {
        let members = members.iter().map(|&(pid, parent)| (pid, Some(parent)));
        Remains { node: NodeId(node), members: members.collect() }
    }

    /// Judges the first of these calls.
    fn judged(calls: &[Remains], callers: &[Caller]) -> Verdict {
        let spaces = (0..).map(|number: u32| PathBuf::from(number.to_string()));
        let copies = calls.iter().map(|call| Remains { members: call.members.clone(), ..*call });
        judge(&calls[0], &spaces.zip(copies).collect(), callers)
    }

    #[test]
    fn a_call_whose_pppd_lives_runs_though_its_manager_has_another_parent() {
        assert_eq!(judged(&[call(2, &[(11, 10), (12, 1)])], &[PPPD]), Verdict::Runs);
    }

    #[test]
    fn a_call_without_a_pppd_is_over() {
        let other_node = Caller { node: NodeId(3), ..PPPD };
        assert_eq!(judged(&[call(2, &[(12, 1)])], &[]), Verdict::Over);
        assert_eq!(judged(&[call(2, &[(12, 1)])], &[other_node]), Verdict::Over);
    }

    #[test]
    fn a_call_is_over_when_the_nodes_pppd_has_another() {
        assert_eq!(judged(&[call(2, &[(12, 1)]), call(2, &[(13, 10)])], &[PPPD]), Verdict::Over);
    }

    #[test]
    fn a_call_may_be_that_of_a_pppd_which_has_no_other() {
        assert_eq!(judged(&[call(2, &[(11, 1), (12, 1)])], &[PPPD]), Verdict::Unclear);
    }
}
