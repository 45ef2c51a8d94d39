//! Packets that are marked for a node: sent without end, and counted by the link that they leave by.

use std::process::Stdio;

use crate::gateway::Gateway;
use crate::namespace::{Running, run};

/// Sends as fast as it can what bears the mark that it is told.
const SENDER: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 36, int(sys.argv[1]))  # SO_MARK
s.bind(('0.0.0.0', 0))
while True:
    try:
        s.sendto(b'secret', ('198.51.100.99', 9))
    except OSError:
        pass
";

/// Begins to send.
pub(crate) fn send(gateway: &Gateway, mark: u32) -> Running {
    let mut python = gateway.namespace.command("/usr/bin/python3");
    python.args(["-IS", "-c", SENDER]).arg(mark.to_string());
    Running(python.stdin(Stdio::null()).spawn().unwrap())
}

/// Counts them from now on, before anything else can take them: as `leaked` on the uplink, as `carried` on a
/// tunnel's link.
pub(crate) fn watch(gateway: &Gateway, mark: u32) {
    let table = format!(
        "table inet watch {{
            counter leaked {{ }}
            counter carried {{ }}
            chain out {{
                type filter hook postrouting priority -300;
                meta mark {mark} oifname \"wan\" counter name leaked
                meta mark {mark} oifname \"ppp*\" counter name carried
            }}
        }}"
    );
    let file = gateway.path("watch.nft");
    std::fs::write(&file, table).unwrap();
    run(gateway.namespace.command("nft").arg("-f").arg(file));
}

/// How many were counted so far.
pub(crate) fn counted(gateway: &Gateway, counter: &str) -> u64 {
    let mut nft = gateway.namespace.command("nft");
    let text = run(nft.args(["list", "counter", "inet", "watch", counter]));
    let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).unwrap().parse().unwrap()
}

/// Returns when one more has gone into a tunnel.
pub(crate) fn wait_carried(gateway: &Gateway) {
    let before = counted(gateway, "carried");
    gateway
        .wait_for("packets in the tunnel", || (counted(gateway, "carried") > before).then_some(()));
}
