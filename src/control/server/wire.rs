//! The bytes of a connection: whether its client reads them, and the parser's own answers, which
//! have no body of their own, as problem documents.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::places::Place;
use crate::control::problem::document;

/// The parser's answers are no longer than this, in bytes.
const LONGEST_ANSWER: usize = 256;

/// A connection's stream as hyper sees it.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    place: Arc<Place>,
    /// What is written in place of the parser's answer, as far as it is not written yet.
    instead: Vec<u8>,
    stalls: bool,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, place: Arc<Place>) -> Self {
        Wire { stream, place, instead: Vec::new(), stalls: false }
    }
}

impl<S: Read + Unpin> Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: Write + Unpin> Wire<S> {
    /// Writes, and notes whether the client reads.
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_pending() != self.stalls {
            self.stalls = written.is_pending();
            self.place.stalls(self.stalls);
        }
        written
    }

    fn write_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let bytes = std::mem::take(&mut self.instead);
            let written = self.write(cx, &bytes);
            self.instead = bytes;
            self.instead.drain(..ready!(written)?);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match answer_of_the_parser(buf) {
            None => self.write(cx, buf),
            Some((0, status)) => {
                self.instead = document(status, title(status), detail(status)).into_bytes();
                Poll::Ready(Ok(buf.len()))
            }
            Some((before, _)) => self.write(cx, buf.get(..before).unwrap_or_default()),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where hyper's own answer begins in what it writes, and its status. It has no body, as no answer
/// of ours has it; it comes last, for hyper closes the connection then.
fn answer_of_the_parser(bytes: &[u8]) -> Option<(usize, StatusCode)> {
    const BEGINS: &[u8] = b"HTTP/1.1 4";
    let from = bytes.len().saturating_sub(LONGEST_ANSWER);
    let tail = bytes.get(from..)?;
    let at = tail.windows(BEGINS.len()).rposition(|window| window == BEGINS)?;
    let head = std::str::from_utf8(tail.get(at..)?).ok()?;
    let is_empty = head.ends_with("\r\n\r\n") && head.contains("\r\ncontent-length: 0\r\n");
    let status = head.split(' ').nth(1)?.parse().ok().filter(|_| is_empty)?;
    let is_of_the_parser = [
        StatusCode::BAD_REQUEST,
        StatusCode::URI_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    ]
    .contains(&status);
    is_of_the_parser.then_some((from + at, status))
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "head too large",
        StatusCode::URI_TOO_LONG => "path too long",
        _ => "bad request",
    }
}

fn detail(status: StatusCode) -> &'static str {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the head of the request is larger than 16 KiB; leave out headers"
        }
        StatusCode::URI_TOO_LONG => "the path of the request is too long; ask for a shorter one",
        // On metrics.listen, too.
        _ => "this is no request of HTTP/1.1; try `GET /metrics HTTP/1.1` with a Host header",
    }
}

#[cfg(test)]
mod fuzz {
    use super::*;
    use crate::fuzz::fuzz;

    #[test]
    fn the_parsers_own_answers_are_found_at_the_end_alone_whatever_is_written() {
        fuzz("tests/fuzz/corpus/requests", |bytes| {
            if let Some((at, status)) = answer_of_the_parser(bytes) {
                assert!(bytes[at..].starts_with(b"HTTP/1.1 4") && status.is_client_error());
            }
        });
    }
}
