//! Which rules and routes there should be.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::Wanted;
use crate::config::WhenDown;
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

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// IPv4 packets go by a table.
    Table { selector: Selector, table: u32 },
    /// IPv6 packets with this mark go nowhere: no tunnel carries any.
    NoIpv6 { mark: u32 },
}

/// A default route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) table: u32,
    pub(super) to: To,
}

/// Where a default route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    /// Into a tunnel; packets that have no source address yet get this one.
    Link { index: IfIndex, source: Ipv4Addr },
    /// Nowhere. It stands behind one into a tunnel, so that there is no moment without either.
    Nowhere,
}

impl Route {
    /// The link that it leads by.
    pub(super) fn link(&self) -> Option<IfIndex> {
        match self.to {
            To::Link { index, .. } => Some(index),
            To::Nowhere => None,
        }
    }
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rules: BTreeSet<Rule>,
    pub(super) routes: BTreeSet<Route>,
    /// Which nodes can have no table, and why.
    pub(super) refused: Vec<String>,
    /// What lets nothing leave stays where it is, whosever it is: not all wanted nodes are known.
    pub(super) keeps_guards: bool,
}

/// What is wanted for these nodes.
pub(super) fn make(wanted: &Wanted) -> Plan {
    let mut plan = Plan::default();
    let Some(base) = wanted.table_base else { return plan };
    let is_guarded = wanted.when_down == WhenDown::Unreachable;
    plan.keeps_guards = is_guarded && !wanted.all_told;
    let guarded = wanted.nodes.keys().copied().filter(|_| is_guarded);
    let nodes: BTreeSet<NodeId> = guarded.chain(wanted.tunnels.keys().copied()).collect();
    for node in nodes {
        let Some(table) = table(base, node) else {
            plan.refused.push(format!(
                "Node {node} gets no routes: table {base} + {node} is the system's own or too \
                 large; set another routing.table_base"
            ));
            continue;
        };
        if is_guarded && let Some(last) = wanted.nodes.get(&node) {
            plan.guard(
                table,
                last.filter(|last| wanted.tunnels.values().all(|up| up.local != *last)),
            );
        }
        if let Some(tunnel) = wanted.tunnels.get(&node) {
            plan.lead(table, tunnel);
        }
    }
    plan
}

impl Plan {
    /// Into the tunnel.
    fn lead(&mut self, table: u32, tunnel: &UpTunnel) {
        let UpTunnel { index, interface, local, .. } = tunnel;
        self.routes.insert(Route { table, to: To::Link { index: *index, source: *local } });
        let selectors = [
            Selector::Interface(interface.clone()),
            Selector::Mark(table),
            Selector::Source(*local),
        ];
        self.rules.extend(selectors.map(|selector| Rule::Table { selector, table }));
    }

    /// Nowhere, but into the tunnel. `last` is the local address that it had, where no other has it now.
    fn guard(&mut self, table: u32, last: Option<Ipv4Addr>) {
        self.routes.insert(Route { table, to: To::Nowhere });
        let selectors = [Some(Selector::Mark(table)), last.map(Selector::Source)];
        let rules = selectors.into_iter().flatten();
        self.rules.extend(rules.map(|selector| Rule::Table { selector, table }));
        self.rules.insert(Rule::NoIpv6 { mark: table });
    }

    /// Whether it guards a node that the other one does not.
    pub(super) fn guards_more_than(&self, other: &Plan) -> bool {
        self.routes.difference(&other.routes).any(|route| route.to == To::Nowhere)
    }

    /// Whether a rule that is not wanted stays all the same.
    pub(super) fn keeps_rule(&self, rule: &Rule) -> bool {
        let guards = match rule {
            Rule::NoIpv6 { .. } => true,
            Rule::Table { selector, .. } => matches!(selector, Selector::Mark(_)),
        };
        self.keeps_guards && guards
    }

    /// Whether a route that is not wanted stays all the same.
    pub(super) fn keeps_route(&self, route: &Route) -> bool {
        self.keeps_guards && route.to == To::Nowhere
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
            tunnels: nodes.iter().map(|id| (NodeId(*id), tunnel(*id).into())).collect(),
            ..Wanted::by(&crate::config::Routing::default())
        }
    }

    /// The same nodes are wanted, and nothing may leave by another way.
    fn guarded(wanted: Wanted) -> Wanted {
        let nodes = wanted.tunnels.keys().map(|node| (*node, None)).collect();
        Wanted { when_down: WhenDown::Unreachable, nodes, all_told: true, ..wanted }
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
    fn a_guarded_node_that_is_up_has_both_routes_and_one_that_is_down_the_one_to_nowhere() {
        let mut wanted = guarded(wanted(1000, &[2, 3]));
        wanted.tunnels.remove(&NodeId(3));
        let plan = make(&wanted);
        let nowhere = |table| Route { table, to: To::Nowhere };
        let up = To::Link { index: IfIndex(102), source: [10, 50, 0, 100].into() };
        let routes = [Route { table: 1002, to: up }, nowhere(1002), nowhere(1003)];
        assert_eq!(plan.routes, BTreeSet::from(routes));
        let rules: Vec<_> = plan.rules.iter().map(ToString::to_string).collect();
        let expected = [
            "oif ppp2 lookup 1002",
            "fwmark 1002 lookup 1002",
            "fwmark 1003 lookup 1003",
            "from 10.50.0.100 lookup 1002",
            "fwmark 1002 unreachable (IPv6)",
            "fwmark 1003 unreachable (IPv6)",
        ];
        assert_eq!(rules, expected);
    }

    #[test]
    fn who_is_wanted_anew_is_guarded_more_and_who_is_up_or_gone_is_not() {
        let one = make(&guarded(wanted(1000, &[2])));
        let two = make(&guarded(wanted(1000, &[2, 3])));
        assert!(two.guards_more_than(&one) && !one.guards_more_than(&two));
        let mut down = guarded(wanted(1000, &[2]));
        down.tunnels.clear();
        assert!(!make(&down).guards_more_than(&one));
    }

    #[test]
    fn the_address_that_a_guarded_tunnel_had_leads_nowhere_unless_another_has_it() {
        let mut wanted = guarded(wanted(1000, &[2, 3]));
        wanted.tunnels.remove(&NodeId(3));
        let from = |wanted: &Wanted, ip: [u8; 4]| {
            let rule = Rule::Table { selector: Selector::Source(ip.into()), table: 1003 };
            make(wanted).rules.contains(&rule)
        };
        for (last, is_there) in [([10, 50, 0, 100], false), ([10, 50, 0, 7], true)] {
            wanted.nodes.insert(NodeId(3), Some(last.into()));
            assert_eq!(from(&wanted, last), is_there, "{last:?}");
        }
    }

    #[test]
    fn what_lets_nothing_leave_stays_until_all_wanted_nodes_are_known() {
        let mut wanted = guarded(wanted(1000, &[]));
        wanted.all_told = false;
        let route = Route { table: 1009, to: To::Nowhere };
        let [mark, source] = [Selector::Mark(1009), Selector::Source([10, 50, 0, 7].into())]
            .map(|selector| Rule::Table { selector, table: 1009 });
        let keeps = |wanted: &Wanted| {
            let plan = make(wanted);
            [plan.keeps_route(&route), plan.keeps_rule(&mark), plan.keeps_rule(&source)]
        };
        assert_eq!(keeps(&wanted), [true, true, false]);
        wanted.all_told = true;
        assert_eq!(keeps(&wanted), [false; 3]);
        let main = Wanted { when_down: WhenDown::Main, all_told: false, ..wanted };
        assert_eq!(keeps(&main), [false; 3]);
    }

    #[test]
    fn a_number_that_is_too_large_for_a_table_is_told() {
        assert_eq!(make(&wanted(u32::MAX, &[1])).refused.len(), 1);
    }
}
