//! pppds: how they live and die.

use std::net::Ipv4Addr;

use connexa::core::event::{CallId, LinkAddress};
use connexa::core::failure::FailureKind;
use connexa::node::Node;

use super::rows::server_of;
use super::{Happening, Quirk, Server, Way, World};
use crate::wire::{Exit, News, Signal, Words};

#[derive(Debug)]
pub(super) struct Process {
    pub(super) node: u32,
    pub(super) by_hand: bool,
    /// What it was started with.
    pub(super) dialled: Node,
    pub(super) link: Option<u32>,
    pub(super) quirk: Option<Quirk>,
    pub(super) born: u64,
    /// The files that it was started with may have been written anew before it was found.
    pub(super) unsure: bool,
    /// Its link is still to come.
    is_making_link: bool,
    leaving: bool,
}

/// A moment in the life of a pppd.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Link,
    Address { whole: bool },
    Leave(Exit, Option<Words>),
    Die(Exit),
}

const ECHO: Words = (FailureKind::EchoTimeout, false, "No response to 3 echos");
const HANGUP: Words = (FailureKind::Hangup, true, "Modem hangup");

impl World {
    pub(super) fn start_process(&mut self, node: u32, dialled: Node, by_hand: bool) -> u32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        let quirk = self.quirks.remove(&node);
        let server = self.servers[server_of(&dialled)];
        let password_is_good = !dialled.password.reveal().starts_with("wrong");
        let born = self.now;
        let process = Process {
            node,
            by_hand,
            dialled,
            link: None,
            quirk,
            born,
            unsure: by_hand,
            is_making_link: false,
            leaving: false,
        };
        self.processes.insert(pid, process);
        let code = Exit::Code;
        let late = if quirk == Some(Quirk::Late) { self.roll(20_000) } else { 0 };
        let link = 20 + self.roll(3 * self.slowness);
        let talk = 3 * link + self.roll(1000) + late;
        let link = link + late;
        match (server, quirk) {
            _ if !self.has_ppp => self.step_later(pid, 5, Step::Leave(code(4), None)),
            (_, Some(Quirk::ExitsAtOnce)) => self.step_later(pid, 1, Step::Leave(code(0), None)),
            (Server::Dead, _) => {
                let why = (FailureKind::Unreachable, false, "connect: No route to host");
                self.step_later(pid, 3000, Step::Leave(code(16), Some(why)));
            }
            (Server::Refuses, _) => {
                let why = (FailureKind::Refused, false, "connect: Connection refused");
                self.step_later(pid, 10, Step::Leave(code(16), Some(why)));
            }
            (Server::Hangs, _) => self.step_later(pid, link, Step::Link),
            (Server::Answers, _) if !password_is_good => {
                self.refused_dials += 1;
                let why = (FailureKind::AuthRefused, false, "MS-CHAP authentication failed");
                self.step_later(pid, link, Step::Link);
                self.step_later(pid, talk, Step::Leave(code(19), Some(why)));
            }
            (Server::Answers, quirk) => {
                self.step_later(pid, link, Step::Link);
                self.step_later(pid, talk, Step::Address { whole: false });
                if quirk != Some(Quirk::HalfSet) {
                    self.step_later(pid, talk + 1, Step::Address { whole: true });
                }
            }
        }
        pid
    }

    fn step_later(&mut self, pid: u32, after: u64, step: Step) {
        if matches!(step, Step::Link)
            && let Some(process) = self.processes.get_mut(&pid)
        {
            process.is_making_link = true;
        }
        self.later(after, Happening::Life(pid, step));
    }

    pub(super) fn live(&mut self, pid: u32, step: Step) {
        match step {
            Step::Link => self.make_link(pid),
            Step::Address { whole } => self.set_address(pid, whole),
            Step::Leave(exit, why) => self.leave(pid, exit, why),
            Step::Die(exit) => self.die(pid, exit),
        }
    }

    fn make_link(&mut self, pid: u32) {
        let next = self.processes.get_mut(&pid).filter(|p| p.is_making_link && !p.leaving);
        let Some(process) = next else { return };
        process.is_making_link = false;
        let index = self.new_link();
        let name = self.kernel.links[&index].name.clone();
        if let Some(process) = self.processes.get_mut(&pid) {
            process.link = Some(index);
        }
        if let Some(call) = self.keeper.call_of(pid) {
            self.ledger.own_links.insert(call, index);
        }
        self.say(pid, |call| News::Name { call, name });
        self.pid_file_changed();
    }

    fn set_address(&mut self, pid: u32, whole: bool) {
        let Some(process) = self.processes.get(&pid) else { return };
        // Two tunnels of one server get the same pair.
        let server = server_of(&process.dialled) as u8;
        let remote = whole.then_some(Ipv4Addr::new(10, 50, server, 1));
        let local = Ipv4Addr::new(10, 50, server, 100);
        let Some(index) = process.link else { return };
        self.change_link(index, |link| {
            link.up = true;
            link.addresses = vec![LinkAddress { local, remote }];
        });
    }

    /// The link goes, and the last words are said. The process itself goes a moment later.
    fn leave(&mut self, pid: u32, exit: Exit, why: Option<Words>) {
        let Some(process) = self.processes.get_mut(&pid).filter(|p| !p.leaving) else { return };
        process.leaving = true;
        let link = process.link;
        if let Some(words) = why {
            self.say(pid, |call| News::Words { call, words });
        }
        if let Some(index) = link {
            self.remove_link(index);
        }
        let after = self.roll(2 * self.slowness);
        self.step_later(pid, after, Step::Die(exit));
    }

    fn die(&mut self, pid: u32, exit: Exit) {
        let Some(process) = self.processes.remove(&pid) else { return };
        if let Some(index) = process.link {
            self.remove_link(index);
        }
        self.keeper_buries(pid, exit);
    }

    /// Only what the daemon has started is heard, and not all of that prints.
    fn say(&mut self, pid: u32, say: impl FnOnce(CallId) -> News) {
        let silent = self.processes.get(&pid).is_some_and(|p| p.quirk == Some(Quirk::Silent));
        if let Some(call) = self.keeper.own_call(pid).filter(|_| !silent) {
            self.send(Way::Words, Happening::Tell(say(call)));
        }
    }

    pub(super) fn signal(&mut self, pid: u32, signal: Signal) {
        let Some(process) = self.processes.get(&pid) else { return };
        match signal {
            Signal::Terminate if process.quirk == Some(Quirk::IgnoresTerm) => {}
            Signal::Terminate => {
                let after = self.roll(50);
                self.step_later(pid, after, Step::Leave(Exit::Code(16), None));
            }
            Signal::Kill => self.step_later(pid, 1, Step::Die(Exit::Signal(9))),
        }
    }

    pub(super) fn kill(&mut self, node: u32) {
        for pid in self.pids_of(node) {
            self.die(pid, Exit::Signal(9));
        }
    }

    /// The server asks for the password again and does not take it any more.
    pub(super) fn refuse_again(&mut self, node: u32) {
        self.refused_again.insert(node);
        for pid in self.pids_of(node) {
            self.leave(pid, Exit::Code(19), None);
        }
    }

    pub(super) fn pids_of(&self, node: u32) -> Vec<u32> {
        self.processes.iter().filter(|(_, p)| p.node == node).map(|(&pid, _)| pid).collect()
    }

    /// The links of a node's pppds.
    pub(super) fn links_of(&self, node: u32) -> Vec<u32> {
        self.processes.values().filter(|p| p.node == node).filter_map(|p| p.link).collect()
    }

    /// A server changes; one that no longer answers takes its tunnels along, after a while.
    pub(super) fn set_server(&mut self, server: usize, state: Server) {
        self.servers[server] = state;
        if state == Server::Answers {
            return;
        }
        let there = self.processes.iter().filter(|(_, p)| server_of(&p.dialled) == server);
        let pids: Vec<u32> = there.map(|(&pid, _)| pid).collect();
        for pid in pids {
            let why = if self.roll(3) == 0 { HANGUP } else { ECHO };
            self.step_later(pid, 0, Step::Leave(Exit::Code(16), Some(why)));
        }
    }

    /// A link is deleted under a living pppd, which notices sooner or later. Its name may be
    /// another's at once, before anybody hears of it.
    pub(super) fn delete_link(&mut self, node: u32) {
        for pid in self.pids_of(node) {
            let process = self.processes.get_mut(&pid);
            if let Some(index) = process.and_then(|process| process.link.take()) {
                self.delay(Way::Links);
                self.remove_link(index);
                let after = self.roll(20_000);
                self.step_later(pid, after, Step::Leave(Exit::Code(16), Some(HANGUP)));
                self.give_name_again();
            }
        }
    }

    /// One that is about to make its link makes it now.
    fn give_name_again(&mut self) {
        let next = self.processes.iter().find(|(_, process)| process.is_making_link);
        if let Some(pid) = next.map(|(&pid, _)| pid) {
            self.make_link(pid);
        }
    }
}
