//! Takes an address that our end may not have off its link, at once: its call takes a while to end, and
//! until then packets of the host to that address would stay here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::Error;
use rustix::io::Errno;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Wanted;
use super::kernel::is_one_of;
use crate::core::event::IfIndex;
use crate::node::NodeId;

/// Each refused address is taken away once.
pub(super) async fn run(mut wanted: watch::Receiver<Wanted>) {
    let mut done = BTreeMap::new();
    loop {
        let refused = {
            let wanted = wanted.borrow_and_update();
            if wanted.ending {
                return;
            }
            wanted.refused.clone()
        };
        let mut new = refused.clone();
        new.retain(|node, ends| done.get(node) != Some(ends));
        if !new.is_empty() {
            take_away(new).await;
        }
        done = refused;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// Where this fails, the address goes with its link.
async fn take_away(refused: BTreeMap<NodeId, (IfIndex, Ipv4Addr)>) {
    let (connection, handle, _) = match rtnetlink::new_connection() {
        Ok(opened) => opened,
        Err(error) => return tracing::debug!("Refused addresses stay until calls end: {error}"),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    for (node, (index, local)) in refused {
        match handle.address().del(message(index, local)).execute().await {
            Err(error) if !is_gone(&error) => {
                tracing::debug!(
                    NODE_ID = node.0,
                    "Node {node}: {local} stays until the call ends: {error}"
                );
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// The address whatever its peer is.
fn message(index: IfIndex, local: Ipv4Addr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.index = index.0;
    message.attributes.push(AddressAttribute::Local(local.into()));
    message
}

fn is_gone(error: &Error) -> bool {
    is_one_of(error, &[Errno::ADDRNOTAVAIL, Errno::NODEV])
}
