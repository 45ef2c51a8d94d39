//! Log lines on their way out, written by a thread of its own: whoever logs never waits for a disk,
//! a pipe or journald that stalls. What does not fit is lost, counted and told.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait.
const QUEUE: usize = 4096;

/// Between two tries to get the last mark into a full queue.
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// What goes to the thread.
enum Item {
    /// A whole line, as its format has it.
    Line(Vec<u8>),
    /// All before it is written once this is dropped.
    Mark { _dropped_when_reached: mpsc::Sender<()> },
}

/// Takes lines; never waits.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    items: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    /// A queue whose lines are given to `write` one by one, in a thread of its own. After a loss
    /// `told` makes the line that tells of it.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(
        mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
        told: impl Fn(u64) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Self> {
        let (items, theirs): (_, Receiver<Item>) = mpsc::sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            for item in theirs {
                let Item::Line(line) = item else { continue };
                let is_written = write(&line).is_ok();
                let lost = counted.swap(0, Ordering::Relaxed) + u64::from(!is_written);
                if lost > 0 && !(is_written && write(&told(lost)).is_ok()) {
                    counted.fetch_add(lost, Ordering::Relaxed);
                }
            }
        })?;
        Ok(Queue { items, lost })
    }

    pub(super) fn add(&self, line: Vec<u8>) {
        if self.items.try_send(Item::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was added is written, and not for longer than this.
    pub(super) fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let (mark, reached) = mpsc::channel();
        let mut item = Item::Mark { _dropped_when_reached: mark };
        while let Err(TrySendError::Full(back)) = self.items.try_send(item) {
            if Instant::now() >= until {
                return;
            }
            item = back;
            std::thread::sleep(BETWEEN_TRIES);
        }
        // It ends by the drop of the mark, or by the limit.
        let _ = reached.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// One line: its format writes it in one piece or in several.
pub(super) struct Line {
    queue: Queue,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.queue.add(std::mem::take(&mut self.text));
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { queue: self.clone(), text: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lost: u64) -> Vec<u8> {
        format!("{lost} lost").into_bytes()
    }

    #[test]
    fn lines_are_written_in_their_order() {
        let (out, written) = mpsc::channel();
        let write = move |line: &[u8]| out.send(line.to_vec()).map_err(io::Error::other);
        let queue = Queue::start(write, told).unwrap();
        queue.add(b"one".to_vec());
        queue.make_writer().write_all(b"two").unwrap();
        queue.flush(Duration::from_secs(20));
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [b"one", b"two"]);
    }

    #[test]
    fn who_logs_does_not_wait_for_a_writer_that_stalls_and_what_is_lost_is_told() {
        let (out, written) = mpsc::channel();
        let (go, stalled) = mpsc::channel::<()>();
        let write = move |line: &[u8]| {
            // Until the other end is dropped.
            let _ = stalled.recv();
            out.send(String::from_utf8_lossy(line).into_owned()).map_err(io::Error::other)
        };
        let queue = Queue::start(write, told).unwrap();
        let added = QUEUE + 100;
        (0..added).for_each(|number| queue.add(number.to_string().into_bytes()));
        drop(go);
        queue.flush(Duration::from_secs(20));
        let written: Vec<String> = written.try_iter().collect();
        let lost: Vec<u64> =
            (written.iter()).filter_map(|line| line.strip_suffix(" lost")?.parse().ok()).collect();
        let lines = written.len() - lost.len();
        // One is with the writer, and the queue is full.
        assert!((QUEUE..=QUEUE + 1).contains(&lines), "{lines}");
        assert_eq!(lost, [(added - lines) as u64]);
    }

    #[test]
    fn the_end_does_not_wait_for_a_writer_that_stalls() {
        let (go, stalled) = mpsc::channel::<()>();
        let write = move |_: &[u8]| stalled.recv().map_err(io::Error::other);
        let queue = Queue::start(write, told).unwrap();
        queue.add(b"one".to_vec());
        queue.flush(Duration::from_millis(1));
        drop(go);
    }
}
