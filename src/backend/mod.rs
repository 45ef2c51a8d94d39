//! The backend: whether a restart can help, restarting it, and who holds its port.

pub mod conflict;
pub mod listeners;
pub mod owner;
pub mod port;
mod restart;
pub mod target;
pub mod unit;

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
    let target = target::of(&backend.restart);
    if target == Target::Unknown {
        return Judgement::Clear;
    }
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

/// The conflict in what was seen. A service has one name in its cgroup and may have others.
pub(crate) async fn conflict_over(
    port: u16,
    target: Target,
    listening: &[port::Listening],
    until: Instant,
) -> Option<Conflict> {
    let found = conflict::find(port, &target, listening)?;
    let Target::Systemd { client, units } = target else { return Some(found) };
    let units = all_names(&client, units, until).await;
    conflict::find(port, &Target::Systemd { client, units }, listening).map(|_| found)
}

/// These services by all their names; by those alone, where systemd does not answer in time.
async fn all_names(client: &str, mut units: Vec<String>, until: Instant) -> Vec<String> {
    let mut argv: Vec<String> =
        [client, "show", "--property=Names", "--value", "--"].map(str::to_owned).to_vec();
    argv.extend(units.iter().cloned());
    if let Ok(answer) = command::ask(&argv, until.saturating_duration_since(Instant::now())).await {
        for name in answer.text.split_whitespace() {
            if !units.iter().any(|unit| unit == name) {
                units.push(name.to_owned());
            }
        }
    }
    units
}
