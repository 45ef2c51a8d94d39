//! The systemd unit of a process, by its cgroup.

/// A service of systemd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    /// Its name, e.g. `connexa-backend.service`.
    pub(super) name: String,
    /// The user whose own systemd runs it; `None` for the system's.
    pub(super) user: Option<String>,
}

/// Services within whose cgroups people and other managers start what is not the service's own.
const STARTS_OTHERS: &[&str] = &[
    "atd",
    "anacron",
    "cron",
    "crond",
    "dropbear",
    "getty",
    "rescue",
    "emergency",
    "serial-getty",
    "console-getty",
    "container-getty",
    "ssh",
    "sshd",
    "supervisor",
    "supervisord",
];

impl Unit {
    /// Whether a process in its cgroup need not be its own: that of a shell that somebody opened
    /// through sshd is in sshd's where no login manager gave it another.
    pub(super) fn starts_others(&self) -> bool {
        let name = self.name.strip_suffix(".service").unwrap_or(&self.name);
        let name = name.split_once('@').map_or(name, |(template, _)| template);
        STARTS_OTHERS.contains(&name)
    }
}

/// The service that a process belongs to, by the text of `/proc/PID/cgroup` (cgroups(7)):
/// `0::PATH` in the unified hierarchy, `N:name=systemd:PATH` in the older ones, where the unified
/// one may stand beside and be empty. Scopes are made for what somebody else has started.
pub(super) fn of_cgroup(text: &str) -> Option<Unit> {
    let path = |marker: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.strip_prefix(marker)?.strip_prefix(':').filter(|path| *path != "/")
        })
    };
    of_path(path("name=systemd").or_else(|| path(""))?)
}

/// Slices hold units, and below a unit stand groups of its own making. A user's manager is itself
/// a service, `user@UID.service`, with the user's units below it.
fn of_path(path: &str) -> Option<Unit> {
    let mut units = path
        .split('/')
        .filter(|part| !part.is_empty() && !part.ends_with(".slice"))
        // systemd marks names that the kernel might take for its own files.
        .map(|part| part.strip_prefix('_').unwrap_or(part));
    let name = units.next()?;
    let manager = name.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service"));
    let (name, user) = match manager {
        Some(user) => (units.next()?, Some(user.to_owned())),
        None => (name, None),
    };
    name.ends_with(".service").then(|| Unit { name: name.to_owned(), user })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(name: &str) -> Option<Unit> {
        Some(Unit { name: name.to_owned(), user: None })
    }

    #[test]
    fn a_service_is_found_in_the_unified_hierarchy() {
        let text = "0::/system.slice/connexa-backend.service\n";
        assert_eq!(of_cgroup(text), system("connexa-backend.service"));
    }

    #[test]
    fn a_service_is_found_in_the_older_hierarchies() {
        let text =
            "12:pids:/system.slice/x.service\n1:name=systemd:/system.slice/a.service\n0::/\n";
        assert_eq!(of_cgroup(text), system("a.service"));
    }

    #[test]
    fn a_service_is_found_within_slices_and_above_its_own_groups() {
        for path in ["/a.service", "/app.slice/app-x.slice/a.service/worker", "/_a.service"] {
            assert_eq!(of_cgroup(&format!("0::{path}\n")), system("a.service"), "{path}");
        }
    }

    #[test]
    fn a_service_of_a_user_is_told_with_the_user() {
        let path = "/user.slice/user-7.slice/user@7.service/app.slice/a.service";
        let unit = Unit { name: "a.service".into(), user: Some("7".into()) };
        assert_eq!(of_cgroup(&format!("0::{path}\n")), Some(unit));
    }

    #[test]
    fn what_somebody_started_in_a_session_has_no_service() {
        for path in [
            "/",
            "/init.scope",
            "/user.slice/user-0.slice/session-3.scope",
            "/user.slice/user-7.slice/user@7.service/init.scope",
            "/system.slice/docker-0123.scope",
        ] {
            assert_eq!(of_cgroup(&format!("0::{path}\n")), None, "{path}");
        }
    }

    #[test]
    fn a_shell_below_sshd_is_not_the_service_of_sshd() {
        for name in ["ssh.service", "sshd@3-10.0.0.1:22.service", "supervisor.service"] {
            assert!(system(name).is_some_and(|unit| unit.starts_others()), "{name}");
        }
        assert!(system("connexa-backend.service").is_some_and(|unit| !unit.starts_others()));
    }
}
