//! Probes through tunnels that are up.

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;

const ICMP: &str = "icmp:10.50.0.1";
const TCP: &str = "tcp:10.50.0.1:80";

/// A node that can't come up is dialled at the pace of probes: its dials tell the time.
const CLOCK: &str = "tunnel.backoff = { min = \"500ms\", max = \"500ms\" }";

fn probing(target: &str) -> String {
    format!(
        "probe = {{ target = \"{target}\", interval = \"500ms\", timeout = \"500ms\", loss = 3 }}"
    )
}

/// As many tunnels, each with a server that carries what goes through it, or not.
fn up(target: &str, carry: &[bool]) -> Gateway {
    let mut gateway = Gateway::configured(&probing(target));
    gateway.nodes(carry.len().try_into().unwrap());
    for (id, carries) in (1..).zip(carry) {
        set(&gateway, id, *carries);
    }
    let all = carry.len();
    gateway.start().wait_until("all up", |status| status.counts.get("up") == Some(&all));
    gateway
}

fn set(gateway: &Gateway, id: u32, carries: bool) {
    gateway.server(&format!("10.9.0.{id}"), &json!({ "carries": carries }));
}

/// Packets that went into the node's link.
fn sent(gateway: &Gateway, id: u32) -> u64 {
    let link = gateway.wait_state(id, "up").interface.unwrap();
    let text = gateway.namespace.ip(&["-json", "-stats", "link", "show", "dev", &link]);
    let links: serde_json::Value = serde_json::from_str(&text).unwrap();
    links[0]["stats64"]["tx"]["packets"].as_u64().unwrap()
}

/// Waits for so many more probes through the node's link.
fn wait_probes(gateway: &Gateway, id: u32, count: u64) {
    let enough = sent(gateway, id) + count;
    gateway.wait_for("probes", || (sent(gateway, id) >= enough).then_some(()));
}

#[test]
fn a_tunnel_whose_probes_are_answered_stays() {
    for target in [ICMP, TCP] {
        let gateway = up(target, &[true]);
        wait_probes(&gateway, 1, 4);
        assert_eq!(gateway.dialled(1), 1, "{target}");
        assert!(!gateway.log().contains("probe"), "{}", gateway.log());
    }
}

#[test]
fn a_tunnel_that_carries_nothing_any_more_is_dialled_again() {
    for target in [ICMP, TCP] {
        let gateway = up(target, &[true, true]);
        wait_probes(&gateway, 1, 1);
        set(&gateway, 1, false);
        let told = gateway.wait_node(1, "redialled", |node| node.attempts == 2);
        let error = told.last_error.unwrap();
        assert_eq!(error.kind, "probe_failed");
        assert!(error.message.contains(&format!("probes of {target} through ppp")), "{error:?}");
        set(&gateway, 1, true);
        gateway.wait_state(1, "up");
        assert_eq!(gateway.dialled(2), 1, "the other one stays");
    }
}

#[test]
fn a_tunnel_stays_through_which_the_target_never_answered() {
    let gateway = up(ICMP, &[false, true]);
    gateway.wait_log("the target has never answered through this node");
    wait_probes(&gateway, 1, 4);
    assert_eq!(gateway.dialled(1), 1);
    gateway.assert_logged("the target has never answered", 1);
}

#[test]
fn a_target_that_is_down_costs_one_tunnel_one_dial_and_its_return_is_told() {
    // One server, so that all lose it at the same moment.
    let mut gateway = Gateway::configured(&probing(ICMP));
    set(&gateway, 1, true);
    (1..=3).for_each(|id| gateway.node(id, "10.9.0.1", "secret"));
    gateway.start().wait_until("all up", |status| status.counts.get("up") == Some(&3));
    (1..=3).for_each(|id| wait_probes(&gateway, id, 2));
    set(&gateway, 1, false);
    gateway.wait_for("three kept", || {
        let kept = gateway.logged("the target answers through no tunnel");
        (kept == 3).then_some(())
    });
    let dials: usize = (1..=3).map(|id| gateway.dialled(id)).sum();
    assert_eq!(dials, 4);
    set(&gateway, 1, true);
    for id in 1..=3 {
        gateway.wait_log(&format!("Node {id}: icmp:10.50.0.1 answers again through ppp"));
    }
}

#[test]
fn probes_begin_and_end_with_their_configuration() {
    let mut gateway = Gateway::configured(CLOCK);
    gateway.nodes(1);
    set(&gateway, 1, true);
    gateway.node(2, "10.9.0.2", "secret");
    gateway.start().wait_state(1, "up");
    assert_eq!(sent(&gateway, 1), 0);
    gateway.configure(&format!("{CLOCK}\n{}", probing(ICMP)));
    gateway.signal(Signal::HUP);
    wait_probes(&gateway, 1, 2);
    gateway.configure(CLOCK);
    gateway.signal(Signal::HUP);
    gateway.wait_for("the second reload", || {
        (gateway.logged("Configuration reloaded") == 2).then_some(())
    });
    let (before, dials) = (sent(&gateway, 1), gateway.dialled(2));
    gateway.wait_for("the time of three probes", || (gateway.dialled(2) > dials + 3).then_some(()));
    assert_eq!(sent(&gateway, 1), before, "nothing was sent meanwhile");
    set(&gateway, 1, false);
    gateway.configure(&format!("{CLOCK}\n{}", probing(TCP)));
    gateway.signal(Signal::HUP);
    gateway.wait_log("the target has never answered");
}
