//! The control API: HTTP/1.1 over a Unix socket, JSON.

pub mod api;
pub mod client;
pub mod server;
pub mod socket;
