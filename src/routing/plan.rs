//! Which rules and routes there should be.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::Wanted;
use crate::core::change::UpTunnel;
use crate::core::event::IfIndex;
use crate::node::NodeId;

/// What a rule selects packets by. The exact ones go first: two tunnels may have the same local
/// address, and then only the interface or the mark tells which one is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Selector {
    /// A socket bound to this interface.
    Interface(String),
    /// This fwmark.
    Mark(u32),
    /// This source address.
    Source(Ipv4Addr),
}

impl Selector {
    /// The rule's priority, before those of the tables `main` (32766) and `default`.
    pub(super) fn priority(&self) -> u32 {
        match self {
            Selector::Interface(_) => 10_000,
            Selector::Mark(_) => 10_001,
            Selector::Source(_) => 10_002,
        }
    }
}

/// A rule that leads to a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) selector: Selector,
    pub(super) table: u32,
}

/// A default route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) table: u32,
    pub(super) index: IfIndex,
    /// The source address of packets that have none yet.
    pub(super) source: Ipv4Addr,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rules: BTreeSet<Rule>,
    pub(super) routes: BTreeSet<Route>,
    /// Which nodes can have no table, and why.
    pub(super) refused: Vec<String>,
}

/// What is wanted for these tunnels.
pub(super) fn make(wanted: &Wanted) -> Plan {
    let mut plan = Plan::default();
    let Some(base) = wanted.table_base else { return plan };
    for (node, tunnel) in &wanted.tunnels {
        match table(base, *node) {
            Some(table) => plan.add(table, tunnel),
            None => plan.refused.push(format!(
                "Node {node} gets no routes: table {base} + {node} is the system's own or too \
                 large; set another routing.table_base"
            )),
        }
    }
    plan
}

impl Plan {
    fn add(&mut self, table: u32, tunnel: &UpTunnel) {
        let UpTunnel { index, interface, local, .. } = tunnel;
        self.routes.insert(Route { table, index: *index, source: *local });
        let selectors = [
            Selector::Interface(interface.clone()),
            Selector::Mark(table),
            Selector::Source(*local),
        ];
        self.rules.extend(selectors.map(|selector| Rule { selector, table }));
    }
}

/// The node's table; `None` for `default`, `main` and `local` (253 to 255, rt_tables) and what
/// is no number of a table.
fn table(base: u32, node: NodeId) -> Option<u32> {
    base.checked_add(node.0).filter(|table| !(253..=255).contains(table) && *table != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::CallId;

    fn wanted(base: u32, nodes: &[u32]) -> Wanted {
        let tunnel = |id: u32| UpTunnel {
            node: NodeId(id),
            call: CallId::Dialled(1),
            index: IfIndex(id + 100),
            interface: format!("ppp{id}"),
            local: [10, 50, 0, 100].into(),
            remote: None,
            adopted: false,
        };
        Wanted {
            table_base: Some(base),
            tunnels: nodes.iter().map(|id| (NodeId(*id), tunnel(*id))).collect(),
            ..Wanted::default()
        }
    }

    fn tables(plan: &Plan) -> Vec<u32> {
        plan.routes.iter().map(|route| route.table).collect()
    }

    #[test]
    fn two_tunnels_with_one_address_have_rules_and_routes_of_their_own() {
        let plan = make(&wanted(1000, &[2, 3]));
        assert_eq!((plan.rules.len(), tables(&plan)), (6, vec![1002, 1003]));
    }

    #[test]
    fn without_a_base_nothing_is_wanted() {
        assert_eq!(make(&Wanted { table_base: None, ..wanted(1, &[2]) }), Plan::default());
    }

    #[test]
    fn a_node_whose_table_is_the_systems_own_gets_none_and_is_told() {
        let plan = make(&wanted(250, &[2, 3, 4, 5, 6]));
        assert_eq!((tables(&plan), plan.refused.len()), (vec![252, 256], 3));
    }

    #[test]
    fn a_number_that_is_too_large_for_a_table_is_told() {
        assert_eq!(make(&wanted(u32::MAX, &[1])).refused.len(), 1);
    }
}
