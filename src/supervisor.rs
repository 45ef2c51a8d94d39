//! The loop that joins everything: events and deadlines into the core, its effects out.

mod answers;
mod clock;
mod history;
mod parts;
mod policy;
mod reload;
mod standing;
mod told;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use clock::Clock;
use history::History;
pub(crate) use history::Transition;
use parts::{Ended, Part, Tasks, panicked};
use reload::{Reloaded, Reloads};
use told::Teller;

use crate::config::{self, Config, ConfigError, Paths, Span};
use crate::control::lock;
use crate::control::question::Question;
use crate::control::socket::{self, SocketError};
use crate::core::Core;
use crate::core::change::Change;
use crate::core::effect::{Effect, Order};
use crate::core::event::{Event, Input, RestartFault, RestartOutcome};
use crate::core::failure::{Failure, FailureKind};
use crate::core::policy::Policy;
use crate::core::time::Wall;
use crate::desired::TunnelWriter;
use crate::engines::{self, Engines};
use crate::hooks::Hooks;
use crate::pptp::driver::Found;
use crate::probe::Prober;
use crate::recording::{RecordError, Recorder};
use crate::routing::Router;
use crate::signals::{Request, Signals};
use crate::stopped::{self, Keeper};
use crate::systemd::Manager;
use crate::telemetry::metrics::Metrics;
use crate::version::VERSION;
use crate::{backend, control, desired, host, kernel, pppd, surroundings, telemetry};

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
        config::load(self.config.as_deref(), |config| self.adjust(config))
    }

    /// What wins over any file.
    pub(crate) fn adjust(&self, config: &mut Config) {
        if let Some(interval) = self.interval {
            config.outage.interval = interval;
        }
        if let Some(delay) = self.startup_delay {
            config.outage.startup_delay = delay;
        }
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
    #[error("the part of connexad that {part} has failed: {how}; tunnels stay up, restart it")]
    Part {
        /// What it does.
        part: &'static str,
        /// How it ended.
        how: String,
    },
}

/// Runs the daemon until it is asked to stop.
///
/// # Errors
/// When it can't begin, or a part of it fails.
pub async fn run(options: Options, config: Config) -> Result<(), SupervisorError> {
    let only = lock::be_the_only(&config.paths)?;
    tracing::info!("connexad {VERSION} starts");
    if std::process::id() == 1 {
        tracing::warn!(
            "connexad is the first process of its container, and reaps no others: each dial by pppd \
             leaves a zombie of pptp; start it below an init, with Docker by --init"
        );
    }
    reload::tell_the_file(&options);
    let signals = Signals::catch().map_err(SupervisorError::Signals)?;
    let listener = socket::open(&config.control, &only)?;
    let figures =
        config.metrics.listen.and_then(|listen| control::server::listen(listen.address()));
    let (questions_in, questions) = mpsc::channel(QUESTION_QUEUE);
    let policy = Policy::from(&config);
    let record = |path: &PathBuf| Recorder::start(path, &policy);
    let recording = options.record.as_ref().map(record).transpose()?;
    let (mut supervisor, work) = Supervisor::assemble(options, config);
    let mut parts = Tasks::default();
    let control = supervisor.config.control.clone();
    let served = control::server::serve(listener, figures, control, questions_in);
    parts.start(Part::new("answers connexactl", served));
    work.into_iter().for_each(|part| parts.start(part));
    if let Some((recorder, work)) = recording {
        supervisor.recorder = Some(recorder);
        supervisor.jobs.start_blocking("writes the recording", work);
    }
    supervisor.recall_stopped();
    let ended = supervisor.run(signals, questions, &mut parts).await;
    if let Some(recorder) = supervisor.recorder.take() {
        recorder.finish();
    }
    ended
}

/// What wakes the loop.
enum Wake {
    /// The service manager wants to see that the loop turns.
    WatchdogDue,
    /// It is to be told how things stand.
    StateDue,
    Signal(Request),
    Question(Question),
    /// The configuration was read again.
    Reloaded(Reloaded),
    /// A dry run has an answer to an order.
    Pretended,
    Event(Event),
    /// A deadline of the core has come.
    Deadline,
    PartEnded(Ended),
    JobEnded(Ended),
}

struct Supervisor {
    options: Options,
    config: Config,
    core: Core,
    clock: Clock,
    started: Wall,
    events_in: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// What a dry run answers to orders in the place of those who would carry them out.
    pretended: VecDeque<Event>,
    reloads: Reloads,
    /// Work with an end of its own.
    jobs: Tasks,
    engines: Engines,
    desired: watch::Sender<desired::Settings>,
    tunnel_writer: TunnelWriter,
    stopped: Keeper,
    router: Router,
    prober: Prober,
    hooks: Hooks,
    recorder: Option<Recorder>,
    history: History,
    teller: Teller,
    metrics: Arc<Metrics>,
    manager: Manager,
    was_ready: bool,
    stopping: bool,
}

impl Supervisor {
    /// A supervisor and the parts that work for it, none of which is started yet.
    fn assemble(options: Options, config: Config) -> (Self, Vec<Part>) {
        let (events_in, events) = mpsc::channel(EVENT_QUEUE);
        let (desired, settings) = watch::channel(desired::Settings::from(&config));
        let (reporter, write_back) = desired::write_back(settings.clone());
        let (stopped, keep_stopped) = Keeper::new(stopped::file(&config.paths));
        let (router, route) = Router::new(&config.routing);
        let (prober, probe) = Prober::new(config.probe.clone(), events_in.clone());
        let found = if options.dry_run { Found::Tell } else { Found::TakeOver };
        let (engines, works) = Engines::new(&config, &events_in, found);
        let (hooks, run_hooks) = Hooks::new(options.dry_run);
        let mut parts = vec![
            Part::new(
                "hears the kernel",
                hear_the_kernel(config.paths.clone(), events_in.clone(), options.dry_run),
            ),
            Part::new("reads the database", desired::follow(settings, events_in.clone())),
            Part::new("watches the host", host::follow(config.paths.clone(), events_in.clone())),
            Part::new("remembers stopped nodes", keep_stopped),
            Part::new("runs hooks", run_hooks),
        ];
        parts.extend(works.into_iter().map(|(name, work)| Part { name, work }));
        if !options.dry_run {
            parts.push(Part::new("sets routes", route));
            parts.push(Part::new("writes to the database", write_back));
            parts.push(Part::new("probes tunnels", probe));
        }
        let clock = Clock::start();
        let supervisor = Supervisor {
            core: Core::new(Policy::from(&config)),
            started: clock.now().wall,
            options,
            config,
            clock,
            events_in,
            events,
            pretended: VecDeque::new(),
            reloads: Reloads::default(),
            jobs: Tasks::default(),
            engines,
            desired,
            tunnel_writer: TunnelWriter::new(reporter),
            stopped,
            router,
            prober,
            hooks,
            recorder: None,
            history: History::default(),
            teller: Teller::default(),
            metrics: Arc::new(Metrics::new()),
            manager: Manager::start(),
            was_ready: false,
            stopping: false,
        };
        (supervisor, parts)
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
        parts: &mut Tasks,
    ) -> Result<(), SupervisorError> {
        while !self.core.is_drained() {
            let wake = self.next(&mut signals, &mut questions, parts).await;
            let woken = Instant::now();
            self.take(wake)?;
            self.metrics.turned(woken.elapsed());
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
        self.manager.finish(&format!("stopped; {tunnels} {verb} up"));
        Ok(())
    }

    /// Waits for what comes next.
    async fn next(
        &mut self,
        signals: &mut Signals,
        questions: &mut mpsc::Receiver<Question>,
        parts: &mut Tasks,
    ) -> Wake {
        let deadline = self.core.next_deadline().map(|at| self.clock.instant(at));
        tokio::select! {
            biased;
            () = self.manager.due() => Wake::WatchdogDue,
            () = self.manager.state_due() => Wake::StateDue,
            request = signals.next() => Wake::Signal(request),
            Some(question) = questions.recv() => Wake::Question(question),
            reloaded = self.reloads.next() => Wake::Reloaded(reloaded),
            () = std::future::ready(()), if !self.pretended.is_empty() => Wake::Pretended,
            // Before deadlines: what has already happened may have made them moot.
            Some(event) = self.events.recv() => Wake::Event(event),
            () = until(deadline) => Wake::Deadline,
            ended = parts.ended() => Wake::PartEnded(ended),
            ended = self.jobs.ended() => Wake::JobEnded(ended),
        }
    }

    /// One turn of the loop.
    fn take(&mut self, wake: Wake) -> Result<(), SupervisorError> {
        match wake {
            Wake::WatchdogDue => self.manager.pat(),
            Wake::StateDue => self.manager.show_state(&self.standing()),
            Wake::Signal(request) => self.obey(request),
            Wake::Question(question) => self.answer(question),
            Wake::Reloaded(reloaded) => self.reloaded(reloaded),
            Wake::Pretended => {
                if let Some(event) = self.pretended.pop_front() {
                    self.feed(event);
                }
            }
            Wake::Event(event) => self.feed(event),
            Wake::Deadline => self.feed(Event::Tick),
            Wake::PartEnded(Ended { name: part, fault }) => {
                let how = fault.unwrap_or_else(|| "it ended".to_owned());
                return Err(SupervisorError::Part { part, how });
            }
            Wake::JobEnded(Ended { fault: None, .. }) => {}
            Wake::JobEnded(Ended { name, fault: Some(fault) }) => {
                tracing::error!("What {name} has failed: {fault}");
            }
        }
        Ok(())
    }

    fn feed(&mut self, event: Event) {
        let input = Input { now: self.clock.now(), event };
        if let Some(recorder) = &mut self.recorder {
            recorder.record(&input);
        }
        let now = input.now;
        let effects = self.core.handle(input);
        self.witness(&effects, now);
        for effect in effects {
            self.perform(effect);
        }
        if !self.was_ready && self.core.is_ready() {
            self.was_ready = true;
            self.router.begin();
            self.write_back_all();
            self.manager.ready();
        }
        self.manager.state_changed();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Tell(notice) => telemetry::tell(&notice, |id| self.core.state(id)),
            Effect::Change(change) => self.follow(&change),
            Effect::Way(way) => self.router.follow_way(&way),
            Effect::Order(order) if self.options.dry_run => self.pretend(&order),
            Effect::Order(order) => self.engines.order(order),
            Effect::JudgeBackend { question } => self.judge_backend(question),
            Effect::RestartBackend { restart } if self.options.dry_run => {
                tracing::info!("Dry run: would restart the backend");
                let message = "dry run, not restarted".to_owned();
                let outcome = RestartOutcome::Failed { kind: RestartFault::DryRun, message };
                self.pretended.push_back(Event::BackendRestarted { restart, outcome });
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

    /// Tells what would be done. The core waits for what comes of a dial or a hang-up, so it is told
    /// that the one came to nothing and the other was obeyed.
    fn pretend(&mut self, order: &Order) {
        tracing::info!("Dry run: would {}", engines::would(order));
        let (call, message) = match order {
            Order::HangUp { call } | Order::End { call } => (*call, "dry run, not hung up"),
            Order::Dial { call, .. } => (*call, "dry run, not dialled"),
            Order::Keep(_) | Order::Forget(_) | Order::KeepOnly(_) => return,
        };
        let failure = Failure::new(FailureKind::Unexplained, message);
        self.pretended.push_back(Event::Ended { call, failure });
    }

    fn judge_backend(&mut self, question: u64) {
        let backend = self.config.backend.clone();
        let events = self.events_in.clone();
        self.jobs.start(Part::new("judges the backend", async move {
            let judgement = backend::judge(&backend).await;
            // Nobody to tell once the daemon has stopped.
            let _ = events.send(Event::BackendJudged { question, judgement }).await;
        }));
    }

    fn restart_backend(&mut self, restart: u64) {
        let backend = self.config.backend.clone();
        let events = self.events_in.clone();
        self.jobs.start(Part::new("restarts the backend", async move {
            let outcome = outcome(backend::restart(&backend)).await;
            // Nobody to tell once the daemon has stopped.
            let _ = events.send(Event::BackendRestarted { restart, outcome }).await;
        }));
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Stop => {
                self.manager.stopping();
                self.stopping = true;
                self.feed(Event::Stop);
            }
            Request::Reload if self.stopping => {
                tracing::info!("connexad is stopping, so nothing is reloaded");
            }
            Request::Reload => self.begin_reload(),
            Request::ShowState => self.log_state(),
        }
    }
}

/// What a restart comes to; where it panics, it has failed by that.
async fn outcome(restart: impl Future<Output = RestartOutcome>) -> RestartOutcome {
    AssertUnwindSafe(restart).catch_unwind().await.unwrap_or_else(|panic| RestartOutcome::Failed {
        kind: RestartFault::Internal,
        message: format!("a fault of connexad, report it: {}", panicked(panic)),
    })
}

/// What the host has to reach is told before its links: tunnels are judged by it.
async fn hear_the_kernel(paths: Paths, events: mpsc::Sender<Event>, dry_run: bool) {
    let mut surroundings = surroundings::Watcher::new(&paths, !dry_run);
    surroundings.begin(&events).await;
    tokio::join!(kernel::listen(events.clone()), surroundings.follow(&events));
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_restart_that_fails_by_a_fault_of_the_program_is_reported_as_failed() {
        let RestartOutcome::Failed { kind, message } = outcome(async { panic!("no port") }).await
        else {
            panic!("it has not failed")
        };
        assert_eq!(kind, RestartFault::Internal);
        assert!(message.ends_with("it panicked: no port"), "{message}");
    }
}
