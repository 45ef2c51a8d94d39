//! Reads the whole table from the kernel.
//!
//! A list takes many reads, and the table may change between them. So all changes told while it
//! is read are kept and played on top of it; that ends in the truth however the two interleave,
//! given that no change is missing. After a loss, changes from before it may still be unread,
//! such as the making of a link whose removal was lost: playing that would raise a ghost. A first
//! list, asked for only to see its end, separates them: what comes before the end is older than
//! the lists that follow, and is thrown away.

use std::time::Duration;

use super::KernelError;
use super::message::News;
use super::session::{Heard, List, Session};
use crate::core::event::Hearing;

/// A list that was torn by a change is read again so many times in a row.
const ATTEMPTS: u32 = 16;

/// The kernel lists a thousand links in some milliseconds; longer than this, seconds, it is stuck.
const TIME_LIMIT: u64 = 10;

/// All links and addresses, in an order in which they can be played on an empty table. Counts
/// in `hearing` what went wrong meanwhile.
pub(super) async fn read(
    session: &mut Session,
    hearing: &mut Hearing,
) -> Result<Vec<News>, KernelError> {
    let limit = Duration::from_secs(TIME_LIMIT);
    tokio::time::timeout(limit, insist(session, hearing))
        .await
        .unwrap_or(Err(KernelError::Silent(TIME_LIMIT)))
}

async fn insist(session: &mut Session, hearing: &mut Hearing) -> Result<Vec<News>, KernelError> {
    for _ in 0..ATTEMPTS {
        if let Some(news) = attempt(session, hearing).await? {
            return Ok(news);
        }
    }
    Err(KernelError::Restless)
}

async fn attempt(
    session: &mut Session,
    hearing: &mut Hearing,
) -> Result<Option<Vec<News>>, KernelError> {
    let barrier = list(session, List::Addresses, hearing).await?;
    if barrier.lossy {
        return Ok(None);
    }
    let links = list(session, List::Links, hearing).await?;
    let addresses = list(session, List::Addresses, hearing).await?;
    hearing.interrupted += u64::from(links.torn) + u64::from(addresses.torn);
    if [&links, &addresses].iter().any(|answer| answer.lossy || answer.torn) {
        return Ok(None);
    }
    let items = links.items.into_iter().chain(addresses.items);
    Ok(Some(items.chain(links.changes).chain(addresses.changes).collect()))
}

#[derive(Default)]
struct Answer {
    items: Vec<News>,
    /// Told while the list was read.
    changes: Vec<News>,
    /// Items are missing.
    torn: bool,
    /// Changes are missing.
    lossy: bool,
}

async fn list(
    session: &mut Session,
    what: List,
    hearing: &mut Hearing,
) -> Result<Answer, KernelError> {
    session.ask(what)?;
    let mut answer = Answer::default();
    loop {
        match session.hear().await? {
            Heard::Item { news, torn } => {
                if news == News::Undecodable {
                    hearing.undecodable += 1;
                }
                answer.torn |= torn || news == News::Undecodable;
                answer.items.push(news);
            }
            Heard::Change(news) => answer.changes.push(news),
            Heard::Lost => {
                hearing.overruns += 1;
                answer.lossy = true;
            }
            Heard::Undecodable => {
                hearing.undecodable += 1;
                answer.lossy = true;
            }
            Heard::End { torn } => {
                answer.torn |= torn;
                return Ok(answer);
            }
        }
    }
}
