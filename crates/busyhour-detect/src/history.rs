//! The rows that are remembered: series days, by series and date.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::drift::Month;
use crate::fleet::{BuildingNo, SeriesNo};
use crate::rows::Rows;
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
    /// What the rows of series say of each date.
    dates: BTreeMap<Date, Known>,
    /// Earlier rows were forgotten.
    forgotten: Option<Date>,
    /// How often rows changed, and when those of each series did last by that count.
    changes: u64,
    changed: Vec<u64>,
    /// The same of rows of several series taken as one, by the number of the building.
    unions_changed: Vec<u64>,
}

/// How much is known of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// Series of which anything was seen.
    pub(crate) seen: u32,
    /// Series with a verdict: working days on which enough was seen.
    pub(crate) observed: u32,
}

impl Known {
    fn add(&mut self, row: &SeriesDay) {
        self.seen += u32::from(row.is_seen());
        self.observed += u32::from(row.verdict.is_observed());
    }

    fn remove(&mut self, row: &SeriesDay) {
        self.seen -= u32::from(row.is_seen()).min(self.seen);
        self.observed -= u32::from(row.verdict.is_observed()).min(self.observed);
    }
}

/// Months that are remembered of a series.
const MONTHS: usize = 24;
/// Rows are kept by the hundred thousand: their lists grow by so many.
const GROWTH: usize = 8;

impl History {
    /// How many calendar days [`crate::judge_fleet`] looks at, today included.
    pub const DAYS: i32 = 40;

    /// Adds a row, in place of the one of the same date.
    pub fn insert(&mut self, series: SeriesNo, day: SeriesDay) {
        let at = series.0 as usize;
        if at >= self.rows.len() {
            self.rows.resize_with(at + 1, Vec::new);
            self.changed.resize(at + 1, 0);
        }
        let Some(rows) = self.rows.get_mut(at) else { return };
        let is_known = place_of(rows, day.date).is_ok_and(|place| rows.get(place) == Some(&day));
        if is_known {
            return;
        }
        let known = self.dates.entry(day.date).or_default();
        known.add(&day);
        if let Some(before) = put(rows, day) {
            known.remove(&before);
        }
        self.note_change(series);
    }

    /// Puts the rows of a building's day in place of all that was known of it. `series` are all of the
    /// building.
    pub fn replace_day(
        &mut self,
        building: BuildingNo,
        series: &[SeriesNo],
        date: Date,
        rows: Rows,
    ) {
        let of_series: BTreeSet<SeriesNo> = rows.series.iter().map(|(no, _)| *no).collect();
        let of_unions: BTreeSet<Union> = rows.unions.iter().map(|(union, _)| *union).collect();
        self.forget_rows(building, series, date, &|no| !of_series.contains(&no), &|union| {
            !of_unions.contains(&union)
        });
        self.insert_rows(rows);
    }

    /// How often rows of series changed.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// [`Self::changes`] when rows of a series changed last; 0 when they never did.
    pub(crate) fn changed_at(&self, series: SeriesNo) -> u64 {
        self.changed.get(series.0 as usize).copied().unwrap_or(0)
    }

    /// Rows of earlier dates than this were forgotten.
    pub(crate) const fn forgotten(&self) -> Option<Date> {
        self.forgotten
    }

    /// The first date that any row is kept of.
    pub(crate) fn first_date(&self) -> Option<Date> {
        self.dates.first_key_value().map(|(&date, _)| date)
    }

    fn note_change(&mut self, series: SeriesNo) {
        self.changes += 1;
        if let Some(changed) = self.changed.get_mut(series.0 as usize) {
            *changed = self.changes;
        }
    }

    fn note_union_change(&mut self, building: BuildingNo) {
        self.changes += 1;
        let at = building.0 as usize;
        if at >= self.unions_changed.len() {
            self.unions_changed.resize(at + 1, 0);
        }
        if let Some(changed) = self.unions_changed.get_mut(at) {
            *changed = self.changes;
        }
    }

    /// [`Self::changes`] when rows of a building changed last, those of these series (all of its own) and
    /// of what is taken as one there; 0 when they never did.
    pub(crate) fn building_changed_at(&self, building: BuildingNo, series: &[SeriesNo]) -> u64 {
        let unions = self.unions_changed.get(building.0 as usize).copied().unwrap_or(0);
        series.iter().fold(unions, |last, &no| last.max(self.changed_at(no)))
    }

    /// Adds the rows of a building's day, in place of those of the same date.
    pub fn insert_rows(&mut self, rows: Rows) {
        for (series, day) in rows.series {
            self.insert(series, day);
        }
        for (union, day) in rows.unions {
            self.insert_union(union, day);
        }
    }

    /// Forgets the rows of one date of a building: of these series and of all that are taken as one
    /// there.
    pub fn forget_day(&mut self, building: BuildingNo, series: &[SeriesNo], date: Date) {
        self.forget_rows(building, series, date, &|_| true, &|_| true);
    }

    fn forget_rows(
        &mut self,
        building: BuildingNo,
        series: &[SeriesNo],
        date: Date,
        is_gone: &dyn Fn(SeriesNo) -> bool,
        is_union_gone: &dyn Fn(Union) -> bool,
    ) {
        for &no in series.iter().filter(|no| is_gone(**no)) {
            let Some(rows) = self.rows.get_mut(no.0 as usize) else { continue };
            if let Some(row) = take(rows, date) {
                if let Some(known) = self.dates.get_mut(&date) {
                    known.remove(&row);
                }
                self.note_change(no);
            }
        }
        let unions: Vec<Union> =
            self.unions_of(building).filter(|one| is_union_gone(*one)).collect();
        for union in unions {
            let gone = self.unions.get_mut(&union).and_then(|rows| take(rows, date));
            if gone.is_some() {
                self.note_union_change(building);
            }
        }
    }

    /// Adds a row of several series taken as one ([`crate::pooled`]), in place of the one of the same
    /// date.
    pub fn insert_union(&mut self, union: Union, day: SeriesDay) {
        let rows = self.unions.entry(union).or_default();
        let is_known = place_of(rows, day.date).is_ok_and(|place| rows.get(place) == Some(&day));
        if !is_known {
            let _ = put(rows, day);
            self.note_union_change(union.building);
        }
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

    /// Keeps what the month that holds a date was like, of all series that anything is known of in it.
    /// A month whose first rows were forgotten is not made again.
    pub fn keep_months(&mut self, month: Date) {
        let (first, last) = (month.first_of_month(), month.last_of_month());
        let cut = self.forgotten.is_some_and(|date| date > first);
        for at in 0..self.rows.len() {
            let no = SeriesNo(u32::try_from(at).unwrap_or(u32::MAX));
            let is_known = self.months(no).iter().any(|known| known.first == first);
            let rows: Vec<&SeriesDay> = self.days(no, first, last).iter().collect();
            let is_made = is_known && cut;
            if !rows.is_empty() && !is_made {
                let month = Month::of(first, &rows);
                self.insert_month(no, month);
            }
        }
    }

    /// True on the first date of its month of which anything is known: when a month more is over.
    #[must_use]
    pub fn asks_drift(&self, today: Date) -> bool {
        let mut of_month = self.dates.range(today.first_of_month()..=today);
        of_month.find(|(_, known)| known.seen > 0).is_some_and(|(&date, _)| date == today)
    }

    /// The dates of which anything was known since, ascending.
    pub(crate) fn known_since(&self, date: Date) -> impl Iterator<Item = (Date, Known)> + '_ {
        self.dates.range(date..).map(|(&date, &known)| (date, known))
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
        place_of(rows, date).ok().and_then(|at| rows.get(at))
    }

    /// Forgets all rows of earlier dates.
    pub fn forget_before(&mut self, date: Date) {
        self.forgotten = self.forgotten.max(Some(date));
        self.dates = self.dates.split_off(&date);
        for rows in self.rows.iter_mut().chain(self.unions.values_mut()) {
            if rows.first().is_some_and(|row| row.date < date) {
                let old = rows.partition_point(|row| row.date < date);
                rows.drain(..old);
            }
        }
        self.unions.retain(|_, rows| !rows.is_empty());
    }

    /// How many rows are remembered, those of unions included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.iter().chain(self.unions.values()).map(Vec::len).sum()
    }
}

/// Gives the row that it stands in place of.
fn put(rows: &mut Vec<SeriesDay>, day: SeriesDay) -> Option<SeriesDay> {
    match place_of(rows, day.date) {
        Ok(known) => rows.get_mut(known).map(|row| std::mem::replace(row, day)),
        Err(place) => {
            if rows.len() == rows.capacity() {
                rows.reserve_exact(GROWTH);
            }
            rows.insert(place, day);
            None
        }
    }
}

fn take(rows: &mut Vec<SeriesDay>, date: Date) -> Option<SeriesDay> {
    let at = place_of(rows, date).ok()?;
    Some(rows.remove(at))
}

fn within(rows: &[SeriesDay], from: Date, until: Date) -> &[SeriesDay] {
    // Mostly all rows are wanted, or all but the last: others are searched for.
    let first = match rows.first() {
        Some(row) if row.date < from => rows.partition_point(|row| row.date < from),
        _ => 0,
    };
    let after = match rows.last() {
        Some(row) if row.date > until => rows.partition_point(|row| row.date <= until),
        _ => rows.len(),
    };
    rows.get(first..after).unwrap_or(&[])
}

/// Where the row of a date is, or would be.
fn place_of(rows: &[SeriesDay], date: Date) -> Result<usize, usize> {
    match rows.last() {
        Some(last) if last.date == date => Ok(rows.len() - 1),
        Some(last) if last.date < date => Err(rows.len()),
        _ => rows.binary_search_by_key(&date, |row| row.date),
    }
}
