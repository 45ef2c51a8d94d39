//! What may happen to the world from outside.

use std::time::Duration;

use connexa::core::backoff::Curve;
use connexa::core::event::{Ask, Probed};
use connexa::core::policy::{OutagePolicy, Policy};
use connexa::node::{Mppe, NodeId};
use proptest::prelude::*;

use super::{Happening, Server, Way, World, policy};
use crate::wire::News;

pub const NODES: u32 = 7;

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Want(u32),
    Drop(u32),
    ChangePassword(u32),
    SpoilPassword(u32),
    ChangeStatus(u32),
    ChangeServer(u32),
    ChangeMppe(u32),
    ChangeRank(u32),
    SpoilRow(u32),
    TableIsWrittenAnew(u16),
    MendRow(u32),
    DatabaseUnreadable,
    DatabaseReadable,
    ServerIs(usize, Server),
    HostLosesPpp,
    HostRegainsPpp,
    KillPppd(u32),
    ServerRefusesAgain(u32),
    NextPppd(u32, Quirk),
    PppdByHand(u32),
    LinkFlaps(u32, u16),
    LinkIsDeleted(u32),
    AddressFlickers(u32, u16),
    AddressChanges(u32),
    KernelOverrun,
    ProbeAnswered(u32),
    ProbesLost { node: u32, elsewhere: bool, answered: bool },
    Asked(u32, Ask),
    NewPolicy(u8),
    DaemonCrashes,
    DaemonCrashesAfterOrders(u32),
    DaemonStops { keep: bool },
    WallJumps(i32),
    TimeLeaps(u32),
}

/// How a pppd is not like others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quirk {
    IgnoresTerm,
    Silent,
    ExitsAtOnce,
    HalfSet,
    CannotStart,
    /// Its link comes late.
    Late,
}

pub fn any_action() -> impl Strategy<Value = Action> {
    let node = || 0..NODES;
    let quirk = prop_oneof![
        3 => Just(Quirk::IgnoresTerm),
        1 => Just(Quirk::Silent),
        1 => Just(Quirk::ExitsAtOnce),
        1 => Just(Quirk::HalfSet),
        1 => Just(Quirk::CannotStart),
        3 => Just(Quirk::Late),
    ];
    let server = prop_oneof![
        4 => Just(Server::Answers),
        2 => Just(Server::Dead),
        1 => Just(Server::Hangs),
        1 => Just(Server::Refuses),
    ];
    let ask = prop_oneof![Just(Ask::Start), Just(Ask::Stop), Just(Ask::Retry)];
    let rows = prop_oneof![
        4 => node().prop_map(Action::Want),
        2 => node().prop_map(Action::Drop),
        1 => node().prop_map(Action::ChangePassword),
        1 => node().prop_map(Action::SpoilPassword),
        1 => node().prop_map(Action::ChangeStatus),
        1 => node().prop_map(Action::ChangeServer),
        1 => node().prop_map(Action::ChangeMppe),
        1 => node().prop_map(Action::ChangeRank),
        1 => node().prop_map(Action::SpoilRow),
        1 => node().prop_map(Action::MendRow),
        2 => (0..9000_u16).prop_map(Action::TableIsWrittenAnew),
        1 => Just(Action::DatabaseUnreadable),
        1 => Just(Action::DatabaseReadable),
    ];
    let links = prop_oneof![
        2 => (node(), 0..9000_u16).prop_map(|(n, for_ms)| Action::LinkFlaps(n, for_ms)),
        3 => node().prop_map(Action::LinkIsDeleted),
        2 => (node(), 0..600_u16).prop_map(|(n, for_ms)| Action::AddressFlickers(n, for_ms)),
        1 => node().prop_map(Action::AddressChanges),
        1 => Just(Action::KernelOverrun),
    ];
    let host = prop_oneof![
        4 => (0..3_usize, server).prop_map(|(n, server)| Action::ServerIs(n, server)),
        1 => Just(Action::HostLosesPpp),
        1 => Just(Action::HostRegainsPpp),
        3 => node().prop_map(Action::KillPppd),
        4 => node().prop_map(Action::ServerRefusesAgain),
        4 => (node(), quirk).prop_map(|(n, quirk)| Action::NextPppd(n, quirk)),
        4 => node().prop_map(Action::PppdByHand),
        1 => (-100_000_000..100_000_000).prop_map(Action::WallJumps),
        1 => (0..400_000_u32).prop_map(Action::TimeLeaps),
    ];
    let daemon = prop_oneof![
        6 => node().prop_map(Action::ProbeAnswered),
        8 => (node(), any::<bool>(), any::<bool>()).prop_map(
            |(node, elsewhere, answered)| Action::ProbesLost { node, elsewhere, answered }
        ),
        3 => (node(), ask).prop_map(|(n, ask)| Action::Asked(n, ask)),
        1 => any::<u8>().prop_map(Action::NewPolicy),
        1 => Just(Action::DaemonCrashes),
        1 => (0..8_u32).prop_map(Action::DaemonCrashesAfterOrders),
        1 => any::<bool>().prop_map(|keep| Action::DaemonStops { keep }),
    ];
    prop_oneof![6 => rows, 4 => links, 5 => host, 6 => daemon]
}

impl World {
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Want(node) => {
                let row = self.new_row(node);
                self.rows.entry(node).or_insert(row);
                self.rows_changed();
            }
            Action::Drop(node) => {
                self.rows.remove(&node);
                self.rows_changed();
            }
            Action::ChangePassword(node) => {
                let password = format!("right{}", self.roll(9));
                self.change_row(node, |row| row.password = password);
            }
            Action::SpoilPassword(node) => self.change_row(node, |r| r.password = "wrong".into()),
            Action::ChangeStatus(node) => self.change_row(node, |row| row.status += 1),
            Action::ChangeServer(node) => {
                let server = self.roll(self.servers.len() as u64) as usize;
                self.change_row(node, |row| row.server = server);
            }
            Action::ChangeMppe(node) => {
                let values = [None, Some(Mppe::Off), Some(Mppe::Require)];
                let mppe = values[self.roll(3) as usize];
                self.change_row(node, |row| row.mppe = mppe);
            }
            Action::ChangeRank(node) => {
                let rank = self.roll(u64::from(NODES)) as u32;
                self.change_row(node, |row| row.rank = rank);
            }
            Action::SpoilRow(node) => self.change_row(node, |row| row.valid = false),
            Action::MendRow(node) => self.change_row(node, |row| row.valid = true),
            Action::TableIsWrittenAnew(for_ms) => self.write_table_anew(for_ms.into()),
            Action::DatabaseUnreadable => self.set_readable(false),
            Action::DatabaseReadable => self.set_readable(true),
            Action::ServerIs(server, state) => self.set_server(server, state),
            Action::HostLosesPpp => self.has_ppp = false,
            Action::HostRegainsPpp => {
                self.has_ppp = true;
                self.send(Way::Other, Happening::Tell(News::HostChanged));
            }
            Action::KillPppd(node) => self.kill(node),
            Action::ServerRefusesAgain(node) => self.refuse_again(node),
            Action::NextPppd(node, quirk) => drop(self.quirks.insert(node, quirk)),
            Action::PppdByHand(node) => self.start_by_hand(node),
            Action::LinkFlaps(node, for_ms) => self.flap(node, for_ms.into()),
            Action::LinkIsDeleted(node) => self.delete_link(node),
            Action::AddressFlickers(node, for_ms) => self.flicker(node, for_ms.into()),
            Action::AddressChanges(node) => self.change_address(node),
            Action::KernelOverrun => self.overrun(),
            Action::ProbeAnswered(node) => {
                self.probe(node, Probed::Answered { target: "10.0.0.1".into() });
            }
            Action::ProbesLost { node, elsewhere, answered } => {
                let target = "10.0.0.1".into();
                self.probe(node, Probed::Lost { target, count: 3, elsewhere, answered });
            }
            Action::Asked(node, ask) => {
                let news = News::Asked { node: NodeId(node), ask };
                self.send(Way::Other, Happening::Tell(news));
            }
            Action::NewPolicy(dice) => self.change_policy(dice),
            Action::DaemonCrashes => self.crash(),
            Action::DaemonCrashesAfterOrders(n) => self.crash_after_orders = Some(n),
            Action::DaemonStops { keep } => self.stop_daemon(keep),
            Action::WallJumps(seconds) => {
                let by = i64::from(seconds) * 1000;
                self.wall = self.wall.saturating_add_signed(by).clamp(0, 2 * super::DAY_ONE);
            }
            Action::TimeLeaps(by) => {
                self.now += u64::from(by);
                self.crowded.clear();
            }
        }
    }

    fn set_readable(&mut self, can_read: bool) {
        self.can_read = can_read;
        self.rows_changed();
    }

    fn change_policy(&mut self, dice: u8) {
        let pick = |values: [u64; 4]| values[usize::from(dice) % 4];
        let policy = &mut self.policy;
        match dice / 43 {
            0 => {
                policy.dial_concurrency = pick([1, 2, 3, 8]) as u32;
                policy.dial_concurrency_per_server = pick([2, 1, 3, 4]) as u32;
            }
            1 => policy.quarantine_after = pick([1, 2, 3, 5]) as u32,
            2 => policy.stop_grace = Duration::from_millis(pick([1, 400, 5000, 9000])),
            3 => policy.dial_timeout = Duration::from_secs(pick([2, 10, 30, 60])),
            4 => policy.stable_after = Duration::from_secs(pick([0, 5, 60, 300])),
            _ => {
                let max = Duration::from_secs(pick([5, 60, 300, 300]));
                let jitter_permille = pick([0, 200, 500, 1000]) as u16;
                policy.backoff = Curve { max, jitter_permille, ..policy.backoff };
            }
        }
        self.send_policy();
    }

    fn send_policy(&mut self) {
        self.feed(News::Policy(Box::new(self.policy.clone())));
        self.rows_changed();
    }

    /// All rows go, and no stop is left.
    pub fn empty(&mut self) {
        for node in 0..NODES {
            self.act(Action::Asked(node, Ask::Start));
        }
        self.rows.clear();
        self.rows_changed();
    }

    /// All faults end.
    pub fn heal(&mut self) {
        self.has_ppp = true;
        self.can_read = true;
        self.quirks.clear();
        self.crash_after_orders = None;
        (0..self.servers.len()).for_each(|server| self.set_server(server, Server::Answers));
        self.finish_tables();
        for row in self.rows.values_mut().filter(|row| row.password == "wrong") {
            row.password = "corrected".into();
        }
        // Where all is well, no window is open.
        let outage = OutagePolicy { restart_with_no_nodes: false, ..self.policy.outage };
        self.policy = Policy { outage, ..policy() };
        self.send_policy();
        // The row is as it was, so nothing else leads out of quarantine.
        for node in std::mem::take(&mut self.refused_again) {
            self.act(Action::Asked(node, Ask::Retry));
        }
        self.send(Way::Other, Happening::Tell(News::HostChanged));
    }
}
