//! The name that a node's link is to have.

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::core::failure::{Failure, FailureKind};

/// Judges the name that a node's link is to have, where there is one: it is to be free.
pub(crate) fn check(name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name.filter(|name| is_taken(name)) else { return Ok(()) };
    let message = format!("{name}, the name of its link, is another link's; rename that one");
    Err(Failure::new(FailureKind::NameTaken, message))
}

/// Whether a link of any kind has this name. Where that can't be asked, whoever names the link will find out.
fn is_taken(name: &str) -> bool {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None);
    socket.is_ok_and(|socket| name_to_index(socket, name).is_ok())
}
