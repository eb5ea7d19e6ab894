//! What all kinds of data have in common: rows of a series at a moment.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::cells::Cells;
use super::fleet::Draft;
use super::notes::Notes;
use super::table::{Fault, Table};
use super::value::Moments;

const MICROS_A_DAY: i64 = 24 * 3_600 * 1_000_000;
const MICROS_A_QUARTER: i64 = 15 * 60 * 1_000_000;
/// Rows that wait until their quarter-hour is whole; a quarter of a gigabyte and more.
const MAX_PENDING: usize = 12_000_000;

/// What a file of data holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Counts by slot.
    Slots,
    /// Windows.
    Windows,
    /// Single round trips.
    Samples,
}

/// What a file of data said.
#[derive(Debug)]
pub(super) struct Data {
    /// Cells, not in order yet.
    pub(super) cells: Cells,
    /// What they were made of.
    pub(super) kind: Kind,
    /// Rows that were told again.
    pub(super) again: u64,
    /// The file's name.
    pub(super) name: String,
}

/// The local dates that are asked for, both included.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Period {
    /// The first.
    pub(crate) from: Option<Date>,
    /// The last.
    pub(crate) until: Option<Date>,
}

impl Period {
    /// Moments that may lie within, whatever the zone, in microseconds since 1970.
    fn moments(self) -> (i64, i64) {
        let midnight = |date: Date| {
            let midnight = date.to_zoned(TimeZone::UTC).ok()?;
            Some(midnight.timestamp().as_microsecond())
        };
        (
            self.from.and_then(midnight).map_or(i64::MIN, |from| from - MICROS_A_DAY),
            self.until.and_then(midnight).map_or(i64::MAX, |until| until + 2 * MICROS_A_DAY),
        )
    }
}

/// Finds out which series and moment a row is of, and counts those that are left out.
#[derive(Debug)]
pub(super) struct Put {
    moments: Moments,
    within: (i64, i64),
    outside: u64,
    homeless: u64,
}

impl Put {
    pub(super) fn new(period: Period) -> Self {
        Self { moments: Moments::default(), within: period.moments(), outside: 0, homeless: 0 }
    }

    /// The moment of a row that names a series, in microseconds since 1970.
    pub(super) fn row(&mut self, table: &Table, series: usize, at: usize) -> Result<i64, Fault> {
        if table.text(series).is_empty() {
            return Err(table.fault(series, "a name", "fill in the column"));
        }
        self.moment(table, at)
    }

    /// The moment in a column, in microseconds since 1970.
    pub(super) fn moment(&mut self, table: &Table, at: usize) -> Result<i64, Fault> {
        let remedy = "write UTC as 2025-02-09T08:00:00Z, or seconds since 1970";
        let moment = self.moments.read(table.text(at));
        moment.ok_or_else(|| table.fault(at, "a time from 2000 to 2099", remedy))
    }

    /// True when a moment is asked for; those that are not are counted.
    pub(super) fn is_within(&mut self, at: i64) -> bool {
        let within = (self.within.0..self.within.1).contains(&at);
        self.outside += u64::from(!within);
        within
    }

    /// The series of a row; `None` when it is left out.
    ///
    /// # Errors
    /// When there are far too many series.
    pub(super) fn series(
        &mut self,
        table: &Table,
        column: usize,
        at: i64,
        draft: &mut Draft,
    ) -> anyhow::Result<Option<u32>> {
        if !self.is_within(at) {
            return Ok(None);
        }
        let series = draft.series(table.text(column))?;
        self.homeless += u64::from(series.is_none());
        Ok(series)
    }

    /// Tells what was left out.
    pub(super) fn finish(&self, table: &Table, notes: &mut Notes) {
        let name = table.name();
        if self.outside > 0 {
            let outside = self.outside;
            notes.add(&format!("{name}: rows outside --from and --until: {outside}"));
        }
        if self.homeless > 0 {
            let (homeless, rows) = (self.homeless, table.rows());
            notes.warn(&format!(
                "{name}: rows of series without a known building: {homeless} of {rows} (left out)"
            ));
        }
    }
}

/// More than fits into memory.
pub(super) fn too_much(table: &Table) -> anyhow::Error {
    anyhow::anyhow!(
        "{} holds more than fits into 4 GB of memory: judge some weeks at a time with --from and \
         --until, or some buildings at a time",
        table.name()
    )
}

/// A row at a moment.
pub(super) trait Timed: Copy {
    /// Microseconds since 1970.
    fn at(&self) -> i64;
}

/// Rows that wait for the others of their quarter-hour. Quarter-hours are whole where a file is ordered
/// by series or by time, and where all rows of a quarter-hour stand near each other; else they come in
/// parts.
#[derive(Debug)]
pub(super) struct Pending<T> {
    series: Vec<Vec<T>>,
    count: usize,
    limit: usize,
    /// The series of the last row.
    last: u32,
}

/// Which quarter-hours of a series are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// All but the newest, whose rows may still come.
    Past,
    /// All.
    All,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { series: Vec::new(), count: 0, limit: MAX_PENDING, last: 0 }
    }
}

impl<T: Timed> Pending<T> {
    /// Adds a row; true when it is time to fold.
    pub(super) fn push(&mut self, series: u32, row: T) -> bool {
        let place = series as usize;
        if place >= self.series.len() {
            self.series.resize_with(place + 1, Vec::new);
        }
        self.series[place].push(row);
        self.count += 1;
        self.last = series;
        self.count >= self.limit
    }

    /// Gives out quarter-hours, each with the minutes since 1970 at its beginning and its rows in the
    /// order of time (rows of one moment as they came). False when `each` wants no more.
    #[must_use]
    pub(super) fn fold(&mut self, each: &mut dyn FnMut(u32, u32, &[T]) -> bool) -> bool {
        if !self.give(&|_| Which::Past, each) {
            return false;
        }
        // Newest quarter-hours alone: the series of a file that is ordered by them are over.
        let last = self.last;
        let is_over = move |series| if series == last { Which::Past } else { Which::All };
        self.count <= self.limit / 2 || self.give(&is_over, each)
    }

    /// Gives out whatever is left, as [`Self::fold`] does.
    #[must_use]
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(u32, u32, &[T]) -> bool) -> bool {
        self.give(&|_| Which::All, each)
    }

    fn give(
        &mut self,
        which: &dyn Fn(u32) -> Which,
        each: &mut dyn FnMut(u32, u32, &[T]) -> bool,
    ) -> bool {
        let mut left = 0;
        for (series, rows) in (0..).zip(&mut self.series) {
            rows.sort_by_key(Timed::at);
            let Some(newest) = rows.last().map(quarter) else { continue };
            let given = match which(series) {
                Which::All => rows.len(),
                Which::Past => rows.partition_point(|row| quarter(row) < newest),
            };
            let kept = rows.split_off(given);
            for whole in rows.chunk_by(|a, b| quarter(a) == quarter(b)) {
                let minute = whole.first().map_or(0, quarter).saturating_mul(15);
                if !each(series, u32::try_from(minute).unwrap_or(0), whole) {
                    return false;
                }
            }
            *rows = kept;
            left += rows.len();
        }
        self.count = left;
        true
    }
}

fn quarter<T: Timed>(row: &T) -> i64 {
    row.at().div_euclid(MICROS_A_QUARTER)
}

/// The value that the share `q` of ascending ones does not exceed, by nearest rank.
pub(super) fn nearest_rank(ascending: &[u32], q: f64) -> Option<u32> {
    let rank = (q * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Minute(i64);

    impl Timed for Minute {
        fn at(&self) -> i64 {
            self.0 * 60_000_000
        }
    }

    /// Folds rows (series, minute) and returns how many came in each quarter-hour.
    fn folded(limit: usize, rows: &[(u32, i64)]) -> Vec<(u32, u32, usize)> {
        let mut pending = Pending { limit, ..Pending::default() };
        let mut found = Vec::new();
        let mut each = |series, minute, rows: &[Minute]| {
            found.push((series, minute, rows.len()));
            true
        };
        for &(series, minute) in rows {
            if pending.push(series, Minute(minute)) {
                assert!(pending.fold(&mut each));
            }
        }
        assert!(pending.finish(&mut each));
        found.sort_unstable();
        found
    }

    #[test]
    fn quarter_hours_are_whole_whether_a_file_is_ordered_by_series_or_by_time() {
        let by_series: Vec<_> = (0..4).flat_map(|s| (0..60).map(move |m| (s, m))).collect();
        let by_time: Vec<_> = (0..60).flat_map(|m| (0..4).map(move |s| (s, m))).collect();
        let expected = folded(usize::MAX, &by_time);
        assert_eq!(expected.len(), 16);
        assert!(expected.iter().all(|&(_, _, rows)| rows == 15));
        for limit in [70, 100, 130] {
            assert_eq!(folded(limit, &by_series), expected, "by series, {limit}");
            assert_eq!(folded(limit, &by_time), expected, "by time, {limit}");
        }
    }

    #[test]
    fn rows_far_apart_come_in_parts_and_none_is_lost() {
        let rows: Vec<_> = (0..300).map(|n| (0, (n * 37) % 60)).collect();
        let found = folded(50, &rows);
        assert!(found.len() > 4, "{found:?}");
        assert_eq!(found.iter().map(|&(_, _, rows)| rows).sum::<usize>(), 300);
    }

    #[test]
    fn ranks_are_nearest() {
        assert_eq!(nearest_rank(&[], 0.5), None);
        assert_eq!(nearest_rank(&[1, 2, 3, 4], 0.5), Some(2));
        assert_eq!(nearest_rank(&[1, 2, 3], 0.5), Some(2));
        assert_eq!(nearest_rank(&[1, 2, 3], 0.95), Some(3));
        assert_eq!(nearest_rank(&[7], 0.0), Some(7));
    }

    #[test]
    fn rows_outside_the_period_are_left_out_whatever_the_zone() {
        let period = Period { from: "2025-02-10".parse().ok(), until: "2025-02-10".parse().ok() };
        let mut put = Put::new(period);
        let mut within = |text: &str| {
            let at = Moments::default().read(text).unwrap();
            put.is_within(at)
        };
        // From the first midnight (UTC+14) to the last (UTC-12) of the date.
        assert!(within("2025-02-09T10:00:00Z") && within("2025-02-11T11:59:59Z"));
        assert!(!within("2025-02-08T23:59:59Z") && !within("2025-02-12T00:00:00Z"));
        assert_eq!(put.outside, 2);
    }
}
