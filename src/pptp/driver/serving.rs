//! A PPTP server that is driven: the server's side of the tests over real sockets, a call socket and
//! `/dev/ppp`, so that data goes through the kernel at both ends. The lab plays it (kernel_server.sh).

use std::env;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use super::blocking::Threads;
use super::control;
use super::data::Data;
use super::dial::Clock;
use super::end::{End, Read, readable};
use super::link::Ways;
use crate::pptp::tests::server::{self, Sent, Server};

const PORT: u16 = 1723;
/// It sends no larger frame than this, nor does a client.
const FRAME: usize = 4096;

/// Serves calls of any login with the password `secret` until it is killed. The first client gets
/// the address behind that of the server's end, the second the one behind that.
///
/// `SERVER_END` is the address of the server's end of all tunnels; `SERVER_MPPE` is `off`, or `stateful` for
/// nothing else than MPPE that keeps state, or anything else.
#[test]
#[ignore = "it never ends; played by the lab"]
fn serves_calls_until_it_is_killed() {
    let own_end: Ipv4Addr = env::var("SERVER_END").unwrap().parse().unwrap();
    let stateful = (server::BITS_128, server::BITS_128);
    let (mppe, stubborn) = match env::var("SERVER_MPPE").as_deref() {
        Ok("off") => (None, false),
        Ok("stateful") => (Some(stateful), true),
        Ok(_) | Err(_) => (server::Ways::default().mppe, false),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
        let threads = Threads::new();
        for number in 1.. {
            let (control, client) = listener.accept().await.unwrap();
            let std::net::IpAddr::V4(client) = client.ip() else { continue };
            let hands_out = Ipv4Addr::from_bits(own_end.to_bits() + number);
            // No compression of headers, which pppd would take: this side's kernel is told of none.
            let vj_and_ipv6 = false;
            let asked = server::Ways { vj_and_ipv6, ..server::Ways::default() };
            let ways = server::Ways { own_end, hands_out, mppe, stubborn, ..asked };
            tokio::task::spawn_local(serve(control, client, ways, threads.clone()));
        }
    });
}

async fn serve(control: TcpStream, client: Ipv4Addr, ways: server::Ways, threads: Threads) {
    let std::net::IpAddr::V4(local) = control.local_addr().unwrap().ip() else { return };
    // It answers what comes through the tunnel.
    let kernels = Ways { peer_route: true, default_route: false, server: client, resolver: None };
    let data = Data::open(threads, local, kernels, None).await.unwrap();
    let server = Server::new(server::Ways { call_id: data.own_id(), ..ways });
    let mut served = Served { server, control, data, clock: Clock::start() };
    while served.carry_out().await {
        served.hear().await;
    }
    served.data.close().await;
}

/// A call of a client.
struct Served {
    server: Server,
    control: TcpStream,
    data: Data,
    clock: Clock,
}

impl Served {
    /// Whether the call goes on.
    async fn carry_out(&mut self) -> bool {
        for sent in std::mem::take(&mut self.server.sent) {
            match sent {
                // A client that is gone is heard to be gone.
                Sent::Control(bytes) => drop(control::write(&self.control, &bytes).await),
                Sent::ControlEnd => return false,
                Sent::Frame(via, frame) => self.data.write(via, &frame),
                Sent::Kernel(order) => self.data.carry_out(order).await.unwrap(),
            }
        }
        true
    }

    async fn hear(&mut self) {
        let due = self.server.deadline().map(|at| self.clock.instant(at));
        let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            is_closed = control::heard(Some(&self.control)) => self.read_control(is_closed),
            () = readable(self.data.channel.as_ref()) => {
                let read = read(self.data.channel.as_mut());
                self.hear_frame(&read);
            }
            () = readable(self.data.unit.as_ref()) => {
                let read = read(self.data.unit.as_mut());
                self.hear_frame(&read);
            }
            () = sleep_until(due) => {}
        }
        self.server.on_deadline(self.clock.now());
    }

    fn read_control(&mut self, is_closed: bool) {
        let mut chunk = [0; control::CHUNK];
        match control::read_whole(&self.control, &mut chunk, is_closed) {
            Ok(length) if length > 0 => {
                self.server.on_control(&chunk[..length], self.clock.now());
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // Its end, or an error that is one.
            Ok(_) | Err(_) => self.server.sent.push(Sent::ControlEnd),
        }
    }

    fn hear_frame(&mut self, frame: &[u8]) {
        if !frame.is_empty() {
            self.server.on_frame(frame, false, self.clock.now());
        }
    }
}

fn read(end: Option<&mut End>) -> Vec<u8> {
    let mut frame = [0; FRAME];
    match end.map(|end| end.read(&mut frame)) {
        Some(Read::Frame(length)) => frame[..length].to_vec(),
        Some(Read::Nothing | Read::Ended(_)) | None => Vec::new(),
    }
}
