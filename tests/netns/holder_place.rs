//! What is in the way where the holder's socket is to be: it stays, keeps no node waiting, and a purge
//! takes away the holder's own alone.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Output;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use rustix::process::Signal;

use crate::gateway::Gateway;
use crate::namespace::Mount;
use crate::paths::{Immutable, KINDS, Kind, Stranger};

const SOCKET: &str = "run/connexad-holder.sock";

fn purge(gateway: &Gateway) -> (Output, String) {
    let output = gateway.connexad(&["--purge"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

/// What a holder that was killed leaves.
fn leave_a_dead_socket(path: &Path) {
    let dead: OwnedFd =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .unwrap();
    bind(&dead, &SocketAddrUnix::new(path).unwrap()).unwrap();
}

#[test]
fn what_has_the_name_of_the_holder_s_socket_stays_and_no_node_waits_for_it() {
    for kind in KINDS {
        let mut gateway = Gateway::new();
        gateway.nodes(1);
        let stranger = Stranger::put(kind, gateway.path(SOCKET));
        gateway.start().wait_state(1, "up");
        assert_eq!(gateway.logged("and dialling nothing"), 0, "{kind:?}");
        let told = gateway.logged(&format!("{SOCKET} is there, and nothing of others is replaced"));
        assert_eq!(told, usize::from(matches!(kind, Kind::Socket)), "{kind:?}");
        gateway.end(Signal::TERM);
        let (done, told) = purge(&gateway);
        assert!(done.status.success(), "{kind:?}: {told}");
        stranger.assert_untouched();
    }
}

#[test]
fn a_dead_holder_s_socket_that_can_not_be_removed_is_told_and_goes_once_it_can_be() {
    for is_mount in [true, false] {
        let gateway = Gateway::new();
        let [socket, run_dir] = [SOCKET, "run"].map(|name| gateway.path(name));
        // A folder that nothing can be made in has the lock already.
        fs::write(gateway.path("run/connexad.lock"), "").unwrap();
        leave_a_dead_socket(&socket);
        let mount = is_mount.then(|| Mount::bind(&socket, socket.clone()));
        let immutable = (!is_mount).then(|| Immutable::make(run_dir));
        let (done, told) = purge(&gateway);
        let word = if is_mount { "busy" } else { "Operation not permitted" };
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(
            told.contains(&format!("{} stays: ", socket.display())) && told.contains(word),
            "{told}"
        );
        drop((mount, immutable));
        let (done, told) = purge(&gateway);
        assert!(done.status.success() && !socket.exists(), "{told}");
    }
}
