//! How much each series suffered at given hours of given days, against its own other days.

use std::hash::Hasher as _;

use jiff::civil::Date;

use crate::fleet::{Bin, SeriesNo};
use crate::history::History;
use crate::mixer::Mixer;
use crate::quarters::Quarters;
use crate::series::{FULL, SeriesDay};

/// At most so many bad days place an incident: the latest.
pub(crate) const PLACE_DAYS: usize = 10;
/// And so many other days say what is usual.
const USUAL_DAYS: usize = 10;
/// Fewer of them say nothing: then the other hours of the bad days do.
const USUAL_DAYS_LEAST: usize = 2;
/// So many quarter-hours are all day: no others are left to compare with.
const ALL_DAY: u32 = 72;
/// A day counts for a series that saw a third of its bins.
const SEEN_ONE_IN: i64 = 3;
/// Quarter-hours of most days.
const DAY_SLOTS: i64 = 96;

/// Slots of one day on the clock of UTC, as stretches of their numbers, half open, ascending.
type Stretches = Vec<(i64, i64)>;

/// The bins in which something was bad, and those of other days in which it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct When {
    bad: Vec<Stretches>,
    usual: Vec<Stretches>,
    all_day: bool,
}

/// What one series shows of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Suffering {
    /// How much it was elevated on each of the bad days, 0..=1, latest first; `None` where it was not
    /// observed.
    pub(crate) days: [Option<f64>; PLACE_DAYS],
    /// How much it usually is at these hours, 0..=1.
    pub(crate) usual: f64,
    /// Bins that this rests on.
    pub(crate) bins: u32,
}

impl Suffering {
    /// How much it was elevated, 0..=1.
    pub(crate) fn mean(&self) -> f64 {
        mean(self.days.iter().copied().flatten()).unwrap_or(0.0)
    }

    /// How much it was elevated on the days that another one saw as well, 0..=1; `None` without any.
    pub(crate) fn mean_with(&self, other: &Self) -> Option<f64> {
        let both = self.days.iter().zip(&other.days);
        mean(both.filter_map(|(own, other)| other.and(*own)))
    }

    /// Bad days that it saw.
    pub(crate) fn seen(&self) -> usize {
        self.days.iter().flatten().count()
    }

    /// What it shows of one of the bad days alone, the latest being 0; `None` where it did not see it.
    pub(crate) fn of_day(&self, at: usize) -> Option<Self> {
        let seen = u32::try_from(self.seen()).unwrap_or(u32::MAX).max(1);
        let mut days = [None; PLACE_DAYS];
        *days.get_mut(at)? = Some((*self.days.get(at)?)?);
        Some(Self { days, usual: self.usual, bins: self.bins.div_ceil(seen) })
    }

    /// How much more it was elevated than usually, 0..=1.
    pub(crate) fn more(&self) -> f64 {
        (self.mean() - self.usual).clamp(0.0, 1.0)
    }

    /// A figure of all that it shows: another one where that is other, but for one case in 2^64.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut mixer = Mixer::default();
        for day in self.days {
            // No elevation is below 0.
            mixer.write_u64(day.map_or(u64::MAX, f64::to_bits));
        }
        mixer.write_u64(self.usual.to_bits());
        mixer.write_u32(self.bins);
        mixer.finish()
    }

    /// Of several together: their means, and all of their bins.
    pub(crate) fn of_all(all: &[Self]) -> Option<Self> {
        let usual = mean(all.iter().map(|one| one.usual))?;
        let on = |at: usize| mean(all.iter().filter_map(|one| one.days.get(at).copied().flatten()));
        let bins = all.iter().map(|one| one.bins).sum();
        Some(Self { days: std::array::from_fn(on), usual, bins })
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), one| (sum + one, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

impl When {
    /// The bins of `hours` on `days` (the latest ten of them), and of other working days, by the local
    /// time of a building that `rows` are of, ascending, one a date.
    pub(crate) fn of(rows: &[&SeriesDay], bin: Bin, hours: Quarters, days: &[Date]) -> Self {
        let all_day = hours.count() >= ALL_DAY;
        let slots = |row: &SeriesDay| stretches(row, hours, bin);
        let bad = |row: &SeriesDay| days.binary_search(&row.date).is_ok();
        let usual = |row: &SeriesDay| {
            row.working
                && row.verdict.is_observed()
                && !bad(row)
                && !row.bad_quarters().overlaps(hours)
        };
        let latest = || rows.iter().rev().copied();
        Self {
            bad: latest().filter(|row| bad(row)).take(PLACE_DAYS).map(slots).collect(),
            usual: latest().filter(|row| usual(row)).take(USUAL_DAYS).map(slots).collect(),
            all_day,
        }
    }

    /// Bad days that can be looked at.
    pub(crate) fn days(&self) -> usize {
        self.bad.len()
    }

    /// How much a series suffered; `None` when it was not observed then.
    pub(crate) fn suffering(
        &self,
        history: &History,
        series: SeriesNo,
        bin: Bin,
    ) -> Option<Suffering> {
        let rows = history.all(series);
        let mut bins = 0;
        let mut days = [None; PLACE_DAYS];
        for (day, place) in self.bad.iter().zip(&mut days) {
            if let Some((mean, seen)) = mean_elevation(rows, day, bin) {
                *place = Some(mean);
                bins += seen;
            }
        }
        if bins == 0 {
            return None;
        }
        let usual = if self.all_day { 0.0 } else { self.usual(rows, bin) };
        Some(Suffering { days, usual, bins })
    }

    /// How much a series is elevated at these hours when nothing is wrong with them.
    fn usual(&self, rows: &[SeriesDay], bin: Bin) -> f64 {
        let mut means: Vec<f64> = self
            .usual
            .iter()
            .filter_map(|day| mean_elevation(rows, day, bin))
            .map(|(mean, _)| mean)
            .collect();
        if means.len() < USUAL_DAYS_LEAST {
            means = self.bad.iter().filter_map(|day| other_hours(rows, day, bin)).collect();
        }
        median(&mut means).unwrap_or(0.0)
    }
}

/// The lower median.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The bins of a day that begin within local hours.
fn stretches(row: &SeriesDay, hours: Quarters, bin: Bin) -> Stretches {
    let length = i64::from(bin.quarters());
    let mut stretches: Stretches = Vec::new();
    for at in row.bins_in(hours) {
        let from = slot_of(row, at, bin);
        match stretches.last_mut() {
            Some((_, until)) if *until == from => *until += length,
            _ => stretches.push((from, from + length)),
        }
    }
    stretches
}

/// The number of the slot that a bin of a day begins with.
fn slot_of(row: &SeriesDay, at: usize, bin: Bin) -> i64 {
    row.first.number() + i64::try_from(at).unwrap_or(0) * i64::from(bin.quarters())
}

/// The sum of the elevations that a series' rows hold of a stretch, and how many bins were seen.
fn elevations(rows: &[SeriesDay], (from, until): (i64, i64), bin: Bin) -> (u32, u32) {
    let length = i64::from(bin.quarters());
    let at = |slot: i64| usize::try_from(slot / length).unwrap_or(0);
    let touching = rows.get(row_before(rows, from)..).unwrap_or_default();
    let touching = touching.iter().take_while(|row| row.first.number() < until);
    touching.fold((0, 0), |(sum, seen), row| {
        let first = row.first.number();
        let own = row.elevation.sum(at((from - first).max(0)), at(until - first + length - 1));
        (sum + own.0, seen + own.1)
    })
}

/// The place of the last row that begins at a slot or before it; 0 where none does.
fn row_before(rows: &[SeriesDay], slot: i64) -> usize {
    let begins = |at: usize| rows.get(at).map(|row| row.first.number());
    // Rows of days without a gap are found where they should be.
    let days = begins(0).map_or(0, |first| (slot - first).max(0) / DAY_SLOTS);
    let guess = usize::try_from(days).unwrap_or(0);
    let is_it = begins(guess).is_some_and(|first| first <= slot)
        && begins(guess + 1).is_none_or(|next| next > slot);
    if is_it {
        return guess;
    }
    rows.partition_point(|row| row.first.number() <= slot).saturating_sub(1)
}

/// The mean elevation over a day's bins, and how many were seen; `None` when too few were.
fn mean_elevation(rows: &[SeriesDay], day: &Stretches, bin: Bin) -> Option<(f64, u32)> {
    let (mut sum, mut seen, mut slots) = (0u32, 0u32, 0);
    for &stretch in day {
        slots += stretch.1 - stretch.0;
        let own = elevations(rows, stretch, bin);
        (sum, seen) = (sum + own.0, seen + own.1);
    }
    let wanted = slots / i64::from(bin.quarters());
    let enough = seen > 0 && i64::from(seen) * SEEN_ONE_IN >= wanted;
    enough.then(|| (f64::from(sum) / f64::from(seen) / f64::from(FULL), seen))
}

/// The median elevation of a day's other bins, those within an hour of its bad ones left out.
fn other_hours(rows: &[SeriesDay], day: &Stretches, bin: Bin) -> Option<f64> {
    let &(first, _) = day.first()?;
    let after = rows.partition_point(|row| row.first.number() <= first);
    let row = rows.get(after.checked_sub(1)?)?;
    let near = |slot: i64| day.iter().any(|&(from, until)| (from - 4..until + 4).contains(&slot));
    let others = (0..row.minutes.len()).filter(|&at| !near(slot_of(row, at, bin)));
    let seen = others.filter_map(|at| row.elevation(at));
    median(&mut seen.map(|level| f64::from(level) / f64::from(FULL)).collect::<Vec<f64>>())
}
