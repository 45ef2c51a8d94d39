//! What the configuration means to calls of this engine.

use std::time::Duration;

use crate::config::{Config, InterfaceName};
use crate::node::{Mppe, Node};
use crate::pptp::Encryption;

/// What later dials go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(super) mtu: u16,
    pub(super) mru: u16,
    /// Where the row says nothing.
    mppe: Mppe,
    mppe_stateful: bool,
    pub(super) interface_name: InterfaceName,
    pub(super) default_route: bool,
    pub(super) use_peer_dns: bool,
    pub(super) peer_route: bool,
    /// Zero is never.
    pub(super) echo_interval: Duration,
    pub(super) echo_failures: u32,
    pub(super) dial_timeout: Duration,
}

impl Options {
    pub(super) fn encryption(&self, node: &Node) -> Encryption {
        match node.mppe.unwrap_or(self.mppe) {
            Mppe::Require => {
                Encryption::Required { stateful: self.mppe_stateful, short_key: false }
            }
            Mppe::Off => Encryption::Off,
        }
    }

    /// The name that a node's link is to have, where it is named after its node.
    pub(super) fn link_name(&self, node: &Node) -> Option<String> {
        match self.interface_name {
            InterfaceName::Kernel => None,
            InterfaceName::Node => Some(node.id.link_name()),
        }
    }
}

impl From<&Config> for Options {
    fn from(config: &Config) -> Self {
        let tunnel = &config.tunnel;
        let echo_interval = tunnel.lcp_echo_interval.get();
        let is_asked = !echo_interval.is_zero();
        Options {
            mtu: tunnel.mtu,
            mru: tunnel.mru,
            mppe: tunnel.mppe,
            mppe_stateful: tunnel.mppe_stateful,
            interface_name: tunnel.interface_name,
            default_route: tunnel.default_route,
            use_peer_dns: tunnel.use_peer_dns,
            peer_route: config.routing.peer_route,
            echo_interval,
            echo_failures: if is_asked { tunnel.lcp_echo_failure.into() } else { 0 },
            dial_timeout: tunnel.dial_timeout.get(),
        }
    }
}
