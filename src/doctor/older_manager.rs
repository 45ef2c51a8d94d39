//! Does the manager of v7.4.6, or its watchdog, run beside connexad?
//!
//! They are Python: `python3 -m app.backend.watchdog --interval 30`, and the module
//! `pptp_tunnel_manager`. The manager also runs within the backend, where no command line shows it.

use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::backend::owner::{self, Owner};
use crate::core::event::Pid;
use crate::process::Proc;

const CHECK: &str = "older_manager";
/// Of modules by `-m`, and of files.
const WATCHDOG: [&str; 2] = ["backend.watchdog", "backend/watchdog.py"];
const MANAGER: &str = "pptp_tunnel_manager";

pub(super) async fn check() -> Vec<Finding> {
    let look = spawn_blocking(|| judge(&running(Proc::host())));
    timeout(ANSWER_WITHIN, look).await.ok().and_then(Result::ok).unwrap_or_else(|| {
        let message = "whether the older manager runs can't be seen";
        vec![Finding::warning(CHECK, message, "see the kernel's log, and that /proc is mounted")]
    })
}

/// Those that run, with what each is.
fn running(proc: Proc) -> Vec<(&'static str, Owner)> {
    let pids: Vec<Pid> = proc.pids().unwrap_or_default();
    let known = pids.into_iter().filter(|pid| proc.is_here(*pid)).filter_map(|pid| {
        // One that is gone since, or lies where only the process sees it, goes by its name.
        let meant = |file: &Path| {
            let found = proc.resolve(pid, file).ok().flatten();
            found.or_else(|| Some(proc.folder(pid)?.join(file)))
        };
        let what = what(&proc.command_line(pid).ok()?, meant)?;
        Some((what, owner::of(proc, pid)?))
    });
    known.collect()
}

/// What a command line runs, where it is the older manager's. A file is meant from where the process
/// works.
fn what(words: &[Vec<u8>], resolve: impl FnOnce(&Path) -> Option<PathBuf>) -> Option<&'static str> {
    let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    let (program, rest) = words.split_first()?;
    let name = program.rsplit('/').next().unwrap_or_default();
    if !name.starts_with("python") {
        return None;
    }
    // What runs is a file or, after `-m`, a module; it comes before its own options.
    let run = rest.iter().find(|word| !word.starts_with('-'))?;
    let file = run.ends_with(".py").then(|| resolve(Path::new(run.as_ref()))).flatten();
    let run = file.map_or_else(|| run.to_string(), |file| file.display().to_string());
    if WATCHDOG.iter().any(|known| run.ends_with(known)) {
        Some("the watchdog of v7.4.6")
    } else if run.trim_end_matches(".py").ends_with(MANAGER) {
        Some("the tunnel manager of v7.4.6")
    } else {
        None
    }
}

fn judge(running: &[(&'static str, Owner)]) -> Vec<Finding> {
    if running.is_empty() {
        return vec![Finding::ok(
            CHECK,
            "no manager or watchdog of v7.4.6 runs (inside the backend it would not be seen)",
        )];
    }
    let told = running.iter().map(|(what, owner)| {
        let Owner { pid, command, .. } = owner;
        let message =
            format!("{what} runs as pid {pid} ({command}): it restarts or dials beside connexad");
        Finding::failed(
            CHECK,
            message,
            format!("end it, and see that nothing starts it again: {}", owner.way_out()),
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn of(line: &str) -> Option<&'static str> {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        what(&words, |file| Some(Path::new("/app/backend").join(file)))
    }

    #[test]
    fn the_watchdog_and_the_manager_are_known_by_what_python_runs() {
        for line in [
            "python3 -m app.backend.watchdog --interval 30",
            "/usr/bin/python3.11 -u -m app.backend.watchdog",
            "python /app/backend/watchdog.py",
            "python3 watchdog.py",
        ] {
            assert_eq!(of(line), Some("the watchdog of v7.4.6"), "{line}");
        }
        for line in [
            "python3 -m app.backend.pptp_tunnel_manager",
            "python3 /app/backend/pptp_tunnel_manager.py",
        ] {
            assert_eq!(of(line), Some("the tunnel manager of v7.4.6"), "{line}");
        }
    }

    #[test]
    fn what_only_names_them_is_none() {
        for line in [
            "vim /app/backend/watchdog.py",
            "grep watchdog",
            "python3 /srv/other/watchdog.py",
            "python3 ../watchdog.py",
            "python3 -m uvicorn app.backend.server:app",
            "python3 edit.py /app/backend/watchdog.py",
            "python3",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn one_that_runs_fails_with_its_number_and_the_way_to_end_it() {
        let command = "python3 -m app.backend.watchdog".to_owned();
        let owner =
            Owner { pid: 77, parent: 1, command, service: None, within: None, is_contained: false };
        let found = judge(&[("the watchdog of v7.4.6", owner)]);
        assert_eq!(found[0].verdict, Verdict::Failed);
        assert!(found[0].message.contains("pid 77"), "{:?}", found[0]);
        assert!(found[0].remedy.as_ref().unwrap().ends_with(": kill 77"), "{:?}", found[0]);
        assert_eq!(judge(&[])[0].verdict, Verdict::Ok);
    }
}
