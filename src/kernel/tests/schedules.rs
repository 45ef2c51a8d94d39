//! Random schedules of changes, each compared with the kernel again and again. `KERNEL_SEED=SEED`
//! makes the changes of one seed once more.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::truth::{by_core, by_ip};
use super::world::World;
use super::{Core, RECEIVE_BUFFER, in_namespace, ip};

const ROUNDS: usize = 50;
/// Rounds from one comparison with the kernel to the next.
const STRETCH: usize = 10;

/// A change of carrier shows in the kernel's table at once, and is announced within a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the listener runs while links change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listener {
    Reads,
    /// It stands still in half of the rounds.
    Stalls,
}

/// Told when a test fails.
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let given = std::env::var("KERNEL_SEED").ok().map(|text| text.parse().unwrap());
        Seed(given.unwrap_or(u64::from(now.subsec_nanos())))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "how to see it fail again")]
            {
                eprintln!("again: KERNEL_SEED={}", self.0);
            }
        }
    }
}

/// What `f` does in another thread, while the core listens.
async fn meanwhile(core: &mut Core, f: impl FnOnce() + Send + 'static) {
    let mut work = tokio::task::spawn_blocking(f);
    loop {
        tokio::select! {
            done = &mut work => return done.unwrap(),
            _ = core.next() => {}
        }
    }
}

/// What the kernel announces in order, the core has been told in full once it knows of a link that
/// was made last.
async fn compare(core: &mut Core, marker: &str) {
    ip([format!("tuntap add mode tun name {marker}")]);
    core.until(|core| core.links.values().any(|link| link.name == marker)).await;
    let truth = by_ip();
    let equal = core.until(|core| by_core(&core.links) == truth);
    if tokio::time::timeout(PATIENCE, equal).await.is_err() {
        assert_eq!(by_core(&core.links), truth, "the core's table and the kernel's at {marker}");
    }
    assert_eq!(usize::try_from(core.hearing.links).unwrap(), truth.len());
}

/// Gives back how often the kernel dropped changes.
async fn run(listener: Listener, receive_buffer: usize) -> u64 {
    let seed = Seed::new();
    let mut world = World::new(seed.0);
    let mut core = Core::listening(receive_buffer);
    for round in 0..ROUNDS {
        let work = world.round();
        if listener == Listener::Stalls && world.dice.chance(1, 2) {
            work();
        } else {
            meanwhile(&mut core, work).await;
        }
        if (round + 1) % STRETCH == 0 {
            compare(&mut core, &format!("marker{round}")).await;
        }
    }
    let done = world.changes_made();
    assert!(done > ROUNDS * 14, "only {done} changes were made");
    core.hearing.overruns
}

#[test]
fn a_random_schedule_ends_in_the_kernels_truth() {
    in_namespace(async || {
        assert_eq!(run(Listener::Reads, RECEIVE_BUFFER).await, 0);
    });
}

#[test]
fn a_random_schedule_ends_in_the_kernels_truth_though_the_listener_stalls() {
    in_namespace(async || {
        assert_eq!(run(Listener::Stalls, RECEIVE_BUFFER).await, 0);
    });
}

#[test]
fn a_random_schedule_ends_in_the_kernels_truth_though_changes_are_lost() {
    in_namespace(async || {
        assert!(run(Listener::Stalls, 1).await > 0, "nothing was lost");
    });
}
