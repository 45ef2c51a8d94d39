//! A tunnel is up when the kernel says so: its link, by its index, is up and has its addresses.

use std::collections::BTreeMap;

use connexa::core::event::LinkAddress;

use super::{Verdict, broken};
use crate::ledger::{Ledger, Seen};
use crate::wire::{Shown, View};
use crate::world::World;

/// An address that is half set or vanished from a link that is up is given so long.
const SETTLE: u64 = 250;

pub(super) fn check(ledger: &Ledger, after: &View, world: &World) -> Verdict {
    for node in &after.nodes {
        if node.state == "up" {
            is_up(ledger, node, world)?;
        } else if node.local.is_some() {
            return broken("only_what_is_up_has_addresses", format!("node {} has", node.id));
        }
    }
    each_link_is_of_one(after)?;
    whatever_is_up_is_shown(ledger, after)
}

fn each_link_is_of_one(after: &View) -> Verdict {
    let mut owners = BTreeMap::new();
    let up = after.nodes.iter().filter(|node| node.state == "up");
    for (index, node) in up.filter_map(|node| Some((node.index?, node.id))) {
        if let Some(other) = owners.insert(index, node) {
            return broken("each_link_is_of_one", format!("nodes {other} and {node}: {index}"));
        }
    }
    Ok(())
}

fn is_up(ledger: &Ledger, node: &Shown, world: &World) -> Verdict {
    let rule = "up_is_what_the_kernel_says";
    let Some(index) = node.index else {
        return broken(rule, format!("node {} is up on no link", node.id));
    };
    let Some(Seen { link, first, since, not_whole_since, .. }) = ledger.links.get(&index) else {
        return broken(rule, format!("node {} is up on link {index}, which is gone", node.id));
    };
    if !link.up {
        return broken(rule, format!("node {} is up on link {index}, which is down", node.id));
    }
    let is_settled = ledger.now >= since + SETTLE;
    if link.addresses.is_empty() && is_settled {
        return broken(rule, format!("node {} is up without an address", node.id));
    }
    if not_whole_since.is_none() || is_settled {
        let shown = node.local.map(|local| LinkAddress { local, remote: node.remote });
        if shown.as_ref() != address(link) {
            return broken("addresses_are_the_kernel_s", format!("node {}: {shown:?}", node.id));
        }
    }
    // What was there before the call was dialled is not its link, whatever its name.
    let oldest = ledger.calls_of(node.id).map(|(_, call)| call.dialled_after).min();
    if oldest.flatten().is_some_and(|dialled| dialled >= *first) {
        return broken("nobody_is_up_on_an_older_link", format!("node {} on {index}", node.id));
    }
    let mut calls = ledger.calls_of(node.id);
    let own = |(id, call): (&_, &crate::ledger::Call)| {
        call.is_confused || !world.is_alive(*id) || ledger.own_links.get(id).copied() == Some(index)
    };
    if calls.any(own) {
        return Ok(());
    }
    broken("nobody_is_up_on_another_s_link", format!("node {} on link {index}", node.id))
}

fn address(link: &connexa::core::event::Link) -> Option<&LinkAddress> {
    let whole = link.addresses.iter().find(|address| address.remote.is_some());
    whole.or(link.addresses.first())
}

/// Once a call has said which link is its own, and that is up, so is its node.
fn whatever_is_up_is_shown(ledger: &Ledger, after: &View) -> Verdict {
    for (id, call) in &ledger.calls {
        let is_alone = ledger.calls_of(call.node).count() == 1;
        // Its index may be another's by now.
        let is_gone = call.gone_at.is_some();
        if !is_alone || is_gone || call.is_confused || call.last_signal.is_some() {
            continue;
        }
        let Some(index) = ledger.own_links.get(id).copied() else { continue };
        let Some(Seen { link, not_whole_since: None, .. }) = ledger.links.get(&index) else {
            continue;
        };
        let shown = after.of(call.node);
        let is_shown = shown.is_some_and(|node| node.state == "up" && node.index == Some(index));
        if call.name.as_ref() == Some(&link.name) && !is_shown {
            let what = format!("call {id} of node {} is up and shown {shown:?}", call.node);
            return broken("what_is_up_is_shown_up", what);
        }
    }
    Ok(())
}
