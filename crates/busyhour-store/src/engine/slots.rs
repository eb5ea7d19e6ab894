//! Slots: read from partitions and memory together, and folded from one into the other.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{LimitTable, PathId, Slot, SlotStart, merge_hours};
use rusqlite::{Connection, Transaction, params};

use super::Engine;
use super::journal::EntrySettlement;
use super::memory::{PathMemory, SlotsView, absorb_slots, settle_slots};
use super::slot_rows::{
    Parts, Reader, RowId, check_spreads, check_tallies, day_of, first_of, next_row, read_day,
    write_day,
};
use crate::sqlite::{Family, PartitionId, folded_through, utc_day};
use crate::{Grain, SlotDetail, StoreError};

pub(super) const OPERATION: &str = "read slots";

/// Hands out slots, a partition after the other: each path's in the order of time.
pub(super) fn visit(
    engine: &Engine,
    paths: &[PathId],
    span: (SlotStart, SlotStart),
    (grain, detail): (Grain, SlotDetail),
    visit: &mut dyn FnMut(PathId, &Slot),
) -> Result<(), StoreError> {
    each_week(engine, paths, span, (grain, detail), &mut |path, slots| match grain {
        Grain::Quarter => slots.iter().for_each(|slot| visit(path, slot)),
        Grain::Hour => merge_hours(slots).iter().for_each(|slot| visit(path, slot)),
    })
}

/// Hands out what each path has in each week: quarter-hours, or hours where these are gone and asked
/// for. What is left of them is cleared.
fn each_week(
    engine: &Engine,
    paths: &[PathId],
    span: (SlotStart, SlotStart),
    (grain, detail): (Grain, SlotDetail),
    found: &mut dyn FnMut(PathId, &mut Vec<Slot>),
) -> Result<(), StoreError> {
    let mut paths = paths.to_vec();
    paths.sort_unstable();
    paths.dedup();
    let span = match grain {
        Grain::Quarter => span,
        Grain::Hour => (next_hour(span.0), next_hour(span.1)),
    };
    if span.0 >= span.1 {
        return Ok(());
    }
    // Pieces before partitions: what is folded in between is then in both, and told apart.
    let mut views: BTreeMap<PathId, Vec<SlotsView>> = BTreeMap::new();
    for &path in &paths {
        let of_path = engine.memory.slots(path, span, detail);
        if !of_path.is_empty() {
            views.insert(path, of_path);
        }
    }
    for week in weeks(engine, &views, span, grain) {
        visit_week(engine, week, (&paths, &views), span, (grain, detail), found)?;
    }
    Ok(())
}

/// The first quarter-hour of the first hour that does not begin before `start`: an hour is in a span,
/// whole, when its beginning is.
const fn next_hour(start: SlotStart) -> SlotStart {
    let number = start.number();
    SlotStart::from_number(number.saturating_add((4 - number.rem_euclid(4)) % 4))
}

/// The weeks of a span that partitions or pieces have something of.
pub(super) fn weeks(
    engine: &Engine,
    views: &BTreeMap<PathId, Vec<SlotsView>>,
    (from, until): (SlotStart, SlotStart),
    grain: Grain,
) -> BTreeSet<i64> {
    let (first, last) = (day_of(from), day_of(until.offset(-1)));
    let families: &[Family] = match grain {
        Grain::Quarter => &[Family::Slots],
        Grain::Hour => &[Family::Slots, Family::Hours],
    };
    let stored = families.iter().flat_map(|&family| engine.partitions.list(family));
    let stored = stored.filter(|id| id.first_day() <= last && id.until_day() > first);
    let slots = views.values().flatten().flat_map(|view| &view.slots);
    let in_memory =
        slots.filter_map(|slot| PartitionId::holding(Family::Slots, day_of(slot.start)));
    stored.chain(in_memory).map(PartitionId::first_day).collect()
}

fn visit_week(
    engine: &Engine,
    week: i64,
    (paths, views): (&[PathId], &BTreeMap<PathId, Vec<SlotsView>>),
    span: (SlotStart, SlotStart),
    (grain, detail): (Grain, SlotDetail),
    found: &mut dyn FnMut(PathId, &mut Vec<Slot>),
) -> Result<(), StoreError> {
    let Some(id) = PartitionId::holding(Family::Slots, week) else { return Ok(()) };
    let none = Vec::new();
    let within = |start: SlotStart| {
        let day = day_of(start);
        span.0 <= start && start < span.1 && id.first_day() <= day && day < id.until_day()
    };
    let mut hand_out = |path: PathId, folded: i64, slots: &mut Vec<Slot>| {
        let pending =
            || views.get(&path).unwrap_or(&none).iter().filter(|view| folded <= view.after);
        for view in pending() {
            absorb_slots(slots, view.slots.iter().filter(|slot| within(slot.start)));
        }
        for view in pending() {
            settle_slots(slots, &view.settlements);
        }
        slots.retain(|slot| within(slot.start));
        found(path, slots);
        slots.clear();
    };
    // A partition that turns out to be damaged is read twice: nothing may be handed out twice.
    let mut done = 0;
    let stored = engine.partitions.read(id, OPERATION, |sql| {
        let folded = folded_through(sql)?;
        let mut reader = Reader::new(sql, id, detail)?;
        let mut slots = Vec::new();
        for &path in &paths[done..] {
            reader.read(path, span, &mut slots)?;
            hand_out(path, folded, &mut slots);
            done += 1;
        }
        Ok(())
    })?;
    if stored.is_some() {
        return Ok(());
    }
    let hours = match (grain, PartitionId::holding(Family::Hours, week)) {
        (Grain::Hour, Some(hours)) => engine.partitions.read(hours, OPERATION, |sql| {
            let mut reader = Reader::new(sql, hours, detail)?;
            let mut slots = Vec::new();
            for &path in &paths[done..] {
                reader.read(path, span, &mut slots)?;
                hand_out(path, i64::MAX, &mut slots);
                done += 1;
            }
            Ok(())
        })?,
        _ => None,
    };
    if hours.is_none() {
        let mut slots = Vec::new();
        paths[done..].iter().for_each(|&path| hand_out(path, i64::MIN, &mut slots));
    }
    Ok(())
}

/// What a fold adds to one path's day.
#[derive(Debug, Default)]
pub(super) struct PathDay<'p> {
    pub(super) slots: Vec<&'p Slot>,
    settlements: Vec<EntrySettlement>,
}

/// Sorts what a path has in a piece by day.
pub(super) fn by_day(path: &PathMemory) -> BTreeMap<i64, PathDay<'_>> {
    let mut days = slots_by_day(&path.slots);
    for one in path.settlements.iter().filter(|one| one.figures.is_some()) {
        days.entry(utc_day(one.placed)).or_default().settlements.push(*one);
    }
    days
}

/// Sorts slots by day.
pub(super) fn slots_by_day(slots: &[Slot]) -> BTreeMap<i64, PathDay<'_>> {
    let mut days: BTreeMap<i64, PathDay<'_>> = BTreeMap::new();
    for slot in slots {
        days.entry(day_of(slot.start)).or_default().slots.push(slot);
    }
    days
}

/// Folds a path's day into its partition.
pub(super) fn fold(
    sql: &Transaction<'_>,
    partition: PartitionId,
    (path, day): (PathId, i64),
    what: &PathDay<'_>,
) -> rusqlite::Result<()> {
    let settled = what.settlements.iter().map(|one| SlotStart::containing(one.placed));
    let touched = Parts::of(what.slots.iter().map(|slot| slot.start).chain(settled));
    let row = RowId::of(path, partition, day);
    let mut slots = read_day(sql, row, (path, day), touched)?;
    absorb_slots(&mut slots, what.slots.iter().copied());
    settle_slots(&mut slots, &what.settlements);
    write_day(sql, row, (path, day), touched, &slots)
}

/// A path's day of hours, made of quarter-hours.
pub(super) struct HoursDay {
    path: PathId,
    day: i64,
    hours: Vec<Slot>,
}

/// The hours of the path-days of a partition of quarter-hours after a certain row, at most `limit` of
/// them, and the row to go on after; `None` when there are no more.
pub(super) fn hours_after(
    sql: &Connection,
    partition: PartitionId,
    after: i64,
    limit: usize,
) -> rusqlite::Result<(Vec<HoursDay>, Option<i64>)> {
    let (mut at, mut days) = (RowId(after), Vec::new());
    while let Some(next) = next_row(sql, at)? {
        if days.len() == limit {
            return Ok((days, Some(at.0)));
        }
        let (path, day) = (next.path(), next.day(partition));
        let slots = read_day(sql, next, (path, day), Parts::ALL)?;
        days.push(HoursDay { path, day, hours: merge_hours(&slots) });
        at = next;
    }
    Ok((days, None))
}

/// Stores hours. Those of a path-day that are there already are replaced by the same.
pub(super) fn put_hours(
    sql: &Transaction<'_>,
    partition: PartitionId,
    days: &[HoursDay],
) -> rusqlite::Result<()> {
    for HoursDay { path, day, hours } in days {
        let row = RowId::of(*path, partition, *day);
        write_day(sql, row, (*path, *day), Parts::ALL, hours)?;
    }
    Ok(())
}

/// Whether to change slots, or only to say which would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejudging {
    Look,
    Change,
}

/// Counts the bad windows of a partition's slots again. Gives the days that change, and how many slots.
pub(super) fn rejudge(
    sql: &Transaction<'_>,
    partition: PartitionId,
    (from, until): (SlotStart, SlotStart),
    table: &dyn Fn(PathId) -> Option<&'static LimitTable>,
    rejudging: Rejudging,
) -> rusqlite::Result<(BTreeSet<(i64, PathId)>, u64)> {
    let (mut at, mut changed, mut count) = (RowId(i64::MIN), BTreeSet::new(), 0);
    while let Some(next) = next_row(sql, at)? {
        at = next;
        let (path, day) = (next.path(), next.day(partition));
        if first_of(day) >= until || first_of(day.saturating_add(1)) <= from {
            continue;
        }
        let Some(table) = table(path) else { continue };
        let mut slots = read_day(sql, next, (path, day), Parts::ALL)?;
        let before = count;
        for slot in slots.iter_mut().filter(|slot| from <= slot.start && slot.start < until) {
            if let Some(again) = slot.rejudged(table).filter(|again| again != slot) {
                *slot = again;
                count += 1;
            }
        }
        if count > before {
            if rejudging == Rejudging::Change {
                write_day(sql, next, (path, day), Parts::ALL, &slots)?;
            }
            changed.insert((day, path));
        }
    }
    Ok((changed, count))
}

/// Deletes what a partition has of a path. Gives how many slots went.
pub(super) fn forget(sql: &Transaction<'_>, path: PathId) -> rusqlite::Result<u64> {
    let (first, end) = RowId::all_of(path);
    let slots: i64 = sql
        .prepare_cached("SELECT coalesce(sum(slots), 0) FROM counts WHERE id >= ?1 AND id < ?2")?
        .query_row(params![first.0, end.0], |row| row.get(0))?;
    for (table, range) in [
        ("tallies", (first.0, end.0)),
        ("counts", (first.0, end.0)),
        ("details", (first.details(0), end.details(0))),
        ("spreads", (first.details(0), end.details(0))),
    ] {
        sql.prepare_cached(&format!("DELETE FROM {table} WHERE id >= ?1 AND id < ?2"))?
            .execute(range)?;
    }
    Ok(slots.cast_unsigned())
}

/// Slots of a partition.
pub(super) fn count(sql: &Transaction<'_>) -> rusqlite::Result<u64> {
    sql.prepare_cached("SELECT coalesce(sum(slots), 0) FROM counts")?
        .query_row([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

/// Checks that every path-day of a partition can be read.
pub(super) fn check(sql: &Connection, partition: PartitionId) -> rusqlite::Result<u64> {
    let (mut at, mut found) = (RowId(i64::MIN), 0);
    while let Some(next) = next_row(sql, at)? {
        let of = (next.path(), next.day(partition));
        let slots = read_day(sql, next, of, Parts::ALL)?;
        check_tallies(sql, next, of, &slots)?;
        check_spreads(sql, next, of, &slots)?;
        found += slots.len() as u64;
        at = next;
    }
    Ok(found)
}
