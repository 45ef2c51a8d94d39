//! Is there room for as many tunnels as there are rows?

use std::fs;
use std::path::Path;

use super::Finding;
use crate::control::api::counted;
use crate::core::event::Pid;
use crate::process::Proc;

const CHECK: &str = "limits";
const PROC: &str = "/proc";

/// What a tunnel takes: a terminal of pppd's, three processes (pppd and two of pptp), and files that
/// the daemon keeps open (pppd's words, its end, its log socket, one to spare).
const TERMINALS: u64 = 1;
const PROCESSES: u64 = 3;
const FILES: u64 = 4;
/// What else runs on a host, and what the daemon opens besides.
const OTHER_PROCESSES: u64 = 1000;
const OTHER_FILES: u64 = 200;

/// For so many tunnels.
pub(super) fn check(tunnels: usize) -> Vec<Finding> {
    let proc = Path::new(PROC);
    judge(proc, daemon(), u64::try_from(tunnels).unwrap_or(u64::MAX))
}

/// The daemon that runs, where there is one.
fn daemon() -> Option<Pid> {
    let proc = Proc::host();
    let mut pids = proc.pids().unwrap_or_default().into_iter();
    pids.find(|pid| proc.name(*pid).is_ok_and(|name| name == b"connexad") && proc.is_here(*pid))
}

/// A finding for each limit that is too low, or one that there is room.
fn judge(proc: &Path, daemon: Option<Pid>, tunnels: u64) -> Vec<Finding> {
    let setting = |name: &str| number(&fs::read_to_string(proc.join("sys").join(name)).ok()?);
    let mut findings = Vec::new();
    let mut look = |limit: Option<u64>, needed: u64, what: &str, remedy: &str| {
        if let Some(limit) = limit.filter(|limit| *limit < needed) {
            let message =
                format!("{tunnels} tunnels take {needed} {what}, and the limit is {limit}");
            findings.push(Finding::failed(CHECK, message, remedy));
        }
    };
    let persist = "and the same in /etc/sysctl.d";
    let needed = tunnels.saturating_mul(TERMINALS);
    let remedy = format!("sysctl -w kernel.pty.max={}, {persist}", needed.saturating_mul(2));
    look(setting("kernel/pty/max"), needed, "terminals (kernel.pty.max)", &remedy);
    let needed = tunnels.saturating_mul(PROCESSES).saturating_add(OTHER_PROCESSES);
    for name in ["pid_max", "threads-max"] {
        let remedy = format!("sysctl -w kernel.{name}={}, {persist}", needed.saturating_mul(2));
        let what = format!("processes with those of the host (kernel.{name})");
        look(setting(&format!("kernel/{name}")), needed, &what, &remedy);
    }
    let needed = tunnels.saturating_mul(FILES).saturating_add(OTHER_FILES);
    let remedy = format!(
        "set LimitNOFILE={} in the unit of connexad, and start it again",
        needed.saturating_mul(2)
    );
    look(daemon.and_then(|pid| open_files(proc, pid)), needed, "open files of connexad", &remedy);
    if findings.is_empty() {
        let all = counted(usize::try_from(tunnels).unwrap_or(usize::MAX), "tunnel");
        let message =
            format!("the limits of open files, terminals and processes suffice for {all}");
        findings.push(Finding::ok(CHECK, message));
    }
    findings
}

/// `Max open files  65536  524288  files`: the first number is in force (proc(5)).
fn open_files(proc: &Path, pid: Pid) -> Option<u64> {
    let limits = fs::read_to_string(proc.join(pid.to_string()).join("limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    number(line.split_whitespace().next()?)
}

/// None where there is no limit.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn found(tunnels: u64) -> Vec<(Verdict, String)> {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir_all(proc.path().join("sys/kernel/pty")).unwrap();
        fs::create_dir_all(proc.path().join("7")).unwrap();
        for (name, text) in [
            ("sys/kernel/pty/max", "4096\n"),
            ("sys/kernel/pid_max", "32768\n"),
            ("sys/kernel/threads-max", "1000000\n"),
            (
                "7/limits",
                "Limit   Soft  Hard\nMax open files            20200      524288     files\n",
            ),
        ] {
            fs::write(proc.path().join(name), text).unwrap();
        }
        let all = judge(proc.path(), Some(7), tunnels);
        all.into_iter().map(|finding| (finding.verdict, finding.message)).collect()
    }

    #[test]
    fn a_host_with_room_is_well() {
        let enough = "the limits of open files, terminals and processes suffice for 4096 tunnels";
        assert_eq!(found(4096), [(Verdict::Ok, enough.to_owned())]);
    }

    #[test]
    fn each_limit_that_is_too_low_fails_with_what_it_would_take() {
        let found = found(12_000);
        let of = |word: &str| {
            found.iter().any(|(verdict, told)| *verdict == Verdict::Failed && told.contains(word))
        };
        assert!(of("12000 terminals (kernel.pty.max), and the limit is 4096"), "{found:?}");
        assert!(of("37000 processes"), "{found:?}");
        assert!(of("48200 open files of connexad, and the limit is 20200"), "{found:?}");
        assert!(!of("threads-max"), "{found:?}");
    }

    #[test]
    fn what_can_not_be_read_is_no_limit() {
        let all = judge(Path::new("/nowhere"), None, 1_000_000);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].verdict, Verdict::Ok);
    }
}
