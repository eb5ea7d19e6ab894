//! When targets were at fault. What findings look at is remembered by the engine as the days of
//! buildings are read; of older dates all paths are read, because what one building's local day holds
//! of targets is never whole.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use busyhour_detect::{Cell, SeriesNo, TargetBins, TargetViews};
use busyhour_model::{PathId, SlotStart, UtcMicros};
use busyhour_store::{Grain, SlotDetail, StoreError, Telemetry};

use crate::directory::Directory;
use crate::inventory::{Inventory, Noons, slots_of_day, utc_day_of};
use crate::status::TargetFault;

/// The faults that are told as the present ones began within so many quarter-hours: a day.
const PRESENT_SLOTS: i64 = 96;

/// Looks at a day of UTC anew.
pub(crate) fn look_at(
    utc_day: i64,
    telemetry: &dyn Telemetry,
    directory: &mut Directory,
    inventory: &Inventory,
    faults: &mut TargetBins,
    noons: &mut Noons,
) -> Result<(), StoreError> {
    let (from, until) = slots_of_day(utc_day);
    // Who was where that day: all but those who moved were in one place. Where somebody only passed by,
    // no series is.
    let mut stays: BTreeMap<PathId, Vec<(UtcMicros, UtcMicros, SeriesNo)>> = BTreeMap::new();
    for row in &inventory.paths {
        for placement in inventory.placements.get(&row.agent).into_iter().flatten() {
            let (begins, ends) = (placement.from, placement.until.unwrap_or(UtcMicros(i64::MAX)));
            if begins < until.start()
                && from.start() < ends
                && inventory.stayed(placement, utc_day, noons)
                && let Some(series) = directory.series_of(row, placement, inventory)
            {
                stays.entry(row.id).or_default().push((begins, ends, series));
            }
        }
    }
    let ids: Vec<PathId> = stays.keys().copied().collect();
    let mut views = TargetViews::new(&directory.fleet);
    let (grain, detail) = (Grain::Quarter, SlotDetail::Counts);
    telemetry.visit_slots(&ids, (from, until), grain, detail, &mut |path, slot| {
        let at = slot.start.start();
        let stays = stays.get(&path).into_iter().flatten();
        let there = stays.filter(|(begins, ends, _)| *begins <= at && at < *ends);
        for &(_, _, series) in there.take(1) {
            views.add(series, &[Cell::of(slot)]);
        }
    })?;
    faults.replace(from, until, views.faults());
    Ok(())
}

/// The targets at fault within the day before `now`, by name.
pub(crate) fn present(
    directory: &Directory,
    faults: &TargetBins,
    now: UtcMicros,
) -> Vec<TargetFault> {
    if faults.is_empty() {
        return Vec::new();
    }
    let last = SlotStart::containing(now);
    let mut present = Vec::new();
    for (target, name) in directory.targets() {
        let slots = (1 - PRESENT_SLOTS..=0).map(|before| last.offset(before));
        let at_fault: Vec<_> = slots.filter(|&slot| faults.contains(target, slot)).collect();
        let (Some(first), Some(last)) = (at_fault.first(), at_fault.last()) else { continue };
        present.push(TargetFault {
            target: name.clone(),
            from: first.start(),
            until: last.offset(1).start(),
            quarter_hours: u32::try_from(at_fault.len()).unwrap_or(u32::MAX),
        });
    }
    present.sort_by(|a, b| a.target.cmp(&b.target));
    present
}

/// The days of UTC that a span of slots lies in.
pub(crate) fn utc_days(from: SlotStart, until: SlotStart) -> RangeInclusive<i64> {
    utc_day_of(from)..=utc_day_of(until.offset(-1))
}
