//! What the daemon tells systemd (sd_notify(3)).

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::gateway::Gateway;

/// systemd's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    /// Starts the daemon as systemd does.
    fn start(gateway: &mut Gateway) -> Self {
        let path = gateway.path("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let socket = path.to_str().unwrap();
        gateway.start_with(&[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "300000")]);
        Manager(manager)
    }

    /// Waits for a message with this line, and gives it whole.
    fn wait(&self, wanted: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = match self.0.recv(&mut buffer) {
                // The end of another test's child, told to whichever thread.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                received => received.expect(wanted),
            };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|line| line == wanted) {
                return message;
            }
        }
    }
}

#[test]
fn systemd_is_told_of_readiness_reload_and_stop() {
    let mut gateway = Gateway::new();
    let manager = Manager::start(&mut gateway);
    manager.wait("READY=1");
    gateway.signal(Signal::HUP);
    let reloading = manager.wait("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "Type=notify-reload needs it: {reloading}");
    manager.wait("READY=1");
    gateway.end(Signal::TERM);
    manager.wait("STOPPING=1");
}

#[test]
fn a_reload_that_fails_ends_too() {
    let mut gateway = Gateway::new();
    let manager = Manager::start(&mut gateway);
    manager.wait("READY=1");
    gateway.configure_raw("nonsense");
    gateway.signal(Signal::HUP);
    manager.wait("RELOADING=1");
    manager.wait("READY=1");
}

#[test]
fn the_watchdog_is_patted_again_and_again() {
    let mut gateway = Gateway::new();
    let manager = Manager::start(&mut gateway);
    for _ in 0..5 {
        manager.wait("WATCHDOG=1");
    }
}

#[test]
fn a_daemon_without_a_database_is_ready_all_the_same() {
    let mut gateway = Gateway::without_database("");
    let manager = Manager::start(&mut gateway);
    manager.wait("READY=1");
}
