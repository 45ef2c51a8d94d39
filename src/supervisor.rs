//! The loop that joins everything: events and deadlines into the core, its effects out.

mod answers;
mod clock;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use clock::Clock;

use crate::config::{self, Config, ConfigError, Span};
use crate::control::lock;
use crate::control::question::Question;
use crate::control::socket::{self, SocketError};
use crate::core::Core;
use crate::core::change::Change;
use crate::core::effect::{Effect, Order};
use crate::core::event::{Event, Input, RestartFault, RestartOutcome};
use crate::core::failure::{Failure, FailureKind, PppdExit};
use crate::core::policy::Policy;
use crate::core::time::Wall;
use crate::desired::TunnelWriter;
use crate::hooks::Hooks;
use crate::probe::Prober;
use crate::recording::{RecordError, Recorder};
use crate::routing::Router;
use crate::signals::{Request, Signals};
use crate::stopped::{self, Keeper};
use crate::{backend, control, desired, host, kernel, pppd, systemd, telemetry};

/// Events that may wait for the loop; senders wait beyond that.
const EVENT_QUEUE: usize = 1024;
/// Questions that may wait for the loop.
const QUESTION_QUEUE: usize = 16;
/// How long the end waits for the list of stopped nodes to be on disk.
const KEEP_WITHIN: Duration = Duration::from_secs(1);
/// How long the end waits for the database to take what was told last; it may be locked.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
/// How long the end waits for the rules and routes of tunnels that went with it to be gone.
const ROUTED_WITHIN: Duration = Duration::from_secs(1);
/// How long the end of a daemon that takes its tunnels along waits for what they leave behind.
const CLEARED_WITHIN: Duration = Duration::from_secs(4);
/// How long the end waits for hooks.
const HOOKS_WITHIN: Duration = Duration::from_secs(10);

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
    /// Record every input of the core to this file.
    pub record: Option<PathBuf>,
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
    /// Nothing can be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A part of the daemon has ended that must not.
    #[error("a part of the daemon has failed: {0}; tunnels stay up, restart it")]
    Part(String),
}

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// When it can't begin, or a part of it fails.
pub async fn run(options: Options, config: Config) -> Result<(), SupervisorError> {
    let only = lock::be_the_only(&config.paths)?;
    tracing::info!("connexad {} starts", env!("CARGO_PKG_VERSION"));
    let signals = Signals::catch().map_err(SupervisorError::Signals)?;
    let listener = socket::open(&config.control, &only)?;
    let (questions_in, questions) = mpsc::channel(QUESTION_QUEUE);
    let policy = Policy::from(&config);
    let record = |path: &PathBuf| Recorder::start(path, &policy);
    let recorder = options.record.as_ref().map(record).transpose()?;
    let mut parts = JoinSet::new();
    parts.spawn(control::server::serve(listener, questions_in));
    let mut supervisor = Supervisor::start(options, config, &mut parts);
    supervisor.recorder = recorder;
    supervisor.recall_stopped();
    let ended = supervisor.run(signals, questions, &mut parts).await;
    if let Some(recorder) = supervisor.recorder.take() {
        recorder.finish();
    }
    ended
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
    tunnel_writer: TunnelWriter,
    stopped: Keeper,
    router: Router,
    prober: Prober,
    hooks: Hooks,
    recorder: Option<Recorder>,
    was_ready: bool,
    stopping: bool,
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
        let (reporter, write_back) = desired::write_back(desired_settings.clone());
        parts.spawn(desired::follow(desired_settings, events_in.clone()));
        parts.spawn(host::follow(config.paths.clone(), events_in.clone()));
        let (stopped, keep_stopped) = Keeper::new(stopped::file(&config.paths));
        parts.spawn(keep_stopped);
        let (router, route) = Router::new(config.routing.table_base);
        if !options.dry_run {
            parts.spawn(route);
            parts.spawn(write_back);
        }
        let (prober, probe) = Prober::new(config.probe.clone(), events_in.clone());
        if !options.dry_run {
            parts.spawn(probe);
        }
        let hooks = Hooks::start(options.dry_run);
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
            tunnel_writer: TunnelWriter::new(reporter),
            stopped,
            router,
            prober,
            hooks,
            recorder: None,
            was_ready: false,
            stopping: false,
        }
    }

    /// What an earlier daemon was told to leave alone, before anything else can be known.
    fn recall_stopped(&mut self) {
        let (stopped, damaged) = stopped::read(&stopped::file(&self.config.paths));
        if let Some(damaged) = damaged {
            tracing::error!("{damaged}");
        }
        if !stopped.is_empty() {
            tracing::info!("Stopped by the operator earlier: {}", stopped::list(&stopped));
        }
        self.feed(Event::Stopped(stopped));
    }

    async fn run(
        &mut self,
        mut signals: Signals,
        mut questions: mpsc::Receiver<Question>,
        parts: &mut JoinSet<()>,
    ) -> Result<(), SupervisorError> {
        let mut watchdog = systemd::Watchdog::start();
        while !self.core.is_drained() {
            let deadline = self.core.next_deadline().map(|at| self.clock.instant(at));
            tokio::select! {
                biased;
                () = watchdog.due() => watchdog.pat(),
                request = signals.next() => self.obey(request),
                Some(question) = questions.recv() => self.answer(question),
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
        if !self.config.tunnel.keep_on_exit && !self.options.dry_run {
            pppd::clear_at_the_end(&self.config.paths, CLEARED_WITHIN).await;
        }
        // What was asked last is to be remembered; a disk that hangs doesn't hold the end up.
        let _ = timeout(KEEP_WITHIN, self.stopped.kept().wait()).await;
        let _ = timeout(WRITTEN_WITHIN, self.tunnel_writer.written()).await;
        self.router.finish(ROUTED_WITHIN).await;
        self.hooks.finish(HOOKS_WITHIN).await;
        let verb = if self.core.up_count() == 1 { "stays" } else { "stay" };
        let tunnels = control::api::counted(self.core.up_count(), "tunnel");
        tracing::info!("connexad stops; {tunnels} {verb} up");
        Ok(())
    }

    fn feed(&mut self, event: Event) {
        let input = Input { now: self.clock.now(), event };
        if let Some(recorder) = &mut self.recorder {
            recorder.record(&input);
        }
        for effect in self.core.handle(input) {
            self.perform(effect);
        }
        if !self.was_ready && self.core.is_ready() {
            self.was_ready = true;
            self.router.begin();
            self.write_back_all();
            systemd::ready();
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Tell(notice) => telemetry::tell(&notice),
            Effect::Change(change) => self.follow(&change),
            Effect::Pppd(order) if self.options.dry_run => self.pretend(&order),
            // Its receiver ends only with the daemon: a part that fails ends the loop.
            Effect::Pppd(order) => drop(self.pppd.send(order)),
            Effect::JudgeBackend { question } => self.judge_backend(question),
            Effect::RestartBackend { restart } if self.options.dry_run => {
                tracing::info!("Dry run: would restart the backend");
                let message = "dry run, not restarted".to_owned();
                let outcome = RestartOutcome::Failed { kind: RestartFault::DryRun, message };
                self.answer_core(Event::BackendRestarted { restart, outcome });
            }
            Effect::RestartBackend { restart } => self.restart_backend(restart),
            Effect::KeepStopped(stopped) if self.options.dry_run => {
                let file = stopped::file(&self.config.paths);
                tracing::info!(
                    "Dry run: would write {}; stopped by the operator: {}",
                    file.display(),
                    stopped::list(&stopped)
                );
            }
            Effect::KeepStopped(stopped) => self.stopped.keep(stopped),
        }
    }

    /// Routes, probes, hooks and the database follow what became of a tunnel.
    fn follow(&mut self, change: &Change) {
        self.router.follow(change);
        self.prober.follow(change);
        self.hooks.follow(change, &self.config.hooks);
        // What is up before the daemon is ready was found up, which all at once tells then.
        let tell = self.config.database.write_back && self.was_ready && !self.options.dry_run;
        self.tunnel_writer.follow(change, self.clock.now().wall, tell);
    }

    /// Tunnels may have come and gone while nobody wrote it.
    fn write_back_all(&self) {
        if self.config.database.write_back {
            self.tunnel_writer.tell_all();
        }
    }

    /// Tells what would be done. The core waits for what comes of a dial or a signal, so it is told
    /// that the one came to nothing and the other was obeyed.
    fn pretend(&self, order: &Order) {
        tracing::info!("Dry run: would {order}");
        match order {
            Order::Signal { call, .. } => {
                self.answer_core(Event::Exited { call: *call, exit: PppdExit::Unseen });
            }
            Order::Dial { call, .. } => {
                let failure = Failure::new(FailureKind::Unexplained, "dry run, not dialled");
                self.answer_core(Event::NotSpawned { call: *call, failure });
            }
            Order::WriteFiles { .. } | Order::RemoveFiles(_) | Order::SweepFiles(_) => {}
        }
    }

    /// Where the queue is full the answer is lost, and the core asks again in its own time.
    fn answer_core(&self, event: Event) {
        let _ = self.events_in.try_send(event);
    }

    fn judge_backend(&self, question: u64) {
        let backend = self.config.backend.clone();
        let events = self.events_in.clone();
        tokio::spawn(async move {
            let judgement = backend::judge(&backend).await;
            // Nobody to tell once the daemon has stopped.
            let _ = events.send(Event::BackendJudged { question, judgement }).await;
        });
    }

    fn restart_backend(&self, restart: u64) {
        let backend = self.config.backend.clone();
        let events = self.events_in.clone();
        tokio::spawn(async move {
            let outcome = backend::restart(&backend).await;
            // Nobody to tell once the daemon has stopped.
            let _ = events.send(Event::BackendRestarted { restart, outcome }).await;
        });
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Stop => {
                systemd::stopping();
                self.stopping = true;
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
            Ok(mut config) => {
                if keep_until_restart(&self.config, &mut config) {
                    tracing::warn!("paths, control and log take effect at the next start only");
                }
                self.feed(Event::Policy(Box::new(Policy::from(&config))));
                self.desired.send_replace(desired::Settings::from(&config));
                self.router.configure(config.routing.table_base);
                self.prober.configure(&config.probe);
                let same_database = self.config.database == config.database;
                self.config = config;
                if self.was_ready && !same_database {
                    self.write_back_all();
                }
                tracing::info!("Configuration reloaded");
            }
        }
        if self.was_ready {
            systemd::ready();
        }
    }
}

/// Sections whose users hold them from the start stay as they are, all of each. Whether they would
/// have changed.
fn keep_until_restart(old: &Config, new: &mut Config) -> bool {
    let differ = old.paths != new.paths || old.control != new.control || old.log != new.log;
    new.paths = old.paths.clone();
    new.control = old.control.clone();
    new.log = old.log.clone();
    differ
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
