//! Connexa holds PPTP tunnels up from a Linux gateway.
//!
//! The pure heart is [`core`]: events in, effects out, no clock and no I/O. Everything else
//! either turns the outside world into events or carries effects out; [`supervisor`] joins them.

mod atomic_file;
pub mod backend;
pub mod cli;
mod command;
pub mod config;
pub mod control;
pub mod core;
pub mod desired;
pub mod doctor;
pub mod exit;
pub mod firewall;
pub mod hooks;
pub mod host;
pub mod kernel;
mod netlink;
pub mod node;
pub mod once;
pub mod pppd;
pub mod printable;
pub mod probe;
mod process;
pub mod recording;
pub mod routing;
pub mod signals;
pub mod stopped;
pub mod supervisor;
pub mod systemd;
pub mod telemetry;
pub mod watch;
