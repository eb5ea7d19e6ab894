//! Time as data. Nothing here reads a clock.

use std::fmt;
use std::time::{Duration, Instant};

/// Microseconds of a duration.
pub type Micros = u64;

/// The length of a slot: a quarter of an hour, in microseconds.
pub const SLOT_MICROS: i64 = 15 * 60 * 1_000_000;

/// A moment of wall-clock time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcMicros(pub i64);

impl UtcMicros {
    /// Builds a moment from whole seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `duration` later, held at the ends of the range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The moment `duration` earlier, held at the ends of the range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Signed microseconds from `earlier` to this moment.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Microseconds since the machine booted, suspend included (`CLOCK_BOOTTIME` on Linux).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootMicros(pub u64);

/// The machine's clocks, read together: what a moment is called on each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockPair {
    /// The monotonic clock.
    pub monotonic: Instant,
    /// The wall clock, in nanoseconds of Unix time.
    pub wall_ns: i64,
    /// The boot-relative clock.
    pub boot: BootMicros,
}

/// The beginning of a 15-minute slot of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotStart(i64);

impl SlotStart {
    /// The slot that contains `at`.
    #[must_use]
    pub const fn containing(at: UtcMicros) -> Self {
        Self(at.0.div_euclid(SLOT_MICROS))
    }

    /// The slot with this number, counted in quarter-hours since 1970 (what the store keeps).
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Quarter-hours since 1970.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The slot's first moment.
    #[must_use]
    pub const fn start(self) -> UtcMicros {
        UtcMicros(self.0.saturating_mul(SLOT_MICROS))
    }

    /// The slot `count` quarter-hours later.
    #[must_use]
    pub const fn offset(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for SlotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_its_quarter_hour_and_no_more() {
        let slot = SlotStart::containing(UtcMicros::from_secs(1_000_000_000));
        assert!(slot.start() <= UtcMicros::from_secs(1_000_000_000));
        assert_eq!(SlotStart::containing(slot.start()), slot);
        assert_eq!(SlotStart::containing(UtcMicros(slot.start().0 + SLOT_MICROS - 1)), slot);
        assert_eq!(SlotStart::containing(UtcMicros(slot.start().0 - 1)), slot.offset(-1));
    }

    #[test]
    fn moments_before_1970_round_down() {
        assert_eq!(UtcMicros(-1).as_secs(), -1);
        assert_eq!(SlotStart::containing(UtcMicros(-1)).number(), -1);
    }
}
