//! The store as it is measured.

use std::path::Path;

use busyhour_model::{PathId, Slot, UtcMicros};
use busyhour_store::{Retention, SqliteTelemetry};
use tempfile::TempDir;

use crate::Effort;
use crate::fleet::{Fleet, MIX};
use crate::series::{self, Keep};

/// 2026-09-21 00:00 UTC, a Monday: minute 0 of all fleets that are not live.
pub(crate) const MONDAY: UtcMicros = UtcMicros::from_secs(1_789_948_800);

/// Long enough that nothing is dropped.
pub(crate) const RETENTION: Retention = Retention {
    windows_days: 3_000,
    slots_days: 3_000,
    hours_days: 3_000,
    checks_days: 3_000,
    facts_days: 3_000,
    loads_days: 3_000,
    gaps_days: 3_000,
};

/// A folder on the disk that is measured.
pub(crate) fn folder() -> TempDir {
    let made = match std::env::var_os("BUSYHOUR_BENCH_DIR") {
        Some(place) => TempDir::new_in(place),
        None => TempDir::new(),
    };
    made.expect("a folder")
}

/// Opens the telemetry of the store in a folder.
pub(crate) fn open(folder: &Path) -> SqliteTelemetry {
    busyhour_store::open(folder, RETENTION).expect("the store opens").0
}

/// Has everything lie where it stays.
pub(crate) fn settle(telemetry: &SqliteTelemetry) {
    telemetry.fold().expect("what is in the journal goes where it stays");
}

/// Puts slots of past days where they lie, without windows.
pub(crate) fn load_slots(telemetry: &SqliteTelemetry, slots: &[(PathId, Vec<Slot>)]) {
    telemetry.load_slots(slots).expect("the store takes slots");
}

/// A fleet with so many paths.
pub(crate) fn fleet(effort: &Effort, per_agent: usize, paths: usize) -> Fleet {
    let pool = series::make(&MIX, effort.series, 1, Keep::Windows);
    Fleet::new(pool, paths.div_ceil(per_agent), per_agent, MONDAY)
}
