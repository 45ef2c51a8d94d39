//! The control API: HTTP/1.1 over a Unix socket, JSON.

mod answers;
pub mod api;
pub mod client;
pub(crate) mod events;
mod figures;
pub(crate) mod lock;
mod nodes;
mod plan;
mod problem;
pub(crate) mod question;
pub(crate) mod server;
mod shared;
pub(crate) mod shown;
pub mod socket;
mod traffic;
