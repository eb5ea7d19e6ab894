//! Builds days from a description of their quarter-hours.

use busyhour_detect::{
    Bin, BuildingDay, BusyHours, Cell, Params, Quarters, SeriesDay, Site, series_day,
};
use busyhour_model::{Breach, SlotStart};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

/// One window a minute.
pub(crate) const PER_QUARTER: u32 = 15;

/// What a bin is to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Is {
    pub(crate) valid: u32,
    pub(crate) bad: u32,
    pub(crate) breach: Breach,
    pub(crate) rtt_us: u32,
}

pub(crate) const FINE: Is = Is { valid: PER_QUARTER, bad: 0, breach: Breach::Loss, rtt_us: 20_000 };

/// So many windows lose 2 % each.
pub(crate) const fn bad(bad: u32) -> Is {
    Is { bad, ..FINE }
}

/// All windows take so long, and so many of them too long.
pub(crate) const fn slow(rtt_us: u32, bad: u32) -> Is {
    Is { bad, rtt_us, breach: Breach::Delay, ..FINE }
}

impl Is {
    pub(crate) fn cell(self, start: SlotStart, expected: u32) -> Cell {
        let lost_each = match self.breach {
            Breach::Loss => 15,
            Breach::Burst => 4,
            Breach::Failed => 750,
            Breach::Delay | Breach::Jitter => 0,
        };
        let mut cell = Cell::new(start);
        cell.expected = expected;
        cell.valid = self.valid;
        cell.bad = self.bad;
        cell.bad_by[self.breach as usize] = self.bad;
        cell.sent = u64::from(self.valid) * 750;
        cell.lost = u64::from(self.bad) * lost_each;
        cell.rtt_min_us = Some(self.rtt_us - 2_000);
        cell.rtt_p50_us = Some(self.rtt_us);
        cell.rtt_p95_us = Some(self.rtt_us + 5_000);
        cell.jitter_p50_us = Some(if self.breach == Breach::Jitter { 40_000 } else { 2_000 });
        cell
    }
}

pub(crate) fn site_in(zone: TimeZone, hours: &str) -> Site {
    let hours = hours.parse().unwrap();
    Site { name: "Hamburg".to_owned(), zone, hours, holidays: [date(2026, 5, 1)].into() }
}

/// In UTC, at work from Monday to Friday from 8 to 18.
pub(crate) fn site() -> Site {
    site_in(TimeZone::UTC, "Mo-Fr 08:00-18:00")
}

pub(crate) fn frame_of(site: &Site, date: Date, bin: Bin) -> BuildingDay {
    let hours = BusyHours::configured(site);
    BuildingDay::new(site, date, &hours, None, bin, &Params::default()).unwrap()
}

/// The cells of a day; `None` leaves a bin out.
pub(crate) fn cells(frame: &BuildingDay, is: impl Fn(u16) -> Option<Is>) -> Vec<Cell> {
    let step = i64::from(frame.bin.quarters());
    let bins = frame.minutes.iter().enumerate();
    let expected = PER_QUARTER * u32::from(frame.bin.quarters());
    bins.filter_map(|(at, &minute)| {
        let start = frame.first.offset(at as i64 * step);
        is(minute).map(|is| is.cell(start, is.valid.max(expected)))
    })
    .collect()
}

pub(crate) fn row_of(frame: &BuildingDay, cells: &[Cell]) -> SeriesDay {
    series_day(frame, cells, &|_| false, &Params::default())
}

/// The row of a day at [`site`].
pub(crate) fn row(date: Date, is: impl Fn(u16) -> Option<Is>) -> SeriesDay {
    let frame = frame_of(&site(), date, Bin::Quarter);
    row_of(&frame, &cells(&frame, is))
}

/// A Monday, and days from then on.
pub(crate) fn monday() -> Date {
    date(2026, 3, 2)
}

pub(crate) fn after(days: i32) -> Date {
    monday().checked_add(days.days()).unwrap()
}

/// As `is` within hours of the day, else fine.
pub(crate) fn within(hours: (u16, u16), is: Is) -> impl Fn(u16) -> Option<Is> + Copy {
    move |minute| Some(if (hours.0..hours.1).contains(&minute) { is } else { FINE })
}

/// Bad from 10 to 12, else fine.
pub(crate) fn bad_at_ten(date: Date) -> SeriesDay {
    row(date, within((600, 720), bad(5)))
}

pub(crate) fn good(date: Date) -> SeriesDay {
    row(date, |_| Some(FINE))
}

pub(crate) fn missing(date: Date) -> SeriesDay {
    row(date, |_| None)
}

pub(crate) fn hours(from: u16, until: u16) -> Quarters {
    Quarters::between(from, until)
}
