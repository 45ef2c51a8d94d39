//! Whether a restart can only fail: another than the one to be restarted holds the port.

use super::managers;
use super::owner::Owner;
use super::port::Listening;
use super::target::Target;
use crate::core::event::Pid;

/// systemd itself, which holds the sockets of its `.socket` units and hands them over.
const SYSTEMD: Pid = 1;

/// Another than the one to be restarted holds the port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub(crate) struct Conflict {
    /// Who holds the port, and who would be restarted.
    pub problem: String,
    /// The command that resolves it.
    pub remedy: String,
}

/// Looks for one. Where it can't be seen who holds the port, there is none.
pub(crate) fn find(port: u16, target: &Target, listening: &[Listening]) -> Option<Conflict> {
    let harmless = |owner: &Owner| owner.pid == SYSTEMD || owner.is_restarted_by(target);
    // Whoever is to be restarted listens beside the others already, so it can again.
    if listening.iter().flat_map(|socket| &socket.owners).any(harmless) {
        return None;
    }
    let mut in_the_way = listening.iter().filter(|socket| socket.listener.takes_ipv4_loopback());
    let owner = in_the_way.find_map(|socket| socket.owners.first())?;
    Some(conflict(port, target, owner))
}

fn conflict(port: u16, target: &Target, owner: &Owner) -> Conflict {
    let (whose, remedy) = match &owner.service {
        Some(service) => (format!(" of {service}"), "keep one of them"),
        None => (format!(", which neither {} runs", managers::listed(" nor ")), "end it"),
    };
    let Owner { pid, command, .. } = owner;
    Conflict {
        problem: format!(
            "port {port} is held by pid {pid} ({command}){whose}, but backend.restart restarts {target}: a restart could only end in \"[Errno 98] address already in use\""
        ),
        remedy: format!("{remedy}: {}", owner.way_out()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listeners::Listener;
    use super::super::managers::Service;
    use super::super::managers::samples::{program, unit, unnamed_program};
    use super::super::target;
    use super::*;

    const SUPERVISORD: &str = "supervisorctl restart backend";
    const SYSTEMD: &str = "systemctl restart connexa-backend";

    fn owner(pid: Pid, service: Option<Service>) -> Owner {
        let command = "python3 app.py".into();
        Owner { pid, parent: 1, command, service, within: None, is_contained: false }
    }

    fn socket(address: &str, owners: Vec<Owner>) -> Listening {
        let address = address.parse().unwrap();
        Listening { listener: Listener { inode: 7, uid: 0, address, v6_only: false }, owners }
    }

    fn found(restart: &str, listening: &[Listening]) -> Option<String> {
        let argv: Vec<String> = restart.split(' ').map(str::to_owned).collect();
        find(8001, &target::of(&argv).unwrap(), listening).map(|conflict| conflict.to_string())
    }

    fn of(restart: &str, service: Option<Service>) -> Option<String> {
        found(restart, &[socket("127.0.0.1", vec![owner(812, service)])])
    }

    fn held(restart: &str, service: Option<Service>) -> String {
        of(restart, service).unwrap()
    }

    #[test]
    fn a_service_of_systemd_is_told_with_both_owners_and_the_way_out() {
        assert_eq!(
            held(SUPERVISORD, Some(unit("connexa-backend.service"))),
            "port 8001 is held by pid 812 (python3 app.py) of connexa-backend.service (systemd), \
             but backend.restart restarts supervisord's program backend: a restart could only \
             end in \"[Errno 98] address already in use\"; keep one of them: systemctl disable \
             --now connexa-backend.service"
        );
    }

    #[test]
    fn a_program_of_supervisord_is_told_with_both_owners_and_the_way_out() {
        assert_eq!(
            held(SYSTEMD, Some(program("web:backend"))),
            "port 8001 is held by pid 812 (python3 app.py) of program web:backend (supervisord), \
             but backend.restart restarts systemd's connexa-backend.service: a restart could only \
             end in \"[Errno 98] address already in use\"; keep one of them: supervisorctl stop \
             web:backend, and autostart=false in its section"
        );
    }

    #[test]
    fn what_was_started_by_hand_is_told_with_its_kill() {
        assert_eq!(
            held(SUPERVISORD, None),
            format!(
                "port 8001 is held by pid 812 (python3 app.py), which neither {} runs, but \
                 backend.restart restarts supervisord's program backend: a restart could only \
                 end in \"[Errno 98] address already in use\"; end it: kill 812",
                managers::listed(" nor ")
            )
        );
    }

    #[test]
    fn another_of_the_same_manager_holds_a_restart_back() {
        for (restart, service) in
            [(SUPERVISORD, program("other")), (SYSTEMD, unit("other.service"))]
        {
            assert!(held(restart, Some(service)).contains("other"), "{restart}");
        }
    }

    #[test]
    fn the_one_that_is_restarted_may_hold_its_port() {
        for (restart, service) in [
            (SUPERVISORD, program("backend")),
            ("supervisorctl restart web:*", program("web:backend")),
            (SYSTEMD, unit("connexa-backend.service")),
        ] {
            assert_eq!(of(restart, Some(service)), None, "{restart}");
        }
    }

    #[test]
    fn a_restart_of_supervisord_itself_restarts_its_programs() {
        let within = Some(unit("supervisor.service"));
        let program = Owner { within, ..owner(812, Some(program("backend"))) };
        let listening = [socket("0.0.0.0", vec![program])];
        assert_eq!(found("systemctl restart supervisor", &listening), None);
        assert!(found(SYSTEMD, &listening).is_some());
        assert!(found("supervisorctl restart other", &listening).is_some());
    }

    #[test]
    fn a_container_may_be_the_one_that_is_restarted() {
        for service in [None, Some(unit("docker.service"))] {
            let contained = Owner { is_contained: true, ..owner(812, service) };
            assert_eq!(found(SYSTEMD, &[socket("0.0.0.0", vec![contained])]), None);
        }
    }

    #[test]
    fn what_can_not_be_seen_holds_nothing_back() {
        assert_eq!(found(SUPERVISORD, &[]), None);
        assert_eq!(found(SUPERVISORD, &[socket("0.0.0.0", vec![])]), None);
        assert_eq!(of(SUPERVISORD, Some(unnamed_program())), None);
    }

    #[test]
    fn a_listener_on_an_address_of_its_own_holds_nothing_back() {
        let socket = socket("10.0.0.1", vec![owner(812, None)]);
        assert_eq!(found(SUPERVISORD, &[socket]), None);
    }

    #[test]
    fn one_that_listens_beside_the_backend_holds_nothing_back() {
        let [other, backend] = [None, Some(program("backend"))]
            .map(|service| socket("0.0.0.0", vec![owner(812, service)]));
        assert_eq!(found(SUPERVISORD, &[other, backend]), None);
    }

    #[test]
    fn a_socket_that_systemd_hands_over_holds_nothing_back() {
        let owners = vec![owner(1, None), owner(812, Some(unit("a.service")))];
        assert_eq!(found(SYSTEMD, &[socket("0.0.0.0", owners)]), None);
    }
}
