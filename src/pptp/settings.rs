//! What a call is made with.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::node::Secret;

/// All that is fixed before a call begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server that the control connection goes to.
    pub server: Ipv4Addr,
    /// The call id that the call socket is bound to.
    pub own_call_id: u16,
    /// The login; `DOMAIN\login` is sent as it is and hashed without the domain.
    pub login: String,
    /// The password; not known yet where a call of an earlier daemon is taken over.
    pub password: Option<Secret>,
    /// Whether packets are encrypted.
    pub encryption: Encryption,
    /// Largest packet sent, bytes.
    pub mtu: u16,
    /// Largest packet received, bytes.
    pub mru: u16,
    /// Whether the server is asked for resolvers.
    pub ask_resolvers: bool,
    /// How long a PPP frame that answers one of ours is waited for.
    pub answered_within: Duration,
    /// After how many echoes without any answer the call ends; 0 sends no echo.
    pub echo_failures: u32,
}

/// What is wanted of MPPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// None: a server that wants it is told that there is none.
    Off,
    /// MPPE or no call.
    Required {
        /// Also the stateful mode, where the server offers nothing else.
        stateful: bool,
        /// Also 40 bit, where the server offers nothing else.
        short_key: bool,
    },
}
