//! `GET /v1/events`: each reader's stream, a line of JSON for each event.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use futures::stream::{self, Stream};
use hyper::body::Bytes;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::time::{Instant, sleep_until};

use super::api::{Event, What};
use super::question::Following;
use super::server::Follower;
use super::shown::rfc3339;
use crate::core::time::Wall;

/// Events that are handed over at once.
const AT_ONCE: usize = 256;
/// Between two handings-over to one reader. Where thousands of events come a second, what a reader costs
/// goes by how often it is written to, and others wait meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// An event in the form that every reader gets.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    pub(crate) bytes: Bytes,
}

/// An event as a line.
pub(crate) fn line(event: &Event) -> Bytes {
    // Texts and numbers always have a form as JSON.
    let mut bytes = serde_json::to_vec(event).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}

/// A stream that ends with the daemon, or when its reader goes.
pub(super) fn body(following: Following, follower: Follower) -> Body {
    let Following { snapshot, events } = following;
    let reader = Reader { events, lost: 0, rests_until: Instant::now(), _follower: follower };
    let first = stream::iter([Ok::<_, Infallible>(line(&snapshot))]);
    Body::from_stream(stream::StreamExt::chain(first, lines(reader)))
}

struct Reader {
    events: broadcast::Receiver<Line>,
    /// Events lost to it that it was not told of yet.
    lost: u64,
    /// Before then nothing is handed over.
    rests_until: Instant,
    _follower: Follower,
}

fn lines(reader: Reader) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((Ok(chunk), reader))
    })
}

impl Reader {
    /// The events that are there, or the next one; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        sleep_until(self.rests_until).await;
        let first = loop {
            match self.events.recv().await {
                Ok(line) => break line,
                Err(RecvError::Lagged(lost)) => self.lost += lost,
                Err(RecvError::Closed) => return None,
            }
        };
        let mut chunk = self.take(first);
        for _ in 1..AT_ONCE {
            match self.events.try_recv() {
                Ok(line) => chunk.extend_from_slice(&self.take(line)),
                Err(TryRecvError::Lagged(lost)) => self.lost += lost,
                Err(TryRecvError::Empty | TryRecvError::Closed) => {
                    // One that is behind has the next ones at once.
                    self.rests_until = Instant::now() + PAUSE;
                    break;
                }
            }
        }
        Some(chunk.into())
    }

    /// A line, after what is to be told of lines before it.
    fn take(&mut self, line: Line) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.lost > 0 {
            let what = What::Lagged { lost: std::mem::take(&mut self.lost) };
            let event = Event { seq: line.seq.saturating_sub(1), at: now(), what };
            bytes.extend_from_slice(&self::line(&event));
        }
        bytes.extend_from_slice(&line.bytes);
        bytes
    }
}

fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    rfc3339(Wall(u64::try_from(millis).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(events: broadcast::Receiver<Line>) -> Reader {
        let rests_until = Instant::now();
        Reader { events, lost: 0, rests_until, _follower: Follower::of_a_test() }
    }

    fn event(seq: u64) -> Line {
        let what = What::Gone { id: 7 };
        Line { seq, bytes: line(&Event { seq, at: String::new(), what }) }
    }

    fn parsed(chunk: &[u8]) -> Vec<Event> {
        let lines = chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_how_much_it_lost_and_goes_on() {
        let sender = broadcast::Sender::new(4);
        let mut reader = reader(sender.subscribe());
        for seq in 1..=10 {
            let _ = sender.send(event(seq));
        }
        let events = parsed(&reader.next().await.unwrap());
        assert!(matches!(events[0].what, What::Lagged { lost: 6 }), "{events:?}");
        let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, [6, 7, 8, 9, 10]);
    }

    #[tokio::test]
    async fn events_that_come_soon_after_others_are_handed_over_together() {
        let sender = broadcast::Sender::new(AT_ONCE);
        let mut reader = reader(sender.subscribe());
        let begun = Instant::now();
        let mut handed = Vec::new();
        for seqs in [1..=1, 2..=100] {
            seqs.for_each(|seq| drop(sender.send(event(seq))));
            handed.push(parsed(&reader.next().await.unwrap()).len());
        }
        assert_eq!(handed, [1, 99]);
        assert!(begun.elapsed() >= PAUSE);
    }

    #[tokio::test]
    async fn the_stream_ends_with_the_daemon() {
        let sender = broadcast::Sender::new(4);
        let mut reader = reader(sender.subscribe());
        drop(sender);
        assert!(reader.next().await.is_none());
    }
}
