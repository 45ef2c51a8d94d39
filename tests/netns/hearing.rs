//! A daemon that was deaf for a while knows the kernel's truth again.

use std::fmt::Write;

use rustix::process::Signal;

use crate::gateway::Gateway;

/// What one unread link message takes of a socket's receive buffer at the very least, in bytes.
const MESSAGE: u32 = 1024;

/// Stops the daemon and makes the kernel tell more than its socket can hold; then takes down the
/// link of node 1, which only the lost messages told of, and lets the daemon go on.
fn overrun(gateway: &Gateway, receive_buffer: u32) {
    gateway.signal(Signal::STOP);
    let mut flood = String::new();
    for number in 0..receive_buffer / MESSAGE {
        writeln!(flood, "link set lo mtu {}", 50_000 + number % 2).unwrap();
    }
    let file = gateway.path("flood");
    std::fs::write(&file, flood).unwrap();
    gateway.namespace.ip(&["-batch", file.to_str().unwrap()]);
    gateway.namespace.ip(&["link", "set", "ppp0", "down"]);
    gateway.signal(Signal::CONT);
}

#[test]
fn what_was_lost_in_an_overrun_is_found_by_a_full_read() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let before = gateway.start().wait_until("up", |s| s.counts.get("up") == Some(&1));
    overrun(&gateway, before.kernel.receive_buffer);
    gateway.wait_log("Tunnel for node 1 is DOWN on ppp0");
    let after = gateway.wait_until("up anew", |status| {
        status.counts.get("up") == Some(&1) && status.nodes[0].pid != before.nodes[0].pid
    });
    assert!(after.kernel.overruns > before.kernel.overruns, "{:?}", after.kernel);
    assert!(after.kernel.resyncs > before.kernel.resyncs, "{:?}", after.kernel);
}
