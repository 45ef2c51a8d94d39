//! Connexa holds PPTP tunnels up from a Linux gateway.
//!
//! The pure heart is [`core`]: events in, effects out, no clock and no I/O. Everything else
//! either turns the outside world into events or carries effects out; [`supervisor`] joins them.

mod atomic_file;
pub mod backend;
pub mod cli;
mod command;
pub mod command_line;
pub mod config;
pub mod control;
pub mod core;
mod desired;
pub mod doctor;
mod engines;
pub mod exit;
mod firewall;
#[cfg(test)]
#[path = "../tests/fuzz/mod.rs"]
mod fuzz;
mod hooks;
mod host;
mod kernel;
mod link_name;
mod netlink;
pub mod node;
pub mod once;
mod os_answer;
mod pppd;
pub mod pptp;
mod printable;
mod probe;
mod process;
pub mod purge;
pub mod recording;
mod routing;
pub mod runtime;
mod sentences;
mod signals;
mod stopped;
pub mod supervisor;
mod surroundings;
pub mod systemd;
pub mod telemetry;
pub mod unknown;
pub mod version;
mod watch;
