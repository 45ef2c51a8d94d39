//! All that calls have at a moment, and what of it is of no use any more.
//!
//! Every process of a call lives in the call's own mount namespace, which bears the node's name
//! (see `peer_file`). Of pptp there are two: the one that is a child of pppd, and the call manager
//! that it has started, which holds the connection to the server.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::callers::{self, Caller, Runs};
use super::stale::{self, Of, PidFile};
use super::{found, peer_file};
use crate::config::Paths;
use crate::core::event::Pid;
use crate::node::NodeId;
use crate::process::{Proc, lives, take_hold, there};

/// All that calls have at a moment.
pub(super) struct Scene {
    pppd: PathBuf,
    pptp: PathBuf,
    /// Looked at first: a file that is written later differs from what stands here.
    pid_files: Vec<PidFile>,
    callers: Vec<Caller>,
    /// By mount namespace.
    calls: BTreeMap<PathBuf, Remains>,
}

/// The processes of one call, pppd excepted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Remains {
    node: NodeId,
    members: BTreeMap<Pid, Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    parent: Option<Pid>,
    /// Others are left alone: an operator's shell may have come in to look around.
    is_pptp: bool,
}

/// What a look at the scene has brought up.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Processes to be ended.
    pub(super) orphans: Vec<Orphan>,
    /// Whether processes were left alone that may belong to a living pppd, or to none.
    pub(super) doubt: bool,
    /// The children of living pppds.
    pub(super) gateways: BTreeSet<Pid>,
    /// Call managers of living pppds that are not watched yet.
    pub(super) managers: Vec<(Pid, OwnedFd)>,
}

/// A process of pptp that is of no use any more.
#[derive(Debug)]
pub(super) struct Orphan {
    /// Whose call it was.
    pub(super) node: NodeId,
    /// Its number.
    pub(super) pid: Pid,
    /// The process itself.
    pub(super) pidfd: OwnedFd,
    /// What it has lost.
    pub(super) lost: Lost,
}

/// What a process of pptp has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its pppd.
    Pppd,
    /// Its call manager.
    Manager,
}

impl Scene {
    /// Looks at every process and at the run folder.
    ///
    /// # Errors
    /// When `/proc` can't be read, or something of a process for want of descriptors or memory: by
    /// half a look a tunnel that is up would seem to be over.
    pub(super) fn look(paths: &Paths) -> io::Result<Scene> {
        let pid_files = stale::pid_files(&paths.run_dir);
        let proc = Proc::host();
        let own = proc.mount_namespace(std::process::id())?;
        let mut callers = Vec::new();
        let mut calls: BTreeMap<PathBuf, Option<Remains>> = BTreeMap::new();
        let mut listed = BTreeSet::new();
        for pid in (0..LISTINGS).flat_map(|_| unlisted(proc, &mut listed)) {
            let pid = pid?;
            let Some(space) = proc.mount_namespace(pid)? else { continue };
            callers.extend(callers::caller(pid)?);
            if Some(&space) == own.as_ref() {
                continue;
            }
            let remains = match calls.entry(space) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let node = peer_file::marked(&proc.mounts(pid)?);
                    new.insert(node.map(|node| Remains { node, members: BTreeMap::new() }))
                }
            };
            if let Some(remains) = remains {
                let is_pptp = is_pptp(pid, &paths.pptp)?;
                let member = Member { parent: proc.parent(pid)?, is_pptp };
                remains.members.insert(pid, member);
            }
        }
        let calls = calls.into_iter().filter_map(|(space, remains)| Some((space, remains?)));
        let (pppd, pptp, calls) = (paths.pppd.clone(), paths.pptp.clone(), calls.collect());
        Ok(Scene { pppd, pptp, pid_files, callers, calls })
    }

    /// Removes the pid files that name no living pppd.
    ///
    /// # Errors
    /// When it is not known of one, for want of descriptors or memory.
    pub(super) fn clear_files(&self, pppd: &Path) -> io::Result<()> {
        let is_of_a_link = |file: &&PidFile| matches!(file.of, Of::Link(_));
        let (of_links, of_nodes): (Vec<_>, Vec<_>) = self.pid_files.iter().partition(is_of_a_link);
        // A link's file is known by its node's, which therefore goes after it.
        for file in of_links.into_iter().chain(of_nodes) {
            let has_a_caller = match &file.of {
                Of::Node(node) => self.callers.iter().any(|caller| caller.node == *node),
                Of::Link(_) => false,
            };
            if !has_a_caller && file.names_nobody(pppd)? {
                file.take_away();
            }
        }
        Ok(())
    }

    /// Judges the processes. `before` are the gateways that were there at a look some seconds ago:
    /// one that has only begun has no call manager yet. `watched` are the managers that are known.
    ///
    /// # Errors
    /// When one can't be held, for want of descriptors or memory.
    pub(super) fn judge(
        &self,
        before: &BTreeSet<Pid>,
        watched: &BTreeSet<Pid>,
    ) -> io::Result<Findings> {
        let mut findings = Findings::default();
        for (space, remains) in &self.calls {
            match judge(remains, &self.calls, &self.callers) {
                Verdict::Unclear => findings.doubt = true,
                Verdict::Over if self.is_somebodys(remains)? => {}
                Verdict::Over => {
                    for (pid, pidfd) in hold(space, &self.pptp, remains.pptps())? {
                        let node = remains.node;
                        findings.orphans.push(Orphan { node, pid, pidfd, lost: Lost::Pppd });
                    }
                }
                Verdict::Runs => {
                    self.judge_running(space, remains, before, watched, &mut findings)?;
                }
            }
        }
        Ok(findings)
    }

    /// Whether somebody makes the call by a copy of the peer file: by a pppd that calls no node. Once
    /// that has detached itself, only the node's pid file tells of it.
    ///
    /// # Errors
    /// When that is not known, for want of descriptors or memory.
    fn is_somebodys(&self, remains: &Remains) -> io::Result<bool> {
        if remains.has_a_pppd(&self.pppd)? {
            return Ok(true);
        }
        let is_its = |file: &&PidFile| matches!(&file.of, Of::Node(node) if *node == remains.node);
        let Some(file) = self.pid_files.iter().find(is_its) else { return Ok(false) };
        let Some(pid) = file.named()? else { return Ok(false) };
        let is_caller = self.callers.iter().any(|caller| caller.pid == pid);
        Ok(!is_caller && found::is_pppd(pid, &self.pppd)?)
    }

    fn judge_running(
        &self,
        space: &Path,
        remains: &Remains,
        before: &BTreeSet<Pid>,
        watched: &BTreeSet<Pid>,
        findings: &mut Findings,
    ) -> io::Result<()> {
        let Halves { gateways, managers } = remains.halves(&self.callers);
        if managers.is_empty() {
            let (lost, begun): (Vec<Pid>, _) =
                gateways.iter().partition(|gateway| before.contains(gateway));
            findings.doubt |= !begun.is_empty();
            for (pid, pidfd) in hold(space, &self.pptp, lost)? {
                let node = remains.node;
                findings.orphans.push(Orphan { node, pid, pidfd, lost: Lost::Manager });
            }
        }
        let news = managers.into_iter().filter(|manager| !watched.contains(manager));
        findings.managers.extend(hold(space, &self.pptp, news)?);
        findings.gateways.extend(gateways);
        Ok(())
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

/// The two sorts of pptp in a call.
#[derive(Debug, Default, PartialEq, Eq)]
struct Halves {
    gateways: Vec<Pid>,
    managers: Vec<Pid>,
}

impl Remains {
    fn is_of(&self, caller: &Caller) -> bool {
        let is_its_child = |member: &Member| member.parent == Some(caller.pid);
        self.node == caller.node && self.members.values().any(is_its_child)
    }

    /// Whether a pppd that calls no node has started it: somebody dials by a copy of the peer file.
    ///
    /// # Errors
    /// When that is not known, for want of descriptors or memory.
    fn has_a_pppd(&self, pppd: &Path) -> io::Result<bool> {
        let parents: BTreeSet<Pid> = self.members.values().filter_map(|m| m.parent).collect();
        for parent in parents {
            if found::is_pppd(parent, pppd)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pptps(&self) -> impl Iterator<Item = Pid> {
        self.members.iter().filter(|(_, member)| member.is_pptp).map(|(pid, _)| *pid)
    }

    fn halves(&self, callers: &[Caller]) -> Halves {
        let is_gateway = |pid: &Pid| {
            let parent = self.members.get(pid).and_then(|member| member.parent);
            callers.iter().any(|caller| caller.node == self.node && Some(caller.pid) == parent)
        };
        let (gateways, managers) = self.pptps().partition(is_gateway);
        Halves { gateways, managers }
    }
}

/// The processes are listed so often: a pppd that detaches itself is not in the first list by its new
/// number, and may be gone by its old one when that is asked.
const LISTINGS: u32 = 3;

/// The processes that were not there at the lists before.
fn unlisted(proc: Proc<'_>, listed: &mut BTreeSet<Pid>) -> Vec<io::Result<Pid>> {
    match proc.pids() {
        Ok(pids) => pids.into_iter().filter(|pid| listed.insert(*pid)).map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// Whether the process runs a pptp.
fn is_pptp(pid: Pid, pptp: &Path) -> io::Result<bool> {
    Ok(match callers::runs(pid, pptp, "pptp")? {
        Runs::Itself | Runs::Namesake => true,
        Runs::Other => false,
    })
}

/// Takes hold of processes of pptp in this mount namespace.
fn hold(
    space: &Path,
    pptp: &Path,
    pids: impl IntoIterator<Item = Pid>,
) -> io::Result<Vec<(Pid, OwnedFd)>> {
    let take = |pid: Pid| {
        let Some(pidfd) = there(take_hold(pid))? else { return Ok(None) };
        // Asked again, now that its number can't become another's unnoticed.
        let proc = Proc::host();
        let is_it = proc.mount_namespace(pid)?.as_deref() == Some(space)
            && is_pptp(pid, pptp)?
            && proc.has_our_rights(pid)?
            && proc.is_here(pid);
        Ok((is_it && lives(&pidfd)).then_some((pid, pidfd)))
    };
    pids.into_iter().filter_map(|pid| take(pid).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PPPD: Caller = Caller { pid: 10, parent: 1, node: NodeId(2) };

    /// A call of pptp processes, each with its parent.
    fn call(node: u32, members: &[(Pid, Pid)]) -> Remains {
        let pptp = |parent| Member { parent: Some(parent), is_pptp: true };
        let members = members.iter().map(|&(pid, parent)| (pid, pptp(parent)));
        Remains { node: NodeId(node), members: members.collect() }
    }

    /// Judges the first of these calls.
    fn judged(calls: &[Remains], callers: &[Caller]) -> Verdict {
        let spaces = (0..).map(|number: u32| PathBuf::from(number.to_string()));
        judge(&calls[0], &spaces.zip(calls.iter().cloned()).collect(), callers)
    }

    #[test]
    fn a_call_that_a_pppd_makes_by_a_copy_of_the_peer_file_is_somebodys() {
        let this = std::env::current_exe().unwrap();
        let remains = call(2, &[(11, std::process::id()), (12, 1)]);
        assert!(remains.has_a_pppd(&this).unwrap());
        assert!(!remains.has_a_pppd(Path::new("/nowhere/pppd")).unwrap());
    }

    #[test]
    fn a_call_whose_node_s_file_names_a_pppd_that_calls_no_node_is_somebodys() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ppp-connexa-node-2.pid");
        std::fs::write(file, format!("{}\nppp0\n", std::process::id())).unwrap();
        let scene = |pppd: &Path, callers| Scene {
            pppd: pppd.to_owned(),
            pptp: PathBuf::new(),
            pid_files: stale::pid_files(dir.path()),
            callers,
            calls: BTreeMap::new(),
        };
        let (this, remains) = (std::env::current_exe().unwrap(), call(2, &[(11, 1), (12, 1)]));
        let is_somebodys = |scene: Scene| scene.is_somebodys(&remains).unwrap();
        assert!(is_somebodys(scene(&this, Vec::new())));
        assert!(!is_somebodys(scene(Path::new("/nowhere/pppd"), Vec::new())));
        let caller = Caller { pid: std::process::id(), ..PPPD };
        assert!(!is_somebodys(scene(&this, vec![caller])));
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

    #[test]
    fn the_child_of_pppd_is_the_gateway_and_the_other_pptp_its_manager() {
        let mut call = call(2, &[(11, 10), (12, 1), (13, 1)]);
        call.members.get_mut(&13).unwrap().is_pptp = false;
        let halves = Halves { gateways: vec![11], managers: vec![12] };
        assert_eq!(call.halves(&[PPPD]), halves);
    }

    /// What is found of a call that has nothing but its gateway, which has no real process.
    fn found_of_a_gateway(before: &[Pid]) -> Findings {
        let calls = BTreeMap::from([(PathBuf::from("mnt:[1]"), call(2, &[(11, 10)]))]);
        let scene = Scene {
            pppd: PathBuf::new(),
            pptp: PathBuf::new(),
            pid_files: Vec::new(),
            callers: vec![PPPD],
            calls,
        };
        scene.judge(&before.iter().copied().collect(), &BTreeSet::new()).unwrap()
    }

    #[test]
    fn a_gateway_without_a_manager_is_looked_at_once_more() {
        let findings = found_of_a_gateway(&[]);
        assert!(findings.doubt && findings.gateways.contains(&11));
        assert!(!found_of_a_gateway(&[11]).doubt);
    }
}
