//! The point-to-point links of this namespace as `ip` shows them, to compare the table with.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::core::event::{IfIndex, Link};

/// The links by index: name, `up` where it is both up and lower up, and `local>remote` of each
/// address, sorted.
pub(super) type Truth = BTreeMap<u32, String>;

/// By the word of `ip`.
pub(super) fn by_ip() -> Truth {
    let output = Command::new("ip").args(["-j", "address"]).output().unwrap();
    let links: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let has = |link: &Value, flag: &str| link["flags"].as_array().unwrap().contains(&flag.into());
    let shown = |link: &Value| {
        let items = link["addr_info"].as_array().unwrap();
        let inet = items.iter().filter(|item| item["family"] == "inet").map(|item| {
            let text = |key: &str| item[key].as_str().map(str::to_owned);
            pair(&text("local").unwrap(), text("address"))
        });
        let is_up = has(link, "UP") && has(link, "LOWER_UP");
        let index = link["ifindex"].as_u64().unwrap().try_into().unwrap();
        (index, line(link["ifname"].as_str().unwrap(), is_up, inet.collect()))
    };
    links.iter().filter(|link| has(link, "POINTOPOINT")).map(shown).collect()
}

/// By what the core was told.
pub(super) fn by_core(links: &BTreeMap<IfIndex, Link>) -> Truth {
    let shown = |(index, link): (&IfIndex, &Link)| {
        let address = |a: &crate::core::event::LinkAddress| {
            pair(&a.local.to_string(), a.remote.map(|remote| remote.to_string()))
        };
        (index.0, line(&link.name, link.up, link.addresses.iter().map(address).collect()))
    };
    links.iter().map(shown).collect()
}

fn pair(local: &str, remote: Option<String>) -> String {
    remote.map_or_else(|| local.to_owned(), |remote| format!("{local}>{remote}"))
}

fn line(name: &str, is_up: bool, mut addresses: Vec<String>) -> String {
    addresses.sort();
    let words = [name, if is_up { "up" } else { "down" }].map(str::to_owned);
    words.into_iter().chain(addresses).collect::<Vec<_>>().join(" ")
}
