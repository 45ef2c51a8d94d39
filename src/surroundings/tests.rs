//! The watcher against a real kernel, in network namespaces of their own.

use super::*;
use crate::core::surroundings::Subnet;
use crate::netlink::testing::{in_namespace, ip};

/// What the core is told.
struct Core {
    events: mpsc::Receiver<Event>,
    _watcher: tokio::task::JoinHandle<()>,
}

impl Core {
    fn told() -> Self {
        let (sender, events) = mpsc::channel(8);
        let watcher = tokio::spawn(async move {
            let mut watcher = Watcher::new(&Paths::default(), true);
            watcher.begin(&sender).await;
            watcher.follow(&sender).await;
        });
        Core { events, _watcher: watcher }
    }

    async fn next(&mut self) -> Surroundings {
        let Some(Event::Surroundings(surroundings)) = self.events.recv().await else {
            panic!("no surroundings")
        };
        surroundings
    }
}

fn uplink() {
    let commands = [
        "link set lo up",
        "tuntap add wan mode tap",
        "address add 192.0.2.2/24 dev wan",
        "link set wan up",
        "route add default via 192.0.2.1",
    ];
    ip(commands.map(str::to_owned));
}

#[test]
fn gateways_of_every_table_and_subnets_of_every_link_are_told() {
    in_namespace(async || {
        uplink();
        let commands = [
            "route add 10.20.0.0/16 via 192.0.2.3 table 77",
            "route add 10.30.0.0/16 nexthop via 192.0.2.4 nexthop via 192.0.2.5",
            "tuntap add tun0 mode tun",
            "address add 10.60.0.2 peer 10.60.0.1 dev tun0",
        ];
        ip(commands.map(str::to_owned));
        let told = Core::told().next().await;
        let gateways: Vec<_> = told.gateways.iter().map(|gateway| gateway.octets()[3]).collect();
        assert_eq!(gateways, [1, 3, 4, 5]);
        let subnet =
            |Subnet { interface, address, prefix }| format!("{interface} {address}/{prefix}");
        let subnets: Vec<_> = told.subnets.into_iter().map(subnet).collect();
        let expected =
            ["lo 127.0.0.1/8", "tun0 10.60.0.1/32", "tun0 10.60.0.2/32", "wan 192.0.2.2/24"];
        assert_eq!(subnets, expected);
    });
}

#[test]
fn a_first_look_that_took_too_long_is_made_again() {
    in_namespace(async || {
        uplink();
        let (sender, mut events) = mpsc::channel(1);
        // Nothing more goes in.
        sender.send(Event::Tick).await.unwrap();
        let mut watcher = Watcher::new(&Paths::default(), true);
        watcher.begin_within(Duration::from_millis(1), &sender).await;
        let follows = tokio::spawn(async move { watcher.follow(&sender).await });
        assert_eq!(events.recv().await, Some(Event::Tick));
        let mut core = Core { events, _watcher: follows };
        assert!(core.next().await.gateways.contains(&[192, 0, 2, 1].into()));
    });
}

#[test]
fn a_gateway_that_is_new_is_told() {
    in_namespace(async || {
        uplink();
        let mut core = Core::told();
        core.next().await;
        ip(["route add 10.20.0.0/16 via 192.0.2.3".to_owned()]);
        assert!(core.next().await.gateways.contains(&[192, 0, 2, 3].into()));
    });
}

#[test]
fn a_subnet_that_is_new_and_one_that_went_are_told() {
    in_namespace(async || {
        uplink();
        let mut core = Core::told();
        core.next().await;
        ip(["address add 172.16.5.1/24 dev wan".to_owned()]);
        let added = core.next().await.subnets;
        assert!(
            added.iter().any(|subnet| subnet.prefix == 24 && subnet.address.octets()[0] == 172)
        );
        ip(["address del 172.16.5.1/24 dev wan".to_owned()]);
        assert!(core.next().await.subnets.iter().all(|subnet| subnet.address.octets()[0] != 172));
    });
}

#[test]
fn a_gateway_whose_link_went_down_is_none_any_more_a_while_later() {
    in_namespace(async || {
        uplink();
        let mut core = Core::told();
        core.next().await;
        ip(["link set wan down".to_owned()]);
        assert_eq!(core.next().await.gateways.len(), 0);
    });
}
