//! The backend: whether a restart can help, restarting it, and who holds its port.

pub mod conflict;
pub mod listeners;
pub mod owner;
pub mod port;
mod restart;
pub mod target;
pub mod unit;

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub(crate) use restart::log_lines;
pub use restart::restart;

use crate::command;
use crate::config::Backend;
use crate::core::event::Judgement;
use conflict::Conflict;
use target::Target;

/// For one look: files in `/proc` hang where a process hangs in the kernel.
pub(crate) const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// Judges whether a restart may help now, within ten seconds or so. Where that can't be seen,
/// nothing speaks against it.
pub async fn judge(backend: &Backend) -> Judgement {
    let target = target::of(&backend.restart);
    if target == Target::Unknown {
        return Judgement::Clear;
    }
    let port = backend.port;
    let look = spawn_blocking(move || port::look(port));
    match timeout(LOOK_WITHIN, look).await {
        Ok(Ok(Ok(listening))) => {
            let conflict = conflict_over(port, target, &listening).await;
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
) -> Option<Conflict> {
    let found = conflict::find(port, &target, listening)?;
    let Target::Systemd { client, units } = target else { return Some(found) };
    let units = all_names(&client, units).await;
    conflict::find(port, &Target::Systemd { client, units }, listening).map(|_| found)
}

/// These services by all their names; by those alone, where systemd does not answer.
async fn all_names(client: &str, mut units: Vec<String>) -> Vec<String> {
    let mut argv: Vec<String> =
        [client, "show", "--property=Names", "--value", "--"].map(str::to_owned).to_vec();
    argv.extend(units.iter().cloned());
    if let Ok(answer) = command::ask(&argv, LOOK_WITHIN).await {
        for name in answer.text.split_whitespace() {
            if !units.iter().any(|unit| unit == name) {
                units.push(name.to_owned());
            }
        }
    }
    units
}
