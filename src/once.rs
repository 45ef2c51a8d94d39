//! `connexad --once`: one look at the host, nothing changed.

use crate::config::Config;
use crate::control::{api, shown};
use crate::core::Core;
use crate::core::event::{Event, Hearing, Input, Rows};
use crate::core::policy::Policy;
use crate::core::time::Now;
use crate::desired;
use crate::engines;
use crate::kernel::{self, KernelError};
use crate::pppd::LookError;

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The kernel's links can't be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// It can't be told which pppds run.
    #[error(transparent)]
    Running(#[from] LookError),
}

/// How the outage rule would see this moment: which tunnels of nodes are up by the kernel's word.
/// Effects of the core are thrown away. Where the database can't be read, every call that runs with
/// one of our names counts.
///
/// # Errors
/// When links or processes can't be read.
pub async fn observe(config: &Config) -> Result<api::Outage, OnceError> {
    let mut core = Core::new(Policy::from(config));
    let mut feed = |event| drop(core.handle(Input { now: Now::default(), event }));
    feed(Event::Links { changes: kernel::snapshot().await?, hearing: Hearing::default() });
    match desired::read_once(&desired::Settings::from(config)).await {
        Ok(candidates) => {
            let rows = Rows::All(candidates);
            feed(Event::Desired { rows, places: config.selection.max_tunnels });
        }
        Err(problem) => feed(Event::DesiredUnavailable(problem.to_string())),
    }
    feed(Event::Found(engines::running(&config.paths).await?));
    // No window is open: nobody goes on looking.
    let outage = shown::outage(core.report().outage, Now::default());
    Ok(api::Outage { next_evaluation_at: None, ..outage })
}
