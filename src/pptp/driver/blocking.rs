//! Kernel calls that take a while, on threads of their own.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Threads that wait for the kernel side by side. Most of what they wait for is one lock (rtnl), so
/// more would only queue there.
const THREADS: usize = 8;

/// Where slow kernel calls are made.
#[derive(Clone)]
pub(super) struct Threads(Arc<Semaphore>);

impl Threads {
    pub(super) fn new() -> Self {
        Threads(Arc::new(Semaphore::new(THREADS)))
    }

    /// Has work done that waits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        // It is never closed.
        let turn = self.0.clone().acquire_owned().await.ok();
        let done = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match done.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(Err(_)) => std::future::pending().await,
        }
    }
}
