//! What systemd would do with a service.

use super::ANSWER_WITHIN;
use crate::command::{CommandError, ask};

/// A service, in systemctl's words; empty where that has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    /// `enabled`, `disabled`, `masked`, …
    pub(super) enabled: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub(super) active: String,
}

impl Service {
    /// Whether it runs, or will at the next boot.
    pub(super) fn is_wanted(&self) -> bool {
        ["enabled", "enabled-runtime", "alias"].contains(&self.enabled.as_str())
            || ["active", "activating", "reloading"].contains(&self.active.as_str())
    }
}

/// Asks for a service. A host without systemctl has none.
pub(super) async fn service(name: &str) -> Result<Service, CommandError> {
    let (enabled, active) = (word("is-enabled", name).await?, word("is-active", name).await?);
    Ok(Service { name: name.to_owned(), enabled, active })
}

async fn word(question: &str, name: &str) -> Result<String, CommandError> {
    let argv = ["systemctl", question, "--", name].map(str::to_owned);
    match ask(&argv, ANSWER_WITHIN).await {
        Ok(answer) => Ok(answer.text.lines().next().unwrap_or_default().trim().to_owned()),
        Err(CommandError::Missing { .. }) => Ok(String::new()),
        Err(error @ (CommandError::Lost { .. } | CommandError::Timeout { .. })) => Err(error),
    }
}
