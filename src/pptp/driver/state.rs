//! What a daemon leaves for the next one of a tunnel that is up, beside its descriptors. No secret is
//! in it, and it stays as it is as long as the tunnel lasts.

use std::ffi::c_int;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::event::{CallId, Dialled, FoundCall};
use crate::node::{Engine, Mppe, NodeId};
use crate::pptp::Standing;

/// Of what stands here. A daemon that does not know it lets the tunnel go.
const VERSION: u8 = 1;

/// What a call was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) node: NodeId,
    pub(super) server: Ipv4Addr,
    pub(super) login: String,
    pub(super) mppe: Mppe,
    pub(super) own_call_id: u16,
}

/// A tunnel that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    version: u8,
    pub(super) made: Made,
    /// The index of its link.
    pub(super) link: u32,
    /// The number of its unit.
    pub(super) unit: c_int,
    pub(super) standing: Standing,
}

/// Why a state says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    /// Nothing that a daemon has written.
    #[error("what is kept with it can't be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// By a daemon of another time.
    #[error(
        "it is of a connexad that writes version {0} of its state, and this one knows {VERSION}"
    )]
    Version(u8),
}

/// As much as every version has.
#[derive(Deserialize)]
struct Any {
    version: u8,
}

impl State {
    pub(super) fn new(made: Made, link: u32, unit: c_int, standing: Standing) -> Self {
        State { version: VERSION, made, link, unit, standing }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Nothing in it can't be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let Any { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// For the core. The password is not known: one that has changed meanwhile is used at the next dial.
    pub(super) fn found(&self, call: CallId, link_name: String) -> FoundCall {
        let Made { node, server, login, mppe, .. } = self.made.clone();
        FoundCall {
            call,
            node,
            engine: Engine::Kernel,
            pid: None,
            interface: Some(link_name),
            renamed: false,
            dialled: Some(Dialled { server, login, password: None, mppe: Some(mppe) }),
            age: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(login: &str) -> State {
        let made = Made {
            node: NodeId(2),
            server: [10, 9, 0, 2].into(),
            login: login.to_owned(),
            mppe: Mppe::Require,
            own_call_id: 4711,
        };
        State::new(made, 7, 0, Standing { server_call_id: 0, magic: 0x0102_0304 })
    }

    #[test]
    fn the_next_daemon_reads_what_this_one_has_left() {
        let state = state("admin");
        assert_eq!(State::parse(&state.bytes()).unwrap(), state);
        // As a daemon of this version has written it once and for all.
        let written = r#"{"version":1,"made":{"node":2,"server":"10.9.0.2","login":"admin","mppe":"require","own_call_id":4711},"link":7,"unit":0,"standing":{"server_call_id":0,"magic":16909060}}"#;
        assert_eq!(String::from_utf8(state.bytes()).unwrap(), written);
    }

    #[test]
    fn the_longest_login_there_is_has_room() {
        assert!(state(&"\\".repeat(255)).bytes().len() < 1024);
    }

    #[test]
    fn another_version_and_garbage_are_told_apart() {
        let told = |text: &str| State::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(told(r#"{"version":2,"more":[]}"#).contains("writes version 2"));
        assert!(told("nothing").contains("can't be read"));
        assert!(told(r#"{"version":1}"#).contains("can't be read"));
    }
}
