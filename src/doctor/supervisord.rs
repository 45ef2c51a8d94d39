//! What supervisord would do with programs.

use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, supervisor_conf, systemd};
use crate::command::{CommandError, ask};

const ETC: &str = "/etc";

/// supervisord's own unit, as Debian and others name it.
const OWN_UNITS: &[&str] = &["supervisor.service", "supervisord.service"];

/// States of a program ("Process States" in supervisor's manual).
const STATES: &[&str] =
    &["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"];

/// A program, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Supervised {
    pub(super) name: String,
    /// Its state, where supervisord runs and has it.
    pub(super) state: Option<String>,
    /// Whether supervisord starts it by itself and runs, or will at the next boot.
    pub(super) autostart: bool,
}

impl Supervised {
    /// Whether it runs, or will at the next boot.
    pub(super) fn is_wanted(&self) -> bool {
        let state = self.state.as_deref();
        self.autostart || state.is_some_and(|s| ["STARTING", "RUNNING", "BACKOFF"].contains(&s))
    }
}

/// Asks for programs, by names as `supervisorctl` takes them. A host without it has none.
pub(super) async fn programs(
    client: &[String],
    names: &[String],
) -> Result<Vec<Supervised>, CommandError> {
    let argv = [client, &["status".to_owned()], names].concat();
    let answer = match ask(&argv, ANSWER_WITHIN).await {
        Ok(answer) => answer.text,
        Err(CommandError::Missing { .. }) => String::new(),
        Err(error @ (CommandError::Lost { .. } | CommandError::Timeout { .. })) => {
            return Err(error);
        }
    };
    let (runs, mut programs) = read_status(&answer);
    for name in names {
        if !programs.iter().any(|program| program.name == *name) && is_plain(name) {
            programs.push(Supervised { name: name.clone(), ..Supervised::default() });
        }
    }
    if runs || starts_at_boot().await? {
        for program in &mut programs {
            program.autostart = autostart(&program.name).await;
        }
    }
    Ok(programs)
}

/// Whether the name is that of one program: not `all`, and no group.
fn is_plain(name: &str) -> bool {
    name != "all" && !name.ends_with(":*") && !name.ends_with(':')
}

/// Whether supervisord answered, and the programs that it has. A line is `NAME STATE DETAILS`, or
/// `NAME: ERROR (no such process)`, or says that no supervisord is there.
fn read_status(text: &str) -> (bool, Vec<Supervised>) {
    let mut answered = text.contains("ERROR (no such");
    let mut programs = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(state)) = (words.next(), words.next())
            && STATES.contains(&state)
        {
            answered = true;
            let (name, state) = (name.to_owned(), Some(state.to_owned()));
            programs.push(Supervised { name, state, autostart: false });
        }
    }
    (answered, programs)
}

async fn starts_at_boot() -> Result<bool, CommandError> {
    for unit in OWN_UNITS {
        if systemd::service(unit).await?.is_wanted() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sections carry names without groups.
async fn autostart(name: &str) -> bool {
    let section = name.rsplit(':').next().unwrap_or(name).to_owned();
    let look = spawn_blocking(move || supervisor_conf::autostart(Path::new(ETC), &section));
    matches!(timeout(ANSWER_WITHIN, look).await, Ok(Ok(Some(true))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_from_what_supervisorctl_prints() {
        let (answered, programs) = read_status(
            "backend      RUNNING   pid 41, uptime 0:00:05\nweb:b_00     FATAL     Exited too quickly\n",
        );
        let seen: Vec<_> =
            programs.iter().map(|p| (p.name.as_str(), p.state.as_deref().unwrap())).collect();
        assert_eq!((answered, seen), (true, vec![("backend", "RUNNING"), ("web:b_00", "FATAL")]));
    }

    #[test]
    fn a_supervisord_without_the_program_has_answered() {
        assert_eq!(read_status("backend: ERROR (no such process)\n"), (true, vec![]));
    }

    #[test]
    fn without_supervisord_there_is_no_answer() {
        for text in [
            "",
            "unix:///var/run/supervisor.sock no such file\n",
            "http://x:9001 refused connection\n",
        ] {
            assert_eq!(read_status(text), (false, vec![]), "{text}");
        }
    }
}
