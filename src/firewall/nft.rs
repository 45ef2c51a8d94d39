//! nftables' ruleset in its JSON form (libnftables-json(5)).

use std::net::Ipv4Addr;

use serde_json::Value;

use super::rules::{self, OWN_CHAINS, TABLE};
use super::ruleset::{Chain, Condition, Hook, Net, Rule, Ruleset, Verdict};
use super::tool::Filter;

/// Reads what `nft -j list ruleset` says. Other families and tables that sleep are left out, and,
/// where iptables' own tools are there to read them, its tables: nft shows their rules in part.
///
/// # Errors
/// The parser's words for what is no JSON.
pub(super) fn read(json: &str, leave_iptables: bool) -> Result<Ruleset, serde_json::Error> {
    let all: Value = serde_json::from_str(json)?;
    let items = list(at(&all, &["nftables"]));
    let of_kind = |kind: &'static str| items.iter().filter_map(move |item| item.get(kind));
    let sleeps = |table: &&Value| {
        table["flags"] == "dormant" || list(&table["flags"]).contains(&"dormant".into())
    };
    let mut left: Vec<_> =
        of_kind("table").filter(sleeps).map(|table| (&table["family"], &table["name"])).collect();
    if leave_iptables {
        let of_iptables = of_kind("chain").filter(|chain| is_of_iptables(chain));
        left.extend(of_iptables.map(|chain| (&chain["family"], &chain["table"])));
    }
    let counts =
        |item: &&Value| is_ipv4(item) && !left.contains(&(&item["family"], &item["table"]));
    let helpers: Vec<_> = of_kind("ct helper")
        .filter(|helper| helper["type"] == "pptp")
        .map(|helper| (&helper["family"], &helper["table"], &helper["name"]))
        .collect();
    let mut ruleset = Ruleset {
        chains: of_kind("chain").filter(counts).map(chain).collect(),
        has_strangers_in_ours: items.iter().any(is_stranger_in_ours),
    };
    for found in of_kind("rule").filter(counts) {
        let is_its = |chain: &&mut Chain| {
            chain.family == found["family"]
                && chain.table == found["table"]
                && chain.name == found["chain"]
        };
        if let Some(chain) = ruleset.chains.iter_mut().find(is_its) {
            let is_pptp =
                |name: &Value| helpers.contains(&(&found["family"], &found["table"], name));
            chain.rules.extend(self::rules(found, is_pptp));
        }
    }
    Ok(ruleset)
}

/// Whether this table of the family ip has nothing but empty chains of iptables', as it begins them.
///
/// # Errors
/// The parser's words for what is no JSON.
pub(super) fn is_bare(json: &str, table: &str) -> Result<bool, serde_json::Error> {
    let all: Value = serde_json::from_str(json)?;
    let mut things = list(at(&all, &["nftables"]))
        .iter()
        .filter_map(|item| item.as_object()?.iter().next())
        .filter(|(_, about)| about["family"] == "ip" && about["table"] == table)
        .peekable();
    Ok(things.peek().is_some()
        && things.all(|(kind, about)| kind == "chain" && is_of_iptables(about)))
}

fn is_ipv4(item: &Value) -> bool {
    item["family"] == "ip" || item["family"] == "inet"
}

/// Whether it is a base chain of iptables-nft's, which keeps the tables and names of the older one.
fn is_of_iptables(chain: &Value) -> bool {
    let is =
        |key: &str, names: &[&str]| chain[key].as_str().is_some_and(|name| names.contains(&name));
    chain["family"] == "ip"
        && chain.get("hook").is_some()
        && is("table", &["filter", "mangle", "raw", "nat", "security"])
        && is("name", &["INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING"])
}

/// Whether it is in the table that has the name of ours, and is not ours.
fn is_stranger_in_ours(item: &Value) -> bool {
    let Some((kind, about)) = item.as_object().and_then(|item| item.iter().next()) else {
        return false;
    };
    let is_ours = match kind.as_str() {
        "chain" => about["name"].as_str().is_some_and(|name| OWN_CHAINS.contains(&name)),
        "rule" => rules::is_ours(about["comment"].as_str().unwrap_or_default(), || true),
        "ct helper" => about["name"] == "pptp",
        _ => false,
    };
    about["family"] == "ip" && about["table"] == TABLE && !is_ours
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
        by: Filter::Nft,
        family: text(&found["family"]),
        table: text(&found["table"]),
        name: text(&found["name"]),
        base: hook.map(|hook| (hook, found["policy"] == "drop")),
        rules: Vec::new(),
    }
}

/// A rule, or one for each entry of its verdict map. `is_pptp` tells whether an object of this
/// name is PPTP's helper.
fn rules(found: &Value, is_pptp: impl Fn(&Value) -> bool) -> Vec<Rule> {
    let mut conditions = Vec::new();
    let mut helps = false;
    let comment = found["comment"].as_str().unwrap_or_default();
    let in_our_table = found["family"] == "ip" && found["table"] == TABLE;
    let rule = |conditions: Vec<Condition>, helps, verdict| {
        let written = || in_our_table || rules::is_written(&conditions, &verdict);
        let ours = rules::is_ours(comment, written);
        let (of_nodes, handle) = (rules::is_of_nodes(comment), found["handle"].as_u64());
        Rule { conditions, verdict, ours, of_nodes, helps, handle }
    };
    for expression in list(&found["expr"]) {
        let Some((name, about)) = expression.as_object().and_then(|all| all.iter().next()) else {
            conditions.push(Condition::Unknown);
            continue;
        };
        match (name.as_str(), about) {
            ("match", _) => conditions.extend(asks(
                &about["left"],
                about["op"].as_str().unwrap_or_default(),
                &about["right"],
            )),
            ("vmap", map) => {
                let Some(entries) = at(map, &["data", "set"]).as_array() else {
                    return vec![rule(conditions, helps, Verdict::Unknown)];
                };
                let entries = entries.iter().map(|entry| {
                    let mut all = conditions.clone();
                    all.extend(asks(&map["key"], "==", &entry[0]));
                    rule(all, helps, verdict(&entry[1]).unwrap_or(Verdict::Unknown))
                });
                return entries.collect();
            }
            ("ct helper", helper) => helps |= is_pptp(helper),
            ("xt", xt) if xt["type"] == "target" => {
                let target = xt["name"].as_str().unwrap_or_default();
                return vec![rule(conditions, helps, super::iptables::verdict("-j", target))];
            }
            ("xt", xt) if xt["name"] == "comment" => {}
            ("counter" | "log" | "mangle" | "notrack" | "ct timeout" | "ct expectation", _) => {}
            _ => match verdict(expression) {
                Some(verdict) => return vec![rule(conditions, helps, verdict)],
                None => conditions.push(Condition::Unknown),
            },
        }
    }
    vec![rule(conditions, helps, Verdict::Nothing)]
}

/// Statements that end a rule (libnftables-json(5)); none for others.
fn verdict(expression: &Value) -> Option<Verdict> {
    let (name, about) = expression.as_object()?.iter().next()?;
    match name.as_str() {
        // An address that is translated is let through.
        "accept" | "snat" | "dnat" | "masquerade" | "redirect" => Some(Verdict::Accept),
        "drop" | "reject" => Some(Verdict::Drop),
        "return" => Some(Verdict::Return),
        "jump" => Some(Verdict::Jump(text(&about["target"]))),
        "goto" => Some(Verdict::Goto(text(&about["target"]))),
        "queue" | "tproxy" | "fwd" | "synproxy" => Some(Verdict::Unknown),
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
    // All packets here are of IPv4; that one with no protocol to choose from is of none.
    let none = || vec![Condition::Protocol(Vec::new())];
    match (meta, operator, right.as_str()) {
        (Some("nfproto"), "==", Some("ipv4")) | (Some("nfproto"), "!=", Some("ipv6")) => Vec::new(),
        (Some("nfproto"), "==", Some("ipv6")) | (Some("nfproto"), "!=", Some("ipv4")) => none(),
        _ => header.into_iter().chain([condition]).collect(),
    }
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
    use super::super::fate::Fate;
    use super::super::ruleset::{Packet, Protocol};
    use super::*;

    /// An input chain with a drop policy and one rule; what it does to answers of TCP.
    fn fate(expressions: &str) -> Option<Fate> {
        let json = format!(
            r#"{{"nftables": [{{"chain": {{"family": "inet", "table": "f", "name": "input", "handle": 1, "type": "filter",
               "hook": "input", "prio": 0, "policy": "drop"}}}}, {{"rule": {{"family": "inet", "table": "f", "chain": "input",
               "handle": 3, "expr": [{expressions}]}}}}]}}"#
        );
        let packet =
            Packet { out: false, protocol: Protocol::Tcp, server: None, state: "established" };
        read(&json, true).unwrap().trouble(&packet).first().map(|(_, fate)| *fate)
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
    fn a_rule_with_a_limit_may_accept_or_not() {
        let rule = r#"{"limit": {"rate": 5, "burst": 5, "per": "second"}}, {"accept": null}"#;
        assert_eq!(fate(rule), Some(Fate::Unsure));
    }

    #[test]
    fn a_map_of_verdicts_that_has_a_name_is_not_understood() {
        let rule =
            r#"{"vmap": {"key": {"payload": {"protocol": "ip", "field": "saddr"}}, "data": "@m"}}"#;
        assert_eq!(fate(rule), Some(Fate::Unsure));
    }

    #[test]
    fn what_is_counted_or_marked_goes_on() {
        let rule = r#"{"counter": {"packets": 0, "bytes": 0}}, {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 3}},
            {"accept": null}"#;
        assert_eq!(fate(rule), None);
    }

    #[test]
    fn tables_that_sleep_or_that_iptables_manages_are_left_out() {
        let json = r#"{"nftables": [{"table": {"family": "ip", "name": "f", "flags": ["dormant"]}},
            {"chain": {"family": "ip", "table": "f", "name": "input", "hook": "input", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "ufw-user-input"}}]}"#;
        assert_eq!(read(json, true).unwrap(), Ruleset::default());
    }

    #[test]
    fn a_table_with_a_name_of_iptables_and_chains_of_another_s_counts() {
        let json = r#"{"nftables": [
            {"chain": {"family": "ip", "table": "filter", "name": "input", "hook": "input", "policy": "drop"}}]}"#;
        assert_eq!(read(json, true).unwrap().chains.len(), 1);
    }

    #[test]
    fn a_table_with_a_chain_of_another_s_is_not_bare() {
        let bare = r#"{"nftables": [{"table": {"family": "ip", "name": "raw"}},
            {"chain": {"family": "ip", "table": "raw", "name": "OUTPUT", "hook": "output"}}MORE]}"#;
        assert!(is_bare(&bare.replace("MORE", ""), "raw").unwrap());
        let more = r#", {"chain": {"family": "ip", "table": "raw", "name": "mine"}}"#;
        assert!(!is_bare(&bare.replace("MORE", more), "raw").unwrap());
    }
}
