//! The configuration is read again while the daemon runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

use super::parts::panicked;
use super::{Options, Supervisor};
use crate::config::{self, Config, ConfigError, DEFAULT_PATH, When};
use crate::control::question::Refusal;
use crate::control::socket::{self, SocketError};
use crate::control::{api, shown};
use crate::core::event::Event;
use crate::core::policy::Policy;
use crate::desired;

/// Why a new configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The next start would fail by it.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// It could not be read, for no reason of its own.
    #[error("a fault of connexad, report it: {0}")]
    Fault(String),
}

impl ReloadError {
    /// What is told, a line for each fault.
    fn lines(&self) -> Vec<String> {
        match self {
            ReloadError::Config(error) => error.lines(),
            ReloadError::Socket(_) | ReloadError::Fault(_) => vec![self.to_string()],
        }
    }
}

/// A configuration, and the file that it was read from, where there was one.
#[derive(Debug)]
struct Loaded {
    config: Box<Config>,
    file: Option<PathBuf>,
}

/// What was read, and by which request.
pub(super) struct Reloaded {
    request: u64,
    loaded: Result<Loaded, ReloadError>,
}

/// Requests to read the configuration, which may be answered in another order.
pub(super) struct Reloads {
    requests: u64,
    answers_in: mpsc::Sender<Reloaded>,
    answers: mpsc::Receiver<Reloaded>,
    /// Who asked by the control socket, and waits for the newest answer.
    waiting: Vec<Reply>,
    /// Why the last one was refused, until another one is not.
    refused: Option<String>,
}

type Reply = oneshot::Sender<Result<api::Reloaded, Refusal>>;

impl Default for Reloads {
    fn default() -> Self {
        let (answers_in, answers) = mpsc::channel(1);
        Reloads { requests: 0, answers_in, answers, waiting: Vec::new(), refused: None }
    }
}

impl Reloads {
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// The next answer; never while none comes.
    pub(super) async fn next(&mut self) -> Reloaded {
        match self.answers.recv().await {
            Some(reloaded) => reloaded,
            None => std::future::pending().await,
        }
    }
}

impl Supervisor {
    /// Somebody asks for a reload and waits for what comes of it.
    pub(super) fn reload_for(&mut self, by: &str, reply: Reply) {
        if self.stopping {
            drop(reply.send(Err(Refusal::stopping())));
            return;
        }
        tracing::info!("Reload asked for by {by}");
        self.reloads.waiting.push(reply);
        self.begin_reload();
    }

    pub(super) fn begin_reload(&mut self) {
        self.manager.reloading();
        self.reloads.requests += 1;
        let (request, answers) = (self.reloads.requests, self.reloads.answers_in.clone());
        let (options, running) = (self.options.clone(), self.config.control.socket.clone());
        self.jobs.start_blocking("reads the configuration", move || {
            let loaded = caught(|| load(options, &running));
            // Nobody waits for the answer once the daemon has stopped.
            let _ = answers.blocking_send(Reloaded { request, loaded });
        });
    }

    /// Takes in what was read. Of several requests only the newest counts: an older one may have
    /// read what was there before.
    pub(super) fn reloaded(&mut self, Reloaded { request, loaded }: Reloaded) {
        if request != self.reloads.requests || self.stopping {
            return;
        }
        match loaded {
            Err(error) => {
                let faults = error.lines();
                for fault in &faults {
                    tracing::error!("Reload refused, the old configuration stays: {fault}");
                }
                self.end_reload(Err(faults));
            }
            Ok(Loaded { config, file }) => {
                self.options.config = file;
                let reloaded = self.go_by(*config);
                self.end_reload(Ok(reloaded));
            }
        }
    }

    /// Whatever became of it, the service manager waits for the end of a reload, and so may others.
    fn end_reload(&mut self, outcome: Result<api::Reloaded, Vec<String>>) {
        self.reloads.refused = outcome.as_ref().err().map(|faults| faults.join(" | "));
        self.manager.show_state(&self.standing());
        for reply in self.reloads.waiting.drain(..) {
            // Whoever asked may have gone away.
            let _ = reply.send(outcome.clone().map_err(Refusal::NotReloaded));
        }
        if self.was_ready {
            self.manager.ready();
        }
    }

    fn go_by(&mut self, mut config: Config) -> api::Reloaded {
        let changes = config::changes(&self.config, &config);
        let waiting = changes.iter().filter(|change| change.when == When::Restart);
        let waiting: Vec<&str> = waiting.map(|change| change.key.as_str()).collect();
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(
                "{keys} changed: in force after `systemctl restart connexad`, tunnels stay up"
            );
        }
        keep_until_restart(&self.config, &mut config);
        // First: the core may dial at once by its new rules.
        self.engines.configure(&config);
        self.feed(Event::Policy(Box::new(Policy::from(&config))));
        self.desired.send_replace(desired::Settings::from(&config));
        self.router.configure(&config.routing);
        self.prober.configure(&config.probe);
        let same_database = self.config.database == config.database;
        self.config = config;
        if self.was_ready && !same_database {
            self.write_back_all();
        }
        tracing::info!("Configuration reloaded");
        api::Reloaded { changes: changes.into_iter().map(shown::key_change).collect() }
    }
}

/// Says by which file the daemon goes, so that nobody edits another one.
pub(super) fn tell_the_file(options: &Options) {
    match &options.config {
        Some(file) => {
            tracing::info!("The configuration is {}", file.display());
            if let Some(exposed) = config::exposed(file) {
                tracing::warn!("{exposed}; {}", exposed.remedy());
            }
        }
        None => tracing::info!("There is no {DEFAULT_PATH}, so all defaults hold"),
    }
}

/// What was loaded; where that panics, a fault that is answered like any other.
fn caught(load: impl FnOnce() -> Result<Loaded, ReloadError>) -> Result<Loaded, ReloadError> {
    catch_unwind(AssertUnwindSafe(load))
        .unwrap_or_else(|panic| Err(ReloadError::Fault(panicked(panic))))
}

/// Reads what these options name. A default file that appeared is taken, and one that the daemon
/// goes by already is not let go: where it is gone, that is an error.
fn load(mut options: Options, running_socket: &Path) -> Result<Loaded, ReloadError> {
    options.config = config::file(options.config);
    let config = options.load()?;
    if config.control.socket != running_socket {
        socket::check(&config)?;
    }
    Ok(Loaded { config: Box::new(config), file: options.config })
}

/// Sections whose users hold them from the start stay as they are, all of each.
fn keep_until_restart(old: &Config, new: &mut Config) {
    new.paths = old.paths.clone();
    new.control = old.control.clone();
    new.log = old.log.clone();
    new.metrics = old.metrics.clone();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Request;
    use crate::systemd::Manager;

    fn supervisor() -> Supervisor {
        Supervisor::assemble(Options::default(), Config::default()).0
    }

    fn loaded(dial_concurrency: u32) -> Result<Loaded, ReloadError> {
        let mut config = Config::default();
        config.tunnel.dial_concurrency = dial_concurrency;
        Ok(Loaded { config: Box::new(config), file: None })
    }

    #[tokio::test]
    async fn of_two_reloads_that_land_in_the_wrong_order_the_newer_wins() {
        let mut supervisor = supervisor();
        supervisor.reloads.requests = 2;
        supervisor.reloaded(Reloaded { request: 2, loaded: loaded(22) });
        supervisor.reloaded(Reloaded { request: 1, loaded: loaded(11) });
        assert_eq!(supervisor.config.tunnel.dial_concurrency, 22);
    }

    #[tokio::test]
    async fn a_reload_that_is_overtaken_changes_nothing() {
        let mut supervisor = supervisor();
        supervisor.reloads.requests = 2;
        supervisor.reloaded(Reloaded { request: 1, loaded: loaded(11) });
        assert_eq!(supervisor.config, Config::default());
    }

    #[tokio::test]
    async fn a_reload_that_fails_by_a_fault_of_the_program_ends_for_the_service_manager_too() {
        let mut supervisor = supervisor();
        let (manager, told) = Manager::kept();
        supervisor.manager = manager;
        supervisor.was_ready = true;
        let loaded = caught(|| panic!("no file"));
        supervisor.reloaded(Reloaded { request: 0, loaded });
        let told = told();
        assert!(told[0].contains("reload refused, the old configuration stays: "), "{told:?}");
        assert_eq!(told[1..], ["Some(Ready)"]);
    }

    #[tokio::test]
    async fn a_daemon_that_stops_says_nothing_of_reloads_any_more() {
        let mut supervisor = supervisor();
        let (manager, told) = Manager::kept();
        supervisor.manager = manager;
        supervisor.was_ready = true;
        supervisor.obey(Request::Stop);
        supervisor.obey(Request::Reload);
        let request = supervisor.reloads.requests;
        supervisor.reloaded(Reloaded { request, loaded: loaded(11) });
        assert_eq!(told(), ["Some(Stopping)"]);
        assert_eq!(supervisor.config, Config::default());
    }
}
