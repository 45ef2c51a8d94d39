//! What `backend.restart` speaks to.

use std::fmt;

use super::managers::{MANAGERS, Manager, Named, Service};

/// The manager that the restart command speaks to, and what of it is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The manager.
    pub(crate) manager: &'static Manager,
    /// Its client, and the services that are restarted.
    pub(crate) named: Named,
}

/// Reads the restart command; `None` where it speaks to something else, or in a way that is not
/// looked through.
pub(crate) fn of(argv: &[String]) -> Option<Target> {
    MANAGERS.iter().find_map(|&manager| Some(Target { manager, named: manager.read(argv)? }))
}

impl Target {
    /// Whether a service is restarted by it. Where that can't be told, it is.
    pub(crate) fn restarts(&self, service: &Service) -> bool {
        self.manager.restarts(&self.named.names, service)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { manager, named } = self;
        write!(f, "{manager}'s {}", manager.call(&named.names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(command: &str) -> Option<Target> {
        of(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_is_read_by_the_manager_whose_client_it_begins_with() {
        for (command, target) in [
            ("supervisorctl restart web:a b", "supervisord's program web:a, b"),
            ("/bin/systemctl restart a", "systemd's a.service"),
        ] {
            assert_eq!(read(command).unwrap().to_string(), target);
        }
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        for command in ["/opt/restart-backend", "sh -c supervisorctl", "systemctl stop a", ""] {
            assert_eq!(read(command), None, "{command}");
        }
        assert_eq!(of(&[]), None);
    }
}
