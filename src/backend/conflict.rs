//! Whether a restart can only fail: another than the one to be restarted holds the port.

use super::owner::{Manager, Owner};
use super::port::Listening;
use super::target::Target;
use super::unit::Unit;
use crate::core::event::Pid;

/// systemd itself, which holds the sockets of its `.socket` units and hands them over.
const SYSTEMD: Pid = 1;

/// Another than the one to be restarted holds the port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct Conflict {
    /// Who holds the port, and who would be restarted.
    pub problem: String,
    /// The command that resolves it.
    pub remedy: String,
}

/// Looks for one. Where it can't be seen who holds the port, there is none.
pub fn find(port: u16, target: &Target, listening: &[Listening]) -> Option<Conflict> {
    let harmless = |owner: &Owner| owner.pid == SYSTEMD || target.restarts(&owner.manager);
    // Whoever is to be restarted listens beside the others already, so it can again.
    if listening.iter().flat_map(|socket| &socket.owners).any(harmless) {
        return None;
    }
    let mut in_the_way = listening.iter().filter(|socket| socket.listener.takes_ipv4_loopback());
    let owner = in_the_way.find_map(|socket| socket.owners.first())?;
    Some(conflict(port, target, owner))
}

fn conflict(port: u16, target: &Target, owner: &Owner) -> Conflict {
    let (whose, remedy) = match &owner.manager {
        manager @ (Manager::Supervisord(_) | Manager::Systemd(_)) => {
            (format!(" of {manager}"), "keep one of them")
        }
        Manager::Nobody => {
            (", which neither supervisord nor a service of systemd runs".to_owned(), "end it")
        }
    };
    let Owner { pid, command, .. } = owner;
    Conflict {
        problem: format!(
            "port {port} is held by pid {pid} ({command}){whose}, but backend.restart speaks to \
             {target}: a restart could only end in \"[Errno 98] address already in use\""
        ),
        remedy: format!("{remedy}: {}", way_out(owner)),
    }
}

/// The command that frees the port.
pub(crate) fn way_out(owner: &Owner) -> String {
    match &owner.manager {
        Manager::Supervisord(Some(program)) => {
            format!("supervisorctl stop {program}, and autostart=false in its section")
        }
        Manager::Supervisord(None) => {
            "supervisorctl stop its program, which supervisorctl status shows".to_owned()
        }
        Manager::Systemd(Unit { name, user: None }) => format!("systemctl disable --now {name}"),
        Manager::Systemd(Unit { name, user: Some(user) }) => {
            format!("as user {user}, systemctl --user disable --now {name}")
        }
        Manager::Nobody => format!("kill {}", owner.pid),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listeners::Listener;
    use super::super::owner::Program;
    use super::super::target;
    use super::*;

    const SUPERVISORD: &str = "supervisorctl restart backend";
    const SYSTEMD: &str = "systemctl restart connexa-backend";

    fn program(group: &str, name: &str) -> Manager {
        Manager::Supervisord(Some(Program { group: group.into(), name: name.into() }))
    }

    fn service(name: &str) -> Manager {
        Manager::Systemd(Unit { name: name.into(), user: None })
    }

    fn owner(pid: Pid, manager: Manager) -> Owner {
        Owner { pid, parent: 1, command: "python3 app.py".into(), manager }
    }

    fn socket(address: &str, owners: Vec<Owner>) -> Listening {
        let address = address.parse().unwrap();
        Listening { listener: Listener { inode: 7, uid: 0, address, v6_only: false }, owners }
    }

    fn found(restart: &str, listening: &[Listening]) -> Option<String> {
        let argv: Vec<String> = restart.split(' ').map(str::to_owned).collect();
        find(8001, &target::of(&argv), listening).map(|conflict| conflict.to_string())
    }

    fn of(restart: &str, manager: Manager) -> Option<String> {
        found(restart, &[socket("127.0.0.1", vec![owner(812, manager)])])
    }

    fn held(restart: &str, manager: Manager) -> String {
        of(restart, manager).unwrap()
    }

    #[test]
    fn a_service_of_systemd_is_told_with_both_owners_and_the_way_out() {
        assert_eq!(
            held(SUPERVISORD, service("connexa-backend.service")),
            "port 8001 is held by pid 812 (python3 app.py) of connexa-backend.service (systemd), \
             but backend.restart speaks to supervisord's program backend: a restart could only \
             end in \"[Errno 98] address already in use\"; keep one of them: systemctl disable \
             --now connexa-backend.service"
        );
    }

    #[test]
    fn a_program_of_supervisord_is_told_with_both_owners_and_the_way_out() {
        assert_eq!(
            held(SYSTEMD, program("web", "backend")),
            "port 8001 is held by pid 812 (python3 app.py) of program web:backend (supervisord), \
             but backend.restart speaks to systemd's connexa-backend.service: a restart could only \
             end in \"[Errno 98] address already in use\"; keep one of them: supervisorctl stop \
             web:backend, and autostart=false in its section"
        );
    }

    #[test]
    fn what_was_started_by_hand_is_told_with_its_kill() {
        assert_eq!(
            held(SUPERVISORD, Manager::Nobody),
            "port 8001 is held by pid 812 (python3 app.py), which neither supervisord nor a \
             service of systemd runs, but backend.restart speaks to supervisord's program backend: \
             a restart could only end in \"[Errno 98] address already in use\"; end it: kill 812"
        );
    }

    #[test]
    fn another_of_the_same_manager_holds_a_restart_back() {
        for (restart, manager) in
            [(SUPERVISORD, program("other", "other")), (SYSTEMD, service("other.service"))]
        {
            assert!(held(restart, manager.clone()).contains("other"), "{manager}");
        }
    }

    #[test]
    fn the_one_that_is_restarted_may_hold_its_port() {
        for (restart, manager) in [
            (SUPERVISORD, program("backend", "backend")),
            ("supervisorctl restart web:backend", program("web", "backend")),
            ("supervisorctl restart web:*", program("web", "backend")),
            ("supervisorctl restart all", program("web", "backend")),
            (SYSTEMD, service("connexa-backend.service")),
        ] {
            assert_eq!(of(restart, manager), None, "{restart}");
        }
    }

    #[test]
    fn a_command_that_is_not_understood_is_never_held_back() {
        for manager in [Manager::Nobody, service("a.service"), program("a", "a")] {
            assert_eq!(of("/opt/restart", manager.clone()), None, "{manager}");
        }
    }

    #[test]
    fn what_can_not_be_seen_holds_nothing_back() {
        assert_eq!(found(SUPERVISORD, &[]), None);
        assert_eq!(found(SUPERVISORD, &[socket("0.0.0.0", vec![])]), None);
        assert_eq!(of(SUPERVISORD, Manager::Supervisord(None)), None);
    }

    #[test]
    fn a_listener_on_an_address_of_its_own_holds_nothing_back() {
        let socket = socket("10.0.0.1", vec![owner(812, Manager::Nobody)]);
        assert_eq!(found(SUPERVISORD, &[socket]), None);
    }

    #[test]
    fn one_that_listens_beside_the_backend_holds_nothing_back() {
        let [other, backend] = [Manager::Nobody, program("backend", "backend")]
            .map(|manager| socket("0.0.0.0", vec![owner(812, manager)]));
        assert_eq!(found(SUPERVISORD, &[other, backend]), None);
    }

    #[test]
    fn a_socket_that_systemd_hands_over_holds_nothing_back() {
        let owners = vec![owner(1, Manager::Nobody), owner(812, service("a.service"))];
        assert_eq!(found(SYSTEMD, &[socket("0.0.0.0", owners)]), None);
    }
}
