//! What nft and iptables say, changed at any place.

use super::ruleset::Ruleset;
use super::way::Server;
use super::{Wish, in_the_way, iptables, nft, removal};
use crate::fuzz::fuzz;

fn wish() -> Wish {
    let server = Server { address: [10, 9, 0, 2].into(), link: Some("eth0".to_owned()) };
    Wish { servers: vec![server], clamp_mss: true, ..Wish::default() }
}

/// All that is asked of a ruleset.
fn ask(ruleset: &Ruleset) {
    for wish in [wish(), Wish::default()] {
        in_the_way(ruleset, &wish);
        in_the_way(&ruleset.of_others(), &wish);
    }
    ruleset.scope();
    if let Ok(script) = removal(ruleset) {
        // Whatever a table is called, nothing else is said to nft.
        assert!(script.lines().all(|line| line.starts_with("delete ")), "{script}");
    }
}

#[test]
fn rules_of_nftables_are_read_and_judged_whatever_they_are() {
    fuzz("tests/fuzz/corpus/nft", |bytes| {
        let json = String::from_utf8_lossy(bytes);
        for leave_iptables in [false, true] {
            if let Ok(ruleset) = nft::read(&json, leave_iptables) {
                ask(&ruleset);
            }
        }
        let _ = nft::is_bare(&json, "filter");
    });
}

#[test]
fn rules_of_iptables_are_read_judged_and_changed_whatever_they_are() {
    fuzz("tests/fuzz/corpus/iptables", |bytes| {
        let saved = String::from_utf8_lossy(bytes);
        ask(&iptables::read(&saved));
        iptables::apply(&wish(), &saved);
        iptables::made_tables(&saved);
        iptables::remove(&saved);
    });
}
