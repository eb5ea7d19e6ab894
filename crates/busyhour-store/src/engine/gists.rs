//! Slots in short, read for who judges very many of them: figures of windows are only looked through as
//! far as it takes to say how they are spread, and kept packed until somebody asks.

use std::collections::BTreeMap;

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
}

impl<'s> Reader<'s> {
    fn new(sql: &'s Connection, id: PartitionId) -> rusqlite::Result<Self> {
        let counts = sql.prepare_cached(COUNTS)?;
        let figures = sql.prepare_cached(FIGURES_OF_DAYS)?;
        Ok(Self { id, counts, figures, room: Room::default() })
    }

    fn read(&mut self, path: PathId, pending: &Pending<'_>) -> rusqlite::Result<PathGists> {
        let id = self.id;
        let (from, until) = pending.span;
        let first = day_of(from).max(id.first_day());
        let last = day_of(until.offset(-1)).min(id.until_day() - 1);
        let end = RowId::of(path, id, last.saturating_add(1));
        // Each day with where it begins among the slots.
        let (mut gists, mut days) = (Vec::new(), Vec::new());
        let mut rows = self.counts.query(params![RowId::of(path, id, first).0, end.0])?;
        while let Some(row) = rows.next()? {
            let day = RowId(row.get(0)?).day(id);
            days.push((day, gists.len()));
            let body = row.get_ref(1)?.as_blob()?;
            decode_gists(body, path, day, &mut self.room, &mut gists).map_err(unreadable)?;
        }
        drop(rows);
        let (mut found, mut whole) = (PathGists::default(), Vec::new());
        for (at, &(day, begins)) in days.iter().enumerate() {
            let ends = days.get(at + 1).map_or(gists.len(), |&(_, begins)| begins);
            let of_day = gists.get_mut(begins..ends).unwrap_or_default();
            self.read_day((path, day), pending, of_day, (&mut found, &mut whole))?;
        }
        if !pending.views.is_empty() {
            found.merge(pending.together(whole));
        }
        Ok(found)
    }

    /// Adds what is asked for of a day: where there is more beside the partition as whole slots.
    fn read_day(
        &mut self,
        (path, day): (PathId, i64),
        pending: &Pending<'_>,
        of_day: &mut [SlotGist],
        (found, whole): (&mut PathGists, &mut Vec<Slot>),
    ) -> rusqlite::Result<()> {
        let row = RowId::of(path, self.id, day);
        let wanted = Parts::within(day, pending.span);
        let changed = pending.parts(day);
        let (first, until) = wanted.ends();
        let mut missing = wanted;
        for part in 0..Parts::COUNT {
            if part_mut(of_day, part).is_empty() {
                missing = missing.without(part);
            }
        }
        let mut rows = self.figures.query(params![row.details(first), row.details(until)])?;
        while let Some(read) = rows.next()? {
            let part = RowId::part_of_details(read.get(0)?);
            let body = read.get_ref(1)?.as_blob()?;
            let own = part_mut(of_day, part);
            missing = missing.without(part);
            if changed.has(part) {
                let counts = own.iter().map(|gist| Slot::of_counts(gist.start, gist.counts));
                let mut slots: Vec<Slot> = counts.collect();
                decode_figures(body, path, day, &mut slots, &mut self.room).map_err(unreadable)?;
                whole.append(&mut slots);
            } else {
                let asked_for = |start| pending.is_asked_for(start);
                let into = (&mut *own, &asked_for as &dyn Fn(SlotStart) -> bool);
                decode_spreads(body, path, day, into, &mut self.room).map_err(unreadable)?;
                found.add_packed((path, day), own, &asked_for, body);
            }
        }
        if missing.is_none() { Ok(()) } else { Err(unreadable(bad("slots without details"))) }
    }
}
