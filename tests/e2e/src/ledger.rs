//! What an agent sealed against what a collector stored, both read from their files once they stopped.

use std::collections::HashSet;
use std::path::Path;

use busyhour_model::{Epoch, PathId, SlotStart, UtcMicros};
use busyhour_store::{Control as _, Retention, SqliteTelemetry, Telemetry as _};
use rusqlite::{Connection, OpenFlags};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// Blocks that the agent sealed.
    pub blocks: u64,
    /// Windows in them.
    pub windows: u64,
}

/// Checks that each block that an agent sealed is stored, and once, and so is each window.
///
/// # Panics
/// When one is missing or there twice, when the agent still holds some, or when one of the two runs.
#[must_use]
pub fn settled(agent: &Path, collector: &Path) -> Ledger {
    let spool =
        Connection::open_with_flags(agent.join("spool.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let spool = spool.expect("the spool");
    let one = |query: &str| -> i64 {
        spool.query_row(query, [], |row| row.get(0)).expect("a row of the spool")
    };
    let newest = u64::try_from(one("SELECT newest_block FROM spool")).expect("a count");
    let epoch = Epoch(one("SELECT epoch FROM spool").cast_unsigned());
    assert_eq!(one("SELECT count(*) FROM block"), 0, "the agent delivered what it held");

    let retention = Retention {
        windows_days: 14,
        slots_days: 400,
        hours_days: 400,
        checks_days: 90,
        facts_days: 90,
        loads_days: 90,
        gaps_days: 90,
    };
    let (telemetry, control) = busyhour_store::open(collector, retention).expect("the store");
    let agents = control.agents().expect("the agents");
    let received = telemetry.received(agents[0].id, epoch).expect("the receipts");
    let [(first, last)] = received[..] else { panic!("gaps among receipts: {received:?}") };
    assert_eq!(last.0 - first.0 + 1, newest, "every sealed block has a receipt");
    let totals = telemetry.totals().expect("totals");
    assert_eq!(totals.blocks, newest, "and only one");
    assert_eq!(totals.quarantined, 0, "nothing is quarantined");
    let paths = telemetry.paths(None).expect("paths");
    let paths: Vec<PathId> = paths.iter().map(|path| path.id).collect();
    let windows = raw_windows(&telemetry, &paths);
    assert_eq!((totals.windows, windows_in_slots(&telemetry, &paths)), (windows, windows));
    Ledger { blocks: newest, windows }
}

/// How many windows the slots of all paths count.
fn windows_in_slots(telemetry: &SqliteTelemetry, paths: &[PathId]) -> u64 {
    let (first, last) = (SlotStart::from_number(0), SlotStart::from_number(i64::from(i32::MAX)));
    let slots = telemetry.slots(paths, first, last).expect("slots");
    slots.iter().map(|(_, slot)| u64::from(slot.valid) + u64::from(slot.invalid)).sum()
}

/// How many raw windows there are; each once.
fn raw_windows(telemetry: &SqliteTelemetry, paths: &[PathId]) -> u64 {
    let mut found = 0;
    for &path in paths {
        let (from, until) = (UtcMicros(i64::MIN), UtcMicros(i64::MAX));
        let windows = telemetry.windows(path, from, until, usize::MAX).expect("windows");
        let begins: HashSet<_> = windows
            .iter()
            .map(|window| (window.judged.stamp.boot, window.judged.stamp.started_boot))
            .collect();
        assert_eq!(begins.len(), windows.len(), "no window lies there twice");
        found += windows.len() as u64;
    }
    found
}
