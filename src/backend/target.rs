//! What `backend.restart` speaks to.

use std::fmt;

use super::owner::{Manager, Program};

/// The manager that the restart command speaks to, and what of it is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// supervisord: `supervisorctl [OPTION…] restart PROGRAM…`.
    Supervisord {
        /// `supervisorctl` with its options, to ask the same supervisord something else.
        client: Vec<String>,
        /// Programs as written: `NAME`, `GROUP:NAME`, `GROUP:*` or `all`.
        programs: Vec<String>,
    },
    /// The system's systemd: `systemctl [OPTION…] restart UNIT…`.
    Systemd {
        /// `systemctl` with its path, where it has one.
        client: String,
        /// Services, by their full names.
        units: Vec<String>,
    },
    /// Something else, or something of theirs that is not looked through.
    Unknown,
}

/// Options of supervisorctl whose value is the next word (its `--help`).
const SUPERVISORCTL_VALUES: &[&str] = &[
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

/// Options of systemctl whose value is the next word (systemctl(1)).
const SYSTEMCTL_VALUES: &[&str] = &[
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

/// Reads the restart command.
pub fn of(argv: &[String]) -> Target {
    let Some((program, arguments)) = argv.split_first() else { return Target::Unknown };
    match program.rsplit('/').next() {
        Some("supervisorctl") => supervisorctl(argv, arguments),
        Some("systemctl") => systemctl(program, arguments),
        Some(_) | None => Target::Unknown,
    }
}

fn supervisorctl(argv: &[String], arguments: &[String]) -> Target {
    let start = first_word(arguments, SUPERVISORCTL_VALUES);
    match arguments.get(start..) {
        Some([verb, programs @ ..]) if verb == "restart" && !programs.is_empty() => {
            Target::Supervisord {
                client: argv.iter().take(start + 1).cloned().collect(),
                programs: programs.to_vec(),
            }
        }
        Some(_) | None => Target::Unknown,
    }
}

fn systemctl(program: &str, arguments: &[String]) -> Target {
    let start = first_word(arguments, SYSTEMCTL_VALUES);
    let named = |word: &String| word.split('=').next().is_some_and(|o| ELSEWHERE.contains(&o));
    if arguments.iter().any(named) {
        return Target::Unknown;
    }
    // Options may also follow the verb.
    let words = |rest: &[String]| -> Vec<String> {
        rest.iter().filter(|word| !word.starts_with('-')).cloned().collect()
    };
    match arguments.get(start..).map(words).as_deref() {
        Some([verb, units @ ..]) if RESTARTS.contains(&verb.as_str()) && !units.is_empty() => {
            let units: Option<Vec<String>> = units.iter().map(|unit| service(unit)).collect();
            units.map_or(Target::Unknown, |units| Target::Systemd {
                client: program.to_owned(),
                units,
            })
        }
        Some(_) | None => Target::Unknown,
    }
}

/// Where the options that stand first end.
fn first_word(arguments: &[String], with_value: &[&str]) -> usize {
    let mut at = 0;
    while let Some(option) = arguments.get(at).filter(|word| word.starts_with('-')) {
        at += if with_value.contains(&option.as_str()) { 2 } else { 1 };
    }
    at
}

/// The full name of a service. Other kinds of units restart what only systemd knows, and patterns
/// name more than one.
pub(crate) fn service(name: &str) -> Option<String> {
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

impl Target {
    /// Whether a process of this manager is restarted by it. Where that can't be told, it is.
    pub(crate) fn restarts(&self, manager: &Manager) -> bool {
        match (self, manager) {
            (Target::Unknown, _) | (Target::Supervisord { .. }, Manager::Supervisord(None)) => true,
            (Target::Supervisord { programs, .. }, Manager::Supervisord(Some(program))) => {
                programs.iter().any(|name| names(name, program))
            }
            (Target::Systemd { units, .. }, Manager::Systemd(unit)) => {
                unit.user.is_none() && units.contains(&unit.name)
            }
            (Target::Supervisord { .. }, Manager::Systemd(_) | Manager::Nobody)
            | (Target::Systemd { .. }, Manager::Supervisord(_) | Manager::Nobody) => false,
        }
    }
}

/// Whether a word of `supervisorctl restart` names the program.
fn names(word: &str, program: &Program) -> bool {
    match word.split_once(':') {
        Some((group, name)) => {
            group == program.group && (name.is_empty() || name == "*" || name == program.name)
        }
        None => word == "all" || word == program.name || word == program.group,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Supervisord { programs, .. } => match programs.as_slice() {
                [one] if one != "all" => write!(f, "supervisord's program {one}"),
                some => write!(f, "supervisord's programs {}", some.join(", ")),
            },
            Target::Systemd { units, .. } => write!(f, "systemd's {}", units.join(", ")),
            Target::Unknown => f.write_str("a manager of its own"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(command: &str) -> Target {
        of(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn programs_of_supervisord_are_read_past_the_options() {
        for (command, expected) in [
            ("supervisorctl restart backend", ["backend"].as_slice()),
            ("/usr/bin/supervisorctl -c /etc/s.conf restart web:backend", &["web:backend"]),
            ("supervisorctl --configuration=/etc/s.conf restart web:*", &["web:*"]),
            ("supervisorctl -u admin -p x -i restart a b", &["a", "b"]),
            ("supervisorctl restart all", &["all"]),
        ] {
            let Target::Supervisord { programs, .. } = read(command) else { panic!("{command}") };
            assert_eq!(programs, expected, "{command}");
        }
    }

    #[test]
    fn the_same_supervisord_can_be_asked_something_else() {
        let Target::Supervisord { client, .. } = read("/x/supervisorctl -c /s.conf restart a")
        else {
            panic!()
        };
        assert_eq!(client, ["/x/supervisorctl", "-c", "/s.conf"]);
    }

    #[test]
    fn services_of_systemd_are_read_whatever_the_verb_and_the_options() {
        for command in [
            "systemctl restart backend",
            "/bin/systemctl --no-block restart backend.service",
            "systemctl try-restart --quiet backend",
            "systemctl --job-mode fail reload-or-restart backend",
        ] {
            let Target::Systemd { units, .. } = read(command) else { panic!("{command}") };
            assert_eq!(units, ["backend.service"], "{command}");
        }
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        for command in [
            "/opt/restart-backend",
            "sh -c supervisorctl",
            "supervisorctl stop backend",
            "supervisorctl restart",
            "systemctl stop backend",
            "systemctl restart backend.socket",
            "systemctl restart backend*",
            "systemctl --user restart backend",
            "systemctl --machine=x restart backend",
            "systemctl restart -H other backend",
        ] {
            assert_eq!(read(command), Target::Unknown, "{command}");
        }
    }
}
