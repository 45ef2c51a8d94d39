//! How the core is spoken to: the one place that builds its events, and reads its effects and its
//! report. All else in this test goes by the words of this file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use connexa::core::Core;
use connexa::core::effect::{Effect, Order};
use connexa::core::event::{
    Ask, CallId, Candidate, Event, FoundCall, Hearing, Input, Judgement, LinkChange, Probed,
    Ranked, RestartOutcome, Rows,
};
use connexa::core::failure::{Explanation, Failure, FailureKind};
use connexa::core::notice::Notice;
use connexa::core::outage::JUDGE_WITHIN;
use connexa::core::policy::Policy;
use connexa::core::time::{Monotonic, Now};
use connexa::node::{Node, NodeId};

/// How long the backend's judge may take, in milliseconds.
pub const JUDGE_LIMIT: u64 = JUDGE_WITHIN.as_millis() as u64;

/// Something that the daemon hears.
#[derive(Clone, Debug)]
pub enum News {
    Rows { rows: Vec<Ranked>, places: u32, reselected: bool },
    RowsUnreadable,
    Links { changes: Vec<LinkChange>, hearing: Hearing },
    Found(Vec<FoundCall>),
    Spawned { call: CallId, pid: u32 },
    NotSpawned { call: CallId },
    Name { call: CallId, name: String },
    Words { call: CallId, words: Words },
    Ended { call: CallId, exit: Exit },
    Probed { call: CallId, probed: Probed },
    HostChanged,
    Judged { question: u64, judgement: Judgement },
    Restarted { restart: u64, outcome: RestartOutcome },
    Stopped(BTreeSet<NodeId>),
    Asked { node: NodeId, ask: Ask },
    Policy(Box<Policy>),
    Stop,
    Tick,
}

/// Last words of a pppd: what they mean, whether they follow many causes, and what it said.
pub type Words = (FailureKind, bool, &'static str);

/// How a pppd ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    Unseen,
}

/// What the daemon sends to a pppd.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    Terminate,
    Kill,
}

/// Something that the daemon does.
#[derive(Clone, Debug, PartialEq)]
pub enum Did {
    WriteFiles(Arc<Node>),
    RemoveFiles(NodeId),
    SweepFiles(BTreeSet<NodeId>),
    Dial { call: CallId, node: NodeId },
    Signal { call: CallId, signal: Signal },
    Judge { question: u64 },
    Restart { restart: u64 },
    KeepStopped(BTreeSet<NodeId>),
    Told(Told),
}

/// What people are told, as far as a rule goes by it.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Up(NodeId),
    Down { node: NodeId, reason: String },
    Retrying { node: NodeId, wait: Duration },
    Quarantined(NodeId),
    Yields,
    EmptyWindow,
    RestartHeld,
    HostUnfit,
    Other,
}

/// What the daemon shows.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub nodes: Vec<Shown>,
    pub host_is_unfit: bool,
    pub deadline: Option<u64>,
}

/// What it shows of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub id: NodeId,
    pub state: &'static str,
    pub index: Option<u32>,
    pub local: Option<Ipv4Addr>,
    pub remote: Option<Ipv4Addr>,
}

impl View {
    pub fn of(&self, id: NodeId) -> Option<&Shown> {
        let place = self.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
        self.nodes.get(place)
    }

    pub fn state(&self, id: NodeId) -> &'static str {
        self.of(id).map_or("forgotten", |node| node.state)
    }

    pub fn has_up(&self) -> bool {
        self.nodes.iter().any(|node| node.state == "up")
    }

    pub fn in_state(&self, state: &str) -> BTreeSet<u32> {
        let nodes = self.nodes.iter().filter(|node| node.state == state);
        nodes.map(|node| node.id.0).collect()
    }
}

/// A core at the end of the wire.
pub struct Wire {
    core: Core,
    /// What each call has said of its end.
    said: BTreeMap<CallId, Explanation>,
    /// The nodes that it has ever heard of.
    known: BTreeSet<NodeId>,
    /// The rows that it knows.
    rows: Option<BTreeMap<NodeId, Ranked>>,
    records: bool,
    /// Inputs, and the effects of each, as JSON.
    pub recording: Vec<(String, String)>,
    /// What people were told.
    pub notices: Vec<String>,
}

impl Wire {
    /// One that `records` keeps its recording and what it told.
    pub fn new(policy: Policy, records: bool) -> Self {
        let core = Core::new(policy);
        let (said, known, rows) = (BTreeMap::new(), BTreeSet::new(), None);
        Wire { core, said, known, rows, records, recording: Vec::new(), notices: Vec::new() }
    }

    pub fn tell(&mut self, now: Now, news: News) -> Vec<Did> {
        let Some(event) = self.event(news) else { return Vec::new() };
        let input = Input { now, event };
        let told = self.records.then(|| serde_json::to_string(&input).unwrap());
        let effects = self.core.handle(input);
        self.core.take_moved();
        if let Some(told) = told {
            self.recording.push((told, serde_json::to_string(&effects).unwrap()));
            let notices = effects.iter().filter_map(|effect| match effect {
                Effect::Tell(notice) => Some(notice.to_string()),
                _ => None,
            });
            self.notices.extend(notices);
        }
        effects.into_iter().filter_map(Wire::read).collect()
    }

    /// Rows by another configuration: whatever else there is is left out.
    fn reselected(&self, rows: Vec<Ranked>) -> Rows {
        let is_node = |id: &NodeId| {
            rows.iter().any(|row| matches!(&row.candidate, Candidate::Node(node) if node.id == *id))
        };
        let left_out = self.known.iter().copied().filter(|id| !is_node(id)).collect();
        Rows::Reselected { rows, left_out }
    }

    fn event(&mut self, news: News) -> Option<Event> {
        Some(match news {
            News::Rows { rows, places, reselected } => {
                self.known.extend(rows.iter().map(|row| row.candidate.id()));
                let differing = self.differing(rows.clone());
                let rows = if reselected { self.reselected(rows) } else { differing };
                Event::Desired { rows, places }
            }
            News::RowsUnreadable => Event::DesiredUnavailable("locked".into()),
            News::Links { changes, hearing } => Event::Links { changes, hearing },
            News::Found(found) => {
                self.known.extend(found.iter().map(|call| call.node));
                Event::Found(found)
            }
            News::Spawned { call, pid } => Event::Started { call, pid: Some(pid), suspect: None },
            News::NotSpawned { call } => {
                let failure = Failure::new(FailureKind::Files, "no space left");
                Event::Ended { call, failure }
            }
            News::Name { call, name } => Event::Link { call, name },
            News::Words { call, words: (kind, vague, text) } => {
                let cause = Failure::new(kind, text);
                self.said.entry(call).or_default().hear(cause.clone(), vague);
                Event::Failing { call, cause, vague }
            }
            News::Ended { call, exit } => {
                let said = self.said.remove(&call).unwrap_or_default();
                Event::Ended { call, failure: failure(exit, &said) }
            }
            News::Probed { call, probed } => Event::Probed { call, probed },
            News::HostChanged => Event::HostChanged,
            News::Judged { question, judgement } => Event::BackendJudged { question, judgement },
            News::Restarted { restart, outcome } => Event::BackendRestarted { restart, outcome },
            News::Stopped(stopped) => Event::Stopped(stopped),
            News::Asked { node, ask } => Event::Asked { node, ask },
            News::Policy(policy) => Event::Policy(policy),
            News::Stop => Event::Stop,
            News::Tick => Event::Tick,
        })
    }

    /// All rows at first, then what differs from those before.
    fn differing(&mut self, all: Vec<Ranked>) -> Rows {
        let new = all.iter().map(|row| (row.candidate.id(), row.clone())).collect();
        let Some(old) = self.rows.replace(new) else { return Rows::All(all) };
        let stays = |id: &NodeId| all.iter().any(|row| row.candidate.id() == *id);
        let gone = old.keys().filter(|id| !stays(id)).copied().collect();
        let differs = |row: &Ranked| old.get(&row.candidate.id()) != Some(row);
        Rows::Changes { rows: all.iter().filter(|row| differs(row)).cloned().collect(), gone }
    }

    /// What an effect does; a change of a tunnel does nothing in this world.
    fn read(effect: Effect) -> Option<Did> {
        Some(match effect {
            Effect::Change(_) | Effect::Way(_) => return None,
            Effect::Order(Order::Keep(node)) => Did::WriteFiles(node),
            Effect::Order(Order::Forget(id)) => Did::RemoveFiles(id),
            Effect::Order(Order::KeepOnly(keep)) => Did::SweepFiles(keep.into_iter().collect()),
            Effect::Order(Order::Dial { call, node, .. }) => Did::Dial { call, node },
            Effect::Order(Order::HangUp { call }) => {
                Did::Signal { call, signal: Signal::Terminate }
            }
            Effect::Order(Order::End { call }) => Did::Signal { call, signal: Signal::Kill },
            Effect::JudgeBackend { question } => Did::Judge { question },
            Effect::RestartBackend { restart } => Did::Restart { restart },
            Effect::KeepStopped(stopped) => Did::KeepStopped(stopped),
            Effect::Tell(notice) => Did::Told(told(notice)),
        })
    }

    pub fn deadline(&self) -> Option<u64> {
        self.core.next_deadline().map(|Monotonic(at)| at)
    }

    pub fn is_drained(&self) -> bool {
        self.core.is_drained()
    }

    pub fn is_ready(&self) -> bool {
        self.core.is_ready()
    }

    /// Everything that the core has in memory.
    pub fn memory(&self) -> String {
        format!("{:?}", self.core)
    }

    pub fn view(&self) -> View {
        let report = self.core.report();
        let nodes = report.nodes.iter().map(|node| Shown {
            id: node.id,
            state: node.state.name(),
            index: node.index.map(|index| index.0),
            local: node.local,
            remote: node.remote,
        });
        View {
            nodes: nodes.collect(),
            host_is_unfit: report.host_fault.is_some(),
            deadline: self.deadline(),
        }
    }
}

/// Why a pppd has ended: a code that tells outweighs words, and words outweigh the others.
fn failure(exit: Exit, said: &Explanation) -> Failure {
    match (exit, said.best()) {
        (Exit::Code(4), _) => Failure::new(FailureKind::NoPppSupport, "no PPP"),
        (Exit::Code(19), _) => Failure::new(FailureKind::AuthRefused, "refused"),
        (Exit::Signal(number), _) => {
            Failure::new(FailureKind::Killed, format!("pppd was killed by signal {number}"))
        }
        (Exit::Code(16) | Exit::Unseen, Some(words)) => words.clone(),
        (Exit::Code(16), None) => Failure::new(FailureKind::Hangup, "it broke"),
        (Exit::Code(_) | Exit::Unseen, _) => Failure::new(FailureKind::Unexplained, "it ended"),
    }
}

fn told(notice: Notice) -> Told {
    match notice {
        Notice::Up { node, .. } => Told::Up(node),
        Notice::Down { node, reason, .. } => Told::Down { node, reason },
        Notice::Retrying { node, wait, .. } => Told::Retrying { node, wait },
        Notice::Quarantined { node, .. } => Told::Quarantined(node),
        Notice::Yields { .. } => Told::Yields,
        Notice::EmptyWindow { .. } => Told::EmptyWindow,
        Notice::RestartHeld(_) => Told::RestartHeld,
        Notice::HostUnfit(_) => Told::HostUnfit,
        _ => Told::Other,
    }
}

/// The effects of each input of a recording once more, as JSON.
pub fn replay(policy: Policy, inputs: impl Iterator<Item = String>) -> Vec<String> {
    let mut core = Core::new(policy);
    let effects = |input: String| core.handle(serde_json::from_str(&input).unwrap());
    inputs.map(effects).map(|effects| serde_json::to_string(&effects).unwrap()).collect()
}
