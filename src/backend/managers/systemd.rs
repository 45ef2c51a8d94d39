//! systemd: its services, by their cgroups and by `systemctl`.

mod unit;

use super::{Manager, Named, Plan, Question, Service, first_word};
use crate::command::{CommandError, ask_if_there, shown};
use crate::core::event::Pid;
use crate::process::Proc;
use unit::Unit;

pub(super) static MANAGER: Manager = Manager {
    name: "systemd",
    kind: "",
    restart: &["systemctl", "restart"],
    read,
    names: |word, service| word == service,
    other_names: &["show", "--property=Names", "--value", "--"],
    recognise,
    looked_for: |backend, named| {
        let units = backend.units.iter().filter_map(|unit| service_name(unit));
        let mut names: Vec<String> = units.chain(named).collect();
        names.sort();
        names.dedup();
        names
    },
    ask: |question| Box::pin(ask(question)),
    start: |named| {
        let enable = ["enable", "--now"].map(str::to_owned);
        shown(&[named.client.as_slice(), &enable, &named.names].concat())
    },
    stop: |names, user| match user {
        None => format!("systemctl disable --now {}", names.join(" ")),
        Some(user) => format!("as user {user}, systemctl --user disable --now {}", names.join(" ")),
    },
};

/// Options of systemctl whose value is the next word (systemctl(1)).
const WITH_VALUE: &[&str] = &[
    "-t",
    "--type",
    "--state",
    "-p",
    "--property",
    "-o",
    "--output",
    "-n",
    "--lines",
    "-s",
    "--signal",
    "--job-mode",
    "--root",
];

/// Options by which systemctl speaks to another systemd.
const ELSEWHERE: &[&str] = &["--user", "-H", "--host", "-M", "--machine", "--global", "--root"];

/// Verbs of systemctl that start a service which is down, or restart one that runs.
const RESTARTS: &[&str] = &["restart", "try-restart", "reload-or-restart", "try-reload-or-restart"];

/// `systemctl [OPTION…] restart UNIT…`; options may also follow the verb.
fn read(argv: &[String]) -> Option<Named> {
    let (client, arguments) = argv.split_at_checked(1)?;
    let named = |word: &String| word.split('=').next().is_some_and(|o| ELSEWHERE.contains(&o));
    if arguments.iter().any(named) {
        return None;
    }
    let words = arguments.get(first_word(arguments, WITH_VALUE)..)?;
    let mut words = words.iter().filter(|word| !word.starts_with('-'));
    words.next().filter(|verb| RESTARTS.contains(&verb.as_str()))?;
    let names: Option<Vec<String>> = words.map(|unit| service_name(unit)).collect();
    let names = names.filter(|names| !names.is_empty())?;
    Some(Named { client: client.to_vec(), names })
}

/// The full name of a service. Other kinds of units restart what only systemd knows, and patterns
/// name more than one.
fn service_name(name: &str) -> Option<String> {
    const OTHER_KINDS: &[&str] = &[
        ".target",
        ".socket",
        ".timer",
        ".slice",
        ".scope",
        ".path",
        ".mount",
        ".automount",
        ".swap",
        ".device",
    ];
    if name.contains(['*', '?', '[']) || OTHER_KINDS.iter().any(|kind| name.ends_with(kind)) {
        None
    } else if name.ends_with(".service") {
        Some(name.to_owned())
    } else {
        Some(format!("{name}.service"))
    }
}

/// The service whose cgroup the process is in, whatever it is there for.
pub(super) fn around(proc: Proc<'_>, pid: Pid) -> Option<Service> {
    let Unit { name, user } = unit::of_cgroup(&proc.cgroups(pid))?;
    Some(Service { manager: &MANAGER, name: Some(name), user })
}

/// The service whose cgroup the process is in. What a shell in our own unit or in that of sshd
/// started is nobody's service.
fn recognise(proc: Proc<'_>, pid: Pid) -> Option<Service> {
    let unit = unit::of_cgroup(&proc.cgroups(pid)).filter(|unit| !unit.starts_others())?;
    if unit::of_cgroup(&proc.own_cgroups()).as_ref() == Some(&unit) {
        return None;
    }
    let Unit { name, user } = unit;
    Some(Service { manager: &MANAGER, name: Some(name), user })
}

async fn ask(question: Question<'_>) -> Result<Vec<Plan>, CommandError> {
    let mut plans = Vec::new();
    for name in &question.named.names {
        let enabled = word(question, "is-enabled", name).await?;
        let active = word(question, "is-active", name).await?;
        plans.push(plan(name, &enabled, &active));
    }
    Ok(plans)
}

fn plan(name: &str, enabled: &str, active: &str) -> Plan {
    let is_wanted = ["enabled", "enabled-runtime", "alias"].contains(&enabled)
        || ["active", "activating", "reloading"].contains(&active);
    Plan { name: name.to_owned(), words: format!("{enabled}, {active}"), is_wanted }
}

/// The first line of the answer; empty on a host without systemctl.
async fn word(question: Question<'_>, verb: &str, name: &str) -> Result<String, CommandError> {
    let words = [verb, "--", name].map(str::to_owned);
    let argv = [question.named.client.as_slice(), &words].concat();
    let answer = ask_if_there(&argv, question.limit).await?;
    let text = answer.map(|answer| answer.text).unwrap_or_default();
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Whether one of these services runs, or will at the next boot.
pub(super) async fn wants_any(
    names: &[&str],
    question: Question<'_>,
) -> Result<bool, CommandError> {
    let client = vec!["systemctl".to_owned()];
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let named = &Named { client, names };
    Ok(ask(Question { named, ..question }).await?.iter().any(|plan| plan.is_wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(command: &str) -> Vec<String> {
        let argv: Vec<_> = command.split(' ').map(str::to_owned).collect();
        MANAGER.read(&argv).map(|named| named.names).unwrap_or_default()
    }

    #[test]
    fn services_are_read_whatever_the_verb_and_the_options() {
        for command in [
            "systemctl restart backend",
            "/bin/systemctl --no-block restart backend.service",
            "systemctl try-restart --quiet backend",
            "systemctl --job-mode fail reload-or-restart backend",
        ] {
            assert_eq!(units(command), ["backend.service"], "{command}");
        }
    }

    #[test]
    fn what_is_not_understood_restarts_nothing() {
        for command in [
            "systemctl stop backend",
            "systemctl restart",
            "systemctl restart backend.socket",
            "systemctl restart backend*",
            "systemctl --user restart backend",
            "systemctl --machine=x restart backend",
            "systemctl restart -H other backend",
        ] {
            assert_eq!(units(command), [""; 0], "{command}");
        }
    }

    #[test]
    fn a_service_that_runs_or_will_is_wanted() {
        for (enabled, active) in [
            ("enabled", "active"),
            ("enabled", "failed"),
            ("disabled", "active"),
            ("static", "activating"),
        ] {
            assert!(plan("a.service", enabled, active).is_wanted, "{enabled} {active}");
        }
        for (enabled, active) in [("disabled", "inactive"), ("masked", "inactive"), ("", "")] {
            assert!(!plan("a.service", enabled, active).is_wanted, "{enabled} {active}");
        }
    }
}
