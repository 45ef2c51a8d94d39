//! A call with an encryption that no configuration asks for, and that a server may have: 40 bit. The lab plays
//! it (kernel_server.sh).

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::net::Ipv4Addr;

use tokio::sync::{mpsc, watch};

use super::blocking::Threads;
use super::connect::connect;
use super::data::Data;
use super::dial::{Reins, Wish, dice};
use super::hold::{Held, Over};
use super::keeping::Keeping;
use super::link::Ways;
use super::state::Made;
use crate::core::event::{CallId, Event};
use crate::node::{Mppe, NodeId, Secret};
use crate::pptp::{Encryption, Settings};

/// Calls `CALL_SERVER` as `admin` with the password `secret` and takes 40 bit, where the server offers nothing
/// else, until it is killed or the call ends; tells the link's name and the end.
#[test]
#[ignore = "it calls a server; played by the lab"]
fn calls_a_server_with_a_short_key_until_it_is_killed() {
    let server: Ipv4Addr = env::var("CALL_SERVER").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (events, mut told) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(event) = told.recv().await {
                if let Event::Link { name, .. } = event {
                    tell(&format!("link {name}"));
                }
            }
        });
        let threads = Threads::new();
        let control = connect(server, std::time::Duration::from_secs(10)).await.unwrap();
        let std::net::IpAddr::V4(local) = control.local_addr().unwrap().ip() else { panic!() };
        let ways = Ways { peer_route: false, default_route: false, server, resolver: None };
        let data = Data::open(threads.clone(), local, ways, None).await.unwrap();
        let made = Made {
            node: NodeId(1),
            server,
            login: "admin".to_owned(),
            mppe: Mppe::Require,
            own_call_id: data.own_id(),
        };
        let settings = Settings {
            server,
            own_call_id: data.own_id(),
            login: made.login.clone(),
            password: Some(Secret::parse("secret").unwrap()),
            encryption: Encryption::Required { stateful: false, short_key: true },
            ..crate::pptp::tests::settings()
        };
        // Nobody keeps it beyond this process.
        let (keeping, _) = Keeping::new("/".into(), None, BTreeMap::new(), threads);
        let mut reins = Reins {
            call: CallId::Dialled(1),
            node: made.node,
            events,
            wish: watch::channel(Wish::GoOn).1,
            carried: watch::channel(super::echo::Carried::default()).1,
            nodes: watch::channel(BTreeMap::new()).1,
            keeping,
        };
        let dice = dice().unwrap();
        match Held::dialled(&mut reins, made, control, data, settings, dice).run().await {
            Over::Ended(failure) => tell(&format!("ended: {failure}")),
            Over::IdTaken => tell("ended: the id is taken"),
        }
    });
}

/// The scenario reads it.
fn tell(line: &str) {
    writeln!(std::io::stdout(), "{line}").unwrap();
}
