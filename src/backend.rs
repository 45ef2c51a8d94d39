//! Restarting the backend: an argv without a shell, a time limit, then its port.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::Backend;
use crate::core::event::{RestartFault, RestartOutcome};

/// Between two looks at the port. A listener that appears is announced to nobody, so it has to be
/// looked for; only after a restart, and for `ready_timeout` at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the output of an ended command is read on.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Output of a restart command kept for the journal, bytes a stream.
const OUTPUT_LIMIT: u64 = 16 * 1024;

/// Runs the restart command, then waits for the backend's port on this host.
pub async fn restart(backend: &Backend) -> RestartOutcome {
    let began = Instant::now();
    if let Err(problem) = run_command(&backend.restart, backend.restart_timeout.get()).await {
        return problem;
    }
    let port = backend.port;
    let limit = backend.ready_timeout.get();
    match timeout(limit, port_opens(port)).await {
        Ok(()) => {
            let millis = began.elapsed().as_millis();
            RestartOutcome::Ready(u64::try_from(millis).unwrap_or(u64::MAX))
        }
        Err(_) => RestartOutcome::NotReady(format!(
            "nothing listens on port {port} {} after the restart; see its own log",
            humantime::format_duration(limit)
        )),
    }
}

/// Runs an argv to its end within `limit`; its output goes to the journal line by line.
async fn run_command(argv: &[String], limit: Duration) -> Result<(), RestartOutcome> {
    let shown = argv.join(" ");
    let Some((program, arguments)) = argv.split_first() else {
        return Err(failed(RestartFault::Missing, "backend.restart is empty".to_owned()));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let message = format!("can't run `{shown}`: {error}; set backend.restart");
            failed(RestartFault::Missing, message)
        })?;
    let output = (child.stdout.take(), child.stderr.take());
    let mut logging = tokio::spawn(async {
        tokio::join!(log_lines(output.0), log_lines(output.1));
    });
    let ended = timeout(limit, child.wait()).await;
    if ended.is_err() {
        // A failure here means that it has ended in the meantime.
        let _ = child.start_kill();
        let _ = child.wait().await;
    }
    // What the command left running may hold its output open; its own last words are there by now.
    if timeout(LAST_WORDS, &mut logging).await.is_err() {
        logging.abort();
    }
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(RestartFault::Exit, format!("`{shown}` ended with {status}"))),
        Ok(Err(error)) => {
            Err(failed(RestartFault::Exit, format!("`{shown}` can't be waited for: {error}")))
        }
        Err(_) => {
            let limit = humantime::format_duration(limit);
            Err(failed(RestartFault::Timeout, format!("`{shown}` took longer than {limit}")))
        }
    }
}

fn failed(kind: RestartFault, message: String) -> RestartOutcome {
    RestartOutcome::Failed { kind, message }
}

/// Logs the beginning of a stream and reads the rest of it: a command whose output nobody reads
/// would be ended by SIGPIPE, perhaps between stop and start.
async fn log_lines(stream: Option<impl AsyncRead + Unpin>) {
    let Some(mut stream) = stream else { return };
    let mut lines = BufReader::new((&mut stream).take(OUTPUT_LIMIT)).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        tracing::info!("backend restart: {}", String::from_utf8_lossy(&line).escape_debug());
    }
    // An error is an end as well.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

async fn port_opens(port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
