//! Slots in short, read for who judges very many of them: figures of windows are only looked through as
//! far as it takes to say how they are spread, and kept packed until somebody asks.

use std::collections::BTreeMap;
use std::ops::Range;

use busyhour_model::{PathId, Slot, SlotGist, SlotStart};
use rusqlite::{CachedStatement, Connection, params};

use super::Engine;
use super::memory::{SlotsView, absorb_slots, settle_slots};
use super::slot_rows::{COUNTS, FIGURES_OF_DAYS, Parts, RowId, day_of, part_mut};
use super::slots::{OPERATION, weeks};
use crate::codec::{Room, bad, decode_figures, decode_gists, decode_spreads};
use crate::contract::PathGists;
use crate::sqlite::{Family, PartitionId, folded_through, unreadable};
use crate::{Grain, SlotDetail, StoreError};

type Span = (SlotStart, SlotStart);

/// Hands over what paths were like, a partition after the other.
pub(super) fn take(
    engine: &Engine,
    paths: &[PathId],
    span: Span,
    take: &mut dyn FnMut(PathId, PathGists),
) -> Result<(), StoreError> {
    let mut paths = paths.to_vec();
    paths.sort_unstable();
    paths.dedup();
    if span.0 >= span.1 {
        return Ok(());
    }
    // Pieces before partitions: what is folded in between is then in both, and told apart.
    let mut views: BTreeMap<PathId, Vec<SlotsView>> = BTreeMap::new();
    for &path in &paths {
        let of_path = engine.memory.slots(path, span, SlotDetail::Figures);
        if !of_path.is_empty() {
            views.insert(path, of_path);
        }
    }
    for week in weeks(engine, &views, span, Grain::Quarter) {
        let Some(id) = PartitionId::holding(Family::Slots, week) else { continue };
        take_week(engine, id, (&paths, &views), span, take)?;
    }
    Ok(())
}

fn take_week(
    engine: &Engine,
    id: PartitionId,
    (paths, views): (&[PathId], &BTreeMap<PathId, Vec<SlotsView>>),
    span: Span,
    take: &mut dyn FnMut(PathId, PathGists),
) -> Result<(), StoreError> {
    let none = Vec::new();
    let pending = |path: PathId, folded: i64| -> Pending<'_> {
        let views = views.get(&path).unwrap_or(&none).iter();
        Pending { id, span, views: views.filter(|view| folded <= view.after).collect() }
    };
    let mut hand_over = |path: PathId, found: PathGists| {
        if !found.gists.is_empty() {
            take(path, found);
        }
    };
    // A partition that turns out to be damaged is read twice: nothing may be handed out twice.
    let mut done = 0;
    let stored = engine.partitions.read(id, OPERATION, |sql| {
        let folded = folded_through(sql)?;
        let mut reader = Reader::new(sql, id)?;
        for &path in &paths[done..] {
            hand_over(path, reader.read(path, &pending(path, folded))?);
            done += 1;
        }
        Ok(())
    })?;
    if stored.is_none() {
        for &path in &paths[done..] {
            hand_over(path, pending(path, i64::MIN).together(Vec::new()));
        }
    }
    Ok(())
}

/// What is known of a path in a week beside its partition, and what is asked for.
struct Pending<'v> {
    id: PartitionId,
    span: Span,
    views: Vec<&'v SlotsView>,
}

impl Pending<'_> {
    fn is_asked_for(&self, start: SlotStart) -> bool {
        let day = day_of(start);
        let (from, until) = self.span;
        from <= start && start < until && self.id.first_day() <= day && day < self.id.until_day()
    }

    /// The parts of a day whose slots are more than the partition says.
    fn parts(&self, day: i64) -> Parts {
        let slots = self.views.iter().flat_map(|view| &view.slots).map(|slot| slot.start);
        let settled = self.views.iter().flat_map(|view| &view.settlements);
        let settled = settled.map(|one| SlotStart::containing(one.placed));
        Parts::of(slots.chain(settled).filter(|start| day_of(*start) == day))
    }

    /// Whole slots of a partition with what is beside it.
    fn together(&self, mut slots: Vec<Slot>) -> PathGists {
        for view in &self.views {
            let asked_for = view.slots.iter().filter(|slot| self.is_asked_for(slot.start));
            absorb_slots(&mut slots, asked_for);
        }
        for view in &self.views {
            settle_slots(&mut slots, &view.settlements);
        }
        slots.retain(|slot| self.is_asked_for(slot.start));
        PathGists::of_slots(slots)
    }
}

/// Reads paths of one partition.
struct Reader<'s> {
    id: PartitionId,
    counts: CachedStatement<'s>,
    figures: CachedStatement<'s>,
    room: Room,
    /// The slots of a path's days that are being read.
    gists: Vec<SlotGist>,
}

impl<'s> Reader<'s> {
    fn new(sql: &'s Connection, id: PartitionId) -> rusqlite::Result<Self> {
        let counts = sql.prepare_cached(COUNTS)?;
        let figures = sql.prepare_cached(FIGURES_OF_DAYS)?;
        Ok(Self { id, counts, figures, room: Room::default(), gists: Vec::new() })
    }

    fn read(&mut self, path: PathId, pending: &Pending<'_>) -> rusqlite::Result<PathGists> {
        let id = self.id;
        let (from, until) = pending.span;
        let first = day_of(from).max(id.first_day());
        let last = day_of(until.offset(-1)).min(id.until_day() - 1);
        let mut days = Vec::new();
        self.gists.clear();
        let end = RowId::of(path, id, last.saturating_add(1));
        let mut rows = self.counts.query(params![RowId::of(path, id, first).0, end.0])?;
        while let Some(row) = rows.next()? {
            let day = RowId(row.get(0)?).day(id);
            let begins = self.gists.len();
            let body = row.get_ref(1)?.as_blob()?;
            decode_gists(body, path, day, &mut self.room, &mut self.gists).map_err(unreadable)?;
            days.push(Day::of(day, (begins, &self.gists), pending));
        }
        drop(rows);
        let mut found = PathGists::default();
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            return Ok(pending.together(Vec::new()));
        };
        found.reserve(days.iter().map(|day| day.slots).sum());
        // The parts of a day follow each other, and so do the days of a path.
        let row = |day: i64, part: i64| RowId::of(path, id, day).details(part);
        let span =
            (row(first.number, first.missing.ends().0), row(last.number, last.missing.ends().1));
        let mut whole = Vec::new();
        let mut rows = self.figures.query(params![span.0, span.1])?;
        while let Some(row) = rows.next()? {
            let of: i64 = row.get(0)?;
            let (number, part) = (RowId::of_details(of).day(id), RowId::part_of_details(of));
            let Some(day) = days.iter_mut().find(|day| day.number == number) else { continue };
            if !day.missing.has(part) {
                continue;
            }
            day.missing = day.missing.without(part);
            let of_day = self.gists.get_mut(day.place.clone()).unwrap_or_default();
            let own = part_mut(of_day, part);
            let (of, body) = ((path, number), row.get_ref(1)?.as_blob()?);
            if day.changed.has(part) {
                let counts = own.iter().map(|gist| Slot::of_counts(gist.start, gist.counts));
                let mut slots: Vec<Slot> = counts.collect();
                decode_figures(body, path, number, &mut slots, &mut self.room)
                    .map_err(unreadable)?;
                whole.append(&mut slots);
            } else {
                let asked_for = |start| pending.is_asked_for(start);
                let into = (&mut *own, &asked_for as &dyn Fn(SlotStart) -> bool);
                decode_spreads(body, path, number, into, &mut self.room).map_err(unreadable)?;
                found.add_packed(of, own, asked_for, body);
            }
        }
        if !days.iter().all(|day| day.missing.is_none()) {
            return Err(unreadable(bad("slots without details")));
        }
        if !pending.views.is_empty() {
            found.merge(pending.together(whole));
        }
        Ok(found)
    }
}

/// A path's day, as far as it was read.
struct Day {
    number: i64,
    /// Where its slots are among all.
    place: Range<usize>,
    /// How many there are.
    slots: usize,
    /// The parts that are asked for and were not read yet.
    missing: Parts,
    /// Those whose slots are more than the partition says.
    changed: Parts,
}

impl Day {
    /// `gists` are those of this day, from a place on, after those of earlier ones.
    fn of(number: i64, (begins, gists): (usize, &[SlotGist]), pending: &Pending<'_>) -> Self {
        let own = gists.get(begins..).unwrap_or_default();
        let missing = Parts::within(number, pending.span).of_those(own);
        let place = begins..gists.len();
        Self { number, place, slots: own.len(), missing, changed: pending.parts(number) }
    }
}
