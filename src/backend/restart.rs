//! Restarting the backend: its command, then its port.

use std::collections::BTreeSet;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::listeners::{self, Listener};
use super::port;
use crate::command::{CommandError, LAST_WORDS, end_within, shown, start};
use crate::config::Backend;
use crate::core::event::{RestartFault, RestartOutcome};

/// Between two looks at the port. A listener that appears is announced to nobody, so it has to be
/// looked for; only after a restart, and for `ready_timeout` at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// For a look at who listens, before a restart and where it is not ready: files in `/proc` hang where a
/// process hangs in the kernel.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// What the lines of a restart command begin with.
const ABOUT: &str = "backend restart";

/// How much of a restart command's last line stands in the reason, in characters.
const LONGEST_LAST: usize = 200;

/// Output of a restart command kept for the journal, bytes a stream.
const OUTPUT_LIMIT: u64 = 16 * 1024;

/// Runs the restart command, then waits for a socket that listens on the backend's port and did
/// not do so before.
pub async fn restart(backend: &Backend) -> RestartOutcome {
    let began = Instant::now();
    let before = timeout(LOOK_WITHIN, sockets(backend.port)).await;
    let before = before.ok().and_then(Result::ok).unwrap_or_default();
    if let Err(failed) = run_command(&backend.restart, backend.restart_timeout.get()).await {
        return failed;
    }
    let ready = timeout(backend.ready_timeout.get(), port_opens(backend.port, &before)).await;
    match ready {
        Ok(Ok(())) => {
            let millis = began.elapsed().as_millis();
            RestartOutcome::Ready(u64::try_from(millis).unwrap_or(u64::MAX))
        }
        Ok(Err(unseen)) => RestartOutcome::NotReady(unseen),
        Err(_) => RestartOutcome::NotReady(what_is_seen(backend).await),
    }
}

/// Runs an argv to its end within `limit`; its output goes to the journal line by line.
async fn run_command(argv: &[String], limit: Duration) -> Result<(), RestartOutcome> {
    let began = Instant::now();
    let mut child = start(argv, Stdio::null, limit).await.map_err(failed)?;
    let output = (child.stdout.take(), child.stderr.take());
    let (said, last_said) = watch::channel(String::new());
    let (complained, last_complaint) = watch::channel(String::new());
    let mut logging = tokio::spawn(async move {
        let hear = |line: &str| drop(said.send_replace(line.to_owned()));
        let hear_complaint = |line: &str| drop(complained.send_replace(line.to_owned()));
        tokio::join!(log_lines(ABOUT, output.0, hear), log_lines(ABOUT, output.1, hear_complaint));
    });
    let ended = end_within(&mut child, argv, limit, began).await;
    // What the command left running may hold its output open, and is read on: a backend that a
    // script starts in the background would be ended by SIGPIPE. The command's own last words are
    // there by now.
    let _ = timeout(LAST_WORDS, &mut logging).await;
    let status = ended.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    // Of two pipes nobody knows which was written to last.
    let complaint = last_complaint.borrow().clone();
    let last = if complaint.is_empty() { last_said.borrow().clone() } else { complaint };
    let message = message(argv, status, &last);
    Err(RestartOutcome::Failed { kind: RestartFault::Exit, message })
}

/// How a command failed, by what it said last.
fn message(argv: &[String], status: ExitStatus, last: &str) -> String {
    let how = status.code().map_or(status.to_string(), |code| format!("exit code {code}"));
    let last = match last.trim() {
        "" => " and said nothing".to_owned(),
        last => format!(": {}", last.chars().take(LONGEST_LAST).collect::<String>()),
    };
    format!(
        "`{}` ended with {how}{last}; try it by hand as root, and mend what it tells, or set backend.restart",
        shown(argv)
    )
}

fn failed(error: CommandError) -> RestartOutcome {
    let (kind, remedy) = match &error {
        CommandError::Missing { .. } => (RestartFault::Missing, "; set backend.restart"),
        CommandError::Lost { .. } => (RestartFault::Exit, ""),
        CommandError::Hangs { .. } => (RestartFault::Timeout, "; see `mount` and dmesg"),
        CommandError::Timeout { .. } => {
            (RestartFault::Timeout, " and was ended; see backend.restart_timeout")
        }
    };
    RestartOutcome::Failed { kind, message: format!("{error}{remedy}") }
}

/// Logs the beginning of a stream and reads the rest of it: a command whose output nobody reads
/// would be ended by SIGPIPE, perhaps between stop and start. Each line that is not empty is told.
pub(crate) async fn log_lines(
    about: &str,
    stream: Option<impl AsyncRead + Unpin>,
    tell: impl Fn(&str),
) {
    let Some(mut stream) = stream else { return };
    let mut lines = BufReader::new((&mut stream).take(OUTPUT_LIMIT)).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).escape_debug().to_string();
        tracing::info!("{about}: {line}");
        if !line.trim().is_empty() {
            tell(&line);
        }
    }
    // An error is an end as well.
    let mut first = [0];
    if stream.read(&mut first).await.is_ok_and(|more| more > 0) {
        tracing::info!("{about}: what it says beyond {} KiB is left out", OUTPUT_LIMIT / 1024);
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
}

/// The numbers of the sockets that listen on the port; an error says why they can't be seen.
async fn sockets(port: u16) -> Result<BTreeSet<u32>, String> {
    let numbers = |found: Vec<Listener>| found.iter().map(|listener| listener.inode).collect();
    match spawn_blocking(move || listeners::on(port)).await {
        Ok(found) => found.map(numbers).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns once a socket listens on the port that is not among these.
async fn port_opens(port: u16, before: &BTreeSet<u32>) -> Result<(), String> {
    while sockets(port).await?.is_subset(before) {
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Why the backend does not count as ready: no socket is new.
async fn what_is_seen(backend: &Backend) -> String {
    let number = backend.port;
    let waited = humantime::format_duration(backend.ready_timeout.get());
    let look = spawn_blocking(move || port::look(number));
    let seen = timeout(LOOK_WITHIN, look).await;
    let Some(listening) = seen.ok().and_then(Result::ok).and_then(Result::ok) else {
        return format!("no new socket listens on port {number} {waited} after the restart");
    };
    if listening.is_empty() {
        return format!(
            "nothing listens on port {number} {waited} after the restart; see its own log"
        );
    }
    let holder = listening.iter().find_map(|socket| socket.owners.first()).map_or_else(
        || "socket".to_owned(),
        |owner| format!("process pid {} ({})", owner.pid, owner.command),
    );
    format!(
        "port {number} is still held by the same {holder} as before the restart; does \
         backend.restart restart that one?"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_a_restart_leaves_running_may_write_on() {
        let folder = tempfile::tempdir().unwrap();
        let script = "cd \"$0\" && mkfifo go end && \
                      { trap 'echo broken >end; exit' PIPE; read word <go; echo late; echo fine >end; } &";
        let place = folder.path().to_str().unwrap().to_owned();
        let argv = ["sh", "-c", script, &place].map(str::to_owned);
        run_command(&argv, LONG).await.unwrap();
        let (go, end) = (folder.path().join("go"), folder.path().join("end"));
        let told = spawn_blocking(move || {
            std::fs::write(go, "now\n").unwrap();
            std::fs::read_to_string(end).unwrap()
        });
        assert_eq!(timeout(LONG, told).await.unwrap().unwrap(), "fine\n");
    }
}
