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
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use tokio::sync::watch;

use super::links::Links;
use crate::core::event::{CallId, IfIndex};

/// Folders of a link's settings (ip-sysctl.rst in the kernel's documentation).
const IPV6: &str = "/proc/sys/net/ipv6/conf";
const IPV4: &str = "/proc/sys/net/ipv4/conf";
const REDIRECTS: &str = "accept_redirects";
const FORWARDING: &str = "forwarding";
/// Folders that are no link's: that of all links, and what new ones begin with.
const NO_LINKS: [&str; 2] = ["all", "default"];

/// Switches them off on each link when it is known to be that of a call, until the end.
pub(super) async fn run(mut links: watch::Receiver<Links>) {
    let mut done: BTreeSet<(IfIndex, CallId)> = BTreeSet::new();
    let mut told = BTreeSet::new();
    loop {
        let now: BTreeSet<_> = {
            let links = links.borrow_and_update();
            if links.ending {
                return;
            }
            links.last.values().map(|link| (link.index, link.call)).collect()
        };
        for link in now.difference(&done) {
            let ours = now.iter().map(|(index, _)| *index).collect();
            if let Err(error) = switch_off(link.0, ours).await {
                let text = error.to_string();
                if !told.contains(&text) {
                    tracing::error!(
                        "IPv6 and ICMP redirects can't be switched off on the links of tunnels: {text}; a server \
                         may make itself this host's IPv6 router, or change its ways; let connexad write to \
                         {IPV6} and {IPV4}, or set net.ipv6.conf.default.accept_ra = 0, \
                         net.ipv4.conf.all.accept_redirects = 0 and net.ipv4.conf.default.accept_redirects = 0"
                    );
                    told.insert(text);
                }
            }
        }
        // Those that failed, too: what a host refuses once it refuses again, and there may be thousands.
        done = now;
        if links.changed().await.is_err() {
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
        let names =
            || ours.iter().flat_map(|index| netdevice::index_to_name(&any, index.0)).collect();
        no_redirects_by_all(Path::new(IPV4), &name, names)
    });
    switched.await.map_err(io::Error::other).flatten()
}

/// The link of this name takes no redirects by the setting of `all`. `ours` are the links that may
/// behave otherwise from now on; they are asked for where that matters, for there may be thousands.
fn no_redirects_by_all(
    conf: &Path,
    name: &str,
    ours: impl FnOnce() -> BTreeSet<String>,
) -> io::Result<()> {
    let is_on = |link: &str, setting: &str| {
        let value = std::fs::read_to_string(conf.join(link).join(setting));
        value.is_ok_and(|on| on.trim() == "1")
    };
    if is_on(name, FORWARDING) || !is_on("all", REDIRECTS) {
        return Ok(());
    }
    let ours = ours();
    for link in std::fs::read_dir(conf)? {
        let link = link?.file_name().to_string_lossy().into_owned();
        // Of `all`, without that of `all`: where it forwards both are needed, and elsewhere one.
        let would_change = is_on(&link, FORWARDING) == is_on(&link, REDIRECTS);
        if !NO_LINKS.contains(&link.as_str()) && !ours.contains(&link) && would_change {
            let why = format!(
                "net.ipv4.conf.all.{REDIRECTS} is 1, and is left so for the sake of {link}; set it to 0"
            );
            return Err(io::Error::other(why));
        }
    }
    set(&format!("{}/all/{REDIRECTS}", conf.display()), "0")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Links, each with what its settings `forwarding` and `accept_redirects` are.
    fn host(links: &[(&str, [&str; 2])]) -> tempfile::TempDir {
        let conf = tempfile::tempdir().unwrap();
        for (link, values) in links {
            std::fs::create_dir(conf.path().join(link)).unwrap();
            for (setting, value) in [FORWARDING, REDIRECTS].into_iter().zip(values) {
                std::fs::write(conf.path().join(link).join(setting), value).unwrap();
            }
        }
        conf
    }

    /// What becomes of the setting of all links for the sake of `ppp0`, and what is said.
    fn all_for(host: &tempfile::TempDir) -> (String, Option<String>) {
        let ours = BTreeSet::from(["ppp0".to_owned()]);
        let done = no_redirects_by_all(host.path(), "ppp0", || ours);
        let all = std::fs::read_to_string(host.path().join("all").join(REDIRECTS)).unwrap();
        (all, done.err().map(|error| error.to_string()))
    }

    const ALL: (&str, [&str; 2]) = ("all", ["0", "1"]);
    const TUNNEL: (&str, [&str; 2]) = ("ppp0", ["0", "0"]);

    #[test]
    fn what_new_links_begin_with_keeps_no_setting_for_all_links() {
        let host = host(&[ALL, TUNNEL, ("eth0", ["0", "1"]), ("default", ["0", "0"])]);
        assert_eq!(all_for(&host), ("0".to_owned(), None));
    }

    #[test]
    fn a_link_that_goes_by_the_setting_of_all_links_keeps_it_and_is_named() {
        let host = host(&[ALL, TUNNEL, ("eth0", ["0", "0"])]);
        let (all, said) = all_for(&host);
        assert_eq!(all, "1");
        assert!(
            said.is_some_and(|said| said.contains("left so for the sake of eth0; set it to 0"))
        );
    }
}
