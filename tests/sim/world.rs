//! A small world for the core to live in: a kernel's links, pppds, servers, a database, an
//! operator. What it tells comes late, by several ways, and not at all when the daemon dies.

mod actions;
mod agenda;
mod daemon;
mod disturbances;
mod keeper;
mod kernel;
mod processes;
mod rows;
mod settled;

use std::collections::{BTreeMap, BTreeSet};

use connexa::config::Config;
use connexa::core::event::{CallId, Judgement, Link, RestartFault, RestartOutcome};
use connexa::core::policy::Policy;
use connexa::core::time::{Monotonic, Now, Wall};
use connexa::node::NodeId;

pub use actions::{Action, Quirk, any_action};
use keeper::Keeper;
use kernel::Kernel;
use processes::{Process, Step};
use rows::Row;

use crate::ledger::Ledger;
use crate::rules;
use crate::wire::{Did, JUDGE_LIMIT, News, View, Wire};

const DAY_ONE: u64 = 1_700_000_000_000;
/// The backend's judge takes so long at most, in milliseconds.
const JUDGED_WITHIN: u64 = JUDGE_LIMIT;

/// What the world does by itself, later.
#[derive(Clone, Debug)]
enum Happening {
    Tell(News),
    DatabaseIsRead,
    KernelIsHeard,
    KernelIsListed,
    OrderIsCarriedOut,
    RunningAreLookedFor,
    DaemonStarts,
    LinkReturns(u32),
    AddressesReturn(u32, Link),
    RowsReturn(BTreeMap<u32, Row>),
    Life(u32, Step),
}

/// The ways that events come by. Each keeps its own order.
#[derive(Clone, Copy, Debug)]
enum Way {
    Links,
    Words,
    Exits,
    Spawned,
    Rows,
    Orders,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Server {
    Answers,
    Dead,
    Hangs,
    Refuses,
}

pub struct World {
    pub daemon: Wire,
    ledger: Ledger,
    view: View,
    policy: Policy,
    /// The policy that this daemon began with.
    pub first_policy: Policy,
    now: u64,
    /// When the daemon started, on the world's clock.
    started: u64,
    wall: u64,
    random: u64,
    /// How long things take, at most; 1 in a world without delays.
    slowness: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    ways: [u64; 7],
    rows: BTreeMap<u32, Row>,
    can_read: bool,
    servers: Vec<Server>,
    has_ppp: bool,
    processes: BTreeMap<u32, Process>,
    next_pid: u32,
    kernel: Kernel,
    keeper: Keeper,
    quirks: BTreeMap<u32, Quirk>,
    refused_again: BTreeSet<u32>,
    is_down: bool,
    is_stopping: bool,
    crash_after_orders: Option<u32>,
    /// Since when a node has two pppds.
    crowded: BTreeMap<u32, u64>,
    broken: Option<String>,
    pub fed: u64,
    pub restarts: u32,
    pub dials: u32,
    pub refused_dials: u32,
    records: bool,
}

pub fn policy() -> Policy {
    Policy::from(&Config::default())
}

impl World {
    /// A world with three servers that is recorded.
    pub fn new(seed: u64) -> Self {
        World::with(seed, 3, true)
    }

    /// A world with so many servers.
    pub fn with(seed: u64, servers: usize, records: bool) -> Self {
        World::under(policy(), seed, servers, records)
    }

    /// A world whose daemon goes by this policy at first.
    pub fn under(policy: Policy, seed: u64, servers: usize, records: bool) -> Self {
        let mut world = World {
            daemon: Wire::new(policy.clone(), records),
            ledger: Ledger::new(policy.clone()),
            view: View::default(),
            first_policy: policy.clone(),
            policy,
            now: 0,
            started: 0,
            wall: DAY_ONE,
            random: seed,
            slowness: 20,
            agenda: BTreeMap::new(),
            serial: 0,
            ways: [0; 7],
            rows: BTreeMap::new(),
            can_read: true,
            servers: vec![Server::Answers; servers],
            has_ppp: true,
            processes: BTreeMap::new(),
            next_pid: 100,
            kernel: Kernel::default(),
            keeper: Keeper::default(),
            quirks: BTreeMap::new(),
            refused_again: BTreeSet::new(),
            is_down: true,
            is_stopping: false,
            crash_after_orders: None,
            crowded: BTreeMap::new(),
            broken: None,
            fed: 0,
            restarts: 0,
            dials: 0,
            refused_dials: 0,
            records,
        };
        world.start_daemon();
        world
    }

    /// The first rule that was broken, if any.
    pub fn verdict(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn breaks(&mut self, rule: String) {
        let (now, started) = (self.now, self.started);
        self.broken.get_or_insert_with(|| format!("at {now} (daemon's {}): {rule}", now - started));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tell(news) => self.feed(news),
            Happening::DatabaseIsRead => self.read_database(),
            Happening::KernelIsHeard => self.hear_kernel(),
            Happening::KernelIsListed => self.list_links(),
            Happening::OrderIsCarriedOut => self.carry_out(),
            Happening::RunningAreLookedFor => self.look_for_running(false),
            Happening::DaemonStarts => self.start_daemon(),
            Happening::LinkReturns(index) => self.link_returns(index),
            Happening::AddressesReturn(index, was) => self.addresses_return(index, was),
            Happening::RowsReturn(rows) => self.rows_return(rows),
            Happening::Life(pid, step) => self.live(pid, step),
        }
    }

    fn feed(&mut self, news: News) {
        if self.is_down || self.broken.is_some() {
            return;
        }
        let dice = self.roll(u64::MAX);
        let now = Now { dice, ..self.clock() };
        self.fed += 1;
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.hear(now.at.0, &news, std::mem::take(&mut self.view));
        let dids = self.daemon.tell(now, news);
        self.view = self.daemon.view();
        let verdict = rules::check(&mut ledger, &dids, &self.view, self);
        self.ledger = ledger;
        if let Err(breach) = verdict.and_then(|()| self.check(&dids)) {
            self.breaks(breach);
        }
        for did in dids {
            self.perform(did);
        }
    }

    fn perform(&mut self, did: Did) {
        match did {
            Did::Judge { question } => {
                let judgement = match self.roll(4) {
                    0 => Judgement::Held("the port is another's".into()),
                    _ => Judgement::Clear,
                };
                let took =
                    if self.roll(4) == 0 { self.roll(JUDGED_WITHIN) } else { self.roll(200) };
                self.later(took, Happening::Tell(News::Judged { question, judgement }));
            }
            Did::Restart { restart } => {
                self.restarts += 1;
                let took = if self.roll(4) == 0 { self.roll(70_000) } else { self.roll(3000) };
                let outcome = match self.roll(4) {
                    0 => RestartOutcome::NotReady("shut".into()),
                    1 => RestartOutcome::Failed {
                        kind: RestartFault::Missing,
                        message: "no such program".into(),
                    },
                    _ => RestartOutcome::Ready(took),
                };
                self.later(took, Happening::Tell(News::Restarted { restart, outcome }));
            }
            Did::KeepStopped(stopped) => self.keeper.stopped = stopped,
            Did::Told(_) => {}
            Did::WriteFiles(_)
            | Did::RemoveFiles(_)
            | Did::SweepFiles(_)
            | Did::Dial { .. }
            | Did::Signal { .. } => self.keeper_takes(did),
        }
    }

    /// Now, as the daemon's clocks show it.
    fn clock(&self) -> Now {
        let at = Monotonic(self.now - self.started);
        Now { at, wall: Wall(self.wall + self.now), dice: 0 }
    }

    pub fn state_of(&self, id: u32) -> &'static str {
        self.view.state(NodeId(id))
    }

    pub fn up(&self) -> BTreeSet<u32> {
        self.view.in_state("up")
    }

    /// Whether the pppd of a call lives.
    pub fn is_alive(&self, call: CallId) -> bool {
        self.keeper.pid_of(call).is_some_and(|pid| self.processes.contains_key(&pid))
    }

    /// Nodes with a row that can be dialled and that the operator has not stopped.
    pub fn wanted(&self) -> BTreeSet<u32> {
        let valid = self.rows.iter().filter(|(_, row)| row.valid);
        let ids = valid.map(|(id, _)| *id);
        ids.filter(|id| !self.keeper.stopped.contains(&NodeId(*id))).collect()
    }

    pub fn running(&self) -> BTreeSet<u32> {
        self.processes.values().map(|process| process.node).collect()
    }

    pub fn told(&self, beginning: &str) -> usize {
        self.daemon.notices.iter().filter(|notice| notice.starts_with(beginning)).count()
    }
}
