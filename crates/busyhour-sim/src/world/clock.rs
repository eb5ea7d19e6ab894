//! Minutes of a world, and where they lie in a zone's local days.

use busyhour_model::{LocalDay, SlotStart, UtcMicros, local_day_span};
use jiff::ToSpan as _;
use jiff::civil::Date;
#[cfg(test)]
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Minutes in a quarter-hour.
pub(crate) const SLOT_MINUTES: usize = 15;
/// Minutes in a day of UTC.
pub(crate) const DAY_MINUTES: usize = 24 * 60;
/// Quarter-hours in a day of UTC.
const DAY_SLOTS: i64 = 96;
/// Days before the first and after the last that some zone's local days reach into.
const MARGIN_DAYS: i64 = 1;

/// The minutes that a world has, counted from the UTC midnight a day before its first local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first local day.
    pub(crate) first: Date,
    /// How many local days.
    pub(crate) days: usize,
    origin: SlotStart,
}

impl Span {
    pub(crate) fn new(first: Date, days: u32) -> Self {
        let midnight = local_day_span(first, &TimeZone::UTC).map_or(UtcMicros(0), |span| span.0);
        let origin = SlotStart::containing(midnight).offset(-MARGIN_DAYS * DAY_SLOTS);
        Self { first, days: days as usize, origin }
    }

    pub(crate) const fn slots(self) -> usize {
        (self.days + 2 * MARGIN_DAYS as usize) * DAY_SLOTS as usize
    }

    pub(crate) const fn minutes(self) -> usize {
        self.slots() * SLOT_MINUTES
    }

    pub(crate) const fn slot(self, index: usize) -> SlotStart {
        self.origin.offset(index as i64)
    }

    /// The place of a slot, held within the span.
    fn index(self, slot: SlotStart) -> usize {
        let index = slot.number() - self.origin.number();
        usize::try_from(index).unwrap_or(0).min(self.slots())
    }

    pub(crate) fn date(self, day: usize) -> Date {
        self.first.saturating_add((day as i64).days())
    }
}

/// Where the slots of a span lie in the local days of a zone.
#[derive(Debug, Clone)]
pub(crate) struct LocalClock {
    /// The first slot of each local day, and the slot after the last.
    pub(crate) starts: Vec<usize>,
    /// The local minute of the day at which each slot begins.
    minutes: Vec<u16>,
    /// The local day of each slot.
    days: Vec<Option<u16>>,
}

impl LocalClock {
    pub(crate) fn new(span: Span, zone: &TimeZone) -> Self {
        let start_of = |day: usize| {
            local_day_span(span.date(day), zone)
                .map_or(0, |(from, _)| span.index(SlotStart::containing(from)))
        };
        let starts: Vec<usize> = (0..=span.days).map(start_of).collect();
        let minute_of = |slot: usize| LocalDay::of(span.slot(slot), zone).minute;
        let minutes = (0..span.slots()).map(minute_of).collect();
        let mut days = vec![None; span.slots()];
        for (day, bounds) in starts.windows(2).enumerate() {
            let slots = days.iter_mut().take(bounds[1]).skip(bounds[0]);
            slots.for_each(|slot| *slot = Some(day as u16));
        }
        Self { starts, minutes, days }
    }

    /// The local day that a minute of the span belongs to; `None` before the first and after the last.
    pub(crate) fn day_of(&self, minute: usize) -> Option<usize> {
        self.days.get(minute / SLOT_MINUTES).copied().flatten().map(usize::from)
    }

    /// The local minute of the day that a minute of the span is.
    pub(crate) fn minute_of(&self, minute: usize) -> u16 {
        let begin = self.minutes.get(minute / SLOT_MINUTES).copied().unwrap_or(0);
        begin + (minute % SLOT_MINUTES) as u16
    }

    /// The minutes of the span that are a local day: 23, 24 or 25 hours.
    pub(crate) fn day(&self, day: usize) -> std::ops::Range<usize> {
        let at = |day: usize| self.starts.get(day).copied().unwrap_or(0) * SLOT_MINUTES;
        at(day)..at(day + 1).max(at(day))
    }

    /// The first minute of the span at which the clocks of a local day show `minute` or later.
    pub(crate) fn at(&self, day: usize, minute: u16) -> usize {
        let range = self.day(day);
        range.clone().find(|&at| self.minute_of(at) >= minute).unwrap_or(range.end)
    }
}

/// A weekday's place in a week that begins on Monday.
pub(crate) fn weekday_of(date: Date) -> usize {
    usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0)
}

/// The weekday at a place in a week that begins on Monday.
#[cfg(test)]
pub(crate) fn weekday_at(place: usize) -> Weekday {
    Weekday::from_monday_zero_offset((place % 7) as i8).unwrap_or(Weekday::Monday)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn clock(zone: &str) -> (Span, LocalClock) {
        let span = Span::new(date(2025, 2, 9), 84);
        (span, LocalClock::new(span, &TimeZone::get(zone).unwrap()))
    }

    #[test]
    fn days_on_which_clocks_change_have_92_and_100_quarter_hours() {
        let lengths = |zone: &str| {
            let (_, clock) = clock(zone);
            let slots = |bounds: &[usize]| bounds[1] - bounds[0];
            let mut lengths: Vec<usize> = clock.starts.windows(2).map(slots).collect();
            lengths.sort_unstable();
            (lengths[0], lengths[42], lengths[83])
        };
        assert_eq!(lengths("Europe/Berlin"), (92, 96, 96));
        assert_eq!(lengths("Australia/Sydney"), (96, 96, 100));
        assert_eq!(lengths("Asia/Kolkata"), (96, 96, 96));
    }

    #[test]
    fn a_minute_of_the_span_is_a_minute_of_its_local_day() {
        let (span, clock) = clock("Asia/Kolkata");
        let nine = clock.at(3, 9 * 60);
        assert_eq!((clock.day_of(nine), clock.minute_of(nine)), (Some(3), 9 * 60));
        let local =
            LocalDay::of(span.slot(nine / SLOT_MINUTES), &TimeZone::get("Asia/Kolkata").unwrap());
        assert_eq!((local.date, local.minute), (date(2025, 2, 12), 9 * 60));
        let ends = [clock.day(0).start, clock.day(0).end, clock.day(83).end - 1];
        assert_eq!(ends.map(|minute| clock.day_of(minute)), [Some(0), Some(1), Some(83)]);
        assert_eq!(clock.day_of(0), None);
        assert_eq!(clock.day_of(span.minutes() - 1), None);
        assert_eq!(clock.day(3).len(), DAY_MINUTES);
    }

    #[test]
    fn a_local_time_that_a_day_skips_is_the_next_one_it_has() {
        // Clocks are set forward on 30 March, day 49, from 02:00 to 03:00.
        let (_, clock) = clock("Europe/Berlin");
        let at = clock.at(49, 2 * 60 + 30);
        assert_eq!(clock.minute_of(at), 3 * 60);
        assert_eq!(clock.day(49).len(), 23 * 60);
    }
}
