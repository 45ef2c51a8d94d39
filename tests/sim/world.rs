//! A small world for the core to live in: a kernel's links, pppds, servers, a database. It keeps
//! its own books and checks after every input that no rule is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use connexa::config::Config;
use connexa::core::Core;
use connexa::core::effect::{Effect, Order, Signal};
use connexa::core::event::{
    CallId, Candidate, Dialled, Event, FoundCall, Hearing, IfIndex, Input, Link, LinkAddress,
    LinkChange, RestartOutcome, Word,
};
use connexa::core::failure::{Failure, FailureKind, PppdExit};
use connexa::core::policy::Policy;
use connexa::core::time::{Monotonic, Now, Wall};
use connexa::node::{Login, Node, NodeId, Secret, ServerAddr};

const GOOD: &str = "right";
const SERVERS: u8 = 3;

/// Something that happens to the world.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    Want(u32),
    Drop(u32),
    ChangePassword(u32),
    ChangeStatus(u32),
    SpoilPassword(u32),
    ServerDies(u8),
    ServerReturns(u8),
    ServerHangs(u8),
    KillPppd(u32),
    PppdIgnoresTerm(u32),
    LinkFlaps(u32),
    DatabaseUnreadable,
    HostLosesPpp,
    HostRegainsPpp,
    DaemonCrashes,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    Answers,
    Dead,
    Hangs,
}

#[derive(Debug)]
struct Process {
    node: u32,
    call: CallId,
    server: u8,
    link: Option<(u32, String)>,
    ever_up: bool,
    ignores_term: bool,
}

/// What the world does by itself, later.
#[derive(Clone, Debug)]
enum Happening {
    Tell(Event),
    /// The kernel's message of a link arrives, and shows it as it is by then.
    TellLink(u32),
    /// The process makes its link, if it still lives.
    LinkAppears(u32),
    /// Half-way, then whole.
    Address(u32, bool),
    Exits(u32, PppdExit, Option<(FailureKind, &'static str)>),
}

pub struct World {
    pub core: Core,
    now: u64,
    random: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    rows: BTreeMap<u32, (String, String)>,
    servers: BTreeMap<u8, Server>,
    has_ppp: bool,
    processes: BTreeMap<u32, Process>,
    next_pid: u32,
    next_index: u32,
    links: BTreeMap<u32, Link>,
    files: BTreeSet<u32>,
    ignore_next_term: BTreeSet<u32>,
    notices: Vec<String>,
    restarts: u32,
    dials: u32,
    refused: u32,
    recording: Vec<(String, String)>,
}

pub fn policy() -> Policy {
    Policy::from(&Config::default())
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = World {
            core: Core::new(policy()),
            now: 0,
            random: seed,
            agenda: BTreeMap::new(),
            serial: 0,
            rows: BTreeMap::new(),
            servers: (0..SERVERS).map(|s| (s, Server::Answers)).collect(),
            has_ppp: true,
            processes: BTreeMap::new(),
            next_pid: 100,
            next_index: 3,
            links: BTreeMap::new(),
            files: BTreeSet::new(),
            ignore_next_term: BTreeSet::new(),
            notices: Vec::new(),
            restarts: 0,
            dials: 0,
            refused: 0,
            recording: Vec::new(),
        };
        world.start_daemon();
        world
    }

    fn start_daemon(&mut self) {
        let changes = self
            .links
            .iter()
            .map(|(&index, link)| LinkChange { index: IfIndex(index), link: Some(link.clone()) })
            .collect();
        self.feed(Event::Links { changes, hearing: Hearing::default() });
        let found = self.processes.iter_mut().map(|(&pid, process)| {
            process.call = CallId::Found(u64::from(pid));
            let interface = process.link.as_ref().map(|(_, name)| name.clone());
            let server = server_address(process.server).ip();
            let dialled =
                Some(Dialled { server, login: "admin".into(), password: None, mppe: None });
            FoundCall { call: process.call, node: NodeId(process.node), pid, interface, dialled }
        });
        let found = found.collect();
        self.feed(Event::Found(found));
        self.tell_rows();
    }

    pub fn act(&mut self, action: Action) {
        match action {
            Action::Want(node) => {
                self.rows.entry(node).or_insert((GOOD.into(), "speed_ok".into()));
                self.tell_rows();
            }
            Action::Drop(node) => {
                self.rows.remove(&node);
                self.tell_rows();
            }
            Action::ChangePassword(node) => self.set_password(node, GOOD),
            Action::SpoilPassword(node) => self.set_password(node, "wrong"),
            Action::ChangeStatus(node) => {
                let status = format!("speed_{}", self.roll(1000));
                if let Some(row) = self.rows.get_mut(&node) {
                    row.1 = status;
                }
                self.tell_rows();
            }
            Action::ServerDies(server) => self.set_server(server, Server::Dead),
            Action::ServerHangs(server) => self.set_server(server, Server::Hangs),
            Action::ServerReturns(server) => {
                self.servers.insert(server, Server::Answers);
            }
            Action::KillPppd(node) => {
                for pid in self.pids_of(node) {
                    self.end(pid, PppdExit::Signal(9), None);
                }
            }
            Action::PppdIgnoresTerm(node) => {
                self.ignore_next_term.insert(node);
            }
            Action::LinkFlaps(node) => self.flap(node),
            Action::DatabaseUnreadable => {
                self.feed(Event::DesiredUnavailable("locked".into()));
            }
            Action::HostLosesPpp => self.has_ppp = false,
            Action::HostRegainsPpp => {
                self.has_ppp = true;
                self.feed(Event::HostChanged);
            }
            Action::DaemonCrashes => self.crash(),
        }
    }

    /// All faults end.
    pub fn heal(&mut self) {
        (0..SERVERS).for_each(|server| self.act(Action::ServerReturns(server)));
        self.act(Action::HostRegainsPpp);
        let nodes: Vec<u32> = self.rows.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.set_password(node, GOOD));
    }

    fn set_password(&mut self, node: u32, password: &str) {
        if let Some(row) = self.rows.get_mut(&node) {
            row.0 = password.into();
        }
        self.tell_rows();
    }

    fn set_server(&mut self, server: u8, state: Server) {
        self.servers.insert(server, state);
        let pids: Vec<u32> = self
            .processes
            .iter()
            .filter(|(_, p)| p.server == server)
            .map(|(&pid, _)| pid)
            .collect();
        for pid in pids {
            let code = PppdExit::Code(16);
            self.end(pid, code, Some((FailureKind::EchoTimeout, "No response to 3 echo-requests")));
        }
    }

    fn flap(&mut self, node: u32) {
        for pid in self.pids_of(node) {
            let Some((index, _)) = self.processes[&pid].link.clone() else { continue };
            for up in [false, true] {
                if let Some(link) = self.links.get_mut(&index) {
                    link.up = up;
                }
                self.tell_link(index);
            }
        }
    }

    /// The daemon dies and a new one starts. What was on its way to the old one is lost.
    fn crash(&mut self) {
        self.agenda.retain(|_, happening| !matches!(happening, Happening::Tell(_)));
        self.core = Core::new(policy());
        self.recording.clear();
        self.start_daemon();
    }

    fn pids_of(&self, node: u32) -> Vec<u32> {
        self.processes.iter().filter(|(_, p)| p.node == node).map(|(&pid, _)| pid).collect()
    }

    fn tell_rows(&mut self) {
        let candidates = self.rows.iter().map(|(&id, (password, status))| {
            Candidate::Node(Node {
                id: NodeId(id),
                server: server_address(server_of(id)),
                login: Login::parse("admin").unwrap(),
                password: Secret::parse(password).unwrap(),
                status: status.clone(),
                mppe: None,
            })
        });
        let candidates = candidates.collect();
        self.feed(Event::Desired(candidates));
    }

    fn tell_link(&mut self, index: u32) {
        let change = LinkChange { index: IfIndex(index), link: self.links.get(&index).cloned() };
        self.feed(Event::Links { changes: vec![change], hearing: Hearing::default() });
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration.as_millis() as u64;
        loop {
            let happening = self.agenda.first_key_value().map(|(&(at, _), _)| at);
            let deadline = self.core.next_deadline().map(|at| at.0.max(self.now));
            match (happening, deadline) {
                (Some(at), deadline) if at <= end && deadline.is_none_or(|d| at <= d) => {
                    self.now = at;
                    if let Some((_, happening)) = self.agenda.pop_first() {
                        self.happen(happening);
                    }
                }
                (_, Some(at)) if at <= end => {
                    self.now = at;
                    self.feed(Event::Tick);
                    let next = self.core.next_deadline();
                    assert!(
                        next.is_none_or(|d| d.0 > self.now),
                        "a deadline is not served: {next:?}"
                    );
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn feed(&mut self, event: Event) {
        let now = Now { at: Monotonic(self.now), wall: Wall(self.now), dice: self.roll(u64::MAX) };
        let input = Input { now, event };
        let recorded = serde_json::to_string(&input).unwrap();
        let effects = self.core.handle(input);
        self.recording.push((recorded, serde_json::to_string(&effects).unwrap()));
        for effect in effects {
            self.perform(effect);
        }
        self.check();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Pppd(order) => self.obey(order),
            Effect::RestartBackend => {
                assert_eq!(self.core.up_count(), 0, "a restart while a tunnel is up");
                self.restarts += 1;
                let done = Event::BackendRestarted(RestartOutcome::Ready(1500));
                self.later(1500, Happening::Tell(done));
            }
            Effect::Tell(notice) => self.notices.push(notice.to_string()),
            Effect::KeepStopped(_) => {}
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::WriteFiles { node, .. } => drop(self.files.insert(node.id.0)),
            Order::RemoveFiles(id) => drop(self.files.remove(&id.0)),
            Order::SweepFiles(keep) => self.files.retain(|id| keep.contains(&NodeId(*id))),
            Order::Dial { call, node } => self.dial(call, node.0),
            Order::Signal { call, signal } => self.signal(call, signal),
        }
    }

    fn dial(&mut self, call: CallId, node: u32) {
        assert!(self.pids_of(node).is_empty(), "node {node} has a pppd and is dialled");
        assert!(self.files.contains(&node), "node {node} is dialled without its files");
        self.dials += 1;
        let pid = self.next_pid;
        self.next_pid += 1;
        let server = server_of(node);
        let ignores_term = self.ignore_next_term.remove(&node);
        let process = Process { node, call, server, link: None, ever_up: false, ignores_term };
        self.processes.insert(pid, process);
        self.later(1, Happening::Tell(Event::Spawned { call, pid }));
        let password_is_good = self.rows.get(&node).is_some_and(|row| row.0 == GOOD);
        match self.servers[&server] {
            _ if !self.has_ppp => {
                self.later(5, Happening::Exits(pid, PppdExit::Code(4), None));
            }
            Server::Dead => {
                let why = (FailureKind::Unreachable, "connect: No route to host");
                self.later(3000, Happening::Exits(pid, PppdExit::Code(16), Some(why)));
            }
            Server::Hangs => self.later(20, Happening::LinkAppears(pid)),
            Server::Answers if !password_is_good => {
                self.refused += 1;
                let why = (FailureKind::AuthRefused, "MS-CHAP authentication failed");
                self.later(20, Happening::LinkAppears(pid));
                self.later(900, Happening::Exits(pid, PppdExit::Code(19), Some(why)));
            }
            Server::Answers => {
                self.later(20, Happening::LinkAppears(pid));
                self.later(1000, Happening::Address(pid, false));
                self.later(1001, Happening::Address(pid, true));
            }
        }
    }

    fn signal(&mut self, call: CallId, signal: Signal) {
        let pid = self.processes.iter().find(|(_, p)| p.call == call).map(|(&pid, _)| pid);
        let Some(pid) = pid else { return };
        match signal {
            Signal::Terminate if self.processes[&pid].ignores_term => {}
            Signal::Terminate => self.later(50, Happening::Exits(pid, PppdExit::Code(16), None)),
            Signal::Kill => self.later(1, Happening::Exits(pid, PppdExit::Signal(9), None)),
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tell(event) => self.feed(event),
            Happening::TellLink(index) => self.tell_link(index),
            Happening::LinkAppears(pid) => self.make_link(pid),
            Happening::Address(pid, whole) => self.set_address(pid, whole),
            Happening::Exits(pid, exit, why) => self.end(pid, exit, why),
        }
    }

    fn make_link(&mut self, pid: u32) {
        let index = self.next_index;
        let taken: BTreeSet<&String> = self.links.values().map(|link| &link.name).collect();
        let name = (0..).map(|n| format!("ppp{n}")).find(|name| !taken.contains(name)).unwrap();
        let Some(process) = self.processes.get_mut(&pid) else { return };
        self.next_index += 1;
        process.link = Some((index, name.clone()));
        let said = Event::Said { call: process.call, word: Word::Interface(name.clone()) };
        self.links.insert(index, Link { name, up: false, addresses: Vec::new() });
        // The word and the kernel's message come by different ways.
        let (word_after, link_after) = (self.roll(20), self.roll(20));
        self.later(word_after, Happening::Tell(said));
        self.later(link_after, Happening::TellLink(index));
    }

    fn set_address(&mut self, pid: u32, whole: bool) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let Some((index, _)) = process.link else { return };
        process.ever_up |= whole;
        // Two tunnels of one server get the same pair.
        let remote = Ipv4Addr::new(10, 50, process.server, 1);
        let local = Ipv4Addr::new(10, 50, process.server, 100);
        if let Some(link) = self.links.get_mut(&index) {
            link.up = true;
            link.addresses = vec![LinkAddress { local, remote: whole.then_some(remote) }];
        }
        let after = self.roll(20);
        self.later(after, Happening::TellLink(index));
    }

    fn end(&mut self, pid: u32, exit: PppdExit, why: Option<(FailureKind, &str)>) {
        let Some(process) = self.processes.remove(&pid) else { return };
        let call = process.call;
        let exit = if matches!(call, CallId::Found(_)) { PppdExit::Unseen } else { exit };
        if let Some((kind, text)) = why {
            let word = Word::Explains { failure: Failure::new(kind, text), vague: false };
            self.later(self.now % 3, Happening::Tell(Event::Said { call, word }));
        }
        self.later(4, Happening::Tell(Event::Exited { call, exit }));
        if let Some((index, _)) = process.link {
            self.links.remove(&index);
            let after = self.roll(20);
            self.later(after, Happening::TellLink(index));
        }
    }

    fn later(&mut self, after: u64, happening: Happening) {
        self.serial += 1;
        self.agenda.insert((self.now + after, self.serial), happening);
    }

    fn check(&self) {
        let dialing: Vec<u8> =
            self.processes.values().filter(|p| !p.ever_up).map(|p| p.server).collect();
        let servers: BTreeSet<u8> = dialing.iter().copied().collect();
        let ours = self.processes.values().all(|p| matches!(p.call, CallId::Dialled(_)));
        assert!(!ours || dialing.len() == servers.len(), "two dials to one server: {dialing:?}");
        let nodes: BTreeSet<u32> = self.processes.values().map(|p| p.node).collect();
        assert_eq!(nodes.len(), self.processes.len(), "two pppds for one node");
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % sides
    }

    pub fn up(&self) -> BTreeSet<u32> {
        let now = Now { at: Monotonic(self.now), wall: Wall(self.now), dice: 0 };
        let nodes = self.core.report(now).nodes;
        nodes.into_iter().filter(|node| node.state == "up").map(|node| node.id).collect()
    }

    pub fn state_of(&self, id: u32) -> String {
        let now = Now { at: Monotonic(self.now), wall: Wall(self.now), dice: 0 };
        let nodes = self.core.report(now).nodes;
        nodes.into_iter().find(|node| node.id == id).map(|node| node.state).unwrap()
    }

    pub fn wanted(&self) -> BTreeSet<u32> {
        self.rows.keys().copied().collect()
    }

    pub fn processes(&self) -> BTreeSet<u32> {
        self.processes.values().map(|process| process.node).collect()
    }

    pub fn files(&self) -> &BTreeSet<u32> {
        &self.files
    }

    pub fn dials(&self) -> u32 {
        self.dials
    }

    pub fn refused_dials(&self) -> u32 {
        self.refused
    }

    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    pub fn told(&self, beginning: &str) -> usize {
        self.notices.iter().filter(|notice| notice.starts_with(beginning)).count()
    }

    pub fn recording(&self) -> &[(String, String)] {
        &self.recording
    }
}

fn server_of(node: u32) -> u8 {
    (node % u32::from(SERVERS)) as u8
}

fn server_address(server: u8) -> ServerAddr {
    ServerAddr::parse(&format!("10.9.0.{}", server + 1)).unwrap()
}
