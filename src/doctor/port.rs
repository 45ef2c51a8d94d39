//! Who listens on the backend's port: one, seen, and the one that is restarted?

use std::collections::BTreeMap;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::{ANSWER_WITHIN, Finding};
use crate::backend;
use crate::backend::managers::Service;
use crate::backend::owner::Owner;
use crate::backend::port::{self, Listening};
use crate::backend::target::{self, Target};
use crate::command::shown;
use crate::config::Backend;
use crate::core::event::Pid;

pub(super) async fn check(backend: &Backend) -> Vec<Finding> {
    let until = Instant::now() + ANSWER_WITHIN;
    let number = backend.port;
    let look = spawn_blocking(move || port::look(number));
    let seen = match timeout_at(until, look).await {
        Ok(Ok(seen)) => seen.map_err(|error| error.to_string()),
        Ok(Err(_)) | Err(_) => Err(format!("can't see who listens on port {number}: /proc hangs")),
    };
    let listening = match seen {
        Ok(listening) if listening.is_empty() => return vec![closed(backend)],
        Ok(listening) => listening,
        Err(unseen) => {
            let remedy = "see the kernel's log, and that /proc is mounted";
            return vec![Finding::warning("port_owner", unseen, remedy)];
        }
    };
    let target = target::of(&backend.restart);
    vec![
        owner(number, &listening),
        listeners(number, target.as_ref(), &listening),
        conflict(number, target, &listening, until).await,
    ]
}

fn closed(backend: &Backend) -> Finding {
    let message = format!("nothing listens on port {}: the backend is down", backend.port);
    let remedy = format!("see its log, then start it: {}", shown(&backend.restart));
    Finding::warning("port_owner", message, remedy)
}

fn owner(port: u16, listening: &[Listening]) -> Finding {
    const CHECK: &str = "port_owner";
    if let Some(unseen) = listening.iter().find(|socket| socket.owners.is_empty()) {
        let address = unseen.listener.address;
        let message =
            format!("port {port} is open on {address}, and which program listens can't be seen");
        let remedy = if rustix::process::geteuid().is_root() {
            "it may be in a container: look there, and have one backend only"
        } else {
            "ask again as root"
        };
        return Finding::warning(CHECK, message, remedy);
    }
    let owners: Vec<String> =
        listening.iter().filter_map(|socket| socket.owners.first()).map(describe).collect();
    let mut owners: Vec<&str> = owners.iter().map(String::as_str).collect();
    owners.dedup();
    Finding::ok(CHECK, format!("port {port} is held by {}", owners.join(" and ")))
}

fn describe(owner: &Owner) -> String {
    let Owner { pid, command, service, .. } = owner;
    let service = service.as_ref().map_or_else(|| "no service".to_owned(), Service::to_string);
    format!("pid {pid} ({command}) of {service}")
}

/// Several sockets of one program are usual: one for each worker, or for each family of addresses.
fn listeners(port: u16, target: Option<&Target>, listening: &[Listening]) -> Finding {
    const CHECK: &str = "one_listener";
    let mut several: BTreeMap<(Option<&Service>, Option<Pid>), &Owner> = BTreeMap::new();
    for owner in listening.iter().filter_map(|socket| socket.owners.first()) {
        // Nobody's processes have nothing in common but the one that started them.
        let root = owner.service.is_none().then(|| root(owner, listening));
        several.entry((owner.service.as_ref(), root)).or_insert(owner);
    }
    if several.len() < 2 {
        return Finding::ok(CHECK, format!("one program listens on port {port}"));
    }
    let is_other = |owner: &Owner| target.is_some_and(|target| !owner.is_restarted_by(target));
    let others = several.values().filter(|owner| is_other(owner));
    let remedies: Vec<String> = others.map(|owner| owner.way_out()).collect();
    let remedy = if remedies.is_empty() {
        "stop all but one of them".to_owned()
    } else {
        format!("keep one of them: {}", remedies.join(", and "))
    };
    let all: Vec<String> = several.values().map(|owner| describe(owner)).collect();
    let message = format!("more than one program listens on port {port}: {}", all.join(", and "));
    Finding::failed(CHECK, message, remedy)
}

/// The parent where that listens too or has started several of those that do, else the process.
fn root(owner: &Owner, listening: &[Listening]) -> Pid {
    let all = || listening.iter().flat_map(|socket| &socket.owners);
    let siblings = all().any(|other| {
        other.pid == owner.parent || (other.pid != owner.pid && other.parent == owner.parent)
    });
    if siblings && owner.parent > 1 { owner.parent } else { owner.pid }
}

async fn conflict(
    port: u16,
    target: Option<Target>,
    listening: &[Listening],
    until: Instant,
) -> Finding {
    const CHECK: &str = "restart_conflict";
    let Some(target) = target else {
        return Finding::ok(
            CHECK,
            "which program backend.restart restarts can't be told from its command",
        );
    };
    let shown = target.to_string();
    match backend::conflict_over(port, target, listening, until).await {
        Some(conflict) => Finding::failed(CHECK, conflict.problem, conflict.remedy),
        None => Finding::ok(CHECK, format!("nothing stands in the way of a restart of {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::backend::listeners::Listener;
    use crate::backend::managers::samples::unit;

    fn socket(inode: u32, owners: &[(Pid, Pid, Option<Service>)]) -> Listening {
        let address = "0.0.0.0".parse().unwrap();
        let owner = |(pid, parent, service): &(Pid, Pid, Option<Service>)| Owner {
            pid: *pid,
            parent: *parent,
            command: "app".into(),
            service: service.clone(),
            within: None,
            is_contained: false,
        };
        Listening {
            listener: Listener { inode, uid: 0, address, v6_only: false },
            owners: owners.iter().map(owner).collect(),
        }
    }

    fn service() -> Option<Service> {
        Some(unit("a.service"))
    }

    fn verdict(listening: &[Listening]) -> Verdict {
        listeners(8001, None, listening).verdict
    }

    #[test]
    fn processes_that_share_a_socket_are_one_listener() {
        let shared = socket(1, &[(7, 1, None), (8, 7, None), (9, 7, None)]);
        assert_eq!(verdict(&[shared]), Verdict::Ok);
    }

    #[test]
    fn sockets_of_one_service_are_one_listener() {
        let sockets = [socket(1, &[(8, 7, service())]), socket(2, &[(9, 7, service())])];
        assert_eq!(verdict(&sockets), Verdict::Ok);
    }

    #[test]
    fn workers_of_one_process_are_one_listener() {
        let sockets = [socket(1, &[(8, 7, None)]), socket(2, &[(9, 7, None)])];
        assert_eq!(verdict(&sockets), Verdict::Ok);
    }

    #[test]
    fn two_programs_started_by_hand_are_two_listeners() {
        let sockets = [socket(1, &[(8, 1, None)]), socket(2, &[(9, 1, None)])];
        assert_eq!(verdict(&sockets), Verdict::Failed);
    }

    #[test]
    fn of_two_programs_the_one_that_is_not_restarted_is_to_go() {
        let sockets = [socket(1, &[(8, 1, None)]), socket(2, &[(9, 1, service())])];
        let argv = ["systemctl", "restart", "a"].map(str::to_owned);
        let finding = listeners(8001, target::of(&argv).as_ref(), &sockets);
        assert_eq!(finding.remedy.unwrap(), "keep one of them: kill 8");
        assert!(finding.message.contains("pid 8 (app) of no service"), "{}", finding.message);
    }

    #[test]
    fn a_socket_whose_process_can_not_be_seen_is_told() {
        assert_eq!(owner(8001, &[socket(1, &[])]).verdict, Verdict::Warning);
    }
}
