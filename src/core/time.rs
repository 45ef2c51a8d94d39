//! Time as the core sees it: numbers that come in with each event.

use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the daemon's start, on a clock that never steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Monotonic;

    fn add(self, duration: Duration) -> Monotonic {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Monotonic(self.0.saturating_add(millis))
    }
}

/// Milliseconds since 1970 in UTC; for people to read, never to reckon with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub u64);

/// What every event brings along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// To reckon with.
    pub at: Monotonic,
    /// To show.
    pub wall: Wall,
    /// A random number, for jitter.
    pub dice: u64,
}
