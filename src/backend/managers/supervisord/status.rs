//! What supervisord would do with programs, by `supervisorctl status` and its configuration.

use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::super::{Plan, Question, systemd};
use super::conf;
use crate::command::{CommandError, ask_if_there};

const ETC: &str = "/etc";

/// supervisord's own unit, as Debian and others name it.
const OWN_UNITS: &[&str] = &["supervisor.service", "supervisord.service"];

/// States of a program ("Process States" in supervisor's manual).
const STATES: &[&str] =
    &["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"];

/// Those of a program that runs or is about to.
const ALIVE: &[&str] = &["STARTING", "RUNNING", "BACKOFF"];

/// A program, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    name: String,
    /// Its state, where supervisord runs and has it.
    state: Option<String>,
}

/// A host without supervisorctl has no programs but those that stand in the configuration.
pub(super) async fn ask(question: Question<'_>) -> Result<Vec<Plan>, CommandError> {
    let named = question.named;
    let argv = [named.client.as_slice(), &["status".to_owned()], &named.names].concat();
    let answer = ask_if_there(&argv, question.limit).await?;
    let answer = answer.map(|answer| answer.text).unwrap_or_default();
    let (runs, mut programs) = read_status(&answer);
    for name in &named.names {
        if !programs.iter().any(|program| program.name == *name) && is_plain(name) {
            programs.push(Program { name: name.clone(), state: None });
        }
    }
    let starts_programs = runs || systemd::wants_any(OWN_UNITS, question).await?;
    let mut plans = Vec::new();
    for program in programs {
        let is_started = starts_programs && autostart(&program.name, question.limit).await;
        plans.push(plan(program, is_started));
    }
    Ok(plans)
}

/// What becomes of a program that supervisord starts by itself, or does not.
fn plan(program: Program, autostart: bool) -> Plan {
    let state = program.state.as_deref();
    let is_wanted = autostart || state.is_some_and(|state| ALIVE.contains(&state));
    let words =
        state.unwrap_or("not started").to_owned() + if autostart { ", autostart" } else { "" };
    Plan { name: program.name, words, is_wanted }
}

/// Whether the name is that of one program: not `all`, and no group.
fn is_plain(name: &str) -> bool {
    name != "all" && !name.ends_with(":*") && !name.ends_with(':')
}

/// Whether supervisord answered, and the programs that it has. A line is `NAME STATE DETAILS`, or
/// `NAME: ERROR (no such process)`, or says that no supervisord is there.
fn read_status(text: &str) -> (bool, Vec<Program>) {
    let mut answered = text.contains("ERROR (no such");
    let mut programs = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(state)) = (words.next(), words.next())
            && STATES.contains(&state)
        {
            answered = true;
            programs.push(Program { name: name.to_owned(), state: Some(state.to_owned()) });
        }
    }
    (answered, programs)
}

/// Sections carry names without groups.
async fn autostart(name: &str, limit: Duration) -> bool {
    let section = name.rsplit(':').next().unwrap_or(name).to_owned();
    let look = spawn_blocking(move || conf::autostart(Path::new(ETC), &section));
    matches!(timeout(limit, look).await, Ok(Ok(Some(true))))
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

    #[test]
    fn a_program_that_runs_or_will_is_wanted() {
        let plan = |state: Option<&str>, autostart| {
            plan(Program { name: "a".into(), state: state.map(str::to_owned) }, autostart).is_wanted
        };
        assert!(plan(Some("RUNNING"), false) && plan(Some("FATAL"), true) && plan(None, true));
        assert!(
            plan(Some("BACKOFF"), false) && !plan(Some("STOPPED"), false) && !plan(None, false)
        );
    }
}
