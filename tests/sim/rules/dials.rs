//! Who is dialled, and when.

use connexa::node::{NodeId, ServerAddr};

use super::{Verdict, broken};
use crate::ledger::{Call, Ledger};
use crate::wire::{Did, View};

pub(super) fn check(ledger: &Ledger, did: &Did) -> Verdict {
    match did {
        Did::Dial { node, .. } => {
            may_dial(ledger, *node)?;
            slot_is_free(ledger, *node)
        }
        Did::RemoveFiles(id) if ledger.node(*id).is_some() => {
            broken("files_of_candidates_stay", format!("those of node {id} are removed"))
        }
        Did::SweepFiles(keep) => {
            let mut rows = ledger.rows.iter().flat_map(|rows| rows.keys());
            match rows.find(|id| ledger.node(**id).is_some() && !keep.contains(id)) {
                Some(id) => {
                    broken("files_of_candidates_stay", format!("those of node {id} are swept away"))
                }
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn may_dial(ledger: &Ledger, id: NodeId) -> Verdict {
    if !ledger.knows_enough() {
        return broken("no_dial_before_all_is_known", format!("node {id} is dialled"));
    }
    if ledger.stopping {
        return broken("no_dial_of_a_daemon_that_stops", format!("node {id} is dialled"));
    }
    if ledger.stopped.contains(&id) {
        return broken("a_stop_holds", format!("node {id} is stopped and dialled"));
    }
    if ledger.is_away(id) {
        let rule = "nothing_is_dialled_for_a_row_that_is_away";
        return broken(rule, format!("node {id} is dialled"));
    }
    let Some(row) = ledger.node(id) else {
        return broken("only_rows_are_dialled", format!("node {id} has no row and is dialled"));
    };
    if let Some((call, _)) = ledger.calls_of(id).next() {
        return broken("one_pppd_a_node", format!("node {id} is dialled beside call {call}"));
    }
    if !ledger.files.get(&id).is_some_and(|files| files.dials_like(row)) {
        return broken("dialled_by_its_row", format!("node {id} has {:?}", ledger.files.get(&id)));
    }
    match ledger.tallies.get(&id) {
        Some(tally) if tally.rests_until.is_some_and(|until| until > ledger.now) => {
            let what = format!("node {id} is dialled, and rests: {:?}", tally.rests_until);
            broken("a_refused_login_rests", what)
        }
        Some(tally) if !tally.is_excused && tally.wait.is_some_and(|(_, by)| by > ledger.now) => {
            broken("waits_are_kept", format!("node {id} is dialled, and waits: {:?}", tally.wait))
        }
        _ => Ok(()),
    }
}

fn slot_is_free(ledger: &Ledger, id: NodeId) -> Verdict {
    let cap = ledger.policy().dial_concurrency as usize;
    let server = |call: &Call| call.row.as_ref().map(|row| row.server);
    let servers: Vec<ServerAddr> = ledger.dials().filter_map(server).collect();
    if servers.len() >= cap {
        let dials = servers.len();
        return broken("dials_have_a_cap", format!("node {id} is dialled beside {dials} others"));
    }
    let Some(to) = ledger.node(id).map(|row| row.server) else { return Ok(()) };
    let others = servers.iter().filter(|server| **server == to).count();
    // One that was found and is up shows that its server answers, once its row tells which that is.
    let mut up = ledger.before.nodes.iter().filter(|node| node.state == "up");
    let is_heard = ledger.heard.contains(&to.ip())
        || up.any(|node| ledger.node(node.id).is_some_and(|row| row.server == to));
    let is_trusted = is_heard && !ledger.silent.contains(&to);
    if others > 0 && !is_trusted {
        let what = format!("node {id} is the second to {to}");
        return broken("a_server_not_heard_is_dialled_by_one", what);
    }
    if others >= ledger.policy().dial_concurrency_per_server as usize {
        let what = format!("node {id} is dialled to {to} beside {others}");
        return broken("dials_to_a_server_have_a_cap", what);
    }
    let silent = servers.iter().filter(|server| ledger.silent.contains(server)).count();
    if ledger.silent.contains(&to) && silent >= (cap / 2).max(1) {
        return broken("silent_servers_get_half", format!("node {id} is dialled beside {silent}"));
    }
    Ok(())
}

pub(super) fn check_all(ledger: &Ledger, did: &[Did], after: &View) -> Verdict {
    let dialled = |did: &Did| match did {
        Did::Dial { node, .. } => Some(*node),
        _ => None,
    };
    for id in did.iter().filter_map(dialled) {
        if ledger.before.host_is_unfit && after.host_is_unfit && ledger.dials().count() > 1 {
            return broken("an_unfit_host_is_probed_by_one", format!("node {id} is dialled too"));
        }
        if let Some(better) = better(ledger, id, after) {
            return broken("dials_go_by_rank", format!("node {id} is dialled before {better}"));
        }
    }
    are_side_by_side(ledger, after)?;
    nobody_waits_in_vain(ledger, after)
}

/// A node does not wait where its server answers and neither the server's dials nor the host's are
/// as many as may be.
fn are_side_by_side(ledger: &Ledger, after: &View) -> Verdict {
    let policy = ledger.policy();
    let per_server = policy.dial_concurrency_per_server as usize;
    let dials: Vec<_> = ledger.calls.values().filter(|call| !call.was_up).collect();
    let is_free = dials.len() < (policy.dial_concurrency as usize)
        && dials.iter().all(|call| call.server().is_some());
    if !is_free || !ledger.knows_enough() || ledger.stopping || after.host_is_unfit {
        return Ok(());
    }
    let up = after.nodes.iter().filter(|node| node.state == "up");
    let answers: Vec<_> =
        up.filter_map(|node| ledger.node(node.id)).map(|row| row.server).collect();
    for node in after.nodes.iter().filter(|node| node.state == "waiting") {
        let Some(row) = ledger.node(node.id).filter(|_| !ledger.is_away(node.id)) else { continue };
        let (server, ip) = (row.server, row.server.ip());
        let others = dials.iter().filter(|call| call.server() == Some(ip)).count();
        let is_trusted = answers.contains(&server) && !ledger.in_doubt.contains(&ip);
        if is_trusted && others < per_server {
            let what = format!("node {} waits, {others} are dialled to {server}", node.id);
            return broken("dials_to_a_server_go_side_by_side", what);
        }
    }
    Ok(())
}

/// A node that waited, and waits, and should have gone first.
fn better(ledger: &Ledger, id: NodeId, after: &View) -> Option<NodeId> {
    let rows = ledger.rows.as_ref()?;
    let place = (rows.get(&id)?.0, id);
    let busy: Vec<_> =
        ledger.calls.values().filter(|call| !call.was_up).map(Call::server).collect();
    let waits = |id: NodeId| {
        let shown = [&ledger.before, after];
        shown.iter().all(|view| view.state(id) == "waiting") && !ledger.is_away(id)
    };
    let is_idle = |id: NodeId| {
        let server = ledger.node(id).map(|row| row.server);
        server.is_some_and(|server| {
            !busy.contains(&Some(server.ip())) && !ledger.in_doubt.contains(&server.ip())
        })
    };
    if busy.contains(&None) {
        return None;
    }
    let better = rows.iter().filter(|(id, (rank, _))| (*rank, **id) < place).map(|(id, _)| *id);
    better.into_iter().find(|id| waits(*id) && is_idle(*id))
}

/// Who waits, waits for a dial under way or for a host that is fit.
fn nobody_waits_in_vain(ledger: &Ledger, after: &View) -> Verdict {
    if !ledger.knows_enough() || ledger.stopping || after.host_is_unfit {
        return Ok(());
    }
    let under_way = ["dialing", "negotiating", "stopping"];
    let waits = after.nodes.iter().find(|node| node.state == "waiting" && !ledger.is_away(node.id));
    match waits {
        Some(node) if !after.nodes.iter().any(|node| under_way.contains(&node.state)) => broken(
            "nobody_waits_in_vain",
            format!("node {} waits, and no dial is under way", node.id),
        ),
        _ => Ok(()),
    }
}
