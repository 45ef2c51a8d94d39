//! nftables' ruleset in its JSON form (libnftables-json(5)).

use std::net::Ipv4Addr;

use serde_json::Value;

use super::rules::MARK;
use super::ruleset::{Chain, Condition, Hook, Net, Rule, Ruleset, Verdict};

/// Reads what `nft -j list ruleset` says. What it has of other families is left out.
///
/// # Errors
/// The parser's words for what is no JSON.
pub(super) fn read(json: &str) -> Result<Ruleset, serde_json::Error> {
    let all: Value = serde_json::from_str(json)?;
    let mut ruleset = Ruleset::default();
    for item in list(at(&all, &["nftables"])) {
        if let Some(found) = item.get("chain").filter(|chain| is_ipv4(chain)) {
            ruleset.chains.push(chain(found));
        } else if let Some(found) = item.get("rule").filter(|rule| is_ipv4(rule)) {
            let is_its = |chain: &&mut Chain| {
                chain.family == found["family"]
                    && chain.table == found["table"]
                    && chain.name == found["chain"]
            };
            if let Some(chain) = ruleset.chains.iter_mut().find(is_its) {
                chain.rules.extend(rules(found));
            }
        }
    }
    Ok(ruleset)
}

fn is_ipv4(item: &Value) -> bool {
    item["family"] == "ip" || item["family"] == "inet"
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The value by its path of keys; null where there is none.
fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().try_fold(value, |value, key| value.get(key)).unwrap_or(&Value::Null)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn chain(found: &Value) -> Chain {
    let hook = match found["hook"].as_str() {
        Some("input" | "prerouting") => Some(Hook::In),
        Some("output" | "postrouting") => Some(Hook::Out),
        Some(_) | None => None,
    };
    Chain {
        family: text(&found["family"]),
        table: text(&found["table"]),
        name: text(&found["name"]),
        base: hook.map(|hook| (hook, found["policy"] == "drop")),
        rules: Vec::new(),
    }
}

/// A rule, or one for each entry of its verdict map.
fn rules(found: &Value) -> Vec<Rule> {
    let mut conditions = Vec::new();
    let rule = |conditions: Vec<Condition>, verdict| Rule {
        conditions,
        verdict,
        ours: found["comment"] == MARK,
        handle: found["handle"].as_u64(),
    };
    for expression in list(&found["expr"]) {
        if let Some(asked) = expression.get("match") {
            conditions.extend(asks(
                &asked["left"],
                asked["op"].as_str().unwrap_or_default(),
                &asked["right"],
            ));
        } else if let Some(map) = expression.get("vmap") {
            let entries = list(at(map, &["data", "set"])).iter().filter_map(|entry| {
                let mut all = conditions.clone();
                all.extend(asks(&map["key"], "==", entry.get(0)?));
                Some(rule(all, verdict(entry.get(1)?)?))
            });
            return entries.collect();
        } else if let Some(verdict) = verdict(expression) {
            return vec![rule(conditions, verdict)];
        } else if expression.get("xt").is_some() {
            conditions.push(Condition::Unknown);
        }
    }
    vec![rule(conditions, Verdict::Nothing)]
}

fn verdict(expression: &Value) -> Option<Verdict> {
    let (name, about) = expression.as_object()?.iter().next()?;
    match name.as_str() {
        "accept" => Some(Verdict::Accept),
        "drop" | "reject" => Some(Verdict::Drop),
        "return" => Some(Verdict::Return),
        "jump" => Some(Verdict::Jump(text(&about["target"]))),
        "goto" => Some(Verdict::Goto(text(&about["target"]))),
        _ => None,
    }
}

/// What a comparison asks.
fn asks(left: &Value, operator: &str, right: &Value) -> Vec<Condition> {
    let values = match right.get("set").unwrap_or(right) {
        Value::Array(values) => values.clone(),
        one @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)) => {
            vec![one.clone()]
        }
    };
    let texts = || values.iter().map(text).collect::<Vec<_>>();
    let nets = || values.iter().map(net).collect::<Option<Vec<_>>>();
    let ports = || values.iter().map(ports).collect::<Option<Vec<_>>>();
    let (meta, payload) = (at(left, &["meta", "key"]).as_str(), at(left, &["payload"]));
    let place = (payload["protocol"].as_str(), payload["field"].as_str());
    let condition = match (meta, place) {
        (Some("iifname" | "iif"), _) => Some(Condition::In(texts())),
        (Some("oifname" | "oif"), _) => Some(Condition::Out(texts())),
        (Some("l4proto"), _) | (_, (Some("ip"), Some("protocol"))) => {
            Some(Condition::Protocol(texts()))
        }
        (_, (Some("ip"), Some("saddr"))) => nets().map(Condition::Source),
        (_, (Some("ip"), Some("daddr"))) => nets().map(Condition::Destination),
        (_, (Some("tcp" | "th"), Some("sport"))) => ports().map(Condition::SourcePort),
        (_, (Some("tcp" | "th"), Some("dport"))) => ports().map(Condition::DestinationPort),
        _ if at(left, &["ct", "key"]) == "state" => Some(Condition::State(texts())),
        _ => None,
    };
    let condition = match (condition, operator) {
        (Some(condition), "==" | "in") => condition,
        (Some(condition), "!=") => Condition::Not(Box::new(condition)),
        (Some(_) | None, _) => Condition::Unknown,
    };
    // A field of a protocol's header is there in that protocol alone.
    let header = match place.0 {
        Some(name @ ("tcp" | "udp" | "icmp" | "ip6" | "icmpv6" | "sctp" | "udplite" | "dccp")) => {
            Some(Condition::Protocol(vec![name.to_owned()]))
        }
        Some(_) | None => None,
    };
    let family = match (meta, right.as_str()) {
        (Some("nfproto"), Some("ipv4")) => return Vec::new(),
        (Some("nfproto"), Some("ipv6")) => Some(Condition::Protocol(Vec::new())),
        _ => None,
    };
    header.into_iter().chain(family).chain([condition]).collect()
}

fn net(value: &Value) -> Option<Net> {
    if let Some(address) = value.as_str() {
        return Some(Net(address.parse::<Ipv4Addr>().ok()?, 32));
    }
    let prefix = value.get("prefix")?;
    let bits = prefix["len"].as_u64().and_then(|bits| u32::try_from(bits).ok())?;
    Some(Net(prefix["addr"].as_str()?.parse().ok()?, bits)).filter(|net| net.1 <= 32)
}

fn ports(value: &Value) -> Option<(u16, u16)> {
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    match value.get("range") {
        Some(range) => Some((port(range.get(0)?)?, port(range.get(1)?)?)),
        None => port(value).map(|port| (port, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ruleset::{Fate, Packet, Protocol};
    use super::*;

    /// An input chain with a drop policy and one rule; what it does to answers of TCP.
    fn fate(expressions: &str) -> Option<Fate> {
        let json = format!(
            r#"{{"nftables": [{{"chain": {{"family": "inet", "table": "f", "name": "input", "handle": 1, "type": "filter",
               "hook": "input", "prio": 0, "policy": "drop"}}}}, {{"rule": {{"family": "inet", "table": "f", "chain": "input",
               "handle": 3, "expr": [{expressions}]}}}}]}}"#
        );
        let packet = Packet { out: false, protocol: Protocol::Tcp, server: None };
        read(&json).unwrap().trouble(&packet).first().map(|(_, fate)| *fate)
    }

    #[test]
    fn established_connections_in_a_verdict_map_pass() {
        let map = r#"{"vmap": {"key": {"ct": {"key": "state"}},
            "data": {"set": [["established", {"accept": null}], ["invalid", {"drop": null}]]}}}"#;
        assert_eq!(fate(map), None);
    }

    #[test]
    fn a_rule_for_another_protocol_is_not_for_us() {
        let rule = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 53}},
            {"accept": null}"#;
        assert_eq!(fate(rule), Some(Fate::Dropped));
    }

    #[test]
    fn a_set_of_ports_is_looked_through() {
        let rule = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "sport"}},
            "right": {"set": [22, {"range": [1700, 1800]}]}}}, {"accept": null}"#;
        assert_eq!(fate(rule), None);
    }

    #[test]
    fn what_iptables_has_put_there_is_not_understood() {
        assert_eq!(fate(r#"{"xt": null}, {"accept": null}"#), Some(Fate::Unsure));
    }
}
