//! What the configuration means to the core.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Curve;
use crate::config::{Config, InterfaceName};
use crate::node::Mppe;

/// The rules that the core goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Dials under way at once on this host.
    pub dial_concurrency: u32,
    /// From the start of pppd to addresses on the link.
    pub dial_timeout: Duration,
    /// From TERM to KILL.
    pub stop_grace: Duration,
    /// Waits between failed dials.
    pub backoff: Curve,
    /// Up for this long, a tunnel's failures are forgotten.
    pub stable_after: Duration,
    /// Authentication refusals in a row that end the tries.
    pub quarantine_after: u32,
    /// Leave tunnels up when the daemon stops.
    pub keep_on_exit: bool,
    /// When an outage is declared.
    pub outage: OutagePolicy,
    /// What stands in every peer file.
    pub peer: PeerOptions,
}

/// When an outage is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutagePolicy {
    /// How long a window is.
    pub interval: Duration,
    /// Empty windows in a row that make an outage.
    pub windows: u32,
    /// From the daemon's start to the first window.
    pub startup_delay: Duration,
    /// Whether an empty desired set counts.
    pub restart_with_no_nodes: bool,
    /// The longest that a restart can take, from the command to the open port.
    pub restart_limit: Duration,
}

/// What stands in every peer file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerOptions {
    /// Largest packet sent, bytes.
    pub mtu: u16,
    /// Largest packet received, bytes.
    pub mru: u16,
    /// Encryption, where the row says nothing.
    pub mppe: Mppe,
    /// Let the tunnel take the default route.
    pub default_route: bool,
    /// Let the tunnel rewrite the resolver.
    pub use_peer_dns: bool,
    /// Seconds between echo requests; 0 is never.
    pub lcp_echo_interval: u64,
    /// Unanswered requests before the tunnel is given up.
    pub lcp_echo_failure: u16,
    /// How links are named.
    pub interface_name: InterfaceName,
    /// More pppd options, one a line.
    pub extra_options: Vec<String>,
    /// The pptp program.
    pub pptp: String,
}

impl PeerOptions {
    /// Whether the link of a call is named after its node.
    pub fn names_links(&self) -> bool {
        self.interface_name == InterfaceName::Node
    }
}

impl From<&Config> for Policy {
    fn from(config: &Config) -> Self {
        let tunnel = &config.tunnel;
        let backend = &config.backend;
        Policy {
            dial_concurrency: tunnel.dial_concurrency,
            dial_timeout: tunnel.dial_timeout.get(),
            stop_grace: tunnel.stop_grace.get(),
            backoff: Curve {
                min: tunnel.backoff.min.get(),
                max: tunnel.backoff.max.get(),
                jitter_permille: permille(tunnel.backoff.jitter),
            },
            stable_after: tunnel.stable_after.get(),
            quarantine_after: tunnel.quarantine_after,
            keep_on_exit: tunnel.keep_on_exit,
            outage: OutagePolicy {
                interval: config.outage.interval.get(),
                windows: config.outage.windows,
                startup_delay: config.outage.startup_delay.get(),
                restart_with_no_nodes: config.outage.restart_with_no_nodes,
                restart_limit: backend.restart_timeout.get() + backend.ready_timeout.get(),
            },
            peer: PeerOptions {
                mtu: tunnel.mtu,
                mru: tunnel.mru,
                mppe: tunnel.mppe,
                default_route: tunnel.default_route,
                use_peer_dns: tunnel.use_peer_dns,
                lcp_echo_interval: tunnel.lcp_echo_interval.get().as_secs(),
                lcp_echo_failure: tunnel.lcp_echo_failure,
                interface_name: tunnel.interface_name,
                extra_options: tunnel.extra_options.clone(),
                pptp: config.paths.pptp.display().to_string(),
            },
        }
    }
}

/// A share of 0.0 to 1.0 in thousandths, without a float cast.
fn permille(share: f64) -> u16 {
    (0..=1000_u16).rev().find(|&n| f64::from(n) / 1000.0 <= share + 1e-9).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_become_thousandths() {
        assert_eq!([0.0, 0.2, 0.123, 1.0].map(super::permille), [0, 200, 123, 1000]);
    }
}
