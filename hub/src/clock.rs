//! The two clocks, read for the engine (S28).

use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};

use leveret_engine::time::{Instant, Now, Timestamp};

/// A wall clock before this moment (2025-01-01) was never set: chips and small boards start in 1970.
const PLAUSIBLE_SINCE_SECS: i64 = 1_735_689_600;

/// Reads both clocks; the monotonic one counts from the making of this value.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: StdInstant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            start: StdInstant::now(),
        }
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(0, |micros| -micros),
        };
        let wall = Timestamp::from_micros(wall);
        Now {
            mono: self.mono(),
            wall,
            wall_trusted: wall.secs() >= PLAUSIBLE_SINCE_SECS,
        }
    }

    /// The monotonic clock alone.
    pub fn mono(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The point `at` for the runtime's timers.
    pub fn std(&self, at: Instant) -> StdInstant {
        self.start + at.since(Instant::default())
    }
}
