//! The control connection: TCP to the server's port 1723 (RFC 2637 section 4.1).

use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::core::failure::{Failure, FailureKind};
use crate::os_answer::with_remedy;

const PORT: u16 = 1723;

/// The longest that a server may take to answer: the kernel asks at 0, 1, 3 and 7 seconds.
const LONGEST: Duration = Duration::from_secs(15);

/// How long a server may take, so that its silence is told before the dial's time is over.
pub(super) fn within(dial_timeout: Duration) -> Duration {
    LONGEST.min(dial_timeout / 2)
}

/// Connects.
///
/// # Errors
/// When that fails or takes longer.
pub(super) async fn connect(server: Ipv4Addr, within: Duration) -> Result<TcpStream, Failure> {
    match timeout(within, TcpStream::connect((server, PORT))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failure(server, &error)),
        Err(_) => {
            let message =
                format!("TCP port {PORT} of {server} did not answer within {} s", within.as_secs());
            Err(Failure::new(FailureKind::Unreachable, message))
        }
    }
}

fn failure(server: Ipv4Addr, error: &io::Error) -> Failure {
    let message =
        format!("can't connect to TCP port {PORT} of {server}: {}", with_remedy(error, ""));
    Failure::new(kind(error), message)
}

fn kind(error: &io::Error) -> FailureKind {
    // Of all that is possible only these tell of the way to the server.
    let silent = [
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::NetworkDown,
        ErrorKind::TimedOut,
        ErrorKind::AddrNotAvailable,
        // A firewall of this host.
        ErrorKind::PermissionDenied,
    ];
    let refused = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset];
    if refused.contains(&error.kind()) {
        FailureKind::Refused
    } else if silent.contains(&error.kind()) {
        FailureKind::Unreachable
    } else {
        FailureKind::Unexplained
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_kernel_answers_tells_who_is_at_fault() {
        let of = |errno: Errno| kind(&errno.into());
        assert_eq!(of(Errno::CONNREFUSED), FailureKind::Refused);
        for errno in [Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::TIMEDOUT, Errno::PERM] {
            assert_eq!(of(errno), FailureKind::Unreachable, "{errno}");
        }
        assert_eq!(of(Errno::MFILE), FailureKind::Unexplained);
    }

    #[test]
    fn a_dial_without_a_free_descriptor_says_how_to_get_more() {
        let told = failure(Ipv4Addr::new(10, 9, 0, 2), &Errno::MFILE.into());
        assert!(told.message.contains("LimitNOFILE="), "{told}");
    }

    #[test]
    fn a_silent_server_is_given_up_before_the_dial_is() {
        for seconds in [1, 20, 30, 300] {
            let dial_timeout = Duration::from_secs(seconds);
            assert!(within(dial_timeout) < dial_timeout);
        }
    }

    #[tokio::test]
    async fn a_host_without_a_server_refuses() {
        // Loopback is no server's address in a row, and has nothing at this port.
        let refused = connect(Ipv4Addr::new(127, 0, 0, 2), LONGEST).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused);
        assert!(refused.message.contains("TCP port 1723 of 127.0.0.2"), "{refused}");
    }
}
