//! Switches IPv6 off on the links of tunnels.
//!
//! pppd is told to negotiate none (`noipv6`), but the kernel takes IPv6 packets from a PPP link all
//! the same (`npmode` in its drivers/net/ppp/ppp_generic.c), and with them router advertisements: one
//! that is sent to another address of the host makes the server the host's IPv6 router. Without IPv6 on
//! the link they are dropped, and the kernel removes what earlier ones have set.

use std::collections::BTreeSet;
use std::io;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use tokio::sync::watch;

use super::Wanted;
use crate::core::event::{CallId, IfIndex};

/// One setting a link (ip-sysctl.rst in the kernel's documentation).
const SETTINGS: &str = "/proc/sys/net/ipv6/conf";

/// Switches it off on each link when its tunnel is first up, until the end.
pub(super) async fn run(mut wanted: watch::Receiver<Wanted>) {
    let mut done: BTreeSet<(IfIndex, CallId)> = BTreeSet::new();
    let mut told = BTreeSet::new();
    loop {
        let up: BTreeSet<_> = {
            let wanted = wanted.borrow_and_update();
            if wanted.ending {
                return;
            }
            wanted.tunnels.values().map(|tunnel| (tunnel.index, tunnel.call)).collect()
        };
        let mut failed = BTreeSet::new();
        for link in up.difference(&done) {
            if let Err(error) = switch_off(link.0).await {
                failed.insert(*link);
                let text = error.to_string();
                if !told.contains(&text) {
                    tracing::error!(
                        "IPv6 can't be switched off on the links of tunnels: {text}; a server may make itself this \
                         host's IPv6 router by an advertisement; let connexad write to {SETTINGS}, or set \
                         net.ipv6.conf.default.accept_ra = 0"
                    );
                    told.insert(text);
                }
            }
        }
        // Those that failed are tried again when there is a change.
        done = &up - &failed;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// The kernel may make the writer wait for its lock.
async fn switch_off(index: IfIndex) -> io::Result<()> {
    let switched = tokio::task::spawn_blocking(move || {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let name = netdevice::index_to_name(&any, index.0)?;
        std::fs::write(format!("{SETTINGS}/{name}/disable_ipv6"), "1")
    });
    match switched.await.map_err(io::Error::other).flatten() {
        // The link is gone, or the kernel has no IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_gone(&error) => Ok(()),
        switched => switched,
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}
