//! Takes out of the main table what a server's word has put there.
//!
//! The server names the other end of a tunnel, pppd sets it as the peer of the link's address, and
//! the kernel keeps a route to the peer in the main table for that (`fib_add_ifaddr` in its
//! net/ipv4/fib_frontend.c), which beats every shorter one: a server that names its own public
//! address, or another host's, would draw all packets for it into the tunnel. Nothing of the daemon's
//! needs the route. Mostly it is never made ([`super::address`]); where it is, it is removed at the
//! kernel's word.
//!
//! The kernel makes it anew when the link was down, or when its addresses change. So a link is
//! followed from when it is known to be that of a call until there is no such link any more, even while
//! its call is being ended.

mod filter;
mod message;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use message::News;
use session::{Heard, Session};

use super::links::Links;
use crate::core::event::{CallId, IfIndex};
use crate::node::NodeId;

/// After a socket that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a tunnel's route may stand.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerRouteError {
    /// No socket.
    #[error(
        "Routes of peers: can't {what}: {source}; it needs AF_NETLINK sockets (in a unit file: \
         RestrictAddressFamilies); until then a server may draw packets of this host into its tunnel"
    )]
    Socket {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The kernel refused.
    #[error(
        "Routes of peers: the kernel does not list or remove them: {0}; connexad needs \
         CAP_NET_ADMIN; until then a server may draw packets of this host into its tunnel"
    )]
    Refused(std::io::Error),
}

/// Removes routes to peers for as long as that is wanted, until the end.
pub(super) async fn run(mut links: watch::Receiver<Links>) {
    let mut told = None;
    loop {
        let due = links.wait_for(|links| links.ending || is_due(links)).await;
        if due.map_or(true, |links| links.ending) {
            return;
        }
        if let Err(error) = follow(&mut links).await {
            let text = error.to_string();
            if told.as_ref() != Some(&text) {
                tracing::error!("{text}");
                told = Some(text);
            }
            let _ = timeout(PAUSE, links.wait_for(|links| links.ending)).await;
        }
    }
}

fn is_due(links: &Links) -> bool {
    !links.peer_route && !links.last.is_empty()
}

/// Removes them until they may stand, or the daemon ends.
async fn follow(links: &mut watch::Receiver<Links>) -> Result<(), PeerRouteError> {
    let mut session = Session::open()?;
    let mut followed = Followed::default();
    loop {
        let has_new = {
            let links = links.borrow_and_update();
            if links.peer_route || links.ending {
                return Ok(());
            }
            followed.take(&links)
        };
        if has_new {
            session.list()?;
        }
        tokio::select! {
            biased;
            changed = links.changed() => if changed.is_err() { return Ok(()) },
            heard = session.hear() => followed.mend(&mut session, heard?)?,
        }
    }
}

/// The links of our own calls.
#[derive(Debug, Default)]
struct Followed {
    /// Until the kernel says that there is no such link.
    ours: BTreeMap<IfIndex, NodeId>,
    /// Those of the last calls at the last look.
    seen: BTreeSet<(IfIndex, CallId)>,
}

impl Followed {
    /// Whether there is one that was not followed before.
    fn take(&mut self, links: &Links) -> bool {
        let before = std::mem::take(&mut self.seen);
        for (node, link) in &links.last {
            let seen = (link.index, link.call);
            if !before.contains(&seen) {
                self.ours.insert(link.index, *node);
            }
            self.seen.insert(seen);
        }
        !self.seen.is_subset(&before)
    }

    fn mend(&mut self, session: &mut Session, heard: Heard) -> Result<(), PeerRouteError> {
        match heard {
            Heard::News(News::Route(route)) => {
                if let Some(node) = self.ours.get(&route.index) {
                    let (to, index) = (route.destination, route.index.0);
                    session.remove(route)?;
                    tracing::debug!(
                        NODE_ID = node.0,
                        IFINDEX = index,
                        "Node {node}: the kernel's route to {to} into the tunnel is removed (routing.peer_route)"
                    );
                }
            }
            Heard::News(News::NoLink(index)) => drop(self.ours.remove(&index)),
            Heard::News(News::Other) => {}
            Heard::Lost => {
                // Links may be gone, too.
                let last: BTreeSet<_> = self.seen.iter().map(|(index, _)| *index).collect();
                self.ours.retain(|index, _| last.contains(index));
                session.list()?;
            }
        }
        Ok(())
    }
}
