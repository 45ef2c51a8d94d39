//! Does a full packet of a tunnel fit into one of the link to its server?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Finding;
use crate::firewall::Server;

const CHECK: &str = "mtu";
const LINKS: &str = "/sys/class/net";

/// What goes around a tunnel's packet, bytes: IPv4 20, GRE with both numbers 16 (RFC 2637, 4.1), PPP
/// with address, control and protocol 4, MPPE with the protocol within 4 (RFC 3078, 3).
const AROUND: u32 = 44;

pub(super) fn check(mtu: u16, servers: &[Server]) -> Finding {
    judge(mtu, servers, Path::new(LINKS))
}

fn judge(mtu: u16, servers: &[Server], links: &Path) -> Finding {
    let mut narrow: BTreeMap<&str, u32> = BTreeMap::new();
    for link in servers.iter().filter_map(|server| server.link.as_deref()) {
        if let Some(of_link) = mtu_of(links, link)
            && of_link < u32::from(mtu) + AROUND
        {
            narrow.insert(link, of_link);
        }
    }
    let Some(fits) = narrow.values().min().map(|least| least.saturating_sub(AROUND)) else {
        return Finding::ok(
            CHECK,
            format!("packets of {mtu} bytes fit the links to the servers (tunnel.mtu)"),
        );
    };
    let told: Vec<String> = narrow.iter().map(|(link, mtu)| format!("{link} has {mtu}")).collect();
    let message = format!(
        "tunnel.mtu is {mtu}, so a full packet has {} bytes on the link to a server, but {}: it is cut in two",
        u32::from(mtu) + AROUND,
        told.join(", ")
    );
    Finding::warning(CHECK, message, format!("set tunnel.mtu and tunnel.mru to {fits} or less"))
}

fn mtu_of(links: &Path, link: &str) -> Option<u32> {
    fs::read_to_string(links.join(link).join("mtu")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn finding(mtu: u16, of_link: &str) -> Finding {
        let links = tempfile::tempdir().unwrap();
        fs::create_dir(links.path().join("eth0")).unwrap();
        fs::write(links.path().join("eth0/mtu"), of_link).unwrap();
        let server = |link: Option<&str>| Server {
            address: [10, 9, 0, 2].into(),
            link: link.map(str::to_owned),
        };
        judge(mtu, &[server(Some("eth0")), server(None), server(Some("gone"))], links.path())
    }

    #[test]
    fn a_tunnel_fits_up_to_the_last_byte() {
        assert_eq!(finding(1400, "1444\n").verdict, Verdict::Ok);
        let finding = finding(1400, "1443\n");
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(
            finding.message.contains("packet has 1444 bytes")
                && finding.message.contains("eth0 has 1443"),
            "{finding:?}"
        );
        assert_eq!(finding.remedy.unwrap(), "set tunnel.mtu and tunnel.mru to 1399 or less");
    }
}
