//! What the configuration means to calls of this engine.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use super::link::Ways;
use super::resolver;
use super::state::Made;
use crate::config::{Config, InterfaceName};
use crate::node::{Mppe, Node};
use crate::pptp::{Encryption, Settings};

/// How long an answer to our first PPP frames is waited for: long enough for a server that starts
/// pppd under load, and less than LCP's own tries take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);

/// That, in a dial which may take so long yet: a call that nobody answers is parted from before its
/// time is over, so that the reason gets its own name.
pub(super) fn answered_within(left: Duration) -> Duration {
    ANSWER_PATIENCE.min(left * 7 / 10)
}

/// What later dials go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    mtu: u16,
    mru: u16,
    /// Where the row says nothing.
    mppe: Mppe,
    mppe_stateful: bool,
    pub(super) interface_name: InterfaceName,
    default_route: bool,
    /// `tunnel.use_peer_dns`: where name servers are written to.
    resolver: Option<PathBuf>,
    peer_route: bool,
    /// Zero is never.
    pub(super) echo_interval: Duration,
    echo_failures: u32,
    pub(super) dial_timeout: Duration,
}

impl Options {
    /// What is wanted of encryption for a node.
    pub(super) fn mppe(&self, node: &Node) -> Mppe {
        node.mppe.unwrap_or(self.mppe)
    }

    /// A call's, but for its password.
    pub(super) fn settings(&self, made: &Made) -> Settings {
        let encryption = match made.mppe {
            Mppe::Require => {
                Encryption::Required { stateful: self.mppe_stateful, short_key: false }
            }
            Mppe::Off => Encryption::Off,
        };
        Settings {
            server: made.server,
            own_call_id: made.own_call_id,
            login: made.login.clone(),
            password: None,
            encryption,
            mtu: self.mtu,
            mru: self.mru,
            ask_resolvers: self.resolver.is_some(),
            answered_within: answered_within(self.dial_timeout),
            echo_failures: self.echo_failures,
        }
    }

    /// How the interface of a call to this server is to be.
    pub(super) fn ways(&self, server: Ipv4Addr) -> Ways {
        Ways {
            peer_route: self.peer_route,
            default_route: self.default_route,
            server,
            resolver: self.resolver.clone(),
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
            resolver: tunnel.use_peer_dns.then(|| resolver::file(&config.paths)),
            peer_route: config.routing.peer_route,
            echo_interval,
            echo_failures: if is_asked { tunnel.lcp_echo_failure.into() } else { 0 },
            dial_timeout: tunnel.dial_timeout.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_nobody_answers_is_over_before_its_dial_is() {
        // The longest that parting takes where the control connection is silent, too.
        let parting = Duration::from_millis(2_300);
        for seconds in [10, 20, 30, 300] {
            let dial_timeout = Duration::from_secs(seconds);
            assert!(answered_within(dial_timeout) + parting < dial_timeout);
        }
    }
}
