//! supervisord: its programs, by its own environment and by `supervisorctl`.

mod conf;
mod status;

use std::collections::BTreeSet;

use super::{Manager, Named, Service, first_word};
use crate::backend::owner::one_line;
use crate::command::shown;
use crate::core::event::Pid;
use crate::process::Proc;

pub(super) static MANAGER: Manager = Manager {
    name: "supervisord",
    kind: "program ",
    restart: &["supervisorctl", "restart"],
    read,
    names,
    other_names: &[],
    recognise,
    looked_for: |_, named| if named.is_empty() { vec![PROGRAM.to_owned()] } else { named },
    ask: |question| Box::pin(status::ask(question)),
    start: |named| {
        let argv = [named.client.as_slice(), &["start".to_owned()], &named.names].concat();
        format!("{}, and autostart=true in its section", shown(&argv))
    },
    stop: |names, _| match names {
        [] => "supervisorctl stop its program, which supervisorctl status shows".to_owned(),
        some => {
            format!("supervisorctl stop {}, and autostart=false in its section", some.join(" "))
        }
    },
};

/// The program that is looked for where `backend.restart` names none.
const PROGRAM: &str = "backend";

/// Options of supervisorctl whose value is the next word (its `--help`).
const WITH_VALUE: &[&str] = &[
    "-c",
    "--configuration",
    "-s",
    "--serverurl",
    "-u",
    "--username",
    "-p",
    "--password",
    "-r",
    "--history-file",
];

/// `supervisorctl [OPTION…] restart PROGRAM…`, programs written `NAME`, `GROUP:NAME`, `GROUP:*` or
/// `all`.
fn read(argv: &[String]) -> Option<Named> {
    let (client, arguments) = argv.split_at_checked(1)?;
    let start = first_word(arguments, WITH_VALUE);
    let (options, words) = arguments.split_at_checked(start)?;
    match words {
        [verb, programs @ ..] if verb == "restart" && !programs.is_empty() => {
            Some(Named { client: [client, options].concat(), names: programs.to_vec() })
        }
        _ => None,
    }
}

/// Whether a word of `supervisorctl restart` names the program.
fn names(word: &str, program: &str) -> bool {
    let (group, name) = program.split_once(':').unwrap_or((program, program));
    match word.split_once(':') {
        Some((of, one)) => of == group && (one.is_empty() || one == "*" || one == name),
        None => word == "all" || word == name || word == group,
    }
}

/// Whether the process is supervisord, or supervisord is among those that started it; and as which
/// program, where that can be seen.
fn recognise(proc: Proc<'_>, pid: Pid) -> Option<Service> {
    let service = |name| Service { manager: &MANAGER, name, user: None };
    if is_supervisord(proc, pid) {
        return Some(service(None));
    }
    let mut name = None;
    let mut at = pid;
    let mut seen = BTreeSet::new();
    // The table changes while it is read, so that even a circle is possible.
    while seen.insert(at) {
        name = name.or_else(|| named_by_environment(proc, at));
        at = proc.parent(at).ok()??;
        if is_supervisord(proc, at) {
            return Some(service(name));
        }
    }
    None
}

/// As `supervisorctl` takes it, by the two values that supervisord gives each of its programs
/// ("Subprocess Environment" in its manual). A program that is in no group is the only one of a
/// group of its own name.
fn named_by_environment(proc: Proc<'_>, pid: Pid) -> Option<String> {
    let value = |name| Some(one_line(&String::from_utf8_lossy(&proc.variable(pid, name)?)));
    let name = value("SUPERVISOR_PROCESS_NAME")?;
    let group = value("SUPERVISOR_GROUP_NAME").filter(|group| *group != name);
    Some(group.map_or_else(|| name.clone(), |group| format!("{group}:{name}")))
}

/// Whether the process runs supervisord: as a script it goes by its own name or by Python's.
fn is_supervisord(proc: Proc<'_>, pid: Pid) -> bool {
    if proc.name(pid).is_ok_and(|name| name == b"supervisord") {
        return true;
    }
    let line = proc.command_line(pid).unwrap_or_default();
    let mut words = line.iter().map(Vec::as_slice);
    let is_python = words.next().is_some_and(|first| last_part(first).starts_with(b"python"));
    is_python
        && words.find(|word| !word.starts_with(b"-")).is_some_and(|script| {
            matches!(last_part(script), b"supervisord" | b"supervisor.supervisord")
        })
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(command: &str) -> Vec<String> {
        let argv: Vec<_> = command.split(' ').map(str::to_owned).collect();
        MANAGER.read(&argv).map(|named| named.names).unwrap_or_default()
    }

    #[test]
    fn programs_are_read_past_the_options() {
        for (command, expected) in [
            ("supervisorctl restart backend", ["backend"].as_slice()),
            ("/usr/bin/supervisorctl -c /etc/s.conf restart web:backend", &["web:backend"]),
            ("supervisorctl --configuration=/etc/s.conf restart web:*", &["web:*"]),
            ("supervisorctl -u admin -p x -i restart a b", &["a", "b"]),
            ("supervisorctl restart all", &["all"]),
        ] {
            assert_eq!(programs(command), expected, "{command}");
        }
    }

    #[test]
    fn the_same_supervisord_can_be_asked_something_else() {
        let argv = ["/x/supervisorctl", "-c", "/s.conf", "restart", "a"].map(str::to_owned);
        let named = MANAGER.read(&argv).unwrap();
        assert_eq!(named.client, ["/x/supervisorctl", "-c", "/s.conf"]);
    }

    #[test]
    fn other_verbs_restart_nothing() {
        for command in ["supervisorctl stop backend", "supervisorctl restart", "supervisorctl -c"] {
            assert_eq!(programs(command), [""; 0], "{command}");
        }
    }

    #[test]
    fn a_program_is_named_by_itself_by_its_group_and_by_all() {
        for word in ["backend", "web", "web:backend", "web:*", "web:", "all"] {
            assert!(names(word, "web:backend"), "{word}");
        }
        for word in ["other", "other:backend", "web:other"] {
            assert!(!names(word, "web:backend"), "{word}");
        }
    }
}
