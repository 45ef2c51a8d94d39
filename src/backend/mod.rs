//! The backend: whether a restart can help, restarting it, and who holds its port.

pub(crate) mod conflict;
mod container;
pub mod listeners;
pub(crate) mod managers;
pub(crate) mod owner;
pub mod port;
mod restart;
pub(crate) mod target;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

pub(crate) use restart::log_lines;
pub use restart::restart;

use crate::command;
use crate::config::Backend;
use crate::core::event::Judgement;
use crate::core::outage::JUDGE_WITHIN;
use conflict::Conflict;
use target::Target;

/// Judges whether a restart may help now, within [`JUDGE_WITHIN`]. Where that can't be seen,
/// nothing speaks against it.
pub async fn judge(backend: &Backend) -> Judgement {
    let Some(target) = target::of(&backend.restart) else { return Judgement::Clear };
    let until = Instant::now() + JUDGE_WITHIN;
    let port = backend.port;
    // Files in `/proc` hang where a process hangs in the kernel.
    let look = spawn_blocking(move || port::look(port));
    match timeout_at(until, look).await {
        Ok(Ok(Ok(listening))) => {
            let conflict = conflict_over(port, target, &listening, until).await;
            conflict.map_or(Judgement::Clear, |conflict| Judgement::Held(conflict.to_string()))
        }
        Ok(Ok(Err(unseen))) => {
            tracing::debug!("{unseen}");
            Judgement::Clear
        }
        Ok(Err(_)) | Err(_) => Judgement::Clear,
    }
}

/// The conflict in what was seen. A service has one name in what is seen of its processes, and may
/// have others.
pub(crate) async fn conflict_over(
    port: u16,
    mut target: Target,
    listening: &[port::Listening],
    until: Instant,
) -> Option<Conflict> {
    let found = conflict::find(port, &target, listening)?;
    let question = target.manager.other_names(&target.named);
    // Where the manager does not answer in time, by the names in the command alone.
    if let Some(question) = question
        && let limit = until.saturating_duration_since(Instant::now())
        && let Ok(answer) = command::ask(&question, limit).await
    {
        target.named.names.extend(answer.text.split_whitespace().map(str::to_owned));
    }
    conflict::find(port, &target, listening).map(|_| found)
}
