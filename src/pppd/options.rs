//! What the configuration means to every peer file.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, InterfaceName};
use crate::node::Mppe;

/// What stands in every peer file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
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
    pub pptp: PathBuf,
    /// Where each call's socket is.
    pub run_dir: PathBuf,
    /// The longest that a dial may take.
    pub dial_timeout: Duration,
}

impl Options {
    /// Whether the link of a call is named after its node.
    pub(super) fn names_links(&self) -> bool {
        self.interface_name == InterfaceName::Node
    }
}

impl From<&Config> for Options {
    fn from(config: &Config) -> Self {
        let tunnel = &config.tunnel;
        Options {
            mtu: tunnel.mtu,
            mru: tunnel.mru,
            mppe: tunnel.mppe,
            default_route: tunnel.default_route,
            use_peer_dns: tunnel.use_peer_dns,
            lcp_echo_interval: tunnel.lcp_echo_interval.get().as_secs(),
            lcp_echo_failure: tunnel.lcp_echo_failure,
            interface_name: tunnel.interface_name,
            extra_options: tunnel.extra_options.clone(),
            pptp: config.paths.pptp.clone(),
            run_dir: config.paths.run_dir.clone(),
            dial_timeout: tunnel.dial_timeout.get(),
        }
    }
}
