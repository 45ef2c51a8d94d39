//! Switches off what the kernel would let a server do through the link of its tunnel.
//!
//! IPv6: pppd is told to negotiate none (`noipv6`), but the kernel takes IPv6 packets from a PPP link
//! all the same (`npmode` in its drivers/net/ppp/ppp_generic.c), and with them router advertisements: one
//! that is sent to another address of the host makes the server the host's IPv6 router. Without IPv6 on
//! the link they are dropped, and the kernel removes what earlier ones have set.
//!
//! ICMP redirects: one that names a gateway of the host as its sender changes the host's way to any
//! address. On a link that does not forward, the kernel takes them where either the link's setting or
//! that of `all` allows it, and on others where both do (`IN_DEV_RX_REDIRECTS` in its
//! linux/inetdevice.h). So the setting of `all` goes, too, but only where no other link behaves otherwise
//! without it.

use std::collections::BTreeSet;
use std::io;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use tokio::sync::watch;

use super::Wanted;
use crate::core::event::{CallId, IfIndex};

/// Folders of a link's settings (ip-sysctl.rst in the kernel's documentation).
const IPV6: &str = "/proc/sys/net/ipv6/conf";
const IPV4: &str = "/proc/sys/net/ipv4/conf";
const REDIRECTS: &str = "accept_redirects";
const FORWARDING: &str = "forwarding";

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
            let ours = links.iter().map(|(index, _)| *index).collect();
            if let Err(error) = switch_off(link.0, ours).await {
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
async fn switch_off(index: IfIndex, ours: Vec<IfIndex>) -> io::Result<()> {
    let switched = tokio::task::spawn_blocking(move || {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let name = match netdevice::index_to_name(&any, index.0) {
            Err(error) if error == Errno::NODEV => return Ok(()),
            name => name?,
        };
        set(&format!("{IPV6}/{name}/disable_ipv6"), "1")?;
        set(&format!("{IPV4}/{name}/{REDIRECTS}"), "0")?;
        let names = ours.iter().flat_map(|index| netdevice::index_to_name(&any, index.0));
        no_redirects_by_all(&name, &names.collect())
    });
    switched.await.map_err(io::Error::other).flatten()
}

/// The link of this name takes no redirects by the setting of `all`. `ours` are the links that may
/// behave otherwise from now on.
fn no_redirects_by_all(name: &str, ours: &BTreeSet<String>) -> io::Result<()> {
    let is_on = |link: &str, setting: &str| {
        std::fs::read_to_string(format!("{IPV4}/{link}/{setting}")).is_ok_and(|on| on.trim() == "1")
    };
    if is_on(name, FORWARDING) || !is_on("all", REDIRECTS) {
        return Ok(());
    }
    for link in std::fs::read_dir(IPV4)? {
        let link = link?.file_name().to_string_lossy().into_owned();
        // Of `all`, without that of `all`: where it forwards both are needed, and elsewhere one.
        let would_change = is_on(&link, FORWARDING) == is_on(&link, REDIRECTS);
        if link != "all" && !ours.contains(&link) && would_change {
            let why = format!(
                "net.ipv4.conf.all.{REDIRECTS} is 1, and is left so for the sake of {link}; set it to 0"
            );
            return Err(io::Error::other(why));
        }
    }
    set(&format!("{IPV4}/all/{REDIRECTS}"), "0")?;
    tracing::info!(
        "net.ipv4.conf.all.accept_redirects is 0 from now on: no server may change this host's ways; other \
         links go by their own settings, as before"
    );
    Ok(())
}

/// Where there is no such setting, the link is gone, or the kernel has no IPv6.
fn set(setting: &str, value: &str) -> io::Result<()> {
    match std::fs::write(setting, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written,
    }
}
