//! Questions to telemetry. Each range is a walk along a primary key.

use busyhour_model::{
    AgentId, BlockNo, Epoch, Link, LinkKind, PathId, PathKey, ProfileName, Record, Slot, SlotStart,
    TargetName, UtcMicros,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::codec::{
    Circumstance, decode_circumstance, decode_context, decode_other, decode_slot, decode_window,
};
use crate::sqlite::{row_limit, unreadable};
use crate::{DirtyDay, PathRow, RecordKind, StoredWindow, TelemetryTotals};

pub(super) const RECEIPTS: &str =
    "SELECT first, last FROM receipts WHERE agent = ?1 AND epoch = ?2";
pub(super) const PATHS: &str = "SELECT id, agent, link, interface, family, target, class, profile, \
     transport, requirement, windows_per_slot, oldest_us, newest_us, context FROM paths ORDER BY id";
pub(super) const PATHS_OF_AGENT: &str = "SELECT id, agent, link, interface, family, target, class, profile, transport, requirement, \
     windows_per_slot, oldest_us, newest_us, context FROM paths WHERE agent = ?1 ORDER BY id";
pub(super) const PATH: &str = "SELECT id, agent, link, interface, family, target, class, profile, transport, requirement, \
     windows_per_slot, oldest_us, newest_us, context FROM paths WHERE id = ?1";
pub(super) const SLOTS: &str = "SELECT slot, body FROM slots \
     WHERE path = ?1 AND slot >= ?2 AND slot < ?3 ORDER BY slot";
pub(super) const WINDOWS: &str = "SELECT placed_us, circumstance, body FROM windows \
     WHERE path = ?1 AND placed_us >= ?2 AND placed_us < ?3 ORDER BY placed_us, nth LIMIT ?4";
pub(super) const CIRCUMSTANCE: &str = "SELECT body FROM circumstances WHERE id = ?1";
pub(super) const OTHERS: &str = "SELECT started_us, body FROM others \
     WHERE agent = ?1 AND kind = ?2 AND started_us >= ?3 AND started_us < ?4 \
     ORDER BY started_us, nth LIMIT ?5";
pub(super) const DIRTY_DAYS: &str = "SELECT path, utc_day, generation FROM dirty_days \
     ORDER BY utc_day DESC, path DESC LIMIT ?1";
const TOTALS: &str = "SELECT windows, slots, blocks, quarantined FROM totals";

pub(super) fn received(
    sql: &Connection,
    agent: AgentId,
    epoch: Epoch,
) -> rusqlite::Result<Vec<(BlockNo, BlockNo)>> {
    let mut statement = sql.prepare_cached(RECEIPTS)?;
    let block = |number: i64| BlockNo(number.cast_unsigned());
    let mut ranges = statement
        .query_map(params![agent.to_bytes(), epoch.0.cast_signed()], |row| {
            Ok((block(row.get(0)?), block(row.get(1)?)))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    // SQLite orders the upper half of the numbers, which are negative to it, before the lower.
    ranges.sort_unstable();
    Ok(ranges)
}

pub(super) fn paths(sql: &Connection, agent: Option<AgentId>) -> rusqlite::Result<Vec<PathRow>> {
    match agent {
        Some(agent) => {
            sql.prepare_cached(PATHS_OF_AGENT)?.query_map([agent.to_bytes()], path_row)?.collect()
        }
        None => sql.prepare_cached(PATHS)?.query_map([], path_row)?.collect(),
    }
}

pub(super) fn slots(
    sql: &Connection,
    paths: &[PathId],
    from: SlotStart,
    until: SlotStart,
) -> rusqlite::Result<Vec<(PathId, Slot)>> {
    let mut ordered = paths.to_vec();
    ordered.sort_unstable();
    ordered.dedup();
    let mut statement = sql.prepare_cached(SLOTS)?;
    let mut found = Vec::new();
    for path in ordered {
        let mut rows = statement.query(params![path.0, from.number(), until.number()])?;
        while let Some(row) = rows.next()? {
            found.push((path, slot(row)?));
        }
    }
    Ok(found)
}

fn slot(row: &Row<'_>) -> rusqlite::Result<Slot> {
    let start = SlotStart::from_number(row.get(0)?);
    decode_slot(row.get_ref(1)?.as_blob()?, start).map_err(unreadable)
}

pub(super) fn windows(
    sql: &Connection,
    path: PathId,
    from: UtcMicros,
    until: UtcMicros,
    limit: usize,
) -> rusqlite::Result<Vec<StoredWindow>> {
    let found = sql.prepare_cached(PATH)?.query_row([path.0], path_row).optional()?;
    let Some(PathRow { key, .. }) = found else { return Ok(Vec::new()) };
    let mut statement = sql.prepare_cached(WINDOWS)?;
    let mut rows = statement.query(params![path.0, from.0, until.0, row_limit(limit)])?;
    let mut windows = Vec::new();
    // Neighbours mostly share their circumstance.
    let mut latest: Option<(i64, Circumstance)> = None;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(1)?;
        let circumstance = match latest {
            Some((same, circumstance)) if same == id => circumstance,
            _ => read_circumstance(sql, id)?,
        };
        let (placed, body) = (UtcMicros(row.get(0)?), row.get_ref(2)?.as_blob()?);
        windows.push(decode_window(body, placed, &key, &circumstance).map_err(unreadable)?);
        latest = Some((id, circumstance));
    }
    Ok(windows)
}

pub(super) fn read_circumstance(sql: &Connection, id: i64) -> rusqlite::Result<Circumstance> {
    sql.prepare_cached(CIRCUMSTANCE)?
        .query_row([id], |row| decode_circumstance(row.get_ref(0)?.as_blob()?).map_err(unreadable))
}

pub(super) fn others(
    sql: &Connection,
    agent: AgentId,
    kind: RecordKind,
    from: UtcMicros,
    until: UtcMicros,
    limit: usize,
) -> rusqlite::Result<Vec<Record>> {
    let mut statement = sql.prepare_cached(OTHERS)?;
    let range = params![agent.to_bytes(), kind_code(kind), from.0, until.0, row_limit(limit)];
    statement
        .query_map(range, |row| {
            let body = row.get_ref(1)?.as_blob()?;
            decode_other(body, kind, UtcMicros(row.get(0)?)).map_err(unreadable)
        })?
        .collect()
}

pub(super) fn dirty_days(sql: &Connection, limit: usize) -> rusqlite::Result<Vec<DirtyDay>> {
    sql.prepare_cached(DIRTY_DAYS)?
        .query_map([row_limit(limit)], |row| {
            Ok(DirtyDay {
                path: PathId(row.get(0)?),
                utc_day: row.get(1)?,
                generation: row.get(2)?,
            })
        })?
        .collect()
}

pub(super) fn totals(sql: &Connection) -> rusqlite::Result<TelemetryTotals> {
    let count = |row: &Row<'_>, at| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0));
    sql.prepare_cached(TOTALS)?.query_row([], |row| {
        Ok(TelemetryTotals {
            windows: count(row, 0)?,
            slots: count(row, 1)?,
            blocks: count(row, 2)?,
            quarantined: count(row, 3)?,
            size_bytes: 0,
        })
    })
}

/// The number of a kind in the file; never to be changed.
pub(super) const fn kind_code(kind: RecordKind) -> i64 {
    match kind {
        RecordKind::Check => 1,
        RecordKind::Fact => 2,
        RecordKind::Load => 3,
        RecordKind::Gap => 4,
    }
}

pub(super) fn path_row(row: &Row<'_>) -> rusqlite::Result<PathRow> {
    let link: LinkKind = word(row, 2)?;
    let key = PathKey {
        link: Link::new(link, row.get::<_, String>(3)?).map_err(unreadable)?,
        family: word(row, 4)?,
        target: TargetName::new(row.get::<_, String>(5)?).map_err(unreadable)?,
        class: word(row, 6)?,
        profile: ProfileName::new(row.get::<_, String>(7)?).map_err(unreadable)?,
        transport: word(row, 8)?,
    };
    Ok(PathRow {
        id: PathId(row.get(0)?),
        agent: AgentId::from_slice(row.get_ref(1)?.as_blob()?).map_err(unreadable)?,
        key,
        requirement: word(row, 9)?,
        windows_per_slot: row.get(10)?,
        oldest: UtcMicros(row.get(11)?),
        newest: UtcMicros(row.get(12)?),
        context: decode_context(row.get_ref(13)?.as_blob()?).map_err(unreadable)?,
    })
}

fn word<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get_ref(at)?.as_str()?.parse().map_err(unreadable)
}
