//! The fake pppd does to the kernel what pppd does.

use std::fs;
use std::process::{Command, Output};

use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::Running;

const PEER: &str = "connexa-node-2";

/// A gateway with a hand-written peer file, and no daemon.
fn gateway() -> Gateway {
    let gateway = Gateway::new();
    let peer = format!(
        "pty \"exec {} 10.9.0.2 --nolaunchpppd\"\nname admin\nremotename {PEER}\nlinkname {PEER}\n\
         noauth\nrequire-mppe-128\nmtu 1400\n",
        gateway.path("bin/pptp").display()
    );
    fs::write(gateway.path("ppp/peers").join(PEER), peer).unwrap();
    let secrets = format!("\"admin\" \"{PEER}\" \"se\\\"cr\\\\et\" *\n");
    fs::write(gateway.path("ppp/chap-secrets"), secrets).unwrap();
    gateway
}

fn call(gateway: &Gateway) -> Output {
    let mut command: Command = gateway.namespace.command(gateway.path("bin/pppd"));
    command.args(["call", PEER, "nodetach"]).output().unwrap()
}

fn lines(output: &Output) -> Vec<&str> {
    std::str::from_utf8(&output.stdout).unwrap().lines().collect()
}

/// A line of `ip monitor` about the call's link, in short.
fn event(line: &str) -> Option<&'static str> {
    let gone = line.starts_with("Deleted");
    if line.contains(" inet ") {
        Some(match (gone, line.contains(" peer ")) {
            (false, false) => "NEWADDR without peer",
            (true, false) => "DELADDR without peer",
            (false, true) => "NEWADDR with peer",
            (true, true) => "DELADDR with peer",
        })
    } else if !line.contains(": ppp0: ") {
        None
    } else if gone {
        Some("DELLINK")
    } else if line.contains("LOWER_UP") && line.contains("state UNKNOWN") {
        Some("up with lower up, state unknown")
    } else {
        ["mtu 1500", "mtu 1400", "mtu 1396"].into_iter().find(|mtu| line.contains(mtu))
    }
}

#[test]
fn the_kernel_tells_of_its_link_in_the_order_of_a_real_one() {
    let gateway = gateway();
    gateway.server("10.9.0.2", &json!({ "password": "se\"cr\\et", "dies_after_ms": 0 }));
    let file = fs::File::create(gateway.path("events")).unwrap();
    let mut monitor = gateway.namespace.command("ip");
    monitor.args(["-oneline", "-4", "monitor", "link", "address"]).stdout(file);
    let _monitor = Running(monitor.spawn().unwrap());
    let mut mtu = 60000;
    gateway.wait_for("the monitor to hear", || {
        mtu += 1;
        gateway.namespace.ip(&["link", "set", "lo", "mtu", &mtu.to_string()]);
        (!gateway.read("events").is_empty()).then_some(())
    });

    call(&gateway);

    let events = gateway.wait_for("the end of the link", || {
        let text = gateway.read("events");
        let events: Vec<_> = text.lines().filter_map(event).collect();
        events.contains(&"DELLINK").then_some(events)
    });
    let until_up = [
        "mtu 1500",
        "mtu 1400",
        "mtu 1396",
        "up with lower up, state unknown",
        "NEWADDR without peer",
        "DELADDR without peer",
        "NEWADDR with peer",
    ];
    assert_eq!(events[..until_up.len()], until_up, "{events:?}");
}

#[test]
fn a_call_says_pppds_lines_and_ends_with_its_code() {
    let gateway = gateway();
    gateway.server("10.9.0.2", &json!({ "password": "se\"cr\\et", "dies_after_ms": 0 }));
    let output = call(&gateway);
    assert_eq!(
        (lines(&output).as_slice(), output.status.code()),
        (
            [
                "Using interface ppp0",
                "Connect: ppp0 <--> /dev/pts/0",
                "CHAP authentication succeeded",
                "MPPE 128-bit stateless compression enabled",
                "local  IP address 10.50.0.100",
                "remote IP address 10.50.0.1",
                "Modem hangup",
                "Connection terminated.",
            ]
            .as_slice(),
            Some(16)
        )
    );
}

#[test]
fn a_refused_password_ends_with_19() {
    let gateway = gateway();
    gateway.server("10.9.0.2", &json!({ "password": "another" }));
    let output = call(&gateway);
    assert!(lines(&output).contains(&"MS-CHAP authentication failed: Access denied"));
    assert_eq!(output.status.code(), Some(19));
}

#[test]
fn an_option_that_pppd_does_not_know_ends_with_2() {
    let gateway = gateway();
    fs::write(gateway.path("ppp/peers").join(PEER), "pty x\nmtuu 1400\n").unwrap();
    let output = call(&gateway);
    assert!(lines(&output)[0].ends_with("unrecognized option 'mtuu'"));
    assert_eq!(output.status.code(), Some(2));
}
