//! A TCP connection to the target.

use std::io;
use std::net::SocketAddrV4;

use tokio::net::TcpSocket;

use super::Outcome;

/// Connects through the interface. A refusal has come through the tunnel, too.
pub(super) async fn ask(target: SocketAddrV4, interface: &str) -> Outcome {
    match connect(target, interface).await {
        Ok(()) => Outcome::Answered,
        Err(error) =>
        {
            #[allow(clippy::wildcard_enum_match_arm, reason = "the kinds of errors are not ours")]
            match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                    Outcome::Answered
                }
                _ => Outcome::of(error),
            }
        }
    }
}

async fn connect(target: SocketAddrV4, interface: &str) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.connect(target.into()).await.map(drop)
}
