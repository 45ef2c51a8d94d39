//! What the daemon tells systemd (sd_notify(3)).

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::database::SCHEMA;
use crate::gateway::Gateway;
use crate::namespace::{Running, kill, run};

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
        self.find(wanted, |line| line == wanted)
    }

    /// Waits for a message with a line that begins so, and gives it whole.
    fn begins(&self, wanted: &str) -> String {
        self.find(wanted, |line| line.starts_with(wanted))
    }

    /// Takes what was told so far.
    fn forget(&self) {
        self.0.set_nonblocking(true).unwrap();
        while self.0.recv(&mut [0; 4096]).is_ok() {}
        self.0.set_nonblocking(false).unwrap();
    }

    fn find(&self, wanted: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = match self.0.recv(&mut buffer) {
                // The end of another test's child, told to whichever thread.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                received => received.expect(wanted),
            };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(&is_it) {
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

/// Or systemd would end it, for want of a sign of life.
#[test]
fn a_daemon_without_a_free_descriptor_shows_that_it_lives() {
    let mut gateway = Gateway::new();
    let manager = Manager::start(&mut gateway);
    manager.wait("READY=1");
    let daemon = gateway.status().unwrap().daemon.pid;
    run(Command::new("prlimit").arg("--pid").arg(daemon.to_string()).arg("--nofile=3:"));
    manager.forget();
    // The first one may have been on its way.
    for _ in 0..3 {
        manager.wait("WATCHDOG=1");
    }
}

#[test]
fn the_units_status_is_the_whole_in_a_line_until_the_end() {
    let mut gateway = Gateway::configured("tunnel.quarantine_after = 1");
    gateway.nodes(2);
    gateway.server("10.9.0.3", &json!({ "password": "another" }));
    gateway.node(3, "10.9.0.3", "secret");
    gateway.node(4, "nowhere", "secret");
    let manager = Manager::start(&mut gateway);
    manager.wait("STATUS=2 up, 1 quarantined, 1 invalid; outage check 0 of 3");
    run(&mut gateway.connexactl(&["stop", "2"]));
    manager.wait("STATUS=1 up, 1 quarantined, 1 stopped, 1 invalid; outage check 0 of 3");
    gateway.end(Signal::TERM);
    manager.wait("STATUS=stopped; 1 tunnel stays up");
}

#[test]
fn what_can_not_be_used_is_told_in_the_units_status_until_it_can() {
    let mut gateway = Gateway::without_database("");
    let manager = Manager::start(&mut gateway);
    let status =
        manager.begins("STATUS=0 up; outage check 0 of 3; the node database can't be used: ");
    assert!(status.contains("connexa.db"), "{status}");
    gateway.sql(SCHEMA);
    manager.wait("STATUS=0 up; outage check 0 of 3");
}

#[test]
fn a_reload_that_is_refused_ends_and_is_told_until_one_is_not() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let manager = Manager::start(&mut gateway);
    manager.wait("STATUS=1 up; outage check 0 of 3");
    gateway.configure_raw("nonsense");
    gateway.signal(Signal::HUP);
    manager.wait("RELOADING=1");
    let status = manager
        .begins("STATUS=1 up; outage check 0 of 3; reload refused, the old configuration stays: ");
    assert!(status.contains("connexad.toml"), "{status}");
    manager.wait("READY=1");
    gateway.configure("");
    gateway.signal(Signal::HUP);
    manager.wait("RELOADING=1");
    manager.wait("STATUS=1 up; outage check 0 of 3");
    manager.wait("READY=1");
}

#[test]
fn a_start_that_is_refused_says_why_in_the_units_status() {
    let mut gateway = Gateway::new();
    gateway.configure_raw("[tunnel]\nmtu = 'many'\n[outage]\nwindows = 0\n");
    let manager = Manager::start(&mut gateway);
    let status = manager.begins("STATUS=");
    assert!(status.contains("connexad.toml: line 2") && status.contains("windows"), "{status}");
    let mut first = Gateway::new();
    first.start().wait_until("an answer", |_| true);
    fs::copy(first.path("connexad.toml"), gateway.path("connexad.toml")).unwrap();
    gateway.start_with(&[("NOTIFY_SOCKET", gateway.path("notify").to_str().unwrap())]);
    let status = manager.begins("STATUS=");
    assert!(status.contains("another connexad"), "{status}");
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

/// A pipe that is full, and that nobody reads while its reading end is kept.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_log_that_nobody_takes_stalls_no_tunnel() {
    let gateway = Gateway::configured("log.level = \"debug\"");
    gateway.nodes(2);
    let (_nobody_reads, log) = full_pipe();
    let _daemon = Running(gateway.connexad(&[]).stderr(log).spawn().unwrap());
    let pid = gateway.wait_state(2, "up").pid;
    kill(pid.unwrap(), Signal::KILL);
    gateway.wait_node(2, "up again", |node| node.state == "up" && node.pid != pid);
}

#[test]
fn a_service_manager_that_reads_nothing_stalls_no_tunnel() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let path = gateway.path("notify");
    let _nobody_reads = UnixDatagram::bind(&path).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"x", &path).is_ok() {}
    gateway.start_with(&[("NOTIFY_SOCKET", path.to_str().unwrap())]).wait_state(1, "up");
    gateway.signal(Signal::HUP);
    gateway.wait_log("Configuration reloaded");
    gateway.server("10.9.0.2", &serde_json::json!({}));
    gateway.node(2, "10.9.0.2", "secret");
    gateway.wait_state(2, "up");
}
