//! Are routes or rules of connexad's left of nodes that are not there?

use std::collections::BTreeSet;

use super::Finding;
use super::database::Read;
use crate::config::Config;
use crate::node::NodeId;
use crate::routing::{self, RoutingError};

const CHECK: &str = "leftovers";
/// Tables that are named; the others are counted.
const NAMED: usize = 5;

pub(super) async fn check(config: &Config, rows: &Read) -> Finding {
    let nodes = rows.nodes().map(|nodes| nodes.iter().map(|node| node.id).collect());
    judge(routing::tables_of_ours().await, config.routing.table_base, nodes.as_ref())
}

/// By the tables of what is ours (protocol 201) and the nodes, where those can be read.
fn judge(
    tables: Result<BTreeSet<u32>, RoutingError>,
    base: Option<u32>,
    nodes: Option<&BTreeSet<NodeId>>,
) -> Finding {
    let tables = match tables {
        Ok(tables) => tables,
        Err(error) => {
            return Finding::warning(
                CHECK,
                error.to_string(),
                "see ip rule and ip route show table all proto 201",
            );
        }
    };
    let is_there = |table: &u32| {
        let node = base.and_then(|base| table.checked_sub(base));
        node.is_some_and(|node| nodes.is_none_or(|nodes| nodes.contains(&NodeId(node))))
    };
    let left: Vec<String> =
        tables.iter().filter(|table| !is_there(table)).map(u32::to_string).collect();
    if left.is_empty() {
        return Finding::ok(CHECK, "no routes or rules are left over from nodes that are gone");
    }
    let named: Vec<&str> = left.iter().take(NAMED).map(String::as_str).collect();
    let more = match left.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Finding::warning(
        CHECK,
        format!(
            "tables {}{more} hold routes or rules of connexad (protocol 201) for nodes that are gone",
            named.join(", ")
        ),
        "systemctl start connexad removes them; where it is not to run any more: connexad --purge",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn verdict(tables: &[u32], base: Option<u32>, nodes: Option<&[u32]>) -> Verdict {
        let nodes = nodes.map(|nodes| nodes.iter().copied().map(NodeId).collect());
        judge(Ok(tables.iter().copied().collect()), base, nodes.as_ref()).verdict
    }

    #[test]
    fn tables_of_nodes_that_are_there_are_well() {
        assert_eq!(verdict(&[], None, Some(&[])), Verdict::Ok);
        assert_eq!(verdict(&[1002, 1003], Some(1000), Some(&[2, 3, 4])), Verdict::Ok);
    }

    #[test]
    fn what_is_left_of_a_node_or_of_another_table_base_is_told() {
        assert_eq!(verdict(&[1002], Some(1000), Some(&[3])), Verdict::Warning);
        assert_eq!(verdict(&[1002], None, Some(&[2])), Verdict::Warning);
        assert_eq!(verdict(&[902], Some(1000), Some(&[2])), Verdict::Warning);
        let tables = (1..=7).collect();
        let finding = judge(Ok(tables), None, None);
        assert!(
            finding.message.starts_with("tables 1, 2, 3, 4, 5 and 2 more hold"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn where_the_nodes_can_not_be_read_any_may_be_there() {
        assert_eq!(verdict(&[1002], Some(1000), None), Verdict::Ok);
    }
}
