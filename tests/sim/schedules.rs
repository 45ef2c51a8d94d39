//! Random schedules, each from a seed of its own, and shrunk when one fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use connexa::core::policy::{OutagePolicy, Policy};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::world::{Action, World, any_action, policy};

/// Long enough for the longest back-off, a dial's time-out and a few tries.
pub const HEALED_WITHIN: Duration = Duration::from_secs(1800);

/// Long enough for every pppd to be hung up, and then some.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(120);

/// Waits in milliseconds and what happens after each.
type Schedule = Vec<(u32, Action)>;

pub fn any_schedule() -> impl Strategy<Value = Schedule> {
    let wait = prop_oneof![5 => 0..300_u32, 3 => 300..3000_u32, 2 => 3000..60_000_u32];
    prop::collection::vec((wait, any_action()), 1..150)
}

/// What makes an outage differs from world to world: where windows are short there are many restarts.
/// So does how long a row may be away.
fn any_policy(seed: u64) -> Policy {
    let pick = |shift: u32, values: [u32; 4]| values[(seed >> shift) as usize % 4];
    let policy = policy();
    let outage = OutagePolicy {
        interval: Duration::from_secs(pick(0, [1, 1, 5, 30]).into()),
        windows: pick(2, [3, 1, 2, 4]),
        startup_delay: Duration::from_secs(pick(4, [10, 0, 1, 60]).into()),
        restart_with_no_nodes: pick(6, [0, 0, 0, 1]) == 1,
        ..policy.outage
    };
    let absence_grace = Duration::from_secs(pick(8, [5, 5, 1, 0]).into());
    Policy { outage, absence_grace, ..policy }
}

/// Lives through a schedule, and checks that all is well some time after its end.
fn live_through(schedule: &Schedule, seed: u64) -> (u64, Result<(), String>) {
    let mut world = World::under(any_policy(seed), seed, 3, false);
    let verdict = try_to_live_through(&mut world, schedule);
    (world.fed, verdict)
}

fn try_to_live_through(world: &mut World, schedule: &Schedule) -> Result<(), String> {
    for (wait, action) in schedule {
        world.run_for(Duration::from_millis(u64::from(*wait)));
        world.act(*action);
        world.verdict()?;
    }
    world.heal();
    world.run_for(HEALED_WITHIN);
    world.check_settled()?;
    world.empty();
    world.run_for(FORGOTTEN_WITHIN);
    world.check_forgotten()
}

/// What the core was told last, and what it did.
fn last_inputs(schedule: &Schedule, seed: u64) -> String {
    let mut world = World::under(any_policy(seed), seed, 3, true);
    drop(try_to_live_through(&mut world, schedule));
    let from = world.daemon.recording.len().saturating_sub(20);
    let last = &world.daemon.recording[from..];
    last.iter().map(|(input, effects)| format!("told {input}\n did {effects}\n")).collect()
}

/// Runs the schedule of one seed; adds the inputs that the core was fed.
///
/// # Errors
/// The schedule, made as small as it gets, and the rule that it breaks.
fn run(seed: u64, fed: &AtomicU64) -> Result<(), String> {
    let config =
        Config { cases: 1, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&any_schedule(), |schedule| {
        let (inputs, verdict) = live_through(&schedule, seed);
        fed.fetch_add(inputs, Ordering::Relaxed);
        verdict.map_err(TestCaseError::fail)
    });
    result.map_err(|error| match error {
        TestError::Fail(reason, schedule) => {
            let steps: Vec<String> =
                schedule.iter().map(|(wait, action)| format!("  {wait} ms, {action:?}")).collect();
            let (reason, steps) = (reason.message(), steps.join("\n"));
            let last = last_inputs(&schedule, seed);
            format!("{reason}\nafter\n{steps}\n{last}again: SIM_SEED={seed} make soak")
        }
        TestError::Abort(reason) => reason.message().to_owned(),
    })
}

/// The schedule of one seed.
///
/// # Errors
/// See [`run`].
pub fn run_one(seed: u64) -> Result<u64, String> {
    println!("the schedule of SIM_SEED={seed}");
    let fed = AtomicU64::new(0);
    run(seed, &fed).map(|()| fed.into_inner())
}

/// The same schedules every time, until the core was fed so many inputs.
///
/// # Errors
/// The first failure.
pub fn run_until_fed(inputs: u64) -> Result<u64, String> {
    let began = Instant::now();
    let fed = run_many(1, |_, fed| fed < inputs)?;
    println!("{fed} inputs in {:?}", began.elapsed());
    Ok(fed)
}

/// Fresh schedules for so long.
///
/// # Errors
/// The first failure.
pub fn run_for(time: Duration) -> Result<u64, String> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = u64::from(clock.subsec_nanos()) << 32;
    println!("schedules of SIM_SEED={first} and on, for {time:?}");
    let began = Instant::now();
    run_many(first, |n, fed| {
        if n % 10_000 == 9_999 {
            println!("{:>6} s {:>9} schedules {fed:>12} inputs", began.elapsed().as_secs(), n + 1);
        }
        began.elapsed() < time
    })
}

/// Runs the schedules of one seed after another on two threads while `go_on` says so of their
/// number and of the inputs so far, which are returned.
fn run_many(first: u64, go_on: impl Fn(u64, u64) -> bool + Sync) -> Result<u64, String> {
    let (next, fed, failures) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let worker = || -> Result<(), String> {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let has_failed = failures.load(Ordering::Relaxed) > 0;
            if has_failed || !go_on(n, fed.load(Ordering::Relaxed)) {
                return Ok(());
            }
            run(first.wrapping_add(n), &fed)
                .inspect_err(|_| failures.store(1, Ordering::Relaxed))?;
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(worker), scope.spawn(worker)];
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    Ok(fed.into_inner())
}
