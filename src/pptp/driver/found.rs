//! Tunnels of an earlier daemon, as its holder keeps them: each is looked at, and taken over whole or
//! not at all.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};

use super::Found;
use super::blocking::Threads;
use super::data::{self, Fault, Link};
use super::state::{State, StateError};
use crate::core::event::{CallId, FoundCall};
use crate::pptp::holder::{Connection, HolderError, Kept};
use crate::pptp::sys;
use crate::process::is_want;

/// A tunnel that is whole.
pub(super) struct Whole {
    pub(super) state: State,
    pub(super) control: TcpStream,
    pub(super) parts: Parts,
}

/// What it has in the kernel.
pub(super) struct Parts {
    pub(super) socket: OwnedFd,
    /// Made anew from the call socket.
    pub(super) channel: OwnedFd,
    pub(super) unit: OwnedFd,
    pub(super) link: Link,
}

/// Why a tunnel can't be taken over.
#[derive(Debug, thiserror::Error)]
enum NotWhole {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("its control connection is closed ({0})")]
    Control(#[source] io::Error),
    #[error("its call is closed ({0})")]
    Call(#[source] Fault),
    #[error("its interface is gone ({0})")]
    Link(#[source] io::Error),
    #[error("its interface is another one's")]
    AnothersUnit,
}

impl NotWhole {
    /// It can't be looked at for want of descriptors or memory.
    fn is_want(&self) -> bool {
        match self {
            NotWhole::State(_) | NotWhole::AnothersUnit => false,
            NotWhole::Control(source) | NotWhole::Link(source) => is_want(source),
            NotWhole::Call(Fault::Refused { source, .. }) => is_want(source),
            NotWhole::Call(
                Fault::NoSupport(_)
                | Fault::IdTaken(_)
                | Fault::NoCallId
                | Fault::Link(_)
                | Fault::TooEarly(_),
            ) => false,
        }
    }
}

/// What the holder keeps, whole. What is not is told, and ends where others
/// are taken over.
///
/// # Errors
/// When there is a holder and it does not say what it keeps, or that can't be looked at.
pub(super) async fn look(
    place: &Path,
    threads: &Threads,
    mode: Found,
) -> Result<(Option<Connection>, Vec<Whole>), HolderError> {
    let Some(connection) = Connection::open(place)? else { return Ok((None, Vec::new())) };
    let mut found = Vec::new();
    for (number, kept) in connection.all().await? {
        match threads.run(move || whole(kept)).await {
            Ok(whole) => found.push(whole),
            // Nothing is known of it, then: it may well be up.
            Err(why) if why.is_want() => return Err(HolderError::Unseen(why.to_string())),
            Err(why) if mode == Found::TakeOver => {
                tracing::warn!("A tunnel of an earlier daemon can't be taken over and ends: {why}");
                if let Err(error) = connection.let_go(number).await {
                    tracing::warn!("What is left of that tunnel may stay: {error}");
                }
            }
            Err(why) => tracing::warn!("A tunnel of an earlier daemon is not whole: {why}"),
        }
    }
    Ok((Some(connection), found))
}

fn whole(kept: Kept) -> Result<Whole, NotWhole> {
    let state = State::parse(&kept.state)?;
    let [control, socket, unit] = kept.descriptors;
    let control = TcpStream::from(control);
    control.peer_addr().map_err(NotWhole::Control)?;
    let channel = data::channel_of(&socket).map_err(NotWhole::Call)?;
    let number = sys::unit_of(&unit).map_err(|error| NotWhole::Link(error.into()))?;
    if number != state.unit {
        return Err(NotWhole::AnothersUnit);
    }
    let name = link_name(state.link).map_err(NotWhole::Link)?;
    let link = Link { index: state.link, name, unit: number };
    Ok(Whole { state, control, parts: Parts { socket, channel, unit, link } })
}

fn link_name(index: u32) -> io::Result<String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(index_to_name(socket, index)?)
}

/// For the core, with the number that each goes by.
pub(super) fn calls(found: &[Whole]) -> Vec<FoundCall> {
    let numbered = (0..).map(CallId::Found).zip(found);
    numbered.map(|(call, whole)| whole.state.found(call, whole.parts.link.name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_tunnel_that_can_not_be_looked_at_for_want_of_descriptors_is_not_taken_for_gone() {
        let call = |errno: Errno| {
            NotWhole::Call(Fault::Refused { what: "open /dev/ppp", source: errno.into() })
        };
        for want in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert!(call(want).is_want() && NotWhole::Link(want.into()).is_want(), "{want}");
        }
        assert!(!call(Errno::NXIO).is_want() && !NotWhole::Link(Errno::NODEV.into()).is_want());
    }
}
