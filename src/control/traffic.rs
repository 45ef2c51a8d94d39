//! What tunnels carry: the kernel is asked when somebody asks, once for all who ask meanwhile.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::answers::ask;
use super::api::{NodeTraffic, SCHEMA_VERSION, Traffic};
use super::question::{Question, Refusal};
use super::shared::Shared;
use crate::core::event::IfIndex;
use crate::kernel::traffic;
use crate::node::NodeId;

/// The counters of all nodes that are up.
pub(super) type SharedTraffic = Shared<Result<Arc<Traffic>, Refusal>>;

/// To be called within the runtime that serves it.
pub(super) fn shared(questions: mpsc::Sender<Question>) -> SharedTraffic {
    Shared::new(move || read(questions.clone()))
}

async fn read(questions: mpsc::Sender<Question>) -> Result<Arc<Traffic>, Refusal> {
    let links = ask(&questions, Question::UpLinks).await?;
    // The calls may block.
    let read = spawn_blocking(traffic::read).await.map_err(|_| Refusal::stopping())?;
    let read = read.map_err(|error| Refusal::NotNow(error.to_string()))?;
    Ok(Arc::new(of_nodes(&links, &read)))
}

/// A link that has gone meanwhile is left out.
fn of_nodes(links: &[(NodeId, IfIndex)], read: &traffic::Traffic) -> Traffic {
    let nodes = links.iter().filter_map(|(id, index)| {
        let of = read.links.get(index)?;
        Some(NodeTraffic {
            id: id.0,
            ifindex: index.0,
            in_bytes: of.in_bytes,
            out_bytes: of.out_bytes,
            in_packets: of.in_packets,
            out_packets: of.out_packets,
        })
    });
    Traffic {
        schema_version: SCHEMA_VERSION,
        monotonic_ms: read.monotonic_ms,
        nodes: nodes.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::traffic::Counters;

    #[test]
    fn a_node_has_the_counters_of_its_link_and_one_whose_link_has_gone_has_none() {
        let counters = Counters { in_bytes: 7, ..Counters::default() };
        let links = [(IfIndex(4), counters), (IfIndex(1), Counters::default())].into();
        let read = traffic::Traffic { monotonic_ms: 5, links };
        let traffic = of_nodes(&[(NodeId(2), IfIndex(4)), (NodeId(3), IfIndex(9))], &read);
        let shown: Vec<_> = traffic.nodes.iter().map(|node| (node.id, node.in_bytes)).collect();
        assert_eq!((shown, traffic.monotonic_ms), (vec![(2, 7)], 5));
    }
}
