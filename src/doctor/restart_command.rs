//! Is the program of `backend.restart` there?

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::config::Backend;

const CHECK: &str = "restart_command";

pub(super) async fn check(backend: &Backend) -> Finding {
    let program = backend.restart.first().cloned().unwrap_or_default();
    let name = program.clone();
    let look = spawn_blocking(move || is_found(&name, &env::var_os("PATH").unwrap_or_default()));
    if let Ok(Ok(true)) = timeout(ANSWER_WITHIN, look).await {
        Finding::ok(CHECK, format!("{program} is there to restart the backend"))
    } else {
        let message =
            format!("{program} is not there, so the backend can't be restarted (backend.restart)");
        Finding::failed(
            CHECK,
            message,
            "install it, or set backend.restart; without a backend, set outage.interval = \"365d\"",
        )
    }
}

/// As execvp(3) looks: in PATH only for a name without a slash.
pub(super) fn is_found(program: &str, path: &std::ffi::OsStr) -> bool {
    if program.contains('/') {
        return is_program(Path::new(program));
    }
    !program.is_empty() && env::split_paths(path).any(|folder| is_program(&folder.join(program)))
}

/// Whether it is a file that somebody may execute.
pub(super) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_path_and_a_path_is_not() {
        let path = "/nowhere:/bin".as_ref();
        assert!(is_found("sh", path) && is_found("/bin/sh", path));
        assert!(!is_found("./sh", path) && !is_found("sh", "/nowhere".as_ref()));
    }

    #[test]
    fn a_file_that_nobody_may_execute_is_no_program() {
        assert!(!is_program(Path::new("/etc/passwd")) && !is_program(Path::new("/bin")));
    }
}
