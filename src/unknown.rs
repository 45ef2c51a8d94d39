//! What is told of a node that is not there.

use std::fmt;

use crate::control::api::{Node, counted};

/// Nodes that are named where many are meant.
const NAMED: usize = 5;

/// A node is none of those that the daemon holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownNode {
    /// Which node.
    pub id: u32,
    /// The ids next to it, where the daemon holds any node.
    pub nearest: Vec<u32>,
    /// How many the daemon holds.
    pub nodes: usize,
    /// The file that it reads them from.
    pub database: String,
}

impl UnknownNode {
    /// By the ids of all nodes that the daemon holds.
    pub fn among(id: u32, all: impl Iterator<Item = u32> + Clone, database: String) -> Self {
        UnknownNode { id, nearest: nearest(id, all.clone()), nodes: all.count(), database }
    }
}

impl fmt::Display for UnknownNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownNode { id, nearest, nodes, database } = self;
        let (nearest, held) = (Nearest(nearest), counted(*nodes, "node"));
        write!(
            f,
            "no node {id}{nearest} (connexad holds {held}); `connexactl node list` shows the rows of \
             {database}"
        )
    }
}

/// The ids next to one that is not there: below and above it.
pub(crate) fn nearest(id: u32, all: impl Iterator<Item = u32> + Clone) -> Vec<u32> {
    let below = all.clone().filter(|other| *other < id).max();
    let above = all.filter(|other| *other > id).min();
    below.into_iter().chain(above).collect()
}

/// Such ids, as they go on after `no node 12`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nearest<'a>(pub(crate) &'a [u32]);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            [one] => write!(f, ": the nearest is {one}"),
            several => write!(f, ": the nearest are {}", listed(several)),
        }
    }
}

/// What a node is known by beside its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) id: u32,
    pub(crate) ip: Option<&'a str>,
    pub(crate) login: Option<&'a str>,
}

impl<'a> Known<'a> {
    /// Of a node as the daemon shows it.
    pub(crate) fn of(node: &'a Node) -> Self {
        Known { id: node.id, ip: node.ip.as_deref(), login: node.login.as_deref() }
    }
}

/// What is told of a text that is no id: what one is, and which nodes have it as address or login.
pub(crate) fn no_id<'a>(text: &str, nodes: impl Iterator<Item = Known<'a>> + Clone) -> String {
    let is_it = |known: Option<&str>| known.is_some_and(|known| !known.is_empty() && known == text);
    let of = |what, ids: Vec<u32>| match ids.as_slice() {
        [] => None,
        [one] => Some(format!("; node {one} has this {what}")),
        several => Some(format!("; nodes {} have this {what}", listed(several))),
    };
    let ids = |field: fn(&Known<'a>) -> Option<&'a str>| {
        nodes.clone().filter(|node| is_it(field(node))).map(|node| node.id).collect::<Vec<_>>()
    };
    let found = of("address", ids(|node| node.ip)).or_else(|| of("login", ids(|node| node.login)));
    format!(
        "{text:?} is no node id: a node's id is a number from 0 to {}{}",
        u32::MAX,
        found.unwrap_or_default()
    )
}

/// `1, 2 and 3`; of many the first ones.
fn listed(ids: &[u32]) -> String {
    let (named, last) = match ids.split_last() {
        Some((last, before)) if before.len() < NAMED => (before, last.to_string()),
        Some(_) | None => {
            let named = ids.get(..NAMED).unwrap_or(ids);
            (named, format!("{} more", ids.len().saturating_sub(named.len())))
        }
    };
    let named: Vec<String> = named.iter().map(u32::to_string).collect();
    format!("{} and {last}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: u32, all: &[u32]) -> String {
        UnknownNode::among(id, all.iter().copied(), "/nodes.db".to_owned()).to_string()
    }

    #[test]
    fn a_node_that_is_not_there_is_told_with_those_next_to_it() {
        assert_eq!(
            told(12, &[1, 2, 13, 20]),
            "no node 12: the nearest are 2 and 13 (connexad holds 4 nodes); `connexactl node list` \
             shows the rows of /nodes.db"
        );
        assert!(told(0, &[7]).starts_with("no node 0: the nearest is 7 (connexad holds 1 node);"));
        assert!(told(8, &[7]).starts_with("no node 8: the nearest is 7 (connexad holds 1 node);"));
        assert!(told(8, &[]).starts_with("no node 8 (connexad holds 0 nodes);"));
    }

    #[test]
    fn a_text_that_is_no_id_is_told_with_the_nodes_that_have_it() {
        let node = |id, ip, login| Known { id, ip: Some(ip), login: Some(login) };
        let nodes = [node(2, "10.9.0.2", "admin"), node(5, "10.9.0.5", "admin"), node(6, "", "")];
        let told = |text: &str| no_id(text, nodes.into_iter());
        let what = "is no node id: a node's id is a number from 0 to 4294967295";
        assert_eq!(told("10.9.0.5"), format!("\"10.9.0.5\" {what}; node 5 has this address"));
        assert_eq!(told("admin"), format!("\"admin\" {what}; nodes 2 and 5 have this login"));
        for text in ["x", "", "-1"] {
            assert_eq!(told(text), format!("{text:?} {what}"));
        }
        let many = (1..=7).map(|id| node(id, "10.9.0.2", "admin"));
        assert!(no_id("admin", many).ends_with("; nodes 1, 2, 3, 4, 5 and 2 more have this login"));
    }
}
