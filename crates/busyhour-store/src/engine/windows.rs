//! Raw windows: read from partitions and memory together, and folded from one into the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use busyhour_model::{PathId, PathKey, UtcMicros};
use rusqlite::{Connection, Transaction};

use super::Engine;
use super::journal::EntrySettlement;
use super::memory::{OwnedRow, PathMemory, Piece, RowsView};
use super::packs::{self, Pack, Records};
use crate::codec::{
    Circumstance, DecodeError, Row, UnpackedRows, bad, decode_circumstance, decode_pack,
    decode_window, encode_pack, encode_settled, pack_times, unpack_rows,
};
use crate::sqlite::{DAY_MICROS, Family, PartitionId, folded_through, unreadable, utc_day};
use crate::{StoreError, StoredWindow};

pub(super) const OPERATION: &str = "read windows";

/// The beginnings of a path's windows on a day, as often as there are windows.
pub(super) fn moments(
    engine: &Engine,
    path: PathId,
    day: i64,
) -> Result<Vec<UtcMicros>, StoreError> {
    let pieces = engine.memory.moments(path, day);
    let stored = match PartitionId::holding(Family::Windows, day) {
        None => None,
        Some(id) => engine.partitions.read(id, OPERATION, |sql| {
            let mut found = Vec::new();
            let always = (i64::MIN, i64::MAX);
            packs::each(sql, &path.0, always, |body| {
                let times = pack_times(body, path).map_err(unreadable)?;
                found.extend(times.into_iter().map(|(placed, _)| placed));
                Ok(())
            })?;
            Ok((folded_through(sql)?, found))
        })?,
    };
    let (folded, mut found) = stored.unwrap_or((i64::MIN, Vec::new()));
    for (after, more) in pieces {
        if folded <= after {
            found.extend(more.into_iter().map(|(placed, _)| placed));
        }
    }
    Ok(found)
}

/// A path's windows in `from..until`, encoded, in the order of time, with what was settled.
pub(super) fn rows(
    engine: &Engine,
    path: PathId,
    (from, until): (UtcMicros, UtcMicros),
) -> Result<Vec<OwnedRow>, StoreError> {
    // Pieces before partitions: what is folded in between is then in both, and told apart.
    let views = engine.memory.rows(path, (from, until));
    let mut rows = Vec::new();
    for day in days(engine, &views, (from, until)) {
        rows.extend(rows_of_day(engine, path, day, (from, until), &views)?);
    }
    Ok(rows)
}

/// A path's windows in `from..until`, oldest first, at most `limit`.
pub(super) fn read(
    engine: &Engine,
    path: PathId,
    key: &PathKey,
    (from, until): (UtcMicros, UtcMicros),
    limit: usize,
) -> Result<Vec<StoredWindow>, StoreError> {
    let views = engine.memory.rows(path, (from, until));
    let settled_since = views.iter().any(|view| !view.settlements.is_empty());
    let mut windows = Vec::new();
    for day in days(engine, &views, (from, until)) {
        if windows.len() >= limit {
            break;
        }
        if settled_since {
            let rows = rows_of_day(engine, path, day, (from, until), &views)?;
            decode_rows(&rows, key, &mut windows)?;
        } else {
            read_day(engine, (path, key), day, (from, until), &views, &mut windows)?;
        }
    }
    windows.truncate(limit);
    Ok(windows)
}

/// Reads a day's windows without going through their rows.
fn read_day(
    engine: &Engine,
    (path, key): (PathId, &PathKey),
    day: i64,
    (from, until): (UtcMicros, UtcMicros),
    views: &[RowsView],
    windows: &mut Vec<StoredWindow>,
) -> Result<(), StoreError> {
    let begin = day.saturating_mul(DAY_MICROS);
    let from = UtcMicros(from.0.max(begin));
    let until = UtcMicros(until.0.min(begin.saturating_add(DAY_MICROS)));
    let stored = match PartitionId::holding(Family::Windows, day) {
        None => None,
        Some(id) => engine.partitions.read(id, OPERATION, |sql| {
            let mut found = Vec::new();
            packs::each(sql, &path.0, (from.0, until.0), |body| {
                found.extend(decode_pack(body, path, key, from, until).map_err(unreadable)?);
                Ok(())
            })?;
            Ok((folded_through(sql)?, found))
        })?,
    };
    let (folded, mut found) = stored.unwrap_or((i64::MIN, Vec::new()));
    for view in views.iter().filter(|view| folded <= view.after) {
        let rows = view.rows.iter().filter(|row| from <= row.placed && row.placed < until);
        decode_rows(rows, key, &mut found)?;
    }
    // Stable: what began in the same microsecond stays in the order in which it came.
    found.sort_by_key(|window| window.judged.placed);
    windows.append(&mut found);
    Ok(())
}

fn decode_rows<'r>(
    rows: impl IntoIterator<Item = &'r OwnedRow>,
    key: &PathKey,
    windows: &mut Vec<StoredWindow>,
) -> Result<(), StoreError> {
    let mut latest: Option<(&Arc<[u8]>, Circumstance)> = None;
    for row in rows {
        // Neighbours mostly share their circumstance.
        let known = latest.take().filter(|(shared, _)| Arc::ptr_eq(shared, &row.circumstance));
        let circumstance = match known {
            Some((_, circumstance)) => circumstance,
            None => decode_circumstance(&row.circumstance).map_err(damaged)?,
        };
        windows.push(decode_window(&row.body, row.placed, key, &circumstance).map_err(damaged)?);
        latest = Some((&row.circumstance, circumstance));
    }
    Ok(())
}

fn damaged(error: DecodeError) -> StoreError {
    StoreError::new(OPERATION, crate::ErrorKind::Corrupt).with_source(error)
}

/// The days in a range that partitions or pieces have something of.
fn days(
    engine: &Engine,
    views: &[RowsView],
    (from, until): (UtcMicros, UtcMicros),
) -> BTreeSet<i64> {
    let (first, last) = (utc_day(from), utc_day(UtcMicros(until.0.saturating_sub(1))));
    let stored = engine.partitions.list(Family::Windows).into_iter().map(PartitionId::first_day);
    let in_memory = views.iter().flat_map(|view| view.rows.iter().map(|row| utc_day(row.placed)));
    stored.filter(|day| (first..=last).contains(day)).chain(in_memory).collect()
}

fn rows_of_day(
    engine: &Engine,
    path: PathId,
    day: i64,
    (from, until): (UtcMicros, UtcMicros),
    views: &[RowsView],
) -> Result<Vec<OwnedRow>, StoreError> {
    let begin = day.saturating_mul(DAY_MICROS);
    let from = UtcMicros(from.0.max(begin));
    let until = UtcMicros(until.0.min(begin.saturating_add(DAY_MICROS)));
    let within = |at: UtcMicros| from <= at && at < until;
    let stored = match PartitionId::holding(Family::Windows, day) {
        None => None,
        Some(id) => engine.partitions.read(id, OPERATION, |sql| {
            let mut rows: Vec<OwnedRow> = Vec::new();
            packs::each(sql, &path.0, (from.0, until.0), |body| {
                rows.extend(unpack(body, path)?.into_iter().filter(|row| within(row.placed)));
                Ok(())
            })?;
            Ok((folded_through(sql)?, rows))
        })?,
    };
    let (folded, mut rows) = stored.unwrap_or((i64::MIN, Vec::new()));
    let pending = || views.iter().filter(|view| folded <= view.after);
    for view in pending() {
        rows.extend(view.rows.iter().filter(|row| within(row.placed)).cloned());
    }
    rows.sort_by_key(|row| (row.placed, row.nth));
    for one in pending().flat_map(|view| &view.settlements).filter(|one| within(one.placed)) {
        settle(&mut rows, one).map_err(damaged)?;
    }
    Ok(rows)
}

/// Notes a settlement beside a window that is among `rows`; whether it is.
fn settle(rows: &mut [OwnedRow], one: &EntrySettlement) -> Result<bool, DecodeError> {
    let Some(row) = rows.iter_mut().find(|row| (row.placed, row.nth) == (one.placed, one.nth))
    else {
        return Ok(false);
    };
    row.body = encode_settled(&row.body, one.settlement)?;
    Ok(true)
}

fn unpack(body: &[u8], path: PathId) -> rusqlite::Result<Vec<OwnedRow>> {
    let rows = unpack_rows(body, path).map_err(unreadable)?;
    let mut latest: Option<Arc<[u8]>> = None;
    let owned = rows.iter().map(|row| {
        // Neighbours mostly share their circumstance.
        let shared = latest.take().filter(|shared| **shared == *row.circumstance);
        let circumstance = shared.unwrap_or_else(|| row.circumstance.into());
        latest = Some(Arc::clone(&circumstance));
        OwnedRow { placed: row.placed, nth: row.nth, circumstance, body: row.body.to_vec() }
    });
    Ok(owned.collect())
}

/// Windows of one path to be packed.
struct Windows<'r, 'p> {
    path: PathId,
    rows: &'r [Row<'p>],
}

impl Records for Windows<'_, '_> {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn packs(&self, earlier: &[Vec<u8>], most: usize) -> rusqlite::Result<Vec<Pack>> {
        let earlier = earlier.iter().map(|body| unpack_rows(body, self.path).map_err(unreadable));
        let earlier = earlier.collect::<rusqlite::Result<Vec<UnpackedRows>>>()?;
        let mut rows: Vec<Row<'_>> = earlier.iter().flat_map(UnpackedRows::iter).collect();
        rows.extend_from_slice(self.rows);
        rows.sort_by_key(|row| (row.placed, row.nth));
        let pack = |some: &[Row<'_>]| {
            Ok(Pack {
                first_us: some.first().map_or(0, |row| row.placed.0),
                last_us: some.last().map_or(0, |row| row.placed.0),
                records: some.len(),
                body: encode_pack(self.path, some).map_err(unreadable)?,
            })
        };
        rows.chunks(most).map(pack).collect()
    }
}

/// What a fold adds to one path's day.
#[derive(Debug, Default)]
pub(super) struct PathDay<'p> {
    /// In the order of time.
    rows: Vec<Row<'p>>,
    settlements: Vec<EntrySettlement>,
}

/// Sorts what a path has in a piece by day.
pub(super) fn by_day<'p>(piece: &'p Piece, path: &'p PathMemory) -> BTreeMap<i64, PathDay<'p>> {
    let mut days: BTreeMap<i64, PathDay<'p>> = BTreeMap::new();
    for row in piece.rows(path) {
        days.entry(utc_day(row.placed)).or_default().rows.push(row);
    }
    for day in days.values_mut() {
        day.rows.sort_by_key(|row| (row.placed, row.nth));
    }
    for &one in &path.settlements {
        days.entry(utc_day(one.placed)).or_default().settlements.push(one);
    }
    days
}

/// Folds a path's day into its partition.
pub(super) fn fold(sql: &Transaction<'_>, path: PathId, day: &PathDay<'_>) -> rusqlite::Result<()> {
    let mut settled = Vec::new();
    for one in &day.settlements {
        match find(&day.rows, one) {
            Some((at, row)) => {
                settled.push((at, encode_settled(row.body, one.settlement).map_err(unreadable)?));
            }
            None => packs::change(sql, &path.0, one.placed.0, |body| settle_in(body, path, one))?,
        }
    }
    if settled.is_empty() {
        return packs::add(sql, &path.0, &Windows { path, rows: &day.rows });
    }
    let mut rows = day.rows.clone();
    for (at, body) in &settled {
        rows[*at].body = body;
    }
    packs::add(sql, &path.0, &Windows { path, rows: &rows })
}

fn find<'r, 'p>(rows: &'r [Row<'p>], one: &EntrySettlement) -> Option<(usize, &'r Row<'p>)> {
    rows.iter().enumerate().find(|(_, row)| (row.placed, row.nth) == (one.placed, one.nth))
}

/// The pack with one of its windows settled; nothing when the window is not in it.
fn settle_in(
    body: &[u8],
    path: PathId,
    one: &EntrySettlement,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let unpacked = unpack_rows(body, path).map_err(unreadable)?;
    let mut rows: Vec<Row<'_>> = unpacked.iter().collect();
    let Some((at, row)) = find(&rows, one) else { return Ok(None) };
    let settled = encode_settled(row.body, one.settlement).map_err(unreadable)?;
    rows[at].body = &settled;
    encode_pack(path, &rows).map(Some).map_err(unreadable)
}

/// Checks that every pack of a partition can be read.
pub(super) fn check(sql: &Connection) -> rusqlite::Result<u64> {
    let mut statement = sql.prepare("SELECT subject, records, body FROM packs")?;
    let mut rows = statement.query([])?;
    let mut windows = 0;
    while let Some(row) = rows.next()? {
        let (path, records) = (PathId(row.get(0)?), row.get::<_, i64>(1)?);
        let found = unpack_rows(row.get_ref(2)?.as_blob()?, path).map_err(unreadable)?;
        if found.iter().len() as i64 != records {
            return Err(unreadable(bad("pack with another number of windows")));
        }
        windows += records.cast_unsigned();
    }
    Ok(windows)
}
