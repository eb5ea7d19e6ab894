//! What was read, as the engine asks for it.

use std::cell::Cell as Mutable;

use busyhour_detect::{BuildingNo, Cell, Fleet, Recorded, SeriesNo};
use busyhour_model::{LocalDay, SlotStart};
use indicatif::ProgressBar;
use jiff::civil::Date;

use super::input::{Input, Period};

/// A fleet with the dates that are judged.
pub(super) struct Judged {
    input: Input,
    dates: (Date, Date),
    /// Moves with the quarter-hours that the engine asks for.
    bar: ProgressBar,
    first: SlotStart,
    furthest: Mutable<SlotStart>,
    /// Nobody listens any more: the rest goes by as if there were nothing.
    is_over: Mutable<bool>,
}

/// More days than anybody judges at once; each is gone through.
pub(super) const MAX_DAYS: i32 = 3_660;

impl Judged {
    /// Judges the dates of a period that there are data of; `None` when there are none.
    pub(super) fn new(input: Input, period: Period, bar: ProgressBar) -> Option<Self> {
        let (mut dates, mut slots) = (None, None);
        for (number, series) in (0..).zip(&input.fleet.series) {
            let Some((from, until)) = input.cells.span(number) else { continue };
            let site = input.fleet.buildings.get(series.building.0 as usize)?;
            let local = |slot| LocalDay::of(slot, &site.zone).date;
            dates = Some(around(dates, (local(from), local(until))));
            slots = Some(around(slots, (from, until)));
        }
        let ((first, last), (from, until)) = (dates?, slots?);
        let dates = (
            period.from.map_or(first, |from| from.max(first)),
            period.until.map_or(last, |until| until.min(last)),
        );
        bar.set_length(until.number().abs_diff(from.number()));
        (dates.0 <= dates.1).then(|| Self {
            input,
            dates,
            bar,
            first: from,
            furthest: Mutable::new(from),
            is_over: Mutable::new(false),
        })
    }

    /// How many local dates are judged.
    pub(super) fn days(&self) -> i32 {
        (self.dates.1 - self.dates.0).get_days() + 1
    }

    /// Gives out nothing more.
    pub(super) fn stop(&self) {
        self.is_over.set(true);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn around<T: Ord + Copy>(so_far: Option<(T, T)>, (from, until): (T, T)) -> (T, T) {
    so_far.map_or((from, until), |(first, last)| (first.min(from), last.max(until)))
}

impl Recorded for Judged {
    fn fleet(&self) -> &Fleet {
        &self.input.fleet
    }

    fn dates(&self) -> (Date, Date) {
        self.dates
    }

    // When rows arrived is not told.
    fn cells(&self, series: SeriesNo, from: SlotStart, until: SlotStart, _: Date) -> Vec<Cell> {
        if self.is_over.get() {
            return Vec::new();
        }
        if from > self.furthest.get() {
            self.furthest.set(from);
            self.bar.set_position(from.number().abs_diff(self.first.number()));
        }
        self.input.cells.between(series.0, from, until)
    }

    fn loads(
        &self,
        building: BuildingNo,
        from: SlotStart,
        until: SlotStart,
    ) -> Vec<(SlotStart, f32)> {
        let Some(loads) = self.input.loads.get(building.0 as usize) else { return Vec::new() };
        let before = |limit: SlotStart| loads.partition_point(|&(start, _)| start < limit);
        loads.get(before(from)..before(until)).unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::{self, Notes, Options};
    use super::*;

    const BUILDINGS: &str = "building,zone,hours\nA,Asia/Tokyo,8-18\nB,America/Chicago,8-18\n";
    const LOAD: &str = "building,start,load\n\
                        A,2025-02-10T00:00:00Z,5\nA,2025-02-10T00:15:00Z,6\nA,2025-02-10T00:30:00Z,7\n";
    const SLOTS: &str = "series,start,valid,bad\n\
                         A/x,2025-02-10T00:15:00Z,15,1\nA/x,2025-02-12T20:00:00Z,15,2\n\
                         B/y,2025-02-10T03:45:00Z,15,3\n";

    fn judged(period: Period) -> Option<Judged> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("buildings.csv", BUILDINGS), ("load.csv", LOAD), ("slots.csv", SLOTS)]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let options = Options { period, ..Options::default() };
        let (bar, mut notes) = (ProgressBar::hidden(), Notes::default());
        let input = input::read(folder.path(), &options, &bar, &mut notes).unwrap();
        Judged::new(input, period, bar)
    }

    fn slot(number: i64) -> SlotStart {
        // 2025-02-10T00:00:00Z and so many quarter-hours.
        SlotStart::from_number(1_932_384 + number)
    }

    #[test]
    fn the_dates_are_those_of_the_buildings() {
        let date = |text: &str| -> Date { text.parse().unwrap() };
        let whole = judged(Period::default()).unwrap();
        // Evening of the day before in Chicago, next morning in Tokyo.
        assert_eq!(whole.dates(), (date("2025-02-09"), date("2025-02-13")));
        assert_eq!(whole.days(), 5);
        let (from, until) = (Some(date("2025-02-10")), Some(date("2025-02-11")));
        let part = judged(Period { from, until }).unwrap();
        assert_eq!(part.dates(), (date("2025-02-10"), date("2025-02-11")));
    }

    #[test]
    fn cells_and_loads_are_those_that_begin_within_a_time() {
        let judged = judged(Period::default()).unwrap();
        let today = judged.dates().1;
        let bad = |series, from, until| -> Vec<u32> {
            let cells = judged.cells(SeriesNo(series), slot(from), slot(until), today);
            cells.iter().map(|cell| cell.bad).collect()
        };
        assert_eq!((bad(0, 0, 1), bad(0, 1, 2), bad(0, 0, 1_000)), (vec![], vec![1], vec![1, 2]));
        assert_eq!((bad(1, 0, 1_000), bad(7, 0, 1_000)), (vec![3], vec![]));
        let load = |from, until| judged.loads(BuildingNo(0), slot(from), slot(until));
        assert_eq!(load(0, 2), [(slot(0), 5.0), (slot(1), 6.0)]);
        assert_eq!(load(2, 9), [(slot(2), 7.0)]);
        assert!(judged.loads(BuildingNo(1), slot(0), slot(9)).is_empty());
        judged.stop();
        assert!(judged.cells(SeriesNo(0), slot(0), slot(1_000), today).is_empty());
    }
}
