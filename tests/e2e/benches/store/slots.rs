//! Weeks of slots for many paths, from days of slots that are made once.

use busyhour_model::{PathId, Slot, SlotStart, UtcMicros};

use crate::fleet::Fleet;

/// Quarter-hours of a day.
pub(crate) const DAY: i64 = 96;
/// Windows of a quarter-hour.
const WINDOWS: i64 = 15;

/// Days of slots, by series.
pub(crate) struct SlotPool {
    days: Vec<Vec<Vec<Slot>>>,
    from: SlotStart,
}

impl SlotPool {
    /// The slots of the first `days` days of the fleet's first paths, one of each series.
    pub(crate) fn new(fleet: &Fleet, series: usize, days: usize) -> Self {
        let day_of = |path: usize, day: usize| {
            let first = day as i64 * DAY;
            (first..first + DAY).map(|slot| slot_of(fleet, path, slot)).collect()
        };
        let days_of = |path| (0..days).map(|day| day_of(path, day)).collect();
        let days = (0..series).map(days_of).collect();
        Self { days, from: SlotStart::containing(fleet.minute(0)) }
    }

    /// The slots of a path for so many days from the beginning.
    pub(crate) fn weeks(&self, path: usize, id: PathId, days: i64) -> (PathId, Vec<Slot>) {
        let own = &self.days[path % self.days.len()];
        let slots = (0..days).flat_map(|day| {
            // Neighbours differ, and so do weeks.
            let at = (day as usize + path / self.days.len()) % own.len();
            own[at].iter().map(move |slot| moved(slot, (day - at as i64) * DAY))
        });
        (id, slots.collect())
    }

    /// Where the slots begin.
    pub(crate) const fn from(&self) -> SlotStart {
        self.from
    }
}

/// A slot as ingest makes it.
fn slot_of(fleet: &Fleet, path: usize, number: i64) -> Slot {
    let start = SlotStart::containing(fleet.minute(number * WINDOWS));
    let first = fleet.window(path, number * WINDOWS);
    let mut slot = Slot::new(start, first.limits);
    slot.counts.expected = WINDOWS as u32;
    for minute in number * WINDOWS..(number + 1) * WINDOWS {
        let judged = fleet.window(path, minute);
        slot.add(judged.placed, &judged.window.coarsened(), &judged.verdict);
    }
    slot
}

/// The same slot so many quarter-hours later.
fn moved(slot: &Slot, quarters: i64) -> Slot {
    let mut slot = slot.clone();
    slot.start = slot.start.offset(quarters);
    let later = |at: UtcMicros| UtcMicros(at.0 + quarters * busyhour_model::SLOT_MICROS);
    for worst in [&mut slot.counts.worst_burst, &mut slot.counts.worst_15s].into_iter().flatten() {
        worst.window = later(worst.window);
    }
    slot
}
