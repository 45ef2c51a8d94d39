//! journald's native protocol (systemd.journal-fields(7), systemd.io/JOURNAL_NATIVE_PROTOCOL): a
//! datagram an entry, `FIELD=value` a line.

use std::fmt::{Debug, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::queue::Queue;

const SOCKET: &str = "/run/systemd/journal/socket";

/// A value is cut beyond so many bytes: a datagram has an end, and a line of a log is no file.
const LONGEST: usize = 32 * 1024;

/// Gives each event to journald, by the queue.
pub(super) struct Journald(Queue);

/// Gives entries to journald's socket.
///
/// # Errors
/// When journald is not there.
pub(super) fn writer() -> io::Result<impl FnMut(&[u8]) -> io::Result<()> + Send> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SOCKET)?;
    Ok(move |entry: &[u8]| match socket.send(entry) {
        Ok(_) => Ok(()),
        // journald may have been started anew.
        Err(_) => socket.send_to(entry, SOCKET).map(drop),
    })
}

impl Journald {
    pub(super) fn new(queue: Queue) -> Self {
        Journald(queue)
    }
}

impl<S: Subscriber> Layer<S> for Journald {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut entry = Entry::of(*metadata.level());
        entry.add("TARGET", metadata.target());
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            entry.add("CODE_FILE", file);
            entry.add("CODE_LINE", &line.to_string());
        }
        event.record(&mut entry);
        self.0.add(entry.0);
    }
}

/// The entry that tells of lost lines.
pub(super) fn lost(message: &str) -> Vec<u8> {
    let mut entry = Entry::of(Level::WARN);
    entry.add("MESSAGE", message);
    entry.0
}

struct Entry(Vec<u8>);

impl Entry {
    fn of(level: Level) -> Self {
        let mut entry = Entry(Vec::with_capacity(512));
        // Priorities of syslog(3).
        let priority = match level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        entry.add("PRIORITY", priority);
        entry.add("SYSLOG_IDENTIFIER", "connexad");
        entry
    }

    fn add(&mut self, name: &str, value: &str) {
        let value = value.get(..value.floor_char_boundary(LONGEST)).unwrap_or_default();
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            let length = u64::try_from(value.len()).unwrap_or_default();
            self.0.extend_from_slice(&length.to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(&name(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        if write!(text, "{value:?}").is_ok() {
            self.add(&name(field), &text);
        }
    }
}

/// journald takes capital letters, digits and underscores.
fn name(field: &Field) -> String {
    field
        .name()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_line_for_each_field() {
        let mut entry = Entry::of(Level::WARN);
        entry.add("MESSAGE", "Tunnel = down");
        entry.add("NODE_ID", "2");
        let text = "PRIORITY=4\nSYSLOG_IDENTIFIER=connexad\nMESSAGE=Tunnel = down\nNODE_ID=2\n";
        assert_eq!(String::from_utf8(entry.0).unwrap(), text);
    }

    #[test]
    fn a_value_of_several_lines_is_told_with_its_length() {
        let mut entry = Entry(Vec::new());
        entry.add("MESSAGE", "a\nPRIORITY=0");
        assert_eq!(entry.0, b"MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n");
    }

    #[test]
    fn a_value_without_an_end_is_cut_between_two_letters() {
        let mut entry = Entry(Vec::new());
        entry.add("M", &"ü".repeat(LONGEST));
        assert_eq!(entry.0.len(), LONGEST + 3);
    }
}
