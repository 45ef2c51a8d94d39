//! What signals make the daemon do.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{CONNEXAD, Gateway};
use crate::namespace::{Running, kill, lives};

/// Whatever it could wait for takes an hour: a dial, a call that is to end, a back-off, a window.
#[test]
fn term_and_int_end_the_daemon_whatever_is_under_way() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut gateway = Gateway::configured(
            "tunnel = { dial_timeout = \"1h\", stop_grace = \"1h\", backoff = { min = \"1h\", max = \"1h\" } }",
        );
        gateway.nodes(4);
        gateway.server("10.9.0.2", &json!({ "answer": "silent" }));
        gateway.server("10.9.0.3", &json!({ "ignores_term": true }));
        gateway.server("10.9.0.4", &json!({ "answer": "gone" }));
        gateway.start().wait_state(1, "up");
        gateway.wait_state(2, "negotiating");
        gateway.wait_state(3, "up");
        gateway.wait_state(4, "backoff");
        gateway.sql("DELETE FROM nodes WHERE id = 3");
        gateway.wait_state(3, "stopping");
        assert_eq!(gateway.end(signal).code(), Some(0));
    }
}

#[test]
fn tunnels_stay_up_when_the_daemon_stops() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid.unwrap();
    gateway.end(Signal::TERM);
    assert!(lives(pid));
    assert!(gateway.namespace.ip(&["link", "show", "ppp0"]).contains("LOWER_UP"));
}

#[test]
fn hup_takes_a_new_configuration() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    gateway.configure("outage.windows = 5");
    gateway.signal(Signal::HUP);
    gateway.wait_until("five windows", |status| status.outage.consecutive_threshold == 5);
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
}

#[test]
fn hup_with_a_bad_configuration_keeps_the_old_one_and_says_so() {
    let mut gateway = Gateway::configured("outage.windows = 5");
    gateway.nodes(1);
    let pid = gateway.start().wait_state(1, "up").pid;
    gateway.configure_raw("[outage]\nwindow = 7\n");
    gateway.signal(Signal::HUP);
    gateway.wait_log("did you mean `windows`?");
    let status = gateway.wait_until("an answer", |_| true);
    assert_eq!(status.outage.consecutive_threshold, 5);
    assert_eq!(gateway.wait_state(1, "up").pid, pid);
}

#[test]
fn hup_leaves_a_new_pptp_to_the_next_start_like_all_paths() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.configure(&format!("paths.pptp = \"{}\"", gateway.path("bin/other").display()));
    gateway.signal(Signal::HUP);
    gateway.wait_log("changed: in force after `systemctl restart connexad`, tunnels stay up");
    gateway.wait_log("Configuration reloaded");
    gateway.nodes(2);
    gateway.wait_state(2, "up");
    for id in [1, 2] {
        let file = gateway.read(&format!("ppp/peers/connexa-node-{id}"));
        assert!(file.contains("/bin/pptp ") && !file.contains("/bin/other"), "{file}");
    }
}

#[test]
fn hup_follows_a_database_that_moved() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    fs::rename(gateway.path("connexa.db"), gateway.path("moved.db")).unwrap();
    gateway.server("10.9.0.2", &json!({}));
    let moved = gateway.path("moved.db");
    crate::database::Database::open(&moved).execute(
        "INSERT INTO nodes (id, ip, login, password, status) \
         VALUES (2, '10.9.0.2', 'admin', 'secret', 'online')",
    );
    gateway.configure(&format!("database.path = \"{}\"", moved.display()));
    gateway.signal(Signal::HUP);
    gateway.wait_state(2, "up");
    assert_eq!(gateway.dialled(1), 1);
}

#[test]
fn usr1_logs_the_whole_state() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    gateway.signal(Signal::USR1);
    gateway.wait_log("node 1 up");
}

#[test]
fn hup_tells_each_fault_of_a_bad_configuration_and_changes_nothing() {
    let mut gateway = Gateway::configured("outage.windows = 5");
    gateway.start().wait_until("an answer", |_| true);
    gateway.configure_raw("[outage]\nwindows = 0\n[tunnel]\nmtu = \"big\"\nmruu = 1\n");
    gateway.signal(Signal::HUP);
    gateway.wait_for("a line for each", || (gateway.logged("Reload refused") >= 3).then_some(()));
    for fault in ["outage.windows is 0", "tunnel.mtu is \"big\"", "unknown key `mruu`"] {
        let told = |line: &&str| {
            line.contains("Reload refused, the old configuration stays: ") && line.contains(fault)
        };
        assert_eq!(gateway.log().lines().filter(told).count(), 1, "{fault}");
    }
    assert_eq!(gateway.logged("Reload refused"), 3, "a line for each");
    let status = gateway.wait_until("an answer", |_| true);
    assert_eq!(status.outage.consecutive_threshold, 5);
}

/// The daemon without `--config`, where the folders that hold its files by default are the
/// sandbox's.
fn start_on_the_default_file(gateway: &Gateway) -> Running {
    for folder in ["etc/connexa", "etc/ppp", "lib"] {
        fs::create_dir_all(gateway.path(folder)).unwrap();
    }
    let mut command = gateway.namespace.command("sh");
    let places = "mount --bind $0/etc /etc && mount --bind $0/run /run && \
                  mount --bind $0/lib /var/lib && exec $1 --interval 1h";
    command.args(["-c", places]).arg(gateway.path("")).arg(CONNEXAD);
    let log = fs::File::create(gateway.path("connexad.log")).unwrap();
    Running(command.stderr(log).spawn().unwrap())
}

#[test]
fn hup_without_the_default_file_that_the_daemon_was_started_with_keeps_what_it_said() {
    let gateway = Gateway::configured("outage.windows = 5");
    let default = gateway.path("etc/connexa/connexad.toml");
    fs::create_dir_all(default.parent().unwrap()).unwrap();
    fs::rename(gateway.path("connexad.toml"), &default).unwrap();
    let daemon = start_on_the_default_file(&gateway);
    gateway.wait_log("The configuration is /etc/connexa/connexad.toml");
    gateway.wait_until("an answer", |_| true);
    fs::remove_file(&default).unwrap();
    kill(daemon.0.id(), Signal::HUP);
    gateway.wait_log(
        "Reload refused, the old configuration stays: /etc/connexa/connexad.toml: can't read the \
         configuration: No such file",
    );
    let status = gateway.wait_until("an answer", |_| true);
    assert_eq!(status.outage.consecutive_threshold, 5);
}

#[test]
fn a_default_file_that_a_reload_took_up_is_not_let_go_either() {
    let gateway = Gateway::new();
    let daemon = start_on_the_default_file(&gateway);
    gateway.wait_log("There is no /etc/connexa/connexad.toml, so all defaults hold");
    gateway.wait_for("its socket", || {
        gateway.path("run/connexa/connexad.sock").exists().then_some(())
    });
    kill(daemon.0.id(), Signal::HUP);
    gateway.wait_for("a reload without a file", || {
        (gateway.logged("Configuration reloaded") == 1).then_some(())
    });
    let default = gateway.path("etc/connexa/connexad.toml");
    fs::copy(gateway.path("connexad.toml"), &default).unwrap();
    kill(daemon.0.id(), Signal::HUP);
    gateway.wait_for("a reload", || (gateway.logged("Configuration reloaded") == 2).then_some(()));
    fs::remove_file(&default).unwrap();
    kill(daemon.0.id(), Signal::HUP);
    gateway.wait_log("Reload refused, the old configuration stays: /etc/connexa/connexad.toml");
    assert_eq!(gateway.logged("Configuration reloaded"), 2);
}
