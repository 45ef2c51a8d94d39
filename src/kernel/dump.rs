//! Reads the whole table from the kernel.
//!
//! A list takes many reads, and the table may change between them. So all changes told while it
//! is read are kept and played on top of it; that ends in the truth however the two interleave,
//! given that no change is missing. After a loss, changes from before it may still be unread,
//! such as the making of a link whose removal was lost: playing that would raise a ghost. A first
//! list, asked for only to see its end, separates them: what comes before the end is older than
//! the lists that follow, and is not played on them.
//!
//! Whatever becomes of the lists, each change is in the table once it is heard.

use std::time::Duration;

use super::KernelError;
use super::message::News;
use super::session::{Heard, List, Session};
use super::table::Table;
use crate::core::event::Hearing;

/// A list that was torn by a change is asked for so many times in a row.
const ATTEMPTS: u32 = 4;

/// The kernel lists a thousand links in some milliseconds; longer than this, seconds, it is stuck.
const TIME_LIMIT: u64 = 10;

/// What became of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is what the kernel has.
    Whole,
    /// All changes that were heard are in it. Lists had gaps and are not, so what was missed before
    /// is still missed.
    Torn,
    /// Changes are missing.
    Lossy,
}

/// Reads all links and addresses into the table. Counts in `hearing` what went wrong meanwhile.
pub(super) async fn read(
    session: &mut Session,
    table: &mut Table,
    hearing: &mut Hearing,
) -> Result<Reading, KernelError> {
    for _ in 0..ATTEMPTS {
        let reading = attempt(session, table, hearing).await?;
        if reading != Reading::Torn {
            return Ok(reading);
        }
    }
    Ok(Reading::Torn)
}

async fn attempt(
    session: &mut Session,
    table: &mut Table,
    hearing: &mut Hearing,
) -> Result<Reading, KernelError> {
    let barrier = list(session, List::Addresses, table, hearing).await?;
    if barrier.lossy {
        return Ok(Reading::Lossy);
    }
    let links = list(session, List::Links, table, hearing).await?;
    let addresses = list(session, List::Addresses, table, hearing).await?;
    hearing.interrupted += u64::from(links.torn) + u64::from(addresses.torn);
    if links.lossy || addresses.lossy {
        return Ok(Reading::Lossy);
    }
    if links.torn || addresses.torn {
        return Ok(Reading::Torn);
    }
    let items = links.items.into_iter().chain(addresses.items);
    table.replace(items.chain(links.changes).chain(addresses.changes));
    Ok(Reading::Whole)
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
    table: &mut Table,
    hearing: &mut Hearing,
) -> Result<Answer, KernelError> {
    let limit = Duration::from_secs(TIME_LIMIT);
    tokio::time::timeout(limit, answer(session, what, table, hearing))
        .await
        .unwrap_or(Err(KernelError::Silent(TIME_LIMIT)))
}

async fn answer(
    session: &mut Session,
    what: List,
    table: &mut Table,
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
            Heard::Change(news) => {
                table.apply(news.clone());
                answer.changes.push(news);
            }
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
