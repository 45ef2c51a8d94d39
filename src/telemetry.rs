//! What goes to the journal, and how.

use std::os::unix::fs::MetadataExt;

use tracing::level_filters::LevelFilter;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat, LogLevel};
use crate::core::notice::{Level, Notice};
use crate::printable::printable;

/// Why logging can't begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// journald was asked for and is not there.
    #[error("can't reach journald: {0}; set log.format to \"text\" where journald does not run")]
    Journald(#[source] std::io::Error),
    /// Logging was begun before.
    #[error("logging can't be set up: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Begins logging as the configuration says.
///
/// # Errors
/// When journald is asked for and can't be reached.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
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
    let registry = tracing_subscriber::registry().with(layer(log.format)?.with_filter(filter));
    Ok(registry.try_init()?)
}

fn layer(format: LogFormat) -> Result<Box<dyn Layer<Registry> + Send + Sync>, TelemetryError> {
    match format {
        LogFormat::Auto if stderr_is_the_journal() => layer(LogFormat::Journald),
        LogFormat::Auto | LogFormat::Text => {
            let plain = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_target(false)
                .fmt_fields(message_only());
            Ok(plain.boxed())
        }
        LogFormat::Json => {
            let json = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).json();
            Ok(json.boxed())
        }
        LogFormat::Journald => {
            let journald = tracing_journald::layer().map_err(TelemetryError::Journald)?;
            let journald = journald
                .with_field_prefix(None)
                .with_syslog_identifier("connexad".to_owned())
                .with_priority_mappings(PriorityMappings {
                    error: Priority::Error,
                    warn: Priority::Warning,
                    info: Priority::Informational,
                    debug: Priority::Debug,
                    trace: Priority::Debug,
                });
            Ok(journald.boxed())
        }
    }
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
    state: Option<&'static str>,
    reason: Option<String>,
    pid: Option<u32>,
    local: Option<String>,
    remote: Option<String>,
}

/// Writes a notice, with its fields.
pub fn tell(notice: &Notice) {
    let text = printable(&notice.to_string());
    let f = fields(notice);
    let reason = f.reason.as_deref().map(printable);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                NODE_ID = f.node,
                INTERFACE = f.interface,
                IFINDEX = f.index,
                STATE = f.state,
                REASON = reason,
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
            state: Some("up"),
            pid: *pid,
            local: Some(local.to_string()),
            remote: remote.map(|ip| ip.to_string()),
            ..Fields::default()
        },
        Notice::Down { node, index, interface, reason, pid } => Fields {
            node: Some(node.0),
            interface: Some(interface),
            index: Some(index.0),
            state: Some("down"),
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
            state: Some("backoff"),
            reason: Some(failure.message.clone()),
            ..Fields::default()
        },
        Notice::ProbesLost { node, interface, spared, .. } => Fields {
            node: Some(node.0),
            interface: Some(interface),
            reason: Some(spared.to_string()),
            ..Fields::default()
        },
        Notice::ProbeAnswered { node, interface, .. } => {
            Fields { node: Some(node.0), interface: Some(interface), ..Fields::default() }
        }
        Notice::Quarantined { node, failure, .. } => Fields {
            node: Some(node.0),
            state: Some("quarantined"),
            reason: Some(failure.message.clone()),
            ..Fields::default()
        },
        Notice::HangingUp { node, why } => Fields {
            node: Some(node.0),
            state: Some("stopping"),
            reason: Some(why.to_string()),
            ..Fields::default()
        },
        Notice::Killing { node, pid } => {
            Fields { node: Some(node.0), state: Some("stopping"), pid: *pid, ..Fields::default() }
        }
        Notice::SecondPppd { node, pid, .. } => {
            Fields { node: Some(node.0), pid: Some(*pid), ..Fields::default() }
        }
        Notice::NotStarted { node, .. }
        | Notice::Asked { node, .. }
        | Notice::StillStopped { node }
        | Notice::Yields { node, .. }
        | Notice::Released { node } => Fields { node: Some(node.0), ..Fields::default() },
        Notice::Invalid(row) => Fields {
            node: Some(row.id.0),
            state: Some("invalid"),
            reason: Some(row.reason.to_string()),
            ..Fields::default()
        },
        Notice::HostUnfit(failure) => {
            Fields { reason: Some(failure.message.clone()), ..Fields::default() }
        }
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
        let told = logged(|| tell(&Notice::DatabaseUnavailable(evil.clone())));
        let said = logged(|| tracing::warn!("{evil}"));
        for line in [told, said] {
            assert!(line.contains("no\\u{202e}\\u{1b}[2J\\nes\n"), "{line:?}");
        }
    }
}
