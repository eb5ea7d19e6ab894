//! What was not stored: one row per block and reason, and one gap that readers can show.

use std::collections::BTreeMap;

use busyhour_model::{
    Body, BootId, BootMicros, Context, Gap, GapReason, Record, ScheduleRevision, Stamp, UtcMicros,
};
use rusqlite::{Connection, params};

use crate::sqlite::unreadable;
use crate::{BlockRows, Quarantined};

/// Reasons told apart in one block: each needs a row, and reasons name what was found.
const MAX_REASONS: usize = 16;
const OTHER_REASONS: &str = "other reasons";
/// The longest gap, in microseconds: a wrong time must not make it cover what there is. A block
/// rarely covers more.
const MAX_GAP_US: u64 = 3_600_000_000;

#[derive(Debug, Clone, Copy)]
struct Count {
    started: Option<UtcMicros>,
    records: i64,
}

/// Counts records of one block by reason.
pub(super) fn put(
    sql: &Connection,
    block: &BlockRows,
    quarantined: &[Quarantined],
) -> rusqlite::Result<()> {
    let mut reasons: BTreeMap<&str, Count> = BTreeMap::new();
    for one in quarantined {
        let room = reasons.len() < MAX_REASONS || reasons.contains_key(one.reason.as_str());
        let reason = if room { one.reason.as_str() } else { OTHER_REASONS };
        let count = reasons.entry(reason).or_insert(Count { started: one.started, records: 0 });
        count.records += 1;
        count.started = [count.started, one.started].into_iter().flatten().min();
    }
    let mut insert =
        sql.prepare_cached("INSERT INTO quarantine VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for (reason, count) in reasons {
        insert.execute(params![
            block.received.0,
            block.agent.to_bytes(),
            block.epoch.0.cast_signed(),
            block.block.0.cast_signed(),
            count.started.map(|at| at.0),
            reason,
            count.records,
        ])?;
    }
    Ok(())
}

/// The gap of the whole agent that these records leave. It spans those that began between
/// `oldest` and when the block came; where there are none it lies where the block came.
pub(super) fn gap(
    block: &BlockRows,
    quarantined: &[Quarantined],
    oldest: UtcMicros,
) -> rusqlite::Result<Record> {
    let possible = oldest..=block.received;
    let starts =
        || quarantined.iter().filter_map(|one| one.started).filter(|at| possible.contains(at));
    let first = starts().min().unwrap_or(block.received);
    let last = starts().max().unwrap_or(first);
    let length_us = last.since(first).unsigned_abs().min(MAX_GAP_US);
    // The collector's own word: of no boot.
    let stamp =
        Stamp::new(first, BootMicros(0), BootId::from_u128(0), length_us).map_err(unreadable)?;
    let gap =
        Gap { reason: GapReason::Quarantined, path: None, records: Some(quarantined.len() as u64) };
    Ok(Record {
        stamp,
        schedule: ScheduleRevision(0),
        context: Context::default(),
        body: Body::Gap(gap),
    })
}
