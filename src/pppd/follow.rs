//! A call from its start to its end.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::ending;
use super::lines::Lines;
use super::log_socket::LogSocket;
use super::words::{Reader, Said, Weight, Word};
use crate::core::event::{CallId, Event, Pid};
use crate::core::failure::{Explanation, Failure, FailureKind};
use crate::node::NodeId;
use crate::printable::printable;
use crate::process::Process;

/// Bytes taken from the pipe at once.
const CHUNK: usize = 4096;

/// Chunks read after the end: as much as a full pipe holds (64 KiB, pipe(7)).
const LAST_CHUNKS: usize = 16;

/// A line of pptp for syslog, in bytes: what it writes at most (util.c), and what stands before it.
const DATAGRAM: usize = 512;

/// Lines of pptp that are taken in before others have their turn.
const MOST_DATAGRAMS: usize = 16;

/// Words of one call that are passed on; a sane call has a handful.
const MOST_WORDS: usize = 64;

/// Lines of one call that are logged in [`QUOTA_TIME`].
const QUOTA: u32 = 100;
const QUOTA_TIME: Duration = Duration::from_secs(60);

/// A pppd that the daemon has started.
pub(super) struct Own {
    /// The call.
    pub(super) call: CallId,
    /// Whose tunnel it is.
    pub(super) node: NodeId,
    /// The name that its link is to have, where pppd was told one.
    pub(super) link: Option<String>,
    /// Its number.
    pub(super) pid: Pid,
    /// To be waited for and reaped.
    pub(super) process: Arc<Process>,
    /// What it prints.
    pub(super) output: pipe::Receiver,
    /// What its pptp says to syslog, where that can be heard.
    pub(super) log: Option<LogSocket>,
    /// What of the host's own options may keep it from becoming a tunnel.
    pub(super) suspect: Option<String>,
    /// The password is one that pppd and other systems may hash in different ways.
    pub(super) is_odd: bool,
}

/// Why a call ended.
pub(super) type Ended = (CallId, Failure);

/// Reports the start of a call and its words in order; returns its end.
pub(super) fn own(own: Own, events: mpsc::Sender<Event>) -> impl Future<Output = Ended> {
    let (call, process, is_odd) = (own.call, own.process.clone(), own.is_odd);
    // Boxed, or every future that these are passed through keeps room for them as long as the tunnel lives.
    let hearing = Box::pin(hear(Box::new(own), events));
    async move {
        let (call, failure) = until_the_end(call, process, hearing).await;
        (call, if is_odd { with_odd_password(failure) } else { failure })
    }
}

/// pppd hashes the bytes of a password, and Windows what they mean (RFC 2759, section 8.3, has it as
/// UTF-16).
fn with_odd_password(failure: Failure) -> Failure {
    if failure.kind != FailureKind::AuthRefused {
        return failure;
    }
    Failure { message: format!("{failure}; {ODD_PASSWORD}"), ..failure }
}

/// Why a password that is right may be refused.
const ODD_PASSWORD: &str = "the password has characters beyond ASCII, which pppd hashes in another \
                            way than most servers: choose one of ASCII on both sides";

/// Waits for the end of a pppd that was found running.
pub(super) async fn found(call: CallId, process: Arc<Process>) -> Ended {
    until_the_end(call, process, std::future::ready(Explanation::default())).await
}

/// The end of a call once it was heard to the end. A call whose end is never told would hold its
/// node for ever, so it is told even when `hearing` fails.
async fn until_the_end(
    call: CallId,
    process: Arc<Process>,
    hearing: impl Future<Output = Explanation>,
) -> Ended {
    let said = AssertUnwindSafe(hearing).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("what call {call} says is heard no more: a fault of connexad, report it");
        Explanation::default()
    });
    process.gone().await;
    (call, ending::judge(process.reap(), &said))
}

async fn hear(mut own: Box<Own>, events: mpsc::Sender<Event>) -> Explanation {
    let (call, pid, suspect) = (own.call, Some(own.pid), own.suspect.take());
    let mut listener = Listener::new(call, own.node, own.link.clone());
    // When nobody listens any more the daemon is about to end; the tunnel stays up.
    let _ = events.send(Event::Started { call, pid, suspect }).await;
    // pptp may have more to say than pppd, and later.
    let mut prints = true;
    loop {
        // Whoever pppd has started may keep the pipe open, so only pppd's own end counts.
        tokio::select! {
            () = own.process.gone() => break,
            ready = readable(own.log.as_ref()) => match ready {
                Ok(()) => {
                    tell(listener.take_log(own.log.as_ref()), &events).await;
                    tokio::task::yield_now().await;
                }
                Err(_) => own.log = None,
            },
            ready = own.output.readable(), if prints => {
                let chunk = ready.and_then(|()| listener.read(|chunk| own.output.try_read(chunk)));
                prints = chunk.is_ok();
                tell(listener.take_all(chunk.unwrap_or_default()), &events).await;
                // A writer quicker than this reader would keep the loop here for ever.
                tokio::task::yield_now().await;
            }
        }
    }
    tell(listener.take_log(own.log.as_ref()), &events).await;
    for _ in 0..LAST_CHUNKS {
        // Past the runtime, which may not have heard of the last bytes yet.
        let chunk = listener.read(|chunk| Ok(rustix::io::read(&own.output, chunk)?));
        let Ok(lines) = chunk else { break };
        tell(listener.take_all(lines), &events).await;
    }
    tell(listener.finish(), &events).await;
    listener.said
}

async fn tell(words: Vec<Event>, events: &mpsc::Sender<Event>) {
    for word in words {
        // Boxed, for a quiet call has room for it all the time.
        let _ = Box::pin(events.send(word)).await;
    }
}

/// Returns when pptp has said something; never where it can't be heard.
async fn readable(log: Option<&LogSocket>) -> io::Result<()> {
    match log {
        Some(log) => log.readable().await,
        None => std::future::pending().await,
    }
}

/// Logs the lines of a call and passes on its words.
struct Listener {
    call: CallId,
    node: NodeId,
    /// The name that its link is to have.
    link: Option<String>,
    lines: Lines,
    reader: Reader,
    quota: Quota,
    words: usize,
    said: Explanation,
}

impl Listener {
    fn new(call: CallId, node: NodeId, link: Option<String>) -> Self {
        let quota = Quota { since: Instant::now(), lines: 0 };
        let (lines, said) = (Lines::default(), Explanation::default());
        Listener { call, node, link, lines, reader: Reader::default(), quota, words: 0, said }
    }

    /// Reads once, and returns the lines that are whole; none when there is nothing to read now.
    /// The buffer is not kept: it would be most of what a quiet call costs.
    ///
    /// # Errors
    /// When no more can come.
    fn read(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Vec<String>> {
        let mut buffer = [0; CHUNK];
        let mut lines = Vec::new();
        match read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => self.lines.feed(buffer.get(..n).unwrap_or_default(), |line| lines.push(line)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(lines)
    }

    /// Takes in what pptp has sent to syslog so far.
    fn take_log(&mut self, log: Option<&LogSocket>) -> Vec<Event> {
        let take = || {
            let said = self.read_log(log?)?;
            Some(self.take(said))
        };
        std::iter::from_fn(take).take(MOST_DATAGRAMS).flatten().collect()
    }

    /// One line of pptp, if there is one now.
    fn read_log(&mut self, log: &LogSocket) -> Option<Said> {
        let mut buffer = [0; DATAGRAM];
        let length = log.take(&mut buffer).ok()?;
        let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        Some(self.reader.syslog(&printable(line.trim_end_matches(['\n', '\0']))))
    }

    fn take_all(&mut self, lines: Vec<String>) -> Vec<Event> {
        let take = |line: &String| {
            let said = self.reader.line(line);
            self.take(said)
        };
        lines.iter().filter_map(take).collect()
    }

    fn finish(&mut self) -> Vec<Event> {
        let rest = self.lines.rest();
        self.take_all(rest.into_iter().collect())
    }

    /// Logs what was said. Returns what is to be passed on.
    fn take(&mut self, said: Said) -> Option<Event> {
        match self.quota.spend(Instant::now()) {
            Leave::Log => log(self.node, weight(&said), &said.line),
            Leave::Mute => tracing::warn!(
                NODE_ID = self.node.0,
                "pppd[{}]: more than {QUOTA} lines; up to a minute of them is not logged",
                self.node
            ),
            Leave::Silence => {}
        }
        let word = said.word.filter(|_| self.words < MOST_WORDS)?;
        self.words += 1;
        self.pass_on(word)
    }

    fn pass_on(&mut self, word: Word) -> Option<Event> {
        let call = self.call;
        match word {
            // The kernel's first name for it may be that of another call's link by now.
            Word::Interface(name) if self.link.as_ref().is_some_and(|link| *link != name) => None,
            Word::Interface(name) => Some(Event::Link { call, name }),
            Word::Explains { failure: cause, vague } => {
                self.said.hear(cause.clone(), vague);
                Some(Event::Failing { call, cause, vague })
            }
        }
    }
}

/// What explains a failure is told once more by the notice of that failure, and not at each try.
fn weight(said: &Said) -> Weight {
    match (&said.word, said.weight) {
        (Some(Word::Explains { .. }), Weight::Error) => Weight::Debug,
        (Some(_) | None, weight) => weight,
    }
}

fn log(node: NodeId, weight: Weight, line: &str) {
    match weight {
        Weight::Error => tracing::error!(NODE_ID = node.0, "pppd[{node}]: {line}"),
        Weight::GatewayWarning => tracing::warn!(NODE_ID = node.0, "Gateway warning: {line}"),
        Weight::Debug => tracing::debug!(NODE_ID = node.0, "pppd[{node}]: {line}"),
    }
}

/// Keeps a call that won't be quiet from filling the journal.
struct Quota {
    since: Instant,
    lines: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Leave {
    Log,
    /// The first line too many.
    Mute,
    Silence,
}

impl Quota {
    fn spend(&mut self, now: Instant) -> Leave {
        if now.duration_since(self.since) >= QUOTA_TIME {
            *self = Quota { since: now, lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        match self.lines {
            ..=QUOTA => Leave::Log,
            lines if lines == QUOTA + 1 => Leave::Mute,
            _ => Leave::Silence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "it is what is tested")]
    async fn a_call_that_can_not_be_heard_is_still_reaped_and_its_end_told() {
        let child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pid = child.id();
        let process = Process::new(crate::process::take_hold(pid).unwrap()).unwrap();
        let call = CallId::Dialled(1);
        let fails = async { panic!("as no parser should") };
        let ended = until_the_end(call, Arc::new(process), fails).await;
        let failure = Failure::new(FailureKind::Unexplained, "pppd ended with exit code 7");
        assert_eq!(ended, (call, failure));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "a zombie is left");
    }

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "the call reaps it")]
    async fn what_pptp_says_after_the_last_that_was_printed_is_heard() {
        let run_dir = tempfile::tempdir().unwrap();
        let (node, call) = (NodeId(1), CallId::Dialled(1));
        let (output, printing) = std::io::pipe().unwrap();
        let output = pipe::Receiver::from_owned_fd(output.into()).unwrap();
        let mut child = std::process::Command::new("cat");
        let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process::new(crate::process::take_hold(child.id()).unwrap()).unwrap();
        let own = Own {
            call,
            node,
            link: None,
            pid: child.id(),
            process: Arc::new(process),
            output,
            log: Some(LogSocket::open(run_dir.path(), node).unwrap()),
            suspect: None,
            is_odd: false,
        };
        let (events, mut heard) = mpsc::channel(8);
        let following = tokio::spawn(self::own(own, events));
        assert!(matches!(heard.recv().await, Some(Event::Started { .. })));
        drop(printing);
        let pptp = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let path = super::super::log_socket::path(run_dir.path(), node);
        let said = "<29>Nov 27 10:00:00 pptp[311]: anon fatal[main:pptp.c:300]: ";
        pptp.send_to(format!("{said}read returned zero, peer has closed").as_bytes(), path)
            .unwrap();
        assert!(matches!(heard.recv().await, Some(Event::Failing { .. })));
        drop(child.stdin.take());
        following.await.unwrap();
    }

    #[test]
    fn a_call_that_won_t_be_quiet_is_muted_once_and_heard_again_later() {
        let start = Instant::now();
        let mut quota = Quota { since: start, lines: 0 };
        for _ in 0..QUOTA {
            assert_eq!(quota.spend(start), Leave::Log);
        }
        assert_eq!(quota.spend(start), Leave::Mute);
        assert_eq!(quota.spend(start), Leave::Silence);
        assert_eq!(quota.spend(start + QUOTA_TIME), Leave::Log);
    }
}
