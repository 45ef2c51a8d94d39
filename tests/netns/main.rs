//! The daemon on real netlink, files, SQLite and sockets, each test in a network namespace of its
//! own, with a fake pppd that makes real links. Needs root and `/dev/net/tun`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod database;
mod gateway;
mod marked;
mod namespace;
mod terminal;

mod absence;
mod adoption;
mod advertisements;
mod api;
mod backend;
mod broken_database;
mod broken_host;
mod completions;
mod dialing;
mod doctor;
mod engines;
mod events;
mod failures;
mod fake_pppd;
mod faults;
mod firewall;
mod golden;
mod holder;
mod holder_place;
mod hooks;
mod journal;
mod json_schemas;
mod judges;
mod kernel_truth;
mod kills;
mod memory;
mod names;
mod node_commands;
mod obstacles;
mod operator;
mod operator_socket;
mod outage;
mod paths;
mod peer_route;
mod plans;
mod pool;
mod probe;
mod processes;
mod programs;
mod prometheus;
mod purge;
mod recording;
mod redirects;
mod refused_address;
mod report;
mod routing;
mod rows;
mod server_routes;
mod setup;
mod signals;
mod state_kills;
mod surface;
mod systemd;
mod top;
mod traffic;
mod tunnels;
mod unguarded;
mod untouched;
mod versions;
mod ways;
mod when_down;
mod write_back;
mod writers;
