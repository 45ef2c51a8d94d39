//! The service managers that may run the backend, as one table: how each is known, asked and told
//! to stop. Another one is a file beside this and its line in [`MANAGERS`].

mod supervisord;
mod systemd;

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::command::CommandError;
use crate::config::Backend;
use crate::core::event::Pid;
use crate::process::Proc;

/// All of them. A process is of the first one that recognises it: supervisord comes before systemd
/// because its programs are in the cgroup of its own unit.
pub(crate) static MANAGERS: &[&Manager] = &[&supervisord::MANAGER, &systemd::MANAGER];

/// A service manager.
pub(crate) struct Manager {
    /// What people call it.
    pub(crate) name: &'static str,
    /// What people call one of its services, before the name; empty where the name says it.
    kind: &'static str,
    /// The beginning of a command that restarts a service, before its name.
    pub(crate) restart: &'static [&'static str],
    /// Reads a command that begins with its client: what of it is restarted, if that can be told.
    read: fn(argv: &[String]) -> Option<Named>,
    /// Whether a name in such a command is that of the service.
    names: fn(word: &str, service: &str) -> bool,
    /// The question, between the client and names, that is answered by all names of these
    /// services; empty where a service has one name.
    other_names: &'static [&'static str],
    /// What of it a process is.
    recognise: fn(Proc<'_>, Pid) -> Option<Service>,
    /// The services that would be the backend, beside or instead of these of `backend.restart`.
    looked_for: fn(&Backend, named: Vec<String>) -> Vec<String>,
    /// Asks the client what becomes of services; nothing is known on a host without it.
    ask: for<'a> fn(Question<'a>) -> BoxFuture<'a, Result<Vec<Plan>, CommandError>>,
    /// The commands that start services now and at each boot.
    start: fn(&Named) -> String,
    /// The commands that stop services now and at each boot: of the manager of this user, or of
    /// the system's. Without names, of one whose name can't be seen.
    stop: fn(names: &[&str], user: Option<&str>) -> String,
}

/// A client of a manager, and services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The client with the options that say which instance of the manager it speaks to.
    pub(crate) client: Vec<String>,
    /// The services, as the client takes them.
    pub(crate) names: Vec<String>,
}

/// What is asked of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Whom, and about which services.
    pub(crate) named: &'a Named,
    /// How long each command may take.
    pub(crate) limit: Duration,
}

/// What becomes of a service, as its manager tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The service, as the client takes it.
    pub(crate) name: String,
    /// In the manager's words.
    pub(crate) words: String,
    /// Whether it runs, or will at the next boot.
    pub(crate) is_wanted: bool,
}

/// What of a manager's a process is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The manager.
    pub(crate) manager: &'static Manager,
    /// As its client takes it; `None` where that can't be seen.
    pub(crate) name: Option<String>,
    /// The user whose own instance of the manager runs it; `None` for the system's.
    pub(crate) user: Option<String>,
}

impl Manager {
    /// What `backend.restart` restarts, where the command is this manager's client.
    pub(crate) fn read(&'static self, argv: &[String]) -> Option<Named> {
        let (program, _) = argv.split_first()?;
        let client = self.restart.first()?;
        (program.rsplit('/').next() == Some(client)).then(|| (self.read)(argv)).flatten()
    }

    /// Whether a restart of one of these restarts the service, too. Where that can't be told, it
    /// does.
    pub(crate) fn restarts(&'static self, names: &[String], service: &Service) -> bool {
        let is_named = |name: &String| names.iter().any(|word| (self.names)(word, name));
        service.manager == self
            && service.user.is_none()
            && service.name.as_ref().is_none_or(is_named)
    }

    /// The question for all names of these services, where they may have several.
    pub(crate) fn other_names(&self, named: &Named) -> Option<Vec<String>> {
        let question: Vec<String> = self.other_names.iter().map(|&word| word.to_owned()).collect();
        let argv = [named.client.as_slice(), &question, &named.names].concat();
        (!question.is_empty()).then_some(argv)
    }

    /// The services of it that would be the backend, where `backend.restart` names these of them.
    pub(crate) fn looked_for(&self, backend: &Backend, named: Option<&Named>) -> Named {
        let client = self.restart.first().map(|&client| client.to_owned());
        let client = named.map_or_else(|| Vec::from_iter(client), |named| named.client.clone());
        let names = named.map(|named| named.names.clone()).unwrap_or_default();
        Named { client, names: (self.looked_for)(backend, names) }
    }

    /// Asks what becomes of services.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<Vec<Plan>, CommandError> {
        (self.ask)(question).await
    }

    /// The command that starts services now and at each boot.
    pub(crate) fn start(&self, named: &Named) -> String {
        (self.start)(named)
    }

    /// The command that stops services now and at each boot.
    pub(crate) fn stop(&self, names: &[&str]) -> String {
        (self.stop)(names, None)
    }

    /// A service of it, for people.
    pub(crate) fn call(&self, name: &str) -> String {
        format!("{}{name}", self.kind)
    }
}

impl Service {
    /// What of a manager's a process is; `None` where none recognises it.
    pub(crate) fn of(proc: Proc<'_>, pid: Pid) -> Option<Service> {
        MANAGERS.iter().find_map(|manager| (manager.recognise)(proc, pid))
    }

    /// The service of systemd whose restart ends a process, whoever runs it there.
    pub(crate) fn around(proc: Proc<'_>, pid: Pid) -> Option<Service> {
        systemd::around(proc, pid)
    }

    /// The command that stops it now and at each boot.
    pub(crate) fn stop(&self) -> String {
        let names: Vec<&str> = self.name.as_deref().into_iter().collect();
        (self.manager.stop)(&names, self.user.as_deref())
    }
}

/// All managers, for a sentence.
pub(crate) fn listed(between: &str) -> String {
    let names: Vec<&str> = MANAGERS.iter().map(|manager| manager.name).collect();
    names.join(between)
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Service { manager, name, user } = self;
        match name {
            Some(name) => write!(f, "{} ({manager}", manager.call(name))?,
            None => return manager.fmt(f),
        }
        match user {
            Some(user) => write!(f, " of user {user})"),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Manager {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Manager {}

impl PartialOrd for Manager {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Manager {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}

/// A word of a command line that begins with options: where those end. An option in `with_value`
/// has its value in the next word.
fn first_word(arguments: &[String], with_value: &[&str]) -> usize {
    let mut at = 0;
    while let Some(option) = arguments.get(at).filter(|word| word.starts_with('-')) {
        at += if with_value.contains(&option.as_str()) { 2 } else { 1 };
    }
    at
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A program of supervisord, by the name that supervisorctl takes.
    pub(crate) fn program(name: &str) -> Service {
        Service { manager: &supervisord::MANAGER, name: Some(name.into()), user: None }
    }

    /// A program of supervisord whose name can't be seen.
    pub(crate) fn unnamed_program() -> Service {
        Service { manager: &supervisord::MANAGER, name: None, user: None }
    }

    /// A service of the system's systemd.
    pub(crate) fn unit(name: &str) -> Service {
        Service { manager: &systemd::MANAGER, name: Some(name.into()), user: None }
    }
}
