//! The rows that are remembered: series days, by series and date.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::drift::Month;
use crate::fleet::{BuildingNo, SeriesNo};
use crate::series::SeriesDay;
use crate::union::Union;

/// Series days by series and local date, and those of [`Union`]s.
///
/// It never grows by itself: whoever inserts also calls [`History::forget_before`]. A row inserted
/// again replaces the one before, so that late data change one row and nothing else.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Ascending by date, by the number of the series.
    rows: Vec<Vec<SeriesDay>>,
    /// The months that are over, ascending, by the number of the series.
    months: Vec<Vec<Month>>,
    /// Rows of several series taken as one, ascending by date.
    unions: BTreeMap<Union, Vec<SeriesDay>>,
}

/// Months that are remembered of a series.
const MONTHS: usize = 24;

impl History {
    /// How many calendar days [`crate::judge_fleet`] looks at, today included.
    pub const DAYS: i32 = 40;

    /// Adds a row, in place of the one of the same date.
    pub fn insert(&mut self, series: SeriesNo, day: SeriesDay) {
        let at = series.0 as usize;
        if at >= self.rows.len() {
            self.rows.resize_with(at + 1, Vec::new);
        }
        if let Some(rows) = self.rows.get_mut(at) {
            put(rows, day);
        }
    }

    /// Adds a row of several series taken as one ([`crate::pooled`]), in place of the one of the same
    /// date.
    pub fn insert_union(&mut self, union: Union, day: SeriesDay) {
        put(self.unions.entry(union).or_default(), day);
    }

    /// The rows of several series taken as one, from one date to another, both included, ascending.
    #[must_use]
    pub fn union_days(&self, union: Union, from: Date, until: Date) -> &[SeriesDay] {
        self.unions.get(&union).map_or(&[], |rows| within(rows, from, until))
    }

    /// The unions of a building that anything is known of, in order.
    pub(crate) fn unions_of(&self, building: BuildingNo) -> impl Iterator<Item = Union> + '_ {
        let from = Union { building, unit: None };
        let own = self.unions.range(from..).map(|(&union, _)| union);
        own.take_while(move |union| union.building == building)
    }

    /// Adds what a month was like, in place of the same one; of a series the last 24 are kept.
    pub fn insert_month(&mut self, series: SeriesNo, month: Month) {
        let at = series.0 as usize;
        if at >= self.months.len() {
            self.months.resize_with(at + 1, Vec::new);
        }
        let Some(months) = self.months.get_mut(at) else { return };
        match months.binary_search_by_key(&month.first, |known| known.first) {
            Ok(known) => months[known] = month,
            Err(place) => months.insert(place, month),
        }
        let many = months.len().saturating_sub(MONTHS);
        months.drain(..many);
    }

    /// The months of a series that are over, ascending.
    #[must_use]
    pub fn months(&self, series: SeriesNo) -> &[Month] {
        self.months.get(series.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// The rows of a series, ascending by date.
    #[must_use]
    pub fn all(&self, series: SeriesNo) -> &[SeriesDay] {
        self.rows.get(series.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Its rows from one date to another, both included, ascending.
    #[must_use]
    pub fn days(&self, series: SeriesNo, from: Date, until: Date) -> &[SeriesDay] {
        within(self.all(series), from, until)
    }

    /// Its row of one date.
    #[must_use]
    pub fn day(&self, series: SeriesNo, date: Date) -> Option<&SeriesDay> {
        let rows = self.all(series);
        rows.binary_search_by_key(&date, |row| row.date).ok().and_then(|at| rows.get(at))
    }

    /// Forgets all rows of earlier dates.
    pub fn forget_before(&mut self, date: Date) {
        for rows in self.rows.iter_mut().chain(self.unions.values_mut()) {
            let old = rows.partition_point(|row| row.date < date);
            rows.drain(..old);
        }
    }

    /// How many rows are remembered, those of unions included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.iter().chain(self.unions.values()).map(Vec::len).sum()
    }
}

fn put(rows: &mut Vec<SeriesDay>, day: SeriesDay) {
    match rows.binary_search_by_key(&day.date, |row| row.date) {
        Ok(known) => rows[known] = day,
        Err(place) => rows.insert(place, day),
    }
}

fn within(rows: &[SeriesDay], from: Date, until: Date) -> &[SeriesDay] {
    let first = rows.partition_point(|row| row.date < from);
    let after = rows.partition_point(|row| row.date <= until);
    rows.get(first..after).unwrap_or(&[])
}
