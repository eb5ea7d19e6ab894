//! A clock that moves when told.

use std::time::{Duration, Instant};

/// A monotonic clock and a wall clock. The wall clock can be stepped and can drift.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    origin: Instant,
    elapsed: Duration,
    wall_ns: i64,
    drift_ppm: i64,
}

impl VirtualClock {
    /// A clock whose wall time is `wall_ns` nanoseconds of Unix time now.
    #[must_use]
    pub fn new(wall_ns: i64) -> Self {
        Self { origin: Instant::now(), elapsed: Duration::ZERO, wall_ns, drift_ppm: 0 }
    }

    /// The same moment on another machine: its wall clock reads `wall_ns` now and gains `drift_ppm`
    /// microseconds a second.
    #[must_use]
    pub const fn elsewhere(mut self, wall_ns: i64, drift_ppm: i64) -> Self {
        self.wall_ns = wall_ns;
        self.drift_ppm = drift_ppm;
        self
    }

    /// Moves on by `by`.
    pub fn advance(&mut self, by: Duration) {
        let ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.elapsed += by;
        self.wall_ns += ns + ns / 1_000_000 * self.drift_ppm;
    }

    /// Moves on to `at`; not back.
    pub fn advance_to(&mut self, at: Instant) {
        self.advance(at.saturating_duration_since(self.now()));
    }

    /// Steps the wall clock.
    pub const fn step_wall(&mut self, by_ns: i64) {
        self.wall_ns += by_ns;
    }

    /// The monotonic clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.origin + self.elapsed
    }

    /// Since the clock was made.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The wall clock, in nanoseconds of Unix time.
    #[must_use]
    pub const fn wall_ns(&self) -> i64 {
        self.wall_ns
    }
}
