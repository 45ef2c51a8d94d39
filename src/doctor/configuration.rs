//! Is the configuration root's alone to change?

use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::config;

const CHECK: &str = "configuration";

/// Makes no finding where there is no file.
pub(super) async fn check(file: Option<&Path>) -> Option<Finding> {
    let file = file?.to_owned();
    let shown = file.display().to_string();
    let look = spawn_blocking(move || config::exposed(&file));
    let finding = match timeout(ANSWER_WITHIN, look).await {
        Ok(Ok(None)) => Finding::ok(CHECK, format!("only root can change {shown}")),
        Ok(Ok(Some(exposed))) => Finding::warning(CHECK, exposed.to_string(), exposed.remedy()),
        Ok(Err(_)) | Err(_) => Finding::warning(
            CHECK,
            format!("whether others can change {shown} can't be seen"),
            "see the kernel's log for a disk that hangs",
        ),
    };
    Some(finding)
}
