//! The daemon is asked once a second, and for one thing at a time; a daemon that is slow is asked
//! less often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::model::Update;
use crate::cli::change::show_change;
use crate::control::api::{NodeInFull, Status, Traffic, verb};
use crate::control::client::{self, ClientError};
use crate::core::event::Ask;
use crate::printable::printable;

/// From an answer to the next question.
const PAUSE: Duration = Duration::from_secs(1);
/// Changes that may wait.
const QUEUE: usize = 8;

/// What is asked in the background.
#[derive(Debug)]
pub(super) struct Poll {
    updates: mpsc::Receiver<Update>,
    changes: mpsc::Sender<(u32, Ask)>,
    looked_at: watch::Sender<Option<u32>>,
}

/// The first answer.
#[derive(Debug)]
pub(super) struct First {
    pub(super) status: Status,
    pub(super) traffic: Option<Traffic>,
}

impl Poll {
    /// Asks once, and goes on asking from then on until this is dropped.
    pub(super) async fn begin(socket: &Path) -> Result<(Self, First), ClientError> {
        let status = client::status(socket).await?;
        let first = First { status, traffic: client::traffic(socket).await.ok() };
        let (updates_in, updates) = mpsc::channel(1);
        let (changes, asked) = mpsc::channel(QUEUE);
        let (looked_at, look) = watch::channel(None);
        let asker = Asker { socket: socket.to_owned(), updates: updates_in, changes: asked, look };
        tokio::spawn(asker.run());
        Ok((Poll { updates, changes, looked_at }, first))
    }

    /// What the daemon answers next; `None` where nobody asks it any more.
    pub(super) async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }

    /// Has a node changed; what is told until that has an answer.
    pub(super) fn change(&self, node: u32, ask: Ask) -> String {
        match self.changes.try_send((node, ask)) {
            Ok(()) => format!("node {node}: {} asked for", verb(ask)),
            Err(_) => format!("node {node}: not asked, for the daemon has not answered yet"),
        }
    }

    /// Which node is asked for with its history.
    pub(super) fn look_at(&self, node: Option<u32>) {
        self.looked_at.send_if_modified(|now| std::mem::replace(now, node) != node);
    }
}

struct Asker {
    socket: PathBuf,
    updates: mpsc::Sender<Update>,
    changes: mpsc::Receiver<(u32, Ask)>,
    look: watch::Receiver<Option<u32>>,
}

impl Asker {
    async fn run(mut self) {
        let mut due = Instant::now() + PAUSE;
        loop {
            let update = tokio::select! {
                Some((node, ask)) = self.changes.recv() => {
                    due = Instant::now();
                    Some(self.change(node, ask).await)
                }
                Ok(()) = self.look.changed() => self.full().await.map(Update::Full),
                () = sleep_until(due) => {
                    let update = self.whole().await;
                    due = Instant::now() + PAUSE;
                    Some(update)
                }
            };
            if let Some(update) = update
                && self.updates.send(update).await.is_err()
            {
                return;
            }
        }
    }

    async fn whole(&mut self) -> Update {
        match client::status(&self.socket).await {
            Ok(status) => Update::Whole {
                status: Box::new(status),
                traffic: client::traffic(&self.socket).await.ok(),
                full: self.full().await,
            },
            Err(error) => Update::Lost(printable(&error.to_string())),
        }
    }

    /// None where the daemon does not tell it; that it does not answer is told by the whole.
    async fn full(&mut self) -> Option<Box<NodeInFull>> {
        let node = (*self.look.borrow_and_update())?;
        client::node(&self.socket, node).await.ok().map(Box::new)
    }

    async fn change(&self, node: u32, ask: Ask) -> Update {
        Update::Told(match client::change(&self.socket, node, ask).await {
            Ok(changed) => {
                show_change(&changed, ask, false).unwrap_or_default().trim_end().to_owned()
            }
            Err(error) => printable(&format!("{} refused: {error}", verb(ask))),
        })
    }
}
