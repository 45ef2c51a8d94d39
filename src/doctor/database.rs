//! Can the node database be read, and its rows be dialled?

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{ANSWER_WITHIN, Finding};
use crate::config::Config;
use crate::control::api::counted;
use crate::core::event::{Candidate, Ranked};
use crate::desired::{self, Problem, Settings};
use crate::node::Node;

const CHECK: &str = "database";

/// What reading the table came to.
#[derive(Debug)]
pub(super) struct Read(Result<Result<Vec<Ranked>, Problem>, Elapsed>);

pub(super) async fn read(config: &Config) -> Read {
    Read(timeout(ANSWER_WITHIN, desired::read_once(&Settings::from(config))).await)
}

impl Read {
    /// The nodes that can be dialled; none where the table can't be read.
    pub(super) fn nodes(&self) -> Option<Vec<&Node>> {
        let Ok(Ok(rows)) = &self.0 else { return None };
        Some(rows.iter().filter_map(|row| row.candidate.node()).collect())
    }
}

pub(super) fn check(config: &Config, read: &Read) -> Finding {
    let path = config.database.path.display();
    match &read.0 {
        Ok(Ok(candidates)) => judge(&path.to_string(), candidates),
        // The problem names its own remedy.
        Ok(Err(problem)) => Finding::failed(
            CHECK,
            format!("the node database can't be used: {problem}"),
            format!("check that the backend works and that database.path, {path}, is its file"),
        ),
        Err(_) => Finding::failed(
            CHECK,
            format!("reading {path} hangs"),
            "see the kernel's log for a disk that hangs",
        ),
    }
}

fn judge(path: &str, candidates: &[Ranked]) -> Finding {
    let invalid: Vec<String> = candidates
        .iter()
        .filter_map(|row| match &row.candidate {
            Candidate::Node(_) => None,
            Candidate::Invalid(row) => Some(format!("node {}: {}", row.id, row.reason)),
        })
        .collect();
    let count = counted(candidates.len() - invalid.len(), "node");
    match invalid.first() {
        None => Finding::ok(CHECK, format!("{path} holds {count} to dial")),
        Some(first) => Finding::warning(
            CHECK,
            format!("{path} holds {count} to dial, and {} that can't be: {first}", invalid.len()),
            "correct these rows; connexactl status tells what is wrong with each",
        ),
    }
}
