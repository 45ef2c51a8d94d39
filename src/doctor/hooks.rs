//! Are the operator's own programs there?

use std::env;
use std::ffi::OsStr;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::restart_command::is_found;
use super::{ANSWER_WITHIN, Finding};
use crate::config::Hooks;

const CHECK: &str = "hooks";

/// A finding for each hook, or one that there is none.
pub(super) async fn check(hooks: &Hooks) -> Vec<Finding> {
    let hooks = hooks.clone();
    let look = spawn_blocking(move || look(&hooks, &env::var_os("PATH").unwrap_or_default()));
    timeout(ANSWER_WITHIN, look).await.ok().and_then(Result::ok).unwrap_or_else(|| {
        let message = "whether the hooks are there can't be seen";
        vec![Finding::warning(CHECK, message, "see the kernel's log for a disk that hangs")]
    })
}

fn look(hooks: &Hooks, path: &OsStr) -> Vec<Finding> {
    let all = [("hooks.up", &hooks.up), ("hooks.down", &hooks.down)];
    let programs = all.into_iter().filter_map(|(key, argv)| Some((key, argv.as_ref()?.first()?)));
    let mut findings: Vec<Finding> = programs
        .map(|(key, program)| {
            if is_found(program, path) {
                return Finding::ok(CHECK, format!("{program} is there ({key})"));
            }
            let message = format!("{program} is not there, or not executable ({key})");
            Finding::failed(CHECK, message, format!("chmod +x it, or set {key}"))
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "no hooks are set (hooks.up, hooks.down)"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_hook_that_is_not_there_or_not_executable_fails() {
        let argv = |program: &str| Some(vec![program.to_owned(), "word".to_owned()]);
        let hooks = Hooks { up: argv("/bin/sh"), down: argv("/etc/passwd"), ..Hooks::default() };
        let verdicts: Vec<Verdict> =
            look(&hooks, "/bin".as_ref()).iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Failed]);
    }

    #[test]
    fn a_host_without_hooks_is_well() {
        let found = look(&Hooks::default(), "/bin".as_ref());
        assert_eq!(found.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), [Verdict::Ok]);
    }
}
