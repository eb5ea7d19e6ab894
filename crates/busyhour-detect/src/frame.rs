//! A building's local day on the clock of UTC.

use busyhour_model::{BuildingId, BusinessHours, LocalDay, SlotStart, UtcMicros, local_day_span};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A quarter-hour of a building's local day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quarter {
    pub(crate) start: SlotStart,
    pub(crate) minute: u16,
    pub(crate) business: bool,
}

/// A building's local day, cut into quarter-hours of UTC: 92, 96 or 100 of them.
#[derive(Debug, Clone)]
pub struct DayFrame {
    building: BuildingId,
    date: Date,
    pub(crate) from: UtcMicros,
    pub(crate) quarters: Vec<Quarter>,
    /// Quarter-hours that have begun; all of them on past days.
    pub(crate) elapsed: usize,
}

impl DayFrame {
    /// Lays out a local date. `None` outside the years that the calendar knows.
    #[must_use]
    pub fn new(
        building: BuildingId,
        date: Date,
        zone: &TimeZone,
        hours: &BusinessHours,
        now: UtcMicros,
    ) -> Option<Self> {
        let (from, until) = local_day_span(date, zone)?;
        let first = SlotStart::containing(from);
        let quarters: Vec<Quarter> = (0..)
            .map(|number| first.offset(number))
            .take_while(|slot| slot.start() < until)
            .map(|start| (start, LocalDay::of(start, zone).minute))
            .map(|(start, minute)| Quarter {
                start,
                minute,
                business: hours.contains(date.weekday(), minute),
            })
            .collect();
        let elapsed = quarters.iter().filter(|quarter| quarter.start.start() < now).count();
        Some(Self { building, date, from, quarters, elapsed })
    }

    /// The building.
    #[must_use]
    pub const fn building(&self) -> BuildingId {
        self.building
    }

    /// The local date.
    #[must_use]
    pub const fn date(&self) -> Date {
        self.date
    }

    /// True when the day ends after the beginning of that quarter-hour.
    pub(crate) fn reaches(&self, slot: SlotStart) -> bool {
        self.quarters.last().is_some_and(|last| slot <= last.start)
    }

    /// The numbers of its quarter-hours inside business hours.
    pub(crate) fn business(&self) -> impl Iterator<Item = usize> + '_ {
        self.quarters.iter().enumerate().filter(|(_, quarter)| quarter.business).map(|(at, _)| at)
    }
}
