//! Whatever happened to links while the daemon stood still, it ends with the kernel's truth.

use std::collections::BTreeMap;

use connexa::control::api::{Node, Status};
use connexa::core::event::{Event, IfIndex, Link, LinkAddress, LinkChange};
use connexa::recording::Line;
use rustix::process::Signal;
use serde_json::Value;

use crate::gateway::Gateway;

/// Foreign point-to-point links.
const FOREIGN: u32 = 300;
const NODES: u32 = 6;
/// The nodes that lose their link; the others keep it.
const HIT: std::ops::RangeInclusive<u32> = 1..=2;

/// What one unread link message takes of a socket's receive buffer at the very least, in bytes.
const MESSAGE: u32 = 1536;

type Links = BTreeMap<IfIndex, Link>;

/// The point-to-point links, by the word of `ip`.
fn links_by_ip(gateway: &Gateway) -> Links {
    let links: Vec<Value> =
        serde_json::from_str(&gateway.namespace.ip(&["-j", "address"])).unwrap();
    let has = |link: &Value, flag: &str| link["flags"].as_array().unwrap().contains(&flag.into());
    let shown = |link: &Value| {
        let items = link["addr_info"].as_array().unwrap();
        let inet = items.iter().filter(|item| item["family"] == "inet").map(|item| {
            let ip = |key: &str| Some(item[key].as_str()?.parse().unwrap());
            LinkAddress { local: ip("local").unwrap(), remote: ip("address") }
        });
        let index = IfIndex(link["ifindex"].as_u64().unwrap().try_into().unwrap());
        let name = link["ifname"].as_str().unwrap().to_owned();
        let up = has(link, "UP") && has(link, "LOWER_UP");
        (index, Link { name, up, addresses: inet.collect() })
    };
    links.iter().filter(|link| has(link, "POINTOPOINT")).map(shown).collect()
}

/// The same, by what the daemon's core was told, which its recording holds.
fn links_by_core(gateway: &Gateway) -> Links {
    let mut links = Links::new();
    // The last line may still be on its way.
    for line in gateway.read("recording").split_inclusive('\n').filter(|l| l.ends_with('\n')) {
        let Line::Input(input) = serde_json::from_str(line).unwrap() else { continue };
        let Event::Links { changes, .. } = input.event else { continue };
        for LinkChange { index, link } in changes {
            match link {
                Some(link) => links.insert(index, link),
                None => links.remove(&index),
            };
        }
    }
    links
}

/// Whether the daemon shows the node's link as it is.
fn is_true(node: &Node, truth: &Links) -> bool {
    let link = node.ifindex.and_then(|index| truth.get(&IfIndex(index)));
    link.is_some_and(|link| {
        let shown = node.local_ip.map(|local| LinkAddress { local, remote: node.remote_ip });
        node.interface.as_ref() == Some(&link.name) && shown.as_ref() == link.addresses.first()
    })
}

/// Six nodes up, three hundred foreign links beside them, and a recording.
fn crowded() -> (Gateway, Status) {
    // A pppd whose link somebody deleted is not told so, and is ended after this grace.
    let mut gateway = Gateway::configured("tunnel.stop_grace = \"1s\"");
    gateway.namespace.batch((0..FOREIGN).map(|n| format!("tuntap add mode tun name foreign{n}")));
    gateway.nodes(NODES);
    let recording = gateway.path("recording");
    gateway.start_as(&["--record", recording.to_str().unwrap()]);
    let status = gateway.wait_until("six up", |status| {
        status.counts.get("up") == Some(&6) && status.kernel.links == NODES + FOREIGN
    });
    (gateway, status)
}

/// Flaps all foreign links, removes two in three, makes some of those anew and renames some of the
/// rest, and removes the links of two nodes: all while the daemon stands still. `floods` changes
/// come first.
fn storm(gateway: &Gateway, before: &Status, floods: u32) {
    gateway.signal(Signal::STOP);
    let flood = (0..floods).map(|n| format!("link set foreign0 mtu {}", 1400 + n % 2));
    let flaps = (0..FOREIGN).map(|n| {
        format!(
            "link set foreign{n} up\naddress add 10.60.0.1 peer 10.60.0.2 dev foreign{n}\n\
             link set foreign{n} down\nlink set foreign{n} group {}",
            if n % 3 == 0 { 8 } else { 7 }
        )
    });
    let hit = HIT.map(|id| format!("link del {}", interface(before, id)));
    let removal = hit.chain(["link del group 7".to_owned()]);
    let anew =
        (0..FOREIGN).filter(|n| n % 3 == 1).map(|n| format!("tuntap add mode tun name foreign{n}"));
    let renames =
        (0..FOREIGN).filter(|n| n % 6 == 0).map(|n| format!("link set foreign{n} name other{n}"));
    gateway.namespace.batch(flood.chain(flaps).chain(removal).chain(anew).chain(renames));
    gateway.signal(Signal::CONT);
}

fn interface(status: &Status, id: u32) -> &str {
    status.node(id).unwrap().interface.as_deref().unwrap()
}

/// Waits for what the storm has to end in, and gives back the status of that moment.
fn after_the_storm(gateway: &Gateway, before: &Status) -> Status {
    let is_new = |node: &Node| node.pid != before.node(node.id).unwrap().pid;
    gateway.wait_until("the kernel's truth", |status| {
        let truth = links_by_ip(gateway);
        links_by_core(gateway) == truth
            && usize::try_from(status.kernel.links).unwrap() == truth.len()
            && status.nodes.iter().all(|node| node.state == "up" && is_true(node, &truth))
            && status.nodes.iter().filter(|node| HIT.contains(&node.id)).all(is_new)
    })
}

/// Whatever tells one run of pppd and one link from another.
fn identities(status: &Status) -> Vec<(u32, Option<u32>, Option<u32>, &str)> {
    let untouched = status.nodes.iter().filter(|node| !HIT.contains(&node.id));
    untouched.map(|node| (node.id, node.pid, node.ifindex, node.since.as_str())).collect()
}

#[test]
fn a_storm_that_fits_the_buffer_ends_in_the_kernels_truth() {
    let (gateway, before) = crowded();
    storm(&gateway, &before, 0);
    let after = after_the_storm(&gateway, &before);
    assert_eq!(identities(&after), identities(&before), "the links of the others were kept");
    assert_eq!((after.kernel.overruns, after.kernel.resyncs), (0, 1));
}

#[test]
fn a_storm_that_overruns_the_buffer_ends_in_the_kernels_truth() {
    let (gateway, before) = crowded();
    storm(&gateway, &before, before.kernel.receive_buffer / MESSAGE);
    let after = after_the_storm(&gateway, &before);
    assert_eq!(identities(&after), identities(&before), "the links of the others were kept");
    assert!(after.kernel.overruns > 0 && after.kernel.resyncs > 1, "{:?}", after.kernel);
}

#[test]
fn the_addresses_of_an_up_link_change_without_a_flap() {
    let mut gateway = Gateway::new();
    gateway.nodes(1);
    let before = gateway.start().wait_state(1, "up");
    let link = before.interface.as_deref().unwrap();
    // As pppd does it, again and again, on to an address that tells the end.
    let steps = (100..=200).map(|n| {
        format!(
            "address del 10.50.0.{n} peer 10.50.0.1/32 dev {link}\n\
             address add 10.50.0.{next} dev {link}\n\
             address del 10.50.0.{next}/32 dev {link}\n\
             address add 10.50.0.{next} peer 10.50.0.1 dev {link}",
            next = n + 1
        )
    });
    gateway.namespace.batch(steps);
    let last = Some([10, 50, 0, 201].into());
    let after = gateway.wait_node(1, "its last address", |node| node.local_ip == last);
    assert_eq!((after.state.as_str(), &after.since), ("up", &before.since));
    assert_eq!((after.pid, after.ifindex), (before.pid, before.ifindex));
    assert_eq!(gateway.logged("is DOWN"), 0, "{}", gateway.log());
}
