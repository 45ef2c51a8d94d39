//! The kernel's route to the other end of a tunnel: it goes, where nobody wants it.

use rustix::process::Signal;
use serde_json::json;

use std::process::Stdio;

use crate::gateway::Gateway;
use crate::namespace::Running;
use crate::ways::host;

/// The kernel's routes through this link in the main table.
fn kept(gateway: &Gateway, link: &str) -> String {
    gateway.namespace.ip(&["route", "show", "table", "main", "proto", "kernel", "dev", link])
}

fn wait_kept(gateway: &Gateway, link: &str, kept_there: bool) {
    gateway.wait_for(&format!("{link}: a route {kept_there}"), || {
        (kept(gateway, link).is_empty() != kept_there).then_some(())
    });
}

/// One node that is up, whose server calls its own end like this.
fn up(toml: &str, remote: &str) -> (Gateway, String) {
    let mut gateway = host(toml);
    gateway.nodes(1);
    gateway.server("10.9.0.1", &json!({ "remote": remote, "carries": true }));
    let link = gateway.start().wait_state(1, "up").interface.unwrap();
    (gateway, link)
}

#[test]
fn a_server_that_calls_its_end_by_its_public_address_is_reached_as_before() {
    let (gateway, link) = up("", "10.9.0.1");
    wait_kept(&gateway, &link, false);
    let way = gateway.namespace.ip(&["route", "get", "10.9.0.1"]);
    assert!(way.contains("via 192.0.2.1 dev wan"), "{way}");
}

/// Every change of routes from here on, as `ip` tells it.
struct Monitor<'a> {
    gateway: &'a Gateway,
    /// Ends with this.
    _ip: Running,
}

impl<'a> Monitor<'a> {
    fn begin(gateway: &'a Gateway) -> Self {
        let file = std::fs::File::create(gateway.path("routes.log")).unwrap();
        let mut ip = gateway.namespace.command("ip");
        let ip = ip.args(["-oneline", "monitor", "route"]).stdin(Stdio::null()).stdout(file);
        let monitor = Monitor { gateway, _ip: Running(ip.spawn().unwrap()) };
        gateway.wait_for("a monitor that hears", || {
            monitor.mark();
            (!monitor.told().is_empty()).then_some(())
        });
        monitor
    }

    /// Makes a change that it tells.
    fn mark(&self) {
        for verb in ["add", "del"] {
            self.gateway.namespace.ip(&["route", verb, "blackhole", "198.18.0.1"]);
        }
    }

    fn told(&self) -> String {
        self.gateway.read("routes.log")
    }

    /// All that was told so far.
    fn end(self) -> String {
        let before = self.told().len();
        self.mark();
        self.gateway.wait_for("the last change", || {
            self.told().get(before..)?.contains("Deleted blackhole").then_some(())
        });
        self.told()
    }
}

#[test]
fn the_route_is_never_made_for_a_tunnel_whose_link_was_known_in_time() {
    let mut gateway = host("");
    gateway.nodes(3);
    for id in 1..=3 {
        gateway.server(&format!("10.9.0.{id}"), &json!({ "answer": "silent" }));
    }
    gateway.start();
    let monitor = Monitor::begin(&gateway);
    gateway.wait_for("links with a place kept", || {
        let kept = gateway.namespace.ip(&["-4", "-oneline", "address"]);
        (kept.matches("127.201.0.1/32 scope host").count() == 3).then_some(())
    });
    for id in 1..=3 {
        let remote = format!("192.0.2.{}", 70 + id);
        gateway.server(&format!("10.9.0.{id}"), &json!({ "remote": remote }));
    }
    gateway.wait_until("three up", |status| status.counts.get("up") == Some(&3));
    gateway.namespace.batch(["link set ppp0 down".to_owned(), "link set ppp0 up".to_owned()]);
    let told = monitor.end();
    assert!(told.contains("local 10.50.0.100 dev ppp"), "{told}");
    assert!(!told.contains("192.0.2.7"), "{told}");
    let addresses = gateway.namespace.ip(&["-4", "-oneline", "address"]);
    assert!(!addresses.contains("127.201."), "{addresses}");
}

#[test]
fn what_is_bound_to_a_tunnel_goes_through_it_without_the_route() {
    let (gateway, link) = up("routing.table_base = 1000", "192.0.2.77");
    wait_kept(&gateway, &link, false);
    for by in [["oif", &link], ["mark", "1001"], ["from", "10.50.0.100"]] {
        gateway.wait_for(&format!("a way by {by:?}"), || {
            let way = gateway.namespace.ip(&["route", "get", "192.0.2.77", by[0], by[1]]);
            way.contains(&format!("dev {link}")).then_some(())
        });
    }
}

#[test]
fn the_route_stays_where_the_operator_wants_it_and_goes_when_he_does_not_any_more() {
    let (gateway, link) = up("routing.peer_route = true", "10.50.0.1");
    let probe = ["route", "get", "10.50.0.1"];
    assert!(gateway.namespace.ip(&probe).contains(&link));
    gateway.configure("");
    gateway.signal(Signal::HUP);
    wait_kept(&gateway, &link, false);
}

#[test]
fn a_link_of_no_call_of_ours_keeps_its_route() {
    let mut gateway = host("");
    gateway.nodes(1);
    let theirs = ["tuntap add ppp7 mode tun", "link set ppp7 up"];
    gateway.namespace.batch(theirs.map(str::to_owned));
    gateway.namespace.ip(&["address", "add", "10.60.0.100", "peer", "10.60.0.1", "dev", "ppp7"]);
    let link = gateway.start().wait_state(1, "up").interface.unwrap();
    wait_kept(&gateway, &link, false);
    assert!(kept(&gateway, "ppp7").contains("10.60.0.1"), "{}", kept(&gateway, "ppp7"));
}

#[test]
fn a_route_that_the_operator_made_through_a_tunnel_stays() {
    let (gateway, link) = up("routing.peer_route = true", "10.50.0.1");
    gateway.namespace.ip(&["route", "add", "10.50.0.1", "dev", &link, "metric", "7"]);
    gateway.configure("");
    gateway.signal(Signal::HUP);
    wait_kept(&gateway, &link, false);
    let routes = gateway.namespace.ip(&["route", "show", "dev", &link]);
    assert!(routes.contains("metric 7"), "{routes}");
}

#[test]
fn a_link_that_comes_back_while_its_call_is_being_ended_gets_no_route() {
    let (gateway, link) = up("", "192.0.2.77");
    wait_kept(&gateway, &link, false);
    gateway.server("10.9.0.1", &json!({ "ignores_term": true }));
    gateway.sql("DELETE FROM nodes");
    gateway.wait_state(1, "stopping");
    gateway.namespace.batch([format!("link set {link} down"), format!("link set {link} up")]);
    wait_kept(&gateway, &link, false);
    assert_eq!(gateway.wait_state(1, "stopping").interface, Some(link));
}

#[test]
fn a_call_that_no_daemon_holds_has_its_route_until_it_is_adopted() {
    let (mut gateway, link) = up("", "192.0.2.77");
    gateway.end(Signal::KILL);
    // As a call has it that was made by hand.
    gateway.namespace.batch([
        format!("address flush dev {link}"),
        format!("address add 10.50.0.100 peer 192.0.2.77 dev {link}"),
    ]);
    assert!(kept(&gateway, &link).contains("192.0.2.77"));
    gateway.start().wait_node(1, "adopted", |node| node.state == "up" && node.adopted);
    wait_kept(&gateway, &link, false);
}
