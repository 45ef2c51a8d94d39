//! The control API: HTTP/1.1 over a Unix socket, JSON.

mod answers;
pub mod api;
pub mod client;
pub mod lock;
pub mod question;
pub mod server;
pub mod shown;
pub mod socket;
