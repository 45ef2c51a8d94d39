//! Where the core's time and dice come from.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::core::time::{Monotonic, Now, Wall};

/// Where the core's time and dice come from.
pub(super) struct Clock {
    started: Instant,
    dice: RandomState,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { started: Instant::now(), dice: RandomState::new() }
    }

    pub(super) fn now(&self) -> Now {
        let at = millis(self.started.elapsed());
        let wall = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        Now { at: Monotonic(at), wall: Wall(wall), dice: self.dice.hash_one((at, wall)) }
    }

    pub(super) fn instant(&self, at: Monotonic) -> Instant {
        self.started + Duration::from_millis(at.0)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
