//! Retention: what is too old goes, in transactions short enough not to hold up the writer.

use busyhour_model::{PathId, SlotStart, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::append::Memory;
use crate::sqlite::{Database, days_before, utc_day};
use crate::{Retention, StoreError};

/// Paths per transaction: an hourly prune deletes some 240 windows of each.
const PATHS_AT_ONCE: usize = 32;

pub(super) const NEXT_OTHERS: &str = "SELECT agent, kind FROM others \
     WHERE (agent, kind) > (?1, ?2) ORDER BY agent, kind LIMIT 1";
const OPERATION: &str = "delete what is too old";

pub(super) fn prune(
    database: &Database<Memory>,
    retention: Retention,
    now: UtcMicros,
) -> Result<u64, StoreError> {
    let windows_from = days_before(now, retention.windows_days);
    let slots_from = days_before(now, retention.slots_days);
    let paths = database.read(OPERATION, |sql| {
        sql.prepare_cached("SELECT id FROM paths ORDER BY id")?
            .query_map([], |row| Ok(PathId(row.get(0)?)))?
            .collect::<rusqlite::Result<Vec<_>>>()
    })?;
    let mut deleted = 0;
    for some in paths.chunks(PATHS_AT_ONCE) {
        deleted +=
            database.write(OPERATION, |sql| prune_paths(sql, some, windows_from, slots_from))?;
    }
    let others_from = days_before(now, retention.others_days);
    let mut writer = database.writer();
    // What is remembered may name rows that go now.
    writer.memory = Memory::default();
    deleted +=
        writer.write(OPERATION, |sql| prune_shared(sql, windows_from, slots_from, others_from))?;
    Ok(deleted)
}

fn prune_paths(
    sql: &Connection,
    paths: &[PathId],
    windows_from: UtcMicros,
    slots_from: UtcMicros,
) -> rusqlite::Result<u64> {
    let mut windows =
        sql.prepare_cached("DELETE FROM windows WHERE path = ?1 AND placed_us < ?2")?;
    let mut unsettled =
        sql.prepare_cached("DELETE FROM unsettled WHERE path = ?1 AND placed_us < ?2")?;
    let mut slots = sql.prepare_cached("DELETE FROM slots WHERE path = ?1 AND slot < ?2")?;
    let first_slot = SlotStart::containing(slots_from).number();
    let (mut gone, mut slots_gone) = (0, 0);
    for path in paths {
        gone += windows.execute(params![path.0, windows_from.0])?;
        unsettled.execute(params![path.0, windows_from.0])?;
        slots_gone += slots.execute(params![path.0, first_slot])?;
    }
    sql.execute("UPDATE totals SET slots = slots - ?1", [slots_gone as i64])?;
    Ok((gone + slots_gone) as u64)
}

/// Rows that belong to no path alone.
fn prune_shared(
    sql: &Connection,
    windows_from: UtcMicros,
    slots_from: UtcMicros,
    others_from: UtcMicros,
) -> rusqlite::Result<u64> {
    let mut gone = 0;
    gone +=
        sql.execute("DELETE FROM circumstances WHERE newest_day < ?1", [utc_day(windows_from)])?;
    gone += sql.execute("DELETE FROM session_reports WHERE placed_us < ?1", [windows_from.0])?;
    gone += prune_others(sql, others_from)?;
    gone += sql.execute("DELETE FROM quarantine WHERE received_us < ?1", [others_from.0])?;
    // Its last slot is gone too: slots go whole.
    let first_slot = SlotStart::containing(slots_from).start();
    gone += sql.execute("DELETE FROM paths WHERE newest_us < ?1", [first_slot.0])?;
    gone += sql.execute(
        "DELETE FROM dirty_days WHERE utc_day < ?1 OR path NOT IN (SELECT id FROM paths)",
        [utc_day(slots_from)],
    )?;
    Ok(gone as u64)
}

/// Steps from one agent and kind to the next along the key, instead of reading the whole table.
fn prune_others(sql: &Connection, from: UtcMicros) -> rusqlite::Result<usize> {
    let mut next = sql.prepare_cached(NEXT_OTHERS)?;
    let mut delete = sql
        .prepare_cached("DELETE FROM others WHERE agent = ?1 AND kind = ?2 AND started_us < ?3")?;
    let (mut gone, mut last) = (0, (Vec::new(), 0i64));
    while let Some((agent, kind)) = next
        .query_row(params![last.0, last.1], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?
    {
        gone += delete.execute(params![agent, kind, from.0])?;
        last = (agent, kind);
    }
    Ok(gone)
}
