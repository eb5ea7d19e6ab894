//! A generated region as baselines read it: each series on its building's grid of local days.

use busyhour_model::SlotStart;
use busyhour_sim::world::{BuildingRecord, Reach, RegionRecord, SeriesRecord, SlotRecord};
use jiff::civil::{Date, Weekday};

/// Quarter-hours in an hour.
pub const AN_HOUR: usize = 4;
/// Local time is looked up once for so many quarter-hours: zones change on hours or half-hours.
const LOOKED_UP: usize = 2;

/// The quarter-hours of a building's local days, in order of UTC.
pub struct Grid {
    /// The first quarter-hour.
    pub first: SlotStart,
    /// For each quarter-hour the local day, from 0.
    pub days: Vec<u16>,
    /// For each quarter-hour the local quarter-hour of the week, from Monday 00:00.
    pub of_week: Vec<u16>,
    /// For each quarter-hour, whether it lies in configured business hours and on no known holiday.
    pub business: Vec<bool>,
    /// The local dates.
    pub dates: Vec<Date>,
}

impl Grid {
    /// The grid of a building from a date on.
    ///
    /// # Panics
    /// When a date is out of the range of time stamps.
    #[must_use]
    pub fn new(building: &BuildingRecord, first: Date, days: u32) -> Self {
        let dates: Vec<Date> = std::iter::successors(Some(first), |date| date.tomorrow().ok())
            .take(days as usize)
            .collect();
        let begin = slot_at(building, first);
        let end = dates.last().and_then(|last| last.tomorrow().ok());
        let end = end.map_or(begin, |end| slot_at(building, end));
        let slots = usize::try_from(end.number() - begin.number()).unwrap_or_default();
        let mut grid = Self {
            first: begin,
            days: Vec::with_capacity(slots),
            of_week: Vec::with_capacity(slots),
            business: Vec::with_capacity(slots),
            dates,
        };
        for offset in (0..slots).step_by(LOOKED_UP) {
            let start = begin.offset(i64::try_from(offset).unwrap_or_default());
            for later in 0..LOOKED_UP.min(slots - offset) {
                grid.push(building, first, start, later);
            }
        }
        grid
    }

    fn push(&mut self, building: &BuildingRecord, first: Date, start: SlotStart, later: usize) {
        let at = jiff::Timestamp::from_microsecond(start.start().0).unwrap_or_default();
        let local = building.zone.to_datetime(at);
        let minute = u16::try_from(local.hour()).unwrap_or_default() * 60
            + u16::try_from(local.minute()).unwrap_or_default() / 15 * 15
            + u16::try_from(later).unwrap_or_default() * 15;
        let date = local.date();
        let day = first.until(date).map_or(0, |span| span.get_days());
        let weekday = date.weekday();
        let business =
            building.hours.contains(weekday, minute) && !building.holidays.contains(&date);
        self.days.push(u16::try_from(day).unwrap_or_default());
        self.of_week.push(monday_first(weekday) * 96 + minute / 15);
        self.business.push(business);
    }
}

fn slot_at(building: &BuildingRecord, date: Date) -> SlotStart {
    let zoned = building.zone.to_zoned(date.at(0, 0, 0, 0)).expect("dates of plans are in range");
    SlotStart::containing(busyhour_model::UtcMicros(zoned.timestamp().as_microsecond()))
}

fn monday_first(weekday: Weekday) -> u16 {
    u16::try_from(weekday.to_monday_zero_offset()).unwrap_or_default()
}

/// A series on the grid of its building.
pub struct Lane<'a> {
    /// Its building's grid.
    pub grid: &'a Grid,
    /// Its number in the region: what draws of chance hang on.
    pub number: u32,
    /// What was delivered of each quarter-hour of the grid.
    pub slots: Vec<Option<&'a SlotRecord>>,
}

impl<'a> Lane<'a> {
    fn new(grid: &'a Grid, number: u32, series: &'a SeriesRecord) -> Self {
        let mut slots = vec![None; grid.days.len()];
        for slot in &series.slots {
            let place = usize::try_from(slot.start.number() - grid.first.number()).ok();
            if let Some(place) = place.and_then(|place| slots.get_mut(place)) {
                *place = Some(slot);
            }
        }
        Self { grid, number, slots }
    }

    /// Windows that count and windows bad in each way, over the quarter-hours from `from` on.
    #[must_use]
    pub fn counts(&self, from: usize, slots: usize) -> Counts {
        let until = (from + slots).min(self.slots.len());
        let mut counts = Counts::default();
        for slot in self.slots.get(from..until).unwrap_or_default().iter().flatten() {
            counts.seen += 1;
            counts.valid += u32::from(slot.valid);
            counts.bad += u32::from(slot.bad);
            for (sum, bad) in counts.bad_by.iter_mut().zip(slot.bad_by) {
                *sum += u32::from(bad);
            }
        }
        counts
    }
}

/// What some quarter-hours hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Quarter-hours of which something was delivered.
    pub seen: u32,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Bad by loss, burst, delay, jitter, failed.
    pub bad_by: [u32; 5],
}

impl Counts {
    /// The share of bad windows, 0 of none.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.valid == 0 { 0.0 } else { f64::from(self.bad) / f64::from(self.valid) }
    }
}

/// The grids of a region's buildings.
#[must_use]
pub fn grids(region: &RegionRecord, first: Date, days: u32) -> Vec<Grid> {
    region.buildings.iter().map(|building| Grid::new(building, first, days)).collect()
}

/// The series beyond the sites' edges on their grids.
#[must_use]
pub fn lanes<'a>(region: &'a RegionRecord, grids: &'a [Grid]) -> Vec<Lane<'a>> {
    let far = (0..).zip(&region.series).filter(|(_, series)| series.reach == Reach::Far);
    far.filter_map(|(number, series)| {
        let grid = grids.get(series.building as usize)?;
        Some(Lane::new(grid, number, series))
    })
    .collect()
}
