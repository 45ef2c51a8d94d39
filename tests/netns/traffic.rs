//! What tunnels carry: counters of the kernel, for who asks.

use std::net::SocketAddr;

use connexa::control::api::Node;
use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};

use crate::gateway::Gateway;
use crate::namespace::run;
use crate::programs::http;

fn traffic(gateway: &Gateway) -> Value {
    let answer = http(gateway, "GET /v1/traffic HTTP/1.1");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The counters of one node.
fn of(traffic: &Value, id: u32) -> Option<&Value> {
    traffic["nodes"].as_array().unwrap().iter().find(|node| node["id"] == id)
}

/// An ICMP echo request (RFC 792) of number 0 with so many zeros, and its checksum.
fn echo_request(zeros: usize) -> Vec<u8> {
    [&[8, 0, 0xf7, 0xff, 0, 0, 0, 0][..], &vec![0; zeros]].concat()
}

/// Sends so many echo requests of 1000 bytes through a tunnel, whose server answers where it `carries`.
pub(crate) fn echo(gateway: &Gateway, node: &Node, times: u32) {
    gateway.namespace.within(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
        socket.bind_device(node.interface.as_ref().map(String::as_bytes)).unwrap();
        let remote = SocketAddr::from((node.remote_ip.unwrap(), 0)).into();
        for _ in 0..times {
            socket.send_to(&echo_request(1000 - 28), &remote).unwrap();
        }
    });
}

#[test]
fn each_node_that_is_up_tells_what_it_has_carried_and_when_that_was_read() {
    let gateway = Gateway::mixed();
    let before = traffic(&gateway);
    let ids: Vec<_> = before["nodes"].as_array().unwrap().iter().map(|node| &node["id"]).collect();
    assert_eq!(ids, [1, 2]);
    let node = gateway.wait_state(1, "up");
    assert_eq!(of(&before, 1).unwrap()["ifindex"], node.ifindex.unwrap());
    gateway.server("10.9.0.1", &json!({ "carries": true }));
    echo(&gateway, &node, 5);
    let after = gateway.wait_for("the answers", || {
        let after = traffic(&gateway);
        let more = |what: &str| {
            let [old, new] = [&before, &after].map(|at| of(at, 1).unwrap()[what].as_u64().unwrap());
            new - old
        };
        let counters = ["out_bytes", "out_packets", "in_bytes", "in_packets"].map(more);
        // Where the kernel sends something of its own, it is more.
        let enough = counters.into_iter().zip([5000, 5, 5000, 5]).all(|(is, least)| is >= least);
        enough.then_some(after)
    });
    assert!(after["monotonic_ms"].as_u64() >= before["monotonic_ms"].as_u64());
}

#[test]
fn a_node_that_is_not_up_any_more_has_no_counters() {
    let gateway = Gateway::mixed();
    run(&mut gateway.connexactl(&["stop", "1"]));
    gateway.wait_state(1, "stopped");
    let traffic = traffic(&gateway);
    assert!(of(&traffic, 1).is_none() && of(&traffic, 2).is_some(), "{traffic}");
}

#[test]
fn figures_have_the_bytes_of_nodes_only_where_they_are_asked_for() {
    let gateway = Gateway::mixed();
    let series = |text: &str| text.matches("connexa_node_receive_bytes_total{").count();
    assert_eq!(series(&run(&mut gateway.connexactl(&["metrics"]))), 0);
    let text = run(&mut gateway.connexactl(&["metrics", "--nodes"]));
    assert_eq!(series(&text), 2, "{text}");
    assert!(text.contains("connexa_node_transmit_bytes_total{node=\"2\"} "), "{text}");
    let refused = http(&gateway, "GET /metrics?nodes=names HTTP/1.1");
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("nodes=bytes"), "{refused}");
}

#[test]
fn a_client_that_asks_for_counters_is_answered_by_tcp_too() {
    let mut gateway = Gateway::configured("metrics.listen = '127.0.0.1:9723'");
    gateway.nodes(1);
    gateway.start().wait_state(1, "up");
    let answer = crate::surface::get(&gateway, "/metrics?nodes=bytes");
    assert!(answer.contains("connexa_node_receive_bytes_total{node=\"1\"} "), "{answer}");
}
