//! The fields of log lines that programs look for, as `journalctl NODE_ID=2` does. They are the same in
//! journald's protocol as in JSON, by which they are looked at here.

use serde_json::{Map, Value, json};

use crate::gateway::Gateway;
use crate::namespace::{kill, run};
use rustix::process::Signal;

/// Logs as JSON.
fn gateway(toml: &str) -> Gateway {
    Gateway::configured(&format!("log.format = 'json'\n{toml}"))
}

/// The fields of the first line whose message begins so, but for the message.
fn fields(gateway: &Gateway, message: &str) -> Map<String, Value> {
    gateway.wait_for(&format!("a line that begins with {message:?}"), || {
        let log = gateway.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut fields = lines.filter_map(|line| line["fields"].as_object().cloned());
        let mut found = fields.find(|fields| {
            fields["message"].as_str().is_some_and(|text| text.starts_with(message))
        })?;
        found.remove("message");
        Some(found)
    })
}

/// Every one of these fields and no other, of which `reason` is told apart.
fn assert_fields(gateway: &Gateway, message: &str, expected: Value) -> String {
    let mut found = fields(gateway, message);
    let texts = ["REASON", "REMEDY"].map(|name| {
        found.remove(name).map(|text| text.as_str().unwrap().to_owned()).unwrap_or_default()
    });
    assert_eq!(Value::Object(found), expected, "{message}");
    texts.join("|")
}

#[test]
fn a_tunnel_that_rises_and_falls_is_told_with_its_link_process_addresses_and_reason() {
    let mut gateway = gateway("");
    gateway.nodes(1);
    let node = gateway.start().wait_state(1, "up");
    let (name, index, pid) = (node.interface.unwrap(), node.ifindex, node.pid.unwrap());
    let of_link = json!({ "NODE_ID": 1, "INTERFACE": name, "IFINDEX": index, "PPPD_PID": pid });
    let mut up = of_link.clone();
    up["STATE"] = json!("up");
    up["LOCAL_IP"] = json!(node.local_ip.unwrap().to_string());
    up["REMOTE_IP"] = json!(node.remote_ip.unwrap().to_string());
    assert_eq!(assert_fields(&gateway, "✅ Tunnel for node 1 is UP", up), "|");

    kill(pid, Signal::KILL);
    let mut down = of_link;
    down["STATE"] = fields(&gateway, "Tunnel for node 1 is DOWN")["STATE"].clone();
    assert!(["stopping", "backoff"].contains(&down["STATE"].as_str().unwrap()), "{down}");
    let why = assert_fields(&gateway, "Tunnel for node 1 is DOWN", down);
    assert!(why.len() > "|".len(), "{why}");
    let backoff = json!({ "NODE_ID": 1, "STATE": "backoff" });
    let why = assert_fields(&gateway, "Node 1: retrying in", backoff);
    let (reason, remedy) = why.split_once('|').unwrap();
    assert!(!reason.is_empty() && !remedy.is_empty(), "{why}");
}

#[test]
fn a_refused_login_is_told_with_reason_and_remedy() {
    let mut gateway = gateway("log.level = 'debug'\ntunnel.quarantine_after = 2");
    gateway.server("10.9.0.1", &json!({ "password": "another" }));
    gateway.node(1, "10.9.0.1", "secret");
    gateway.start().wait_state(1, "quarantined");
    for (line, state) in
        [("Node 1: retrying in", "backoff"), ("Node 1 is quarantined: ", "quarantined")]
    {
        let why = assert_fields(&gateway, line, json!({ "NODE_ID": 1, "STATE": state }));
        let (reason, remedy) = why.split_once('|').unwrap();
        assert!(reason.contains("refused") && remedy.contains("password"), "{why}");
    }
    let said = fields(&gateway, "pppd[1]: ");
    assert_eq!(said["NODE_ID"], 1, "{said:?}");
}

#[test]
fn what_the_operator_does_is_told_with_the_node_and_the_state_that_follows() {
    let mut gateway = gateway("");
    gateway.nodes(1);
    gateway.node(4, "nowhere", "secret");
    gateway.start().wait_state(1, "up");
    run(&mut gateway.connexactl(&["stop", "1"]));
    gateway.wait_state(1, "stopped");
    assert_eq!(
        Value::Object(fields(&gateway, "Node 1: stop asked for by")),
        json!({ "NODE_ID": 1 })
    );
    let stopped = json!({ "NODE_ID": 1, "STATE": "stopping" });
    assert_eq!(assert_fields(&gateway, "Node 1: stopped by the operator", stopped), "|");
    let invalid = fields(&gateway, "Node 4 can't be dialled: ");
    assert_eq!((&invalid["NODE_ID"], &invalid["STATE"]), (&json!(4), &json!("invalid")));
    assert!(invalid["REASON"].as_str().unwrap().contains("nowhere"), "{invalid:?}");
}
