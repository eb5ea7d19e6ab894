//! Slots in short, read for who judges very many of them: counts and how windows are spread, without their
//! figures.

use std::collections::BTreeMap;
use std::ops::Range;

use busyhour_model::{PathId, Slot, SlotGist, SlotStart};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::Engine;
use super::memory::{SlotsView, absorb_slots, settle_slots};
use super::slot_rows::{COUNTS, FIGURES, Parts, RowId, SPREADS, day_of, part_mut};
use super::slots::{OPERATION, weeks};
use crate::codec::{DAY_SLOTS, Room, bad, decode_figures, decode_gists, decode_spreads};
use crate::sqlite::{Family, PartitionId, folded_through, unreadable};
use crate::{Grain, SlotDetail, StoreError};

type Span = (SlotStart, SlotStart);
type Take<'t> = dyn FnMut(PathId, Vec<SlotGist>) + 't;

/// Hands over what paths were like, a partition after the other.
pub(super) fn take(
    engine: &Engine,
    paths: &[PathId],
    span: Span,
    take: &mut Take<'_>,
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
    take: &mut Take<'_>,
) -> Result<(), StoreError> {
    let none = Vec::new();
    let pending = |path: PathId, folded: i64| -> Pending<'_> {
        let views = views.get(&path).unwrap_or(&none).iter();
        Pending { id, span, views: views.filter(|view| folded <= view.after).collect() }
    };
    let mut hand_over = |path: PathId, found: Vec<SlotGist>| {
        if !found.is_empty() {
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
    fn together(&self, mut slots: Vec<Slot>) -> Vec<SlotGist> {
        for view in &self.views {
            let asked_for = view.slots.iter().filter(|slot| self.is_asked_for(slot.start));
            absorb_slots(&mut slots, asked_for);
        }
        for view in &self.views {
            settle_slots(&mut slots, &view.settlements);
        }
        slots.iter().filter(|slot| self.is_asked_for(slot.start)).map(SlotGist::of).collect()
    }
}

/// Reads paths of one partition.
struct Reader<'s> {
    id: PartitionId,
    counts: CachedStatement<'s>,
    spreads: CachedStatement<'s>,
    figures: CachedStatement<'s>,
    room: Room,
}

impl<'s> Reader<'s> {
    fn new(sql: &'s Connection, id: PartitionId) -> rusqlite::Result<Self> {
        let counts = sql.prepare_cached(COUNTS)?;
        let spreads = sql.prepare_cached(SPREADS)?;
        let figures = sql.prepare_cached(FIGURES)?;
        Ok(Self { id, counts, spreads, figures, room: Room::default() })
    }

    fn read(&mut self, path: PathId, pending: &Pending<'_>) -> rusqlite::Result<Vec<SlotGist>> {
        let (mut gists, mut days) = self.read_counts(path, pending)?;
        self.read_spreads(path, &mut days, &mut gists)?;
        // What changed since is made of whole slots.
        let mut whole = Vec::new();
        for day in &mut days {
            while let Some(part) = day.changed.and(day.missing).first() {
                day.missing = day.missing.without(part);
                let own = part_mut(gists.get_mut(day.place.clone()).unwrap_or_default(), part);
                let counts = own.iter().map(|gist| Slot::of_counts(gist.start, gist.counts));
                let mut slots: Vec<Slot> = counts.collect();
                let row = RowId::of(path, self.id, day.number).details(part);
                let of = (path, day.number);
                self.figures
                    .query_row([row], |row| {
                        let body = row.get_ref(0)?.as_blob()?;
                        decode_figures(body, of.0, of.1, &mut slots, &mut self.room)
                            .map_err(unreadable)
                    })
                    .optional()?
                    .ok_or_else(|| unreadable(bad("slots without details")))?;
                whole.append(&mut slots);
            }
        }
        if !days.iter().all(|day| day.missing.is_none()) {
            return Err(unreadable(bad("slots without details")));
        }
        if pending.views.is_empty() {
            gists.retain(|gist| pending.is_asked_for(gist.start));
            return Ok(gists);
        }
        let is_changed = |start: SlotStart| {
            let day = days.iter().find(|day| day.number == day_of(start));
            day.is_some_and(|day| !day.changed.and(Parts::of(std::iter::once(start))).is_none())
        };
        gists.retain(|gist| pending.is_asked_for(gist.start) && !is_changed(gist.start));
        gists.extend(pending.together(whole));
        gists.sort_by_key(|gist| gist.start);
        Ok(gists)
    }

    /// The counts of the days that are asked for.
    fn read_counts(
        &mut self,
        path: PathId,
        pending: &Pending<'_>,
    ) -> rusqlite::Result<(Vec<SlotGist>, Vec<Day>)> {
        let id = self.id;
        let (from, until) = pending.span;
        let first = day_of(from).max(id.first_day());
        let last = day_of(until.offset(-1)).min(id.until_day() - 1);
        let slots = usize::try_from((last - first + 1) * DAY_SLOTS).unwrap_or(0);
        let (mut gists, mut days) = (Vec::with_capacity(slots), Vec::new());
        let end = RowId::of(path, id, last.saturating_add(1));
        let mut rows = self.counts.query(params![RowId::of(path, id, first).0, end.0])?;
        while let Some(row) = rows.next()? {
            let day = RowId(row.get(0)?).day(id);
            let begins = gists.len();
            let body = row.get_ref(1)?.as_blob()?;
            decode_gists(body, path, day, &mut self.room, &mut gists).map_err(unreadable)?;
            days.push(Day::of(day, (begins, &gists), pending));
        }
        Ok((gists, days))
    }

    /// How windows are spread, of the parts that are as the partition says.
    fn read_spreads(
        &mut self,
        path: PathId,
        days: &mut [Day],
        gists: &mut [SlotGist],
    ) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(()) };
        // The parts of a day follow each other, and so do the days of a path.
        let row = |day: i64, part: i64| RowId::of(path, self.id, day).details(part);
        let span =
            (row(first.number, first.missing.ends().0), row(last.number, last.missing.ends().1));
        let mut rows = self.spreads.query(params![span.0, span.1])?;
        while let Some(row) = rows.next()? {
            let of: i64 = row.get(0)?;
            let (number, part) = (RowId::of_details(of).day(self.id), RowId::part_of_details(of));
            let Some(day) = days.iter_mut().find(|day| day.number == number) else { continue };
            if !day.missing.has(part) || day.changed.has(part) {
                continue;
            }
            day.missing = day.missing.without(part);
            let own = part_mut(gists.get_mut(day.place.clone()).unwrap_or_default(), part);
            let body = row.get_ref(1)?.as_blob()?;
            decode_spreads(body, path, number, own, &mut self.room).map_err(unreadable)?;
        }
        Ok(())
    }
}

/// A path's day, as far as it was read.
struct Day {
    number: i64,
    /// Where its slots are among all.
    place: Range<usize>,
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
        Self { number, place: begins..gists.len(), missing, changed: pending.parts(number) }
    }
}
