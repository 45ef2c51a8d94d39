//! What stands around the daemon goes wrong: its folders, its socket, the database, pppd's program.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::{Tunnels, rounds};
use crate::database::{Database, SCHEMA};
use crate::gateway::CONNEXAD;
use crate::namespace::Mount;

#[test]
fn a_control_socket_that_is_removed_costs_no_tunnel_and_the_next_daemon_has_one() {
    let mut tunnels = Tunnels::up();
    for round in 0..rounds(2) {
        fs::remove_file(tunnels.gateway.path("control/connexad.sock")).unwrap();
        assert!(tunnels.gateway.status().is_none());
        assert_eq!(tunnels.gateway.end(Signal::TERM).code(), Some(0));
        tunnels.gateway.start();
        tunnels.assert_served(round);
    }
}

#[test]
fn a_run_folder_that_becomes_read_only_costs_no_tunnel() {
    let mut tunnels = Tunnels::up();
    for round in 0..rounds(2) {
        let mount = Mount::read_only(tunnels.gateway.path("run"));
        tunnels.gateway.signal(Signal::HUP);
        tunnels.assert_kept();
        drop(mount);
        tunnels.assert_served(round);
    }
}

/// Whoever reads sees the one database or the other, each of which has the nodes that are up.
#[test]
fn a_database_that_is_replaced_again_and_again_costs_no_tunnel() {
    let mut tunnels = Tunnels::up();
    let [here, next] = ["connexa.db", "next.db"].map(|name| tunnels.gateway.path(name));
    for round in 0..rounds(100) {
        let _ = fs::remove_file(&next);
        let mut rows = String::new();
        for id in (1..=super::NODES).chain(3000..3000 + round % 7 * 100) {
            let status = if id < 3000 { "speed_ok" } else { "ping_failed" };
            rows += &format!(
                "INSERT INTO nodes (id, ip, login, password, status) \
                 VALUES ({id}, '10.9.0.{}', 'admin', 'secret', '{status}');",
                id % 250
            );
        }
        Database::open(&next).execute(&format!("{SCHEMA} BEGIN; {rows} COMMIT;"));
        if round % 2 == 0 {
            fs::rename(&next, &here).unwrap();
        } else {
            // As `cp` does, over what is being read.
            fs::copy(&next, &here).unwrap();
        }
    }
    tunnels.assert_served(0);
}

/// As an upgrade of the package does.
#[test]
fn a_program_of_pppd_that_is_replaced_costs_no_tunnel() {
    let mut tunnels = Tunnels::up();
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netns/fake_pppd.py");
    for round in 0..rounds(2) {
        let pppd = tunnels.gateway.path("bin/pppd");
        let next = tunnels.gateway.path("bin/pppd.dpkg-new");
        fs::copy(&fake, &next).unwrap();
        fs::rename(&next, &pppd).unwrap();
        tunnels.gateway.end(Signal::KILL);
        tunnels.gateway.start();
        tunnels.assert_served(round);
    }
}

#[test]
fn daemons_that_are_started_beside_the_one_that_runs_cost_no_tunnel() {
    let mut tunnels = Tunnels::up();
    for round in 0..rounds(3) {
        let beside: Vec<_> =
            (0..4).map(|_| tunnels.gateway.connexad(&[]).spawn().unwrap()).collect();
        for mut daemon in beside {
            assert_eq!(daemon.wait().unwrap().code(), Some(1), "{CONNEXAD} beside another");
        }
        tunnels.assert_served(round);
    }
}
