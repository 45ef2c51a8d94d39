//! The tasks of the daemon: each has an owner and a name, so that its end can be told.

use std::any::Any;
use std::collections::BTreeMap;
use std::pin::Pin;

use tokio::task::{Id, JoinError, JoinSet};

/// A task that must not end while the daemon runs.
pub(super) struct Part {
    /// What it does, for people: "the part that … has failed".
    pub(super) name: &'static str,
    /// Its work.
    pub(super) work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Part {
    pub(super) fn new(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Part { name, work: Box::pin(work) }
    }
}

/// Running tasks with their names. They are aborted when this is dropped.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<()>,
    names: BTreeMap<Id, &'static str>,
}

/// A task that is over, and how, where that is bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) name: &'static str,
    pub(super) fault: Option<String>,
}

impl Tasks {
    pub(super) fn start(&mut self, part: Part) {
        let id = self.running.spawn(part.work).id();
        self.names.insert(id, part.name);
    }

    /// Starts work that may block.
    pub(super) fn start_blocking(
        &mut self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) {
        let id = self.running.spawn_blocking(work).id();
        self.names.insert(id, name);
    }

    /// The next task that ends; never while none runs.
    pub(super) async fn ended(&mut self) -> Ended {
        let (id, fault) = match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, None),
            Some(Err(error)) => (error.id(), Some(fault(error))),
            None => std::future::pending().await,
        };
        Ended { name: self.names.remove(&id).unwrap_or("one without a name"), fault }
    }
}

/// How a task failed.
fn fault(error: JoinError) -> String {
    error.try_into_panic().map_or_else(|_| "it was cancelled".to_owned(), panicked)
}

/// What work has panicked with. That may hold a secret only if its code put it there.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a word"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_fails_is_told_by_its_name_and_its_words() {
        let mut tasks = Tasks::default();
        tasks.start(Part::new("waits", std::future::pending()));
        tasks.start(Part::new("reads links", async { panic!("no table") }));
        let fault = Some("it panicked: no table".to_owned());
        assert_eq!(tasks.ended().await, Ended { name: "reads links", fault });
    }

    #[tokio::test]
    async fn a_task_that_comes_to_its_end_is_told_by_its_name() {
        let mut tasks = Tasks::default();
        tasks.start_blocking("asks the disk", || {});
        assert_eq!(tasks.ended().await, Ended { name: "asks the disk", fault: None });
    }
}
