//! What goes to the journal, and how.

mod journald;
pub(crate) mod metrics;
mod queue;

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use journald::Journald;
use queue::Queue;

use crate::config::{self, LogFormat, LogLevel};
use crate::core::State;
use crate::core::notice::{Level, Notice};
use crate::node::NodeId;
use crate::printable::printable;

/// How long the end of the program waits for what is not written yet.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// Why logging can't begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// journald was asked for and is not there.
    #[error("can't reach journald: {0}; set log.format to \"text\" where journald does not run")]
    Journald(#[source] std::io::Error),
    /// There can be no thread that writes.
    #[error("logging can't begin: {0}; raise the limit of tasks (TasksMax=)")]
    Thread(#[source] std::io::Error),
    /// Logging was begun before.
    #[error("logging can't be set up: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Where log lines go; they are written by a thread of its own.
#[derive(Debug)]
pub struct Log(Queue);

impl Log {
    /// Lets what was logged come out, within a second: for the end of the program.
    pub fn finish(&self) {
        self.0.flush(FINISH_WITHIN);
    }
}

/// Begins logging as the configuration says.
///
/// # Errors
/// When journald is asked for and can't be reached.
pub fn init(log: &config::Log) -> Result<Log, TelemetryError> {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // The level is for this program's own lines; libraries speak only in trouble.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("connexa", level)
        .with_target("connexad", level);
    let (layer, queue) = layer(log.format)?;
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()?;
    Ok(Log(queue))
}

type Output = (Box<dyn Layer<Registry> + Send + Sync>, Queue);

fn layer(format: LogFormat) -> Result<Output, TelemetryError> {
    match format {
        LogFormat::Auto if stderr_is_the_journal() => layer(LogFormat::Journald),
        LogFormat::Auto | LogFormat::Text => {
            let queue = to_stderr(|text| format!("WARN {text}"))?;
            let plain = tracing_subscriber::fmt::layer()
                .with_writer(queue.clone())
                .with_target(false)
                .fmt_fields(message_only());
            Ok((plain.boxed(), queue))
        }
        LogFormat::Json => {
            let queue = to_stderr(|text| {
                serde_json::json!({ "level": "WARN", "fields": { "message": text } }).to_string()
            })?;
            let json = tracing_subscriber::fmt::layer().with_writer(queue.clone()).json();
            Ok((json.boxed(), queue))
        }
        LogFormat::Journald => {
            let writer = journald::writer().map_err(TelemetryError::Journald)?;
            let queue = Queue::start(writer, |lost| journald::lost(&lost_lines(lost)))
                .map_err(TelemetryError::Thread)?;
            Ok((Journald::new(queue.clone()).boxed(), queue))
        }
    }
}

fn to_stderr(line: fn(&str) -> String) -> Result<Queue, TelemetryError> {
    let write = |text: &[u8]| std::io::stderr().write_all(text);
    let told = move |lost| (line(&lost_lines(lost)) + "\n").into_bytes();
    Queue::start(write, told).map_err(TelemetryError::Thread)
}

fn lost_lines(lost: u64) -> String {
    format!("{lost} log lines were lost: the log did not take them in time")
}

/// A message already says what its fields repeat for programs.
fn message_only() -> impl for<'writer> tracing_subscriber::fmt::FormatFields<'writer> {
    format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", printable(&format!("{value:?}"))),
        _ => Ok(()),
    })
}

/// systemd sets `JOURNAL_STREAM` to the device and inode of the stream it hands over
/// (systemd.exec(5)); a shell under such a service has the variable and another stderr.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/proc/self/fd/2")
        .is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Fields of a journal line that programs look for.
#[derive(Default)]
struct Fields<'a> {
    node: Option<u32>,
    interface: Option<&'a str>,
    index: Option<u32>,
    reason: Option<String>,
    remedy: Option<&'static str>,
    pid: Option<u32>,
    local: Option<String>,
    remote: Option<String>,
}

/// Writes a notice, with its fields; `state_of` tells in which state a node is.
pub fn tell(notice: &Notice, state_of: impl Fn(NodeId) -> Option<State>) {
    let text = printable(&notice.to_string());
    let f = fields(notice);
    let state = f.node.and_then(|id| state_of(NodeId(id))).map(State::name);
    let reason = f.reason.as_deref().map(printable);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                NODE_ID = f.node,
                INTERFACE = f.interface,
                IFINDEX = f.index,
                STATE = state,
                REASON = reason,
                REMEDY = f.remedy,
                PPPD_PID = f.pid,
                LOCAL_IP = f.local,
                REMOTE_IP = f.remote,
                "{text}"
            )
        };
    }
    match notice.level() {
        Level::Error => line!(error),
        Level::Warning => line!(warn),
        Level::Info => line!(info),
        Level::Debug => line!(debug),
    }
}

fn fields(notice: &Notice) -> Fields<'_> {
    match notice {
        Notice::Up { node, index, interface, local, remote, pid, .. } => Fields {
            node: Some(node.0),
            interface: Some(interface),
            index: Some(index.0),
            pid: *pid,
            local: Some(local.to_string()),
            remote: remote.map(|ip| ip.to_string()),
            ..Fields::default()
        },
        Notice::Down { node, index, interface, reason, pid } => Fields {
            node: Some(node.0),
            interface: Some(interface),
            index: Some(index.0),
            reason: Some(reason.clone()),
            pid: *pid,
            ..Fields::default()
        },
        Notice::Renamed { node, index, interface, .. } => Fields {
            node: Some(node.0),
            interface: Some(interface),
            index: Some(index.0),
            ..Fields::default()
        },
        Notice::OutOfSight { node, pid } => {
            Fields { node: Some(node.0), pid: *pid, ..Fields::default() }
        }
        Notice::Retrying { node, failure, .. } => Fields {
            node: Some(node.0),
            reason: Some(failure.message.clone()),
            remedy: Some(failure.kind.remedy()),
            ..Fields::default()
        },
        Notice::ProbesLost { node, interface, why, .. } => Fields {
            node: Some(node.0),
            interface: Some(interface),
            reason: Some(why.to_string()),
            ..Fields::default()
        },
        Notice::ProbeAnswered { node, interface, .. } => {
            Fields { node: Some(node.0), interface: Some(interface), ..Fields::default() }
        }
        Notice::Quarantined { node, failure, .. } => Fields {
            node: Some(node.0),
            reason: Some(failure.message.clone()),
            remedy: Some(failure.kind.remedy()),
            ..Fields::default()
        },
        Notice::HangingUp { node, why } => {
            Fields { node: Some(node.0), reason: Some(why.to_string()), ..Fields::default() }
        }
        Notice::Killing { node, pid } => {
            Fields { node: Some(node.0), pid: *pid, ..Fields::default() }
        }
        Notice::SecondCall { node, pid, .. } => {
            Fields { node: Some(node.0), pid: *pid, ..Fields::default() }
        }
        Notice::RowSpoiled { node, reason, .. } => {
            Fields { node: Some(node.0), reason: Some(reason.to_string()), ..Fields::default() }
        }
        Notice::RowsAway { nodes, .. }
        | Notice::RowsBack { nodes }
        | Notice::Overlap { nodes, .. } => {
            let node = if let [node] = nodes.as_slice() { Some(node.0) } else { None };
            Fields { node, ..Fields::default() }
        }
        Notice::NotStarted { node, .. }
        | Notice::Asked { node, .. }
        | Notice::StillStopped { node }
        | Notice::Yields { node, .. }
        | Notice::Released { node } => Fields { node: Some(node.0), ..Fields::default() },
        Notice::Invalid(row) => Fields {
            node: Some(row.id.0),
            reason: Some(row.reason.to_string()),
            ..Fields::default()
        },
        Notice::HostUnfit(failure) => Fields {
            reason: Some(failure.message.clone()),
            remedy: Some(failure.kind.remedy()),
            ..Fields::default()
        },
        Notice::DatabaseUnavailable(problem) => {
            Fields { reason: Some(problem.clone()), ..Fields::default() }
        }
        Notice::DatabaseRead { .. }
        | Notice::EmptyWindow { .. }
        | Notice::Restarting { .. }
        | Notice::Restarted { .. }
        | Notice::RestartHeld(_)
        | Notice::RestartOverdue => Fields::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(what: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(message_only());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), what);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_others_have_written_can_not_change_how_the_log_is_read() {
        let evil = "no\u{202e}\x1b[2J\nes".to_owned();
        let told = logged(|| tell(&Notice::DatabaseUnavailable(evil.clone()), |_| None));
        let said = logged(|| tracing::warn!("{evil}"));
        for line in [told, said] {
            assert!(line.contains("no\\u{202e}\\u{1b}[2J\\nes\n"), "{line:?}");
        }
    }
}
