//! The loop that joins everything: events and deadlines into the core, its effects out.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::{self, Config, ConfigError, Span};
use crate::control::api;
use crate::control::server::Ask;
use crate::control::socket::{self, SocketError};
use crate::core::Core;
use crate::core::effect::{Effect, Order};
use crate::core::event::{Event, Input, RestartOutcome};
use crate::core::failure::PppdExit;
use crate::core::policy::Policy;
use crate::core::time::{Monotonic, Now, Wall};
use crate::signals::{Request, Signals};
use crate::{backend, control, desired, host, kernel, pppd, systemd, telemetry};

/// Events that may wait for the loop; senders wait beyond that.
const EVENT_QUEUE: usize = 1024;
/// Questions that may wait for the loop.
const ASK_QUEUE: usize = 16;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration file, where one is named.
    pub config: Option<PathBuf>,
    /// Overrides `outage.interval`.
    pub interval: Option<Span>,
    /// Overrides `outage.startup_delay`.
    pub startup_delay: Option<Span>,
    /// Tell what would be done and do nothing.
    pub dry_run: bool,
}

impl Options {
    /// Reads the configuration with this command line's overrides.
    ///
    /// # Errors
    /// When the configuration can't be used.
    pub fn load(&self) -> Result<Config, ConfigError> {
        config::load(self.config.as_deref(), |config| {
            if let Some(interval) = self.interval {
                config.outage.interval = interval;
            }
            if let Some(delay) = self.startup_delay {
                config.outage.startup_delay = delay;
            }
        })
    }
}

/// Why the daemon can't run, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The control socket can't be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Signals can't be caught.
    #[error("can't catch signals: {0}")]
    Signals(#[source] std::io::Error),
    /// A part of the daemon has ended that must not.
    #[error("a part of the daemon has failed: {0}; tunnels stay up, restart it")]
    Part(String),
}

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// When it can't begin, or a part of it fails.
pub async fn run(options: Options, config: Config) -> Result<(), SupervisorError> {
    let only = socket::be_the_only(&config.paths)?;
    tracing::info!("connexad {} starts", env!("CARGO_PKG_VERSION"));
    let signals = Signals::catch().map_err(SupervisorError::Signals)?;
    let listener = socket::open(&config.control, &only)?;
    let (asks_in, asks) = mpsc::channel(ASK_QUEUE);
    let mut parts = JoinSet::new();
    parts.spawn(control::server::serve(listener, asks_in));
    let mut supervisor = Supervisor::start(options, config, &mut parts);
    supervisor.run(signals, asks, &mut parts).await
}

struct Supervisor {
    options: Options,
    config: Config,
    core: Core,
    clock: Clock,
    started: Wall,
    events_in: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    reloads_in: mpsc::Sender<Result<Config, ConfigError>>,
    reloads: mpsc::Receiver<Result<Config, ConfigError>>,
    pppd: mpsc::UnboundedSender<Order>,
    desired: watch::Sender<desired::Settings>,
    was_ready: bool,
}

impl Supervisor {
    fn start(options: Options, config: Config, parts: &mut JoinSet<()>) -> Self {
        let (events_in, events) = mpsc::channel(EVENT_QUEUE);
        let (reloads_in, reloads) = mpsc::channel(1);
        // Unbounded because the loop may not wait; each entry answers an event of a bounded queue.
        let (pppd, pppd_requests) = mpsc::unbounded_channel();
        let (desired, desired_settings) = watch::channel(desired::Settings::from(&config));
        parts.spawn(kernel::listen(events_in.clone()));
        parts.spawn(pppd::run(config.paths.clone(), pppd_requests, events_in.clone()));
        parts.spawn(desired::follow(desired_settings, events_in.clone()));
        parts.spawn(host::follow(config.paths.clone(), events_in.clone()));
        let clock = Clock::start();
        Supervisor {
            core: Core::new(Policy::from(&config)),
            started: clock.now().wall,
            options,
            config,
            clock,
            events_in,
            events,
            reloads_in,
            reloads,
            pppd,
            desired,
            was_ready: false,
        }
    }

    async fn run(
        &mut self,
        mut signals: Signals,
        mut asks: mpsc::Receiver<Ask>,
        parts: &mut JoinSet<()>,
    ) -> Result<(), SupervisorError> {
        let mut watchdog = systemd::Watchdog::start();
        while !self.core.is_drained() {
            let deadline = self.core.next_deadline().map(|at| self.clock.instant(at));
            tokio::select! {
                biased;
                () = watchdog.due() => watchdog.pat(),
                request = signals.next() => self.obey(request),
                Some(ask) = asks.recv() => self.answer(ask),
                Some(reloaded) = self.reloads.recv() => self.reloaded(reloaded),
                // Before deadlines: what has already happened may have made them moot.
                Some(event) = self.events.recv() => self.feed(event),
                () = until(deadline) => self.feed(Event::Tick),
                Some(ended) = parts.join_next() => {
                    let why = ended.err().map_or("it ended".to_owned(), |error| error.to_string());
                    return Err(SupervisorError::Part(why));
                }
            }
        }
        tracing::info!("connexad stops; {} tunnels stay up", self.core.up_count());
        Ok(())
    }

    fn feed(&mut self, event: Event) {
        let now = self.clock.now();
        for effect in self.core.handle(Input { now, event }) {
            self.perform(effect);
        }
        if !self.was_ready && self.core.is_ready() {
            self.was_ready = true;
            systemd::ready();
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Tell(notice) => telemetry::tell(&notice),
            Effect::Pppd(order) if self.options.dry_run => self.pretend(&order),
            // Its receiver ends only with the daemon: a part that fails ends the loop.
            Effect::Pppd(order) => drop(self.pppd.send(order)),
            Effect::RestartBackend if self.options.dry_run => {
                tracing::info!("Dry run: would restart the backend");
                let outcome = RestartOutcome::NotReady("dry run, not restarted".to_owned());
                self.answer_core(Event::BackendRestarted(outcome));
            }
            Effect::RestartBackend => self.restart_backend(),
        }
    }

    /// Tells what would be done. A signal is taken as obeyed, for the core waits for that.
    fn pretend(&self, order: &Order) {
        tracing::info!("Dry run: would {order}");
        match order {
            Order::Signal { call, .. } => {
                self.answer_core(Event::Exited { call: *call, exit: PppdExit::Unseen });
            }
            Order::WriteFiles { .. }
            | Order::RemoveFiles(_)
            | Order::SweepFiles(_)
            | Order::Dial { .. } => {}
        }
    }

    /// Where the queue is full the answer is lost, and the core asks again in its own time.
    fn answer_core(&self, event: Event) {
        let _ = self.events_in.try_send(event);
    }

    fn restart_backend(&self) {
        let backend = self.config.backend.clone();
        let events = self.events_in.clone();
        tokio::spawn(async move {
            let outcome = backend::restart(&backend).await;
            // Nobody to tell once the daemon has stopped.
            let _ = events.send(Event::BackendRestarted(outcome)).await;
        });
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Stop => {
                systemd::stopping();
                self.feed(Event::Stop);
            }
            Request::Reload => {
                systemd::reloading();
                let options = self.options.clone();
                let reloads = self.reloads_in.clone();
                // Nobody waits for the answer once the daemon has stopped.
                tokio::task::spawn_blocking(move || drop(reloads.blocking_send(options.load())));
            }
            Request::ShowState => self.log_state(),
        }
    }

    fn reloaded(&mut self, config: Result<Config, ConfigError>) {
        match config {
            Err(error) => tracing::error!("Reload refused, the old configuration stays: {error}"),
            Ok(config) => {
                if needs_restart(&self.config, &config) {
                    tracing::warn!("paths, control and log take effect at the next start only");
                }
                self.feed(Event::Policy(Box::new(Policy::from(&config))));
                self.desired.send_replace(desired::Settings::from(&config));
                self.config = config;
                tracing::info!("Configuration reloaded");
            }
        }
        if self.was_ready {
            systemd::ready();
        }
    }

    fn answer(&self, ask: Ask) {
        match ask {
            // The asker may have gone away.
            Ask::Status(reply) => drop(reply.send(self.status())),
        }
    }

    fn status(&self) -> api::Status {
        let report = self.core.report(self.clock.now());
        let config_path = self.options.config.clone().unwrap_or(config::DEFAULT_PATH.into());
        api::Status {
            schema_version: api::SCHEMA_VERSION,
            daemon: api::Daemon {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_at: self.started.rfc3339(),
                config_path: config_path.display().to_string(),
                dry_run: self.options.dry_run,
            },
            outage: report.outage,
            kernel: report.kernel,
            database: api::Database {
                path: self.config.database.path.display().to_string(),
                was_read: report.database_was_read,
                problem: report.database_problem,
            },
            host_fault: report.host_fault,
            counts: report.counts,
            nodes: report.nodes,
        }
    }

    fn log_state(&self) {
        let status = self.status();
        tracing::info!(
            "State: {} of {} nodes up",
            status.outage.ppp_interfaces,
            status.nodes.len()
        );
        for node in &status.nodes {
            let id = node.id;
            let interface = node.interface.as_deref().unwrap_or("no link");
            let error = node.last_error.as_ref().map_or("no failure", |error| &error.message);
            tracing::info!(
                NODE_ID = id,
                "State: node {id} {} since {} on {interface}; {error}",
                node.state,
                node.since
            );
        }
    }
}

/// Sections whose users hold them from the start.
fn needs_restart(old: &Config, new: &Config) -> bool {
    old.paths != new.paths || old.control != new.control || old.log != new.log
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Where the core's time and dice come from.
struct Clock {
    started: Instant,
    dice: RandomState,
}

impl Clock {
    fn start() -> Self {
        Clock { started: Instant::now(), dice: RandomState::new() }
    }

    fn now(&self) -> Now {
        let at = millis(self.started.elapsed());
        let wall = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        Now { at: Monotonic(at), wall: Wall(wall), dice: self.dice.hash_one((at, wall)) }
    }

    fn instant(&self, at: Monotonic) -> Instant {
        self.started + Duration::from_millis(at.0)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
