//! The runtime of tasks, for each thread that has one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How long a thread for work that blocks waits for more of it: as good as for ever.
const KEPT: Duration = Duration::from_hours(24 * 365);

/// A runtime on this thread, and one thread for work that blocks, which stays. Where the system
/// gives no more threads, such work waits for that one; had it none, it would fail.
///
/// # Errors
/// When the system does not give that much.
pub fn start() -> io::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().thread_keep_alive(KEPT).build()?;
    // The library panics where it can have no thread.
    catch_unwind(AssertUnwindSafe(|| drop(runtime.spawn_blocking(|| ()))))
        .map_err(|_| io::Error::other("the system gives no thread"))?;
    Ok(runtime)
}
