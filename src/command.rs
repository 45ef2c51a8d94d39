//! Running a command: an argv without a shell, all of what it starts ended within its time.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(2);

/// How long the end of an ended command's output is waited for: what it left running may hold it open.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a question's answer may be long, bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("can't run `{shown}`: {source}")]
    Missing {
        /// The command.
        shown: String,
        /// Why not.
        source: io::Error,
    },
    /// No process of it ran within its time.
    #[error("`{shown}` did not start within {}: its file may lie on a mount that hangs", humantime::format_duration(*limit))]
    Hangs {
        /// The command.
        shown: String,
        /// Its time.
        limit: Duration,
    },
    /// How it ended can't be known.
    #[error("`{shown}` can't be waited for: {source}")]
    Lost {
        /// The command.
        shown: String,
        /// Why not.
        source: io::Error,
    },
    /// It was ended when its time was over.
    #[error("`{shown}` took longer than {}", humantime::format_duration(*limit))]
    Timeout {
        /// The command.
        shown: String,
        /// Its time.
        limit: Duration,
    },
}

/// What a command answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) text: String,
}

/// The command as people write it, on one line.
pub(crate) fn shown(argv: &[String]) -> String {
    argv.join(" ").escape_debug().to_string()
}

/// Starts a command in a process group of its own, with more environment, its output to be read by
/// the caller. Where its file lies on a mount that hangs, so does this.
pub(crate) fn start_with(
    argv: &[String],
    environment: &[(&str, String)],
) -> Result<Child, CommandError> {
    spawn(argv, environment, Stdio::null())
}

/// Starts a command as [`start_with`] does, off the thread of the loop. One that is not started within its
/// time is not begun any more, or ended as soon as it runs after all.
pub(crate) async fn start(
    argv: &[String],
    input: fn() -> Stdio,
    limit: Duration,
) -> Result<Child, CommandError> {
    let (words, given_up) = (argv.to_vec(), Arc::new(AtomicBool::new(false)));
    let late = given_up.clone();
    let mut starting = spawn_blocking(move || {
        // It may have waited for a thread.
        if late.load(Ordering::Relaxed) {
            return Err(CommandError::Hangs { shown: shown(&words), limit });
        }
        spawn(&words, &[], input())
    });
    if let Ok(started) = timeout(limit, &mut starting).await {
        let lost =
            |error| CommandError::Lost { shown: shown(argv), source: io::Error::other(error) };
        return started.map_err(lost)?;
    }
    given_up.store(true, Ordering::Relaxed);
    tokio::spawn(async move {
        if let Ok(Ok(mut child)) = starting.await {
            end_group(&mut child).await;
        }
    });
    Err(CommandError::Hangs { shown: shown(argv), limit })
}

fn spawn(
    argv: &[String],
    environment: &[(&str, String)],
    stdin: Stdio,
) -> Result<Child, CommandError> {
    let missing = |source| CommandError::Missing { shown: shown(argv), source };
    let (program, arguments) =
        argv.split_first().ok_or_else(|| missing(io::ErrorKind::InvalidInput.into()))?;
    Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(missing)
}

/// Waits for the end of a command whose time runs since `began`; at its end, its whole process group is
/// ended.
pub(crate) async fn end_within(
    child: &mut Child,
    argv: &[String],
    limit: Duration,
    began: Instant,
) -> Result<ExitStatus, CommandError> {
    match timeout_at(began + limit, child.wait()).await {
        Ok(ended) => ended.map_err(|source| CommandError::Lost { shown: shown(argv), source }),
        Err(_) => {
            end_group(child).await;
            Err(CommandError::Timeout { shown: shown(argv), limit })
        }
    }
}

/// TERM, then KILL, to the group. Its leader is our child and is reaped last, so that the group's
/// number stays its own until then.
async fn end_group(child: &mut Child) {
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = leader {
        // A failure means that nobody is left in it.
        let _ = kill_process_group(group, Signal::TERM);
        sleep(GRACE).await;
        let _ = kill_process_group(group, Signal::KILL);
    }
    // What has got KILL ends at once, or hangs in the kernel: then it is left to itself.
    let _ = timeout(GRACE, child.wait()).await;
}

/// Runs a command that answers by its output; only the beginning of a long answer is kept.
pub(crate) async fn ask(argv: &[String], limit: Duration) -> Result<Answer, CommandError> {
    let said = converse(argv, None, limit, LONGEST_ANSWER).await?;
    Ok(Answer { code: said.code, text: said.text })
}

/// The same; `None` where there is no such program.
pub(crate) async fn ask_if_there(
    argv: &[String],
    limit: Duration,
) -> Result<Option<Answer>, CommandError> {
    match ask(argv, limit).await {
        Ok(answer) => Ok(Some(answer)),
        Err(CommandError::Missing { .. }) => Ok(None),
        Err(
            error @ (CommandError::Hangs { .. }
            | CommandError::Lost { .. }
            | CommandError::Timeout { .. }),
        ) => Err(error),
    }
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) text: String,
    /// Its standard error.
    pub(crate) complaints: String,
}

/// Runs a command that reads `input`, and gives what it says: of a stream the first `most` bytes.
///
/// # Errors
/// When it can't be run to its end.
pub(crate) async fn tell(
    argv: &[String],
    input: String,
    limit: Duration,
    most: u64,
) -> Result<Said, CommandError> {
    converse(argv, Some(input), limit, most).await
}

async fn converse(
    argv: &[String],
    input: Option<String>,
    limit: Duration,
    most: u64,
) -> Result<Said, CommandError> {
    let began = Instant::now();
    let stdin: fn() -> Stdio = if input.is_some() { Stdio::piped } else { Stdio::null };
    let mut child = start(argv, stdin, limit).await?;
    let (stdin, output, complaints) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut talking = tokio::spawn(async move {
        let say = async {
            if let Some((mut stdin, input)) = stdin.zip(input) {
                // One that does not read on says why.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ((), text, complaints) = tokio::join!(say, read(output, most), read(complaints, most));
        (text, complaints)
    });
    let ended = end_within(&mut child, argv, limit, began).await;
    let said = timeout(LAST_WORDS, &mut talking).await;
    talking.abort();
    let (text, complaints) = said.ok().and_then(Result::ok).unwrap_or_default();
    Ok(Said { code: ended?.code(), text, complaints })
}

/// All that a stream says; only so much of its beginning is kept.
async fn read(stream: Option<impl AsyncRead + Unpin>, most: u64) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut text = Vec::new();
    // An error is an end as well.
    let _ = (&mut stream).take(most).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(10);

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[tokio::test]
    async fn an_answer_is_the_output_and_the_exit_code() {
        let answer = ask(&argv(&["sh", "-c", "echo yes; echo no >&2; exit 3"]), LONG).await;
        assert_eq!(answer.unwrap(), Answer { code: Some(3), text: "yes\n".to_owned() });
    }

    #[tokio::test]
    async fn a_command_that_is_told_something_answers_in_full() {
        let long = "x".repeat(300_000);
        let cat = argv(&["sh", "-c", "cat; echo no >&2"]);
        let said = tell(&cat, long.clone(), LONG, 300_000).await.unwrap();
        assert_eq!((said.text == long, said.complaints.as_str()), (true, "no\n"));
    }

    #[tokio::test]
    async fn arguments_never_meet_a_shell() {
        let answer = ask(&argv(&["echo", "$HOME; `id`"]), LONG).await.unwrap();
        assert_eq!(answer.text, "$HOME; `id`\n");
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_told_by_its_name() {
        let error = ask(&argv(&["/nowhere/x", "y"]), LONG).await.unwrap_err();
        assert!(error.to_string().starts_with("can't run `/nowhere/x y`: No such file"), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_ignores_term_is_killed() {
        let deaf = argv(&["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
        let error = ask(&deaf, SOON).await.unwrap_err();
        assert!(error.to_string().ends_with("took longer than 200ms"), "{error}");
    }
}
