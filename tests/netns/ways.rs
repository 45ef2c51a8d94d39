//! Where the host's own packets go: the same as before, whatever servers call the ends of tunnels.
//!
//! The property plays random servers; `ROUTES_SEED=SEED` plays the one that failed again.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use connexa::node::ServerAddr;
use rustix::process::Signal;
use serde_json::json;

use crate::gateway::Gateway;
use crate::namespace::Running;

/// By address, what `ip route get` says; nothing where there is no way.
type Ways = BTreeMap<Ipv4Addr, String>;

/// The host: an uplink, a local network with a resolver and a router of its own, and a route there. A second
/// uplink, which is a PPP link, comes up before the tunnels.
const HOST: [&str; 8] = [
    "tuntap add wan mode tap",
    "address add 192.0.2.2/24 broadcast 192.0.2.255 dev wan",
    "link set wan up",
    "route add default via 192.0.2.1",
    "tuntap add lan mode tap",
    "address add 172.16.5.1/24 broadcast 172.16.5.255 dev lan",
    "link set lan up",
    "route add 198.51.100.0/28 via 172.16.5.9",
];

/// Its own addresses, the other end of its PPP link, neighbours, gateways, resolver and broadcasts; hosts behind them; addresses that
/// are none of a host.
const PLACES: [[u8; 4]; 18] = [
    [192, 0, 2, 1],
    [192, 0, 2, 2],
    [192, 0, 2, 77],
    [192, 0, 2, 255],
    [172, 16, 5, 1],
    [172, 16, 5, 9],
    [172, 16, 5, 53],
    [172, 16, 5, 255],
    [198, 51, 100, 3],
    [203, 0, 113, 1],
    [203, 0, 113, 7],
    [203, 0, 113, 9],
    [10, 50, 0, 1],
    [10, 50, 0, 100],
    [127, 0, 0, 1],
    [224, 0, 0, 5],
    [255, 255, 255, 255],
    [0, 0, 0, 0],
];

const SERVERS: u32 = 4;

fn server(id: u32) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, u8::try_from(id).unwrap())
}

fn places() -> Vec<Ipv4Addr> {
    PLACES.into_iter().map(Ipv4Addr::from).chain((1..=SERVERS).map(server)).collect()
}

/// A gateway on this host.
pub(crate) fn host(toml: &str) -> Gateway {
    let gateway = Gateway::configured(toml);
    gateway.namespace.batch(HOST.map(str::to_owned));
    gateway
}

/// The host's address on an uplink that is a PPP link.
pub(crate) const PUBLIC: &str = "203.0.113.7";

/// The other end of it.
const ISP: &str = "203.0.113.1";

/// Such an uplink, which is up.
pub(crate) fn uplink(gateway: &Gateway) -> Running {
    gateway.server("10.9.9.9", &json!({ "local": PUBLIC, "remote": ISP }));
    let pptp = gateway.path("bin/pptp");
    let peer = format!(
        "pty \"exec {} 10.9.9.9 --nolaunchpppd\"\nname admin\nremotename uplink\nlinkname uplink\n\
         noauth\nrequire-mppe-128\nmtu 1400\n",
        pptp.display()
    );
    fs::write(gateway.path("ppp/peers/uplink"), peer).unwrap();
    let secrets = gateway.path("ppp/chap-secrets");
    let others = fs::read_to_string(&secrets).unwrap_or_default();
    fs::write(&secrets, format!("{others}\"admin\" \"uplink\" \"secret\" *\n")).unwrap();
    let mut pppd = gateway.namespace.command(gateway.path("bin/pppd"));
    let pppd = pppd.args(["call", "uplink", "nodetach"]).stdout(Stdio::null()).spawn().unwrap();
    gateway.wait_for("the uplink", || {
        gateway.namespace.ip(&["-4", "address"]).contains(ISP).then_some(())
    });
    Running(pppd)
}

/// The ways to all places but these.
fn ways(gateway: &Gateway, but: &[Ipv4Addr]) -> Ways {
    let places: Vec<_> = places().into_iter().filter(|place| !but.contains(place)).collect();
    let mut command = gateway.namespace.command("ip");
    command.args(["-oneline", "-force", "-batch", "-"]);
    let mut ip =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let asked: String = places.iter().map(|place| format!("route get {place}\n")).collect();
    ip.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let said = String::from_utf8(ip.wait_with_output().unwrap().stdout).unwrap();
    // After `local` and the like comes the address.
    let way = |line: &str| {
        let place = line.split_whitespace().find_map(|word| word.parse().ok())?;
        Some((place, line.to_owned()))
    };
    said.lines().filter_map(way).collect()
}

/// Waits until the ways to all places but these are the same again.
fn wait_ways(gateway: &Gateway, when: &str, before: &Ways, but: &[Ipv4Addr]) {
    let mut differ = String::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        let now = ways(gateway, but);
        let changed = before
            .iter()
            .filter(|(place, way)| !but.contains(place) && now.get(place) != Some(way))
            .map(|(place, way)| format!("  {way}\n  is now {:?}\n", now.get(place)));
        let new = now.iter().filter(|(place, _)| !before.contains_key(place));
        let new = new.map(|(_, way)| format!("  new: {way}\n"));
        differ = changed.chain(new).collect();
        if differ.is_empty() {
            return;
        }
    }
    panic!("{when}, packets go another way:\n{differ}{}", gateway.log());
}

/// Numbers by chance, the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.throw() % all.len() as u64).unwrap()]
    }

    /// Our end, which is of a place every other time, and theirs, which may be any that the kernel
    /// takes for a peer; the two may be equal.
    fn ends(&mut self) -> (Ipv4Addr, Ipv4Addr) {
        let last = u8::try_from(101 + self.throw() % 3).unwrap();
        let mut local = Ipv4Addr::new(10, 50, 0, last);
        if self.throw().is_multiple_of(2) {
            let mut ours = places();
            // Of these pppd takes none.
            ours.retain(|place| ServerAddr::new(*place).is_ok());
            local = self.one_of(&ours);
        }
        let mut others = places();
        others.retain(|place| !place.is_multicast());
        others.push(local);
        (local, self.one_of(&others))
    }
}

/// Whether the host has to reach this address, so that our end may not have it.
fn is_refused(local: Ipv4Addr) -> bool {
    let [a, b, c, _] = local.octets();
    [[192, 0, 2], [172, 16, 5]].contains(&[a, b, c])
        || [PUBLIC, ISP].contains(&local.to_string().as_str())
        || (1..=SERVERS).map(server).any(|s| s == local)
}

/// The ends of each node's tunnel, ours first.
type Ends = BTreeMap<u32, (Ipv4Addr, Ipv4Addr)>;

/// Waits until every node is up, or waits because its address was refused. Gives back our ends.
fn settled(gateway: &Gateway, ends: &Ends) -> Vec<Ipv4Addr> {
    for (id, (local, _)) in ends {
        let is_refused = is_refused(*local);
        gateway.wait_node(*id, &format!("by {local}, refused: {is_refused}"), |node| {
            let kind = node.last_error.as_ref().map(|error| error.kind.as_str());
            let refused = node.state == "backoff" && kind == Some("address_refused");
            let up = node.state == "up" && node.local_ip == Some(*local);
            if is_refused { refused } else { up }
        });
    }
    ends.values().map(|(local, _)| *local).filter(|local| !is_refused(*local)).collect()
}

/// Tunnels of servers that call both ends as they like, which rise or are refused, are taken over by
/// another daemon, are down for a moment, get other addresses while a daemon looks and while none does,
/// and fall.
fn play(seed: u64) {
    let mut dice = Dice(seed);
    let mut gateway = host("tunnel.backoff = { min = \"1h\", max = \"1h\" }");
    let _uplink = uplink(&gateway);
    let before = ways(&gateway, &[]);
    let mut ends = BTreeMap::new();
    for id in 1..=SERVERS {
        let (local, remote) = dice.ends();
        gateway.server(&server(id).to_string(), &json!({ "local": local, "remote": remote }));
        gateway.node(id, &server(id).to_string(), "secret");
        ends.insert(id, (local, remote));
    }
    let first = ends.clone();
    let same = |gateway: &Gateway, when, ends: &Ends| {
        let ours = settled(gateway, ends);
        wait_ways(gateway, when, &before, &ours);
    };

    gateway.start();
    same(&gateway, "with all tunnels up", &ends);

    change(&gateway, &mut dice, &mut ends);
    same(&gateway, "after changes of links", &ends);

    gateway.end(Signal::KILL);
    // Another daemon dials those anew that the first one has refused.
    let refused: Vec<_> =
        ends.iter().filter(|(_, (local, _))| is_refused(*local)).map(|(id, _)| *id).collect();
    change(&gateway, &mut dice, &mut ends);
    ends.extend(refused.iter().map(|id| (*id, first[id])));
    gateway.start();
    same(&gateway, "after changes that no daemon saw", &ends);

    gateway.sql("DELETE FROM nodes");
    gateway.wait_until("no tunnel", |status| status.nodes.is_empty());
    wait_ways(&gateway, "with all tunnels gone", &before, &[]);
}

/// Some links are down for a moment, some get other addresses.
fn change(gateway: &Gateway, dice: &mut Dice, ends: &mut Ends) {
    for (id, ends) in ends.iter_mut().filter(|(_, (local, _))| !is_refused(*local)) {
        let file = gateway.read(&format!("run/ppp-connexa-node-{id}.pid"));
        let Some(link) = file.lines().nth(1) else { continue };
        match dice.throw() % 3 {
            0 => {}
            1 => gateway
                .namespace
                .batch([format!("link set {link} down"), format!("link set {link} up")]),
            _ => {
                let (local, remote) = dice.ends();
                gateway.namespace.batch([
                    format!("address flush dev {link}"),
                    format!("address add {local} peer {remote} dev {link}"),
                ]);
                *ends = (local, remote);
            }
        }
    }
}

#[test]
fn whatever_servers_call_the_ends_of_tunnels_the_host_s_packets_go_where_they_went() {
    let given = std::env::var("ROUTES_SEED").ok().map(|seed| seed.parse().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let first = given.unwrap_or(u64::try_from(now).unwrap());
    let begun = Instant::now();
    for seed in first.. {
        let played = catch_unwind(AssertUnwindSafe(|| play(seed)));
        // What went wrong stands above.
        assert!(
            played.is_ok(),
            "again: ROUTES_SEED={seed} cargo test --test netns ways::whatever_servers_call"
        );
        if given.is_some() || begun.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
}
