//! Figures of many slots, without making slots of them.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use busyhour_model::{Combination, PathId, SlotStart};
use rusqlite::{Transaction, params};

use super::Engine;
use super::memory::SlotsView;
use super::slot_rows::{FIGURES_OF_DAYS, Parts, RowId, day_of};
use crate::codec::{Room, visit_figures};
use crate::sqlite::{Family, PartitionId, folded_through, unreadable};
use crate::{Grain, SlotDetail, StoreError};

const OPERATION: &str = "read figures";
/// What is read ahead of whoever looks: so many paths' weeks, some hundred kB each.
const AHEAD: usize = 8;
/// Threads that read at most; never more than there are processors.
const READERS: usize = 4;
/// So many paths' weeks are read by whoever asks.
const FEW: usize = 64;

type Span = (SlotStart, SlotStart);
type Visit<'v> = dyn FnMut(PathId, SlotStart, Combination, u32) + 'v;

/// What one path has in one partition or in memory.
struct Batch {
    path: PathId,
    found: Vec<(SlotStart, Combination, u32)>,
}

impl Batch {
    fn hand_out(self, visit: &mut Visit<'_>) {
        for (start, combination, n) in self.found {
            visit(self.path, start, combination, n);
        }
    }
}

/// Hands out combinations, partition by partition. They are read on threads of their own, a partition on
/// each, as reading takes longer than looking at them does.
pub(super) fn visit(
    engine: &Engine,
    paths: &[PathId],
    span: Span,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    if span.0 >= span.1 {
        return Ok(());
    }
    let mut plain: BTreeSet<PathId> = BTreeSet::new();
    let mut settled: BTreeSet<PathId> = BTreeSet::new();
    // Pieces before partitions: what is folded in between is then in both, and told apart.
    let mut views: BTreeMap<PathId, Vec<SlotsView>> = BTreeMap::new();
    for &path in paths {
        let of_path = engine.memory.slots(path, span, SlotDetail::Figures);
        // A settlement puts one combination in the place of another: that takes the whole slot.
        if of_path.iter().any(|view| !view.settlements.is_empty()) {
            settled.insert(path);
        } else if plain.insert(path) && !of_path.is_empty() {
            views.insert(path, of_path);
        }
    }
    let (first, last) = (day_of(span.0), day_of(span.1.offset(-1)));
    let stored = engine.partitions.list(Family::Slots).into_iter();
    let mut weeks: BTreeSet<PartitionId> =
        stored.filter(|id| id.first_day() <= last && id.until_day() > first).collect();
    let in_memory = views.values().flatten().flat_map(|view| &view.slots);
    weeks.extend(
        in_memory.filter_map(|slot| PartitionId::holding(Family::Slots, day_of(slot.start))),
    );
    let plain: Vec<PathId> = plain.into_iter().collect();
    read_weeks(engine, weeks, (&plain, &views), span, visit)?;
    let settled: Vec<PathId> = settled.into_iter().collect();
    if settled.is_empty() {
        return Ok(());
    }
    let what = (Grain::Quarter, SlotDetail::Figures);
    super::slots::visit(engine, &settled, span, what, &mut |path, slot| {
        for &(combination, n) in slot.figures.combinations() {
            visit(path, slot.start, combination, n);
        }
    })
}

fn read_weeks(
    engine: &Engine,
    weeks: BTreeSet<PartitionId>,
    what: (&[PathId], &BTreeMap<PathId, Vec<SlotsView>>),
    span: Span,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    // A thread costs more than few paths of one week do.
    if weeks.len() <= 1 && what.0.len() <= FEW {
        let mut hand_out = |batch: Batch| batch.hand_out(visit);
        return weeks
            .into_iter()
            .try_for_each(|week| read_week(engine, week, what, span, &mut hand_out));
    }
    let readers = thread::available_parallelism().map_or(1, usize::from).min(READERS);
    let readers = readers.min(weeks.len());
    let weeks = Mutex::new(weeks);
    thread::scope(|scope| {
        let (give, take) = sync_channel(AHEAD);
        let weeks = &weeks;
        let read = move |give: SyncSender<Batch>| -> Result<(), StoreError> {
            let next = || weeks.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            while let Some(week) = next() {
                // Who does not take any more is about to panic: what was read is nobody's.
                read_week(engine, week, what, span, &mut |batch| drop(give.send(batch)))?;
            }
            Ok(())
        };
        let readers: Vec<_> = (0..readers)
            .map(|_| {
                let give = give.clone();
                scope.spawn(move || read(give))
            })
            .collect();
        drop(give);
        take.into_iter().for_each(|batch| batch.hand_out(visit));
        let join = |reader: ScopedJoinHandle<'_, _>| {
            reader.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        readers.into_iter().try_for_each(join)
    })
}

fn read_week(
    engine: &Engine,
    id: PartitionId,
    (paths, views): (&[PathId], &BTreeMap<PathId, Vec<SlotsView>>),
    span: Span,
    give: &mut dyn FnMut(Batch),
) -> Result<(), StoreError> {
    let mut hand_over = |path, found| give(Batch { path, found });
    // A partition that turns out to be damaged is read twice: nothing may be handed out twice.
    let mut done = 0;
    let mut folded = i64::MIN;
    engine.partitions.read(id, OPERATION, |sql| {
        folded = folded_through(sql)?;
        let room = &mut Room::default();
        for &path in &paths[done..] {
            hand_over(path, figures_of(sql, id, path, span, room)?);
            done += 1;
        }
        Ok(())
    })?;
    let none = Vec::new();
    for (at, &path) in paths.iter().enumerate() {
        // What was read of a partition that was then set aside is handed out already; memory has the
        // rest either way.
        let known = if at < done { folded } else { i64::MIN };
        let pending = views.get(&path).unwrap_or(&none).iter().filter(|view| known <= view.after);
        let of_week = pending.flat_map(|view| &view.slots).filter(|slot| {
            let day = day_of(slot.start);
            id.first_day() <= day && day < id.until_day()
        });
        let found: Vec<_> = of_week
            .flat_map(|slot| {
                slot.figures.combinations().iter().map(|&(one, n)| (slot.start, one, n))
            })
            .collect();
        if !found.is_empty() {
            hand_over(path, found);
        }
    }
    Ok(())
}

/// A path's figures in a partition, all of them before any is handed out.
fn figures_of(
    sql: &Transaction<'_>,
    id: PartitionId,
    path: PathId,
    (from, until): Span,
    room: &mut Room,
) -> rusqlite::Result<Vec<(SlotStart, Combination, u32)>> {
    let (first, last) =
        (day_of(from).max(id.first_day()), day_of(until.offset(-1)).min(id.until_day() - 1));
    // Of the first day and the last only the parts that are asked for.
    let row = |day: i64, parts: Parts, end: fn((i64, i64)) -> i64| {
        RowId::of(path, id, day).details(end(parts.ends()))
    };
    let span = (from, until);
    let rows = (
        row(first, Parts::within(first, span), |ends| ends.0),
        row(last, Parts::within(last, span), |ends| ends.1),
    );
    let mut statement = sql.prepare_cached(FIGURES_OF_DAYS)?;
    let mut rows = statement.query(params![rows.0, rows.1])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let day = RowId::of_details(row.get(0)?).day(id);
        visit_figures(row.get_ref(1)?.as_blob()?, path, day, room, |start, combination, n| {
            if from <= start && start < until {
                found.push((start, combination, n));
            }
        })
        .map_err(unreadable)?;
    }
    Ok(found)
}
