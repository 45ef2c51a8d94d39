//! Reading and writing the control connection, so that whoever takes it over finds no half message.

use std::io;

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::pptp::whole_messages;

/// Bytes that are taken at once; a message has 512 at most.
pub(super) const CHUNK: usize = 4096;

/// Returns when the connection has something, and whether no more will come after it; never where
/// there is none.
pub(super) async fn heard(control: Option<&TcpStream>) -> bool {
    match control {
        // Reading tells of what is wrong with it.
        Some(control) => {
            control.ready(Interest::READABLE).await.is_ok_and(|ready| ready.is_read_closed())
        }
        None => std::future::pending().await,
    }
}

/// Takes whole messages off the connection. Half of one stays there until the rest has come, unless
/// the connection is closed.
pub(super) fn read_whole(
    control: &TcpStream,
    chunk: &mut [u8; CHUNK],
    is_closed: bool,
) -> io::Result<usize> {
    control.try_io(Interest::READABLE, || {
        let (_, seen) = rustix::net::recv(control, &mut *chunk, RecvFlags::PEEK)?;
        let bytes = chunk.get(..seen).unwrap_or_default();
        let whole = match whole_messages(bytes) {
            _ if is_closed => seen,
            0 if seen > 0 => return Err(io::ErrorKind::WouldBlock.into()),
            whole => whole,
        };
        let wanted = chunk.get_mut(..whole).unwrap_or_default();
        let (_, length) = rustix::net::recv(control, wanted, RecvFlags::empty())?;
        Ok(length)
    })
}

/// Writes all of it.
pub(super) async fn write(control: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        control.writable().await?;
        match control.try_write(bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as Blocking;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// Echo-Request (RFC 2637 section 2.5).
    const MESSAGE: [u8; 16] = [0, 16, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 5, 0, 0, 0, 0, 0, 1];

    async fn connection() -> (TcpStream, Blocking) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Blocking::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().await.unwrap().0, server)
    }

    async fn read(control: &TcpStream) -> Vec<u8> {
        let mut chunk = [0; CHUNK];
        let is_closed = heard(Some(control)).await;
        let length = read_whole(control, &mut chunk, is_closed).unwrap();
        chunk[..length].to_vec()
    }

    #[tokio::test]
    async fn whole_messages_are_taken_and_the_half_that_follows_is_left_to_whoever_reads_next() {
        let (control, mut server) = connection().await;
        server.write_all(&[&MESSAGE[..], &MESSAGE[..7]].concat()).unwrap();
        assert_eq!(read(&control).await, MESSAGE);
        let mut chunk = [0; CHUNK];
        let left = read_whole(&control, &mut chunk, false).unwrap_err();
        assert_eq!(left.kind(), io::ErrorKind::WouldBlock);
        // The next one to read has the same connection by another descriptor.
        let mut next = control.into_std().unwrap();
        next.set_nonblocking(false).unwrap();
        server.write_all(&MESSAGE[7..]).unwrap();
        let mut message = [0; 16];
        next.read_exact(&mut message).unwrap();
        assert_eq!(message, MESSAGE);
    }

    #[tokio::test]
    async fn half_a_message_keeps_nobody_awake() {
        let (control, mut server) = connection().await;
        server.write_all(&MESSAGE[..7]).unwrap();
        heard(Some(&control)).await;
        let mut chunk = [0; CHUNK];
        assert!(read_whole(&control, &mut chunk, false).is_err());
        // The same news may be told a second time, and not for ever.
        let mut wakes = 0;
        while timeout(Duration::from_millis(50), heard(Some(&control))).await.is_ok() {
            assert!(read_whole(&control, &mut chunk, false).is_err());
            wakes += 1;
            assert!(wakes < 5, "it is awake for ever");
        }
        server.write_all(&MESSAGE[7..]).unwrap();
        assert_eq!(read(&control).await, MESSAGE);
    }

    #[tokio::test]
    async fn after_half_a_message_the_end_is_heard() {
        let (control, mut server) = connection().await;
        server.write_all(&MESSAGE[..7]).unwrap();
        drop(server);
        while !heard(Some(&control)).await {
            let mut chunk = [0; CHUNK];
            drop(read_whole(&control, &mut chunk, false));
        }
        assert_eq!(read(&control).await, MESSAGE[..7]);
        assert!(read(&control).await.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_pptp_is_taken_and_told() {
        let (control, mut server) = connection().await;
        server.write_all(b"HTTP/1.1").unwrap();
        assert_eq!(read(&control).await, b"HTTP/1.1");
    }
}
