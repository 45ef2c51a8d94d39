//! A small world for the core to live in: a kernel's links, pppds, servers, a database, an
//! operator. What it tells comes late, by several ways, and not at all when the daemon dies.

mod actions;
mod agenda;
mod daemon;
mod disturbances;
mod invariants;
mod keeper;
mod kernel;
mod processes;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use connexa::config::Config;
use connexa::core::Core;
use connexa::core::effect::Effect;
use connexa::core::event::{Event, Input, Judgement, Link, RestartFault, RestartOutcome};
use connexa::core::policy::Policy;
use connexa::core::time::{Monotonic, Now, Wall};
use connexa::node::NodeId;

pub use actions::{Action, Quirk, any_action};
use keeper::Keeper;
use kernel::Kernel;
use processes::{Process, Step};
use rows::Row;

use crate::model::Model;

const DAY_ONE: u64 = 1_700_000_000_000;

/// What the world does by itself, later.
#[derive(Clone, Debug)]
enum Happening {
    Tell(Event),
    DatabaseIsRead,
    KernelIsHeard,
    KernelIsListed,
    OrderIsCarriedOut,
    RunningAreLookedFor,
    DaemonStarts,
    LinkReturns(u32),
    AddressesReturn(u32, Link),
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
    pub core: Core,
    model: Model,
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
    notices: Vec<String>,
    pub restarts: u32,
    pub dials: u32,
    pub refused_dials: u32,
    records: bool,
    pub recording: Vec<(String, String)>,
}

pub fn policy() -> Policy {
    Policy::from(&Config::default())
}

impl World {
    /// A world with three servers that is recorded.
    pub fn new(seed: u64) -> Self {
        World::with(seed, 3, true)
    }

    /// A world that is not recorded, which is quicker.
    pub fn with(seed: u64, servers: usize, records: bool) -> Self {
        let mut world = World {
            core: Core::new(policy()),
            model: Model::new(policy()),
            policy: policy(),
            first_policy: policy(),
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
            notices: Vec::new(),
            restarts: 0,
            dials: 0,
            refused_dials: 0,
            records,
            recording: Vec::new(),
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
            Happening::Tell(event) => self.feed(event),
            Happening::DatabaseIsRead => self.read_database(),
            Happening::KernelIsHeard => self.hear_kernel(),
            Happening::KernelIsListed => self.list_links(),
            Happening::OrderIsCarriedOut => self.carry_out(),
            Happening::RunningAreLookedFor => self.look_for_running(false),
            Happening::DaemonStarts => self.start_daemon(),
            Happening::LinkReturns(index) => self.link_returns(index),
            Happening::AddressesReturn(index, was) => self.addresses_return(index, was),
            Happening::Life(pid, step) => self.live(pid, step),
        }
    }

    fn feed(&mut self, event: Event) {
        if self.is_down || self.broken.is_some() {
            return;
        }
        let dice = self.roll(u64::MAX);
        let now = Now { dice, ..self.clock() };
        let input = Input { now, event };
        self.fed += 1;
        self.model.told(&input);
        if self.records {
            self.recording.push((serde_json::to_string(&input).unwrap(), String::new()));
        }
        let effects = self.core.handle(input);
        if self.records {
            self.recording.last_mut().unwrap().1 = serde_json::to_string(&effects).unwrap();
        }
        if let Err(rule) = self.check(&effects) {
            self.breaks(rule);
        }
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Pppd(order) => self.keeper_takes(order),
            Effect::JudgeBackend { question } => {
                let judgement = match self.roll(4) {
                    0 => Judgement::Held("the port is another's".into()),
                    _ => Judgement::Clear,
                };
                let took = self.roll(200);
                let answer = Event::BackendJudged { question, judgement };
                self.later(took, Happening::Tell(answer));
            }
            Effect::RestartBackend { restart } => {
                self.restarts += 1;
                let took = self.roll(3000);
                let outcome = match self.roll(4) {
                    0 => RestartOutcome::NotReady("shut".into()),
                    1 => RestartOutcome::Failed {
                        kind: RestartFault::Missing,
                        message: "no such program".into(),
                    },
                    _ => RestartOutcome::Ready(took),
                };
                let report = Event::BackendRestarted { restart, outcome };
                self.later(took, Happening::Tell(report));
            }
            Effect::KeepStopped(stopped) => self.keeper.stopped = stopped,
            Effect::Tell(notice) if self.records => self.notices.push(notice.to_string()),
            Effect::Tell(_) => {}
        }
    }

    /// Now, as the daemon's clocks show it.
    fn clock(&self) -> Now {
        let at = Monotonic(self.now - self.started);
        Now { at, wall: Wall(self.wall + self.now), dice: 0 }
    }

    fn in_state(&self, id: u32) -> Option<String> {
        let nodes = self.core.report(self.clock()).nodes;
        nodes.into_iter().find(|node| node.id == id).map(|node| node.state)
    }

    pub fn state_of(&self, id: u32) -> String {
        self.in_state(id).unwrap()
    }

    pub fn up(&self) -> BTreeSet<u32> {
        let nodes = self.core.report(self.clock()).nodes;
        nodes.into_iter().filter(|node| node.state == "up").map(|node| node.id).collect()
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
        self.notices.iter().filter(|notice| notice.starts_with(beginning)).count()
    }
}
