//! Switches off what the kernel would let a server do through the link of its tunnel.
//!
//! IPv6: pppd is told to negotiate none (`noipv6`), but the kernel takes IPv6 packets from a PPP link
//! all the same (`npmode` in its drivers/net/ppp/ppp_generic.c), and with them router advertisements: one
//! that is sent to another address of the host makes the server the host's IPv6 router. Without IPv6 on
//! the link they are dropped, and the kernel removes what earlier ones have set.
//!
//! ICMP redirects: one that names a gateway of the host as its sender changes the host's way to any
//! address. Where the host does not forward, the kernel takes them also if the setting of all links
//! allows it (ip-sysctl.rst), which is the operator's; doctor looks at it.

use std::collections::BTreeSet;
use std::io;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use tokio::sync::watch;

use super::Wanted;
use crate::core::event::{CallId, IfIndex};

/// Folders of a link's settings (ip-sysctl.rst in the kernel's documentation).
const IPV6: &str = "/proc/sys/net/ipv6/conf";
const IPV4: &str = "/proc/sys/net/ipv4/conf";

/// Switches them off on each link when it is known to be that of a call, until the end.
pub(super) async fn run(mut wanted: watch::Receiver<Wanted>) {
    let mut done: BTreeSet<(IfIndex, CallId)> = BTreeSet::new();
    let mut told = BTreeSet::new();
    loop {
        let links: BTreeSet<_> = {
            let wanted = wanted.borrow_and_update();
            if wanted.ending {
                return;
            }
            wanted.links.values().copied().collect()
        };
        let mut failed = BTreeSet::new();
        for link in links.difference(&done) {
            if let Err(error) = switch_off(link.0).await {
                failed.insert(*link);
                let text = error.to_string();
                if !told.contains(&text) {
                    tracing::error!(
                        "IPv6 and ICMP redirects can't be switched off on the links of tunnels: {text}; a server \
                         may make itself this host's IPv6 router, or change its ways; let connexad write to \
                         {IPV6} and {IPV4}, or set net.ipv6.conf.default.accept_ra = 0 and \
                         net.ipv4.conf.default.accept_redirects = 0"
                    );
                    told.insert(text);
                }
            }
        }
        // Those that failed are tried again when there is a change.
        done = &links - &failed;
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// The kernel may make the writer wait for its lock.
async fn switch_off(index: IfIndex) -> io::Result<()> {
    let switched = tokio::task::spawn_blocking(move || {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let name = match netdevice::index_to_name(&any, index.0) {
            Err(error) if error == rustix::io::Errno::NODEV => return Ok(()),
            name => name?,
        };
        set(&format!("{IPV4}/{name}/accept_redirects"), "0")?;
        set(&format!("{IPV6}/{name}/disable_ipv6"), "1")
    });
    switched.await.map_err(io::Error::other).flatten()
}

/// Where there is no such setting, the link is gone, or the kernel has no IPv6.
fn set(setting: &str, value: &str) -> io::Result<()> {
    match std::fs::write(setting, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written,
    }
}
