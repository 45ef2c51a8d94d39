//! Many at once, or one after the other: signals and clients of the API.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use super::Tunnels;

const HUPS: u32 = 500;
const CLIENTS: usize = 1000;

#[test]
fn hups_without_end_cost_no_tunnel() {
    let mut tunnels = Tunnels::up();
    for round in 0..HUPS {
        tunnels.gateway.configure(&format!("outage.windows = {}", 2 + round % 2));
        tunnels.gateway.signal(Signal::HUP);
        if round % 50 == 0 {
            tunnels.gateway.status().unwrap();
        }
    }
    tunnels.gateway.configure("outage.windows = 9");
    tunnels.gateway.signal(Signal::HUP);
    tunnels.wait_until("the last of them to be in force", |status| {
        status.outage.consecutive_threshold == 9
    });
    tunnels.assert_served(0);
}

/// What a client does that means no good, or can no better.
const BAD: [&[u8]; 8] = [
    b"",
    b"\0\0\0\0",
    b"GET /v1/status HTTP/1.1\r\n",
    b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/plan HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
    b"POST /v1/nodes/1/retry HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

#[test]
fn bad_clients_cost_no_tunnel_and_keep_nobody_from_an_answer() {
    let mut tunnels = Tunnels::up();
    let socket = tunnels.gateway.path("control/connexad.sock");
    let mut open = Vec::new();
    for number in 0..CLIENTS {
        let Ok(mut client) = UnixStream::connect(&socket) else { continue };
        client.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = client.write_all(BAD[number % BAD.len()]);
        // Every third leaves at once, without reading what comes.
        if number % 3 > 0 {
            open.push(client);
        }
        if number % 100 == 0 {
            assert!(tunnels.gateway.status().is_some(), "after {number} of them");
        }
    }
    tunnels.assert_served(0);
    drop(open);
    tunnels.assert_served(1);
}
