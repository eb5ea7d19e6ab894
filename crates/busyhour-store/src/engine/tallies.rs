//! Tallies of very many path-days, from partitions and memory together.

use std::collections::{BTreeMap, BTreeSet};

use busyhour_model::{PathId, Slot, SlotStart};
use rusqlite::params;

use super::Engine;
use super::memory::SlotsView;
use super::slot_rows::{RowId, TALLIES, day_of, first_of, tallies_of};
use crate::codec::{SLOTS_A_DAY, Tallies, decode_tallies};
use crate::sqlite::{Family, PartitionId, folded_through, unreadable};
use crate::{DayTally, SlotDetail, StoreError};

const OPERATION: &str = "read tallies";

/// Hands out tallies, a partition after the other.
pub(super) fn visit(
    engine: &Engine,
    paths: &[PathId],
    span: (SlotStart, SlotStart),
    visit: &mut dyn FnMut(&DayTally<'_>),
) -> Result<(), StoreError> {
    if span.0 >= span.1 {
        return Ok(());
    }
    let wanted: BTreeSet<PathId> = paths.iter().copied().collect();
    // Pieces before partitions: what is folded in between is then in both, and told apart.
    let mut views: BTreeMap<(PathId, i64), Vec<(i64, Tallies)>> = BTreeMap::new();
    for &path in &wanted {
        for SlotsView { after, slots, .. } in engine.memory.slots(path, span, SlotDetail::Counts) {
            for of_day in slots.chunk_by(|a, b| day_of(a.start) == day_of(b.start)) {
                let Some(Slot { start, .. }) = of_day.first() else { continue };
                let of_day = (after, tallies_of(of_day));
                views.entry((path, day_of(*start))).or_default().push(of_day);
            }
        }
    }
    let (first, last) = (day_of(span.0), day_of(span.1.offset(-1)));
    let stored = engine.partitions.list(Family::Slots).into_iter();
    let mut weeks: BTreeSet<PartitionId> =
        stored.filter(|id| id.first_day() <= last && id.until_day() > first).collect();
    weeks.extend(views.keys().filter_map(|(_, day)| PartitionId::holding(Family::Slots, *day)));
    for week in weeks {
        let mut week = Week { engine, id: week, wanted: &wanted, span, pending: BTreeMap::new() };
        for (key, of_day) in &views {
            if week.id.first_day() <= key.1 && key.1 < week.id.until_day() {
                week.pending.insert(*key, of_day);
            }
        }
        week.visit(visit)?;
    }
    Ok(())
}

/// What is left to hand out of one partition's days.
struct Week<'w> {
    engine: &'w Engine,
    id: PartitionId,
    wanted: &'w BTreeSet<PathId>,
    span: (SlotStart, SlotStart),
    /// Of these days memory knows more.
    pending: BTreeMap<(PathId, i64), &'w Vec<(i64, Tallies)>>,
}

impl Week<'_> {
    fn visit(&mut self, visit: &mut dyn FnMut(&DayTally<'_>)) -> Result<(), StoreError> {
        let (Some(lowest), Some(highest)) = (self.wanted.first(), self.wanted.last()) else {
            return Ok(());
        };
        let (mut at, end) = (RowId::all_of(*lowest).0, RowId::all_of(*highest).1);
        // Many of all paths are found by going through them, few one by one.
        let known = self.engine.look_registry(|registry| registry.count());
        let dense = self.wanted.len().saturating_mul(4) > known;
        let mut folded = i64::MIN;
        self.engine.partitions.read(self.id, OPERATION, |sql| {
            folded = folded_through(sql)?;
            let mut statement = sql.prepare_cached(TALLIES)?;
            let spans: Vec<(RowId, RowId)> = if dense {
                vec![(at, end)]
            } else {
                self.wanted.iter().map(|&path| RowId::all_of(path)).collect()
            };
            for (from, until) in spans {
                let mut rows = statement.query(params![from.max(at).0, until.0])?;
                while let Some(row) = rows.next()? {
                    let id = RowId(row.get(0)?);
                    let (path, day) = (id.path(), id.day(self.id));
                    if !dense || self.wanted.contains(&path) {
                        let body = row.get_ref(1)?.as_blob()?;
                        let tallies = decode_tallies(body, path, day).map_err(unreadable)?;
                        hand_out(self.span, &mut self.pending, (path, day), folded, tallies, visit);
                    }
                    // A partition that turns out to be damaged is read twice: nothing may be handed
                    // out twice.
                    at = RowId(id.0 + 1);
                }
            }
            Ok(())
        })?;
        let none = [(0, 0); SLOTS_A_DAY];
        while let Some(&key) = self.pending.keys().next() {
            hand_out(self.span, &mut self.pending, key, folded, none, visit);
        }
        Ok(())
    }
}

/// Hands out what of a day lies in the span, with what memory knows more.
fn hand_out(
    (from, until): (SlotStart, SlotStart),
    pending: &mut BTreeMap<(PathId, i64), &Vec<(i64, Tallies)>>,
    (path, day): (PathId, i64),
    folded: i64,
    mut tallies: Tallies,
    visit: &mut dyn FnMut(&DayTally<'_>),
) {
    let more = if pending.is_empty() { None } else { pending.remove(&(path, day)) };
    let of_pieces = more.into_iter().flatten().filter(|(after, _)| folded <= *after);
    for (tally, (valid, bad)) in of_pieces.flat_map(|(_, more)| tallies_with(more)) {
        if let Some(sum) = tallies.get_mut(tally) {
            *sum = (sum.0.saturating_add(valid), sum.1.saturating_add(bad));
        }
    }
    let begins = first_of(day);
    let place = |slot: SlotStart| {
        let into = slot.number().saturating_sub(begins.number());
        usize::try_from(into.max(0)).unwrap_or(0).min(SLOTS_A_DAY)
    };
    let (first, last) = (place(from), place(until));
    let slots = tallies.get(first..last).unwrap_or_default();
    if slots.iter().any(|&(valid, _)| valid > 0) {
        let first = begins.offset(i64::try_from(first).unwrap_or(0));
        visit(&DayTally { path, first, slots });
    }
}

fn tallies_with(tallies: &Tallies) -> impl Iterator<Item = (usize, (u32, u32))> {
    tallies.iter().copied().enumerate().filter(|(_, (valid, _))| *valid > 0)
}
