//! The machine's clocks, read together.

use std::time::Instant;

use busyhour_model::{BootId, BootMicros, ClockPair, InvalidRecord, Stamp, UtcMicros};

/// One moment on every clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// What schedules use; stands still while the machine sleeps.
    pub(crate) monotonic: Instant,
    /// What labels use.
    pub(crate) wall: UtcMicros,
    /// Since boot, sleep included.
    pub(crate) boot: BootMicros,
}

impl From<ClockPair> for Moment {
    fn from(pair: ClockPair) -> Self {
        Self {
            monotonic: pair.monotonic,
            wall: UtcMicros(pair.wall_ns.div_euclid(1000)),
            boot: pair.boot,
        }
    }
}

/// Reads the clocks and names the boot that they count from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    boot_id: BootId,
}

impl Clock {
    /// # Errors
    /// When the system does not name its boot.
    pub(crate) fn start() -> std::io::Result<Self> {
        Ok(Self { boot_id: busyhour_net::boot_id()? })
    }

    #[cfg(test)]
    pub(crate) const fn with_boot(boot_id: BootId) -> Self {
        Self { boot_id }
    }

    #[expect(clippy::unused_self, reason = "only who has a clock may ask for the time")]
    pub(crate) fn now(&self) -> Moment {
        busyhour_net::paired_now().into()
    }

    pub(crate) const fn boot_id(&self) -> BootId {
        self.boot_id
    }

    /// The stamp of something that began at `started` and ended at `ended`.
    pub(crate) fn stamp(&self, started: &Moment, ended: &Moment) -> Result<Stamp, InvalidRecord> {
        let duration_us = ended.boot.0.saturating_sub(started.boot.0);
        Stamp::new(started.wall, started.boot, self.boot_id, duration_us)
    }
}
