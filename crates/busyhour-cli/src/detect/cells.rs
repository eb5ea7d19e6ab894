//! What all series saw, kept in 40 bytes for each slot: 15,000 series over eight weeks of
//! quarter-hours are 3.2 GB.

use std::collections::BTreeMap;

use busyhour_detect::{Bin, Cell};
use busyhour_model::SlotStart;

/// 4 GB of cells.
const MAX_CELLS: u64 = 100_000_000;
const MINUTES_A_QUARTER: u32 = 15;
/// A figure that is not there.
const NONE: u32 = u32::MAX;
/// Jitter is kept in tens of microseconds; this is none.
const NO_JITTER: u16 = u16::MAX;
/// Days without any data that part what belongs together from what does not: more than the engine
/// remembers.
const GAP_DAYS: u32 = 40;
/// A part with fewer than one in so many cells does not belong to the rest.
const STRAY_ONE_IN: u64 = 100;
const MINUTES_A_DAY: u32 = 1_440;
/// Of a steady series the middle slot holds at least half of what its fullest ones do.
const STEADY: u32 = 2;

/// What one series saw in one slot, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// Minutes since 1970 at the slot's beginning.
    pub(super) minute: u32,
    /// Packets sent.
    pub(super) sent: u32,
    /// Packets lost.
    pub(super) lost: u32,
    rtt_us: [u32; 3],
    /// Windows that count.
    pub(super) valid: u16,
    /// Bad ones among them.
    pub(super) bad: u16,
    /// Bad by loss, burst, delay, jitter, failed.
    pub(super) bad_by: [u16; 5],
    jitter_10us: u16,
}

impl Kept {
    /// A slot of which nothing is known.
    pub(super) const fn new(minute: u32) -> Self {
        Self {
            minute,
            sent: 0,
            lost: 0,
            rtt_us: [NONE; 3],
            valid: 0,
            bad: 0,
            bad_by: [0; 5],
            jitter_10us: NO_JITTER,
        }
    }

    /// With the lowest, median and 95th percentile of round trips, in microseconds.
    #[must_use]
    pub(super) fn with_rtt(mut self, rtt_us: [Option<u32>; 3]) -> Self {
        self.rtt_us = rtt_us.map(|rtt| rtt.unwrap_or(NONE));
        self
    }

    /// With the median jitter, in microseconds; above 655 ms it is held there.
    #[must_use]
    pub(super) fn with_jitter(mut self, jitter_us: Option<u32>) -> Self {
        let tens = |us: u32| u16::try_from((us.saturating_add(5)) / 10).unwrap_or(NO_JITTER);
        self.jitter_10us = jitter_us.map_or(NO_JITTER, |us| tens(us).min(NO_JITTER - 1));
        self
    }

    fn rtt(&self, at: usize) -> Option<u32> {
        self.rtt_us.get(at).copied().filter(|&rtt| rtt != NONE)
    }

    fn jitter_us(&self) -> Option<u32> {
        (self.jitter_10us != NO_JITTER).then_some(u32::from(self.jitter_10us) * 10)
    }

    fn cell(&self, expected: u32) -> Cell {
        Cell {
            expected: expected.max(u32::from(self.valid)),
            valid: u32::from(self.valid),
            bad: u32::from(self.bad),
            bad_by: self.bad_by.map(u32::from),
            sent: u64::from(self.sent),
            lost: u64::from(self.lost),
            rtt_min_us: self.rtt(0),
            rtt_p50_us: self.rtt(1),
            rtt_p95_us: self.rtt(2),
            jitter_p50_us: self.jitter_us(),
            ..Cell::new(SlotStart::from_number(i64::from(self.minute / MINUTES_A_QUARTER)))
        }
    }
}

/// What two rows of one slot mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The same thing told again: the later one counts.
    LaterCounts,
    /// Parts of one slot: both count.
    AreParts,
}

/// The cells of one series.
#[derive(Debug, Default)]
struct Series {
    cells: Vec<Kept>,
    expected: u32,
}

/// The cells of all series.
#[derive(Debug, Default)]
pub(super) struct Cells {
    series: Vec<Series>,
    count: u64,
    grid: Grid,
}

/// Beginnings of slots, by the minute of the hour.
#[derive(Debug)]
pub(super) struct Grid {
    minutes: [u64; 60],
    count: u64,
}

impl Default for Grid {
    fn default() -> Self {
        Self { minutes: [0; 60], count: 0 }
    }
}

impl Grid {
    /// Adds a slot that begins so many minutes after 1970.
    pub(super) fn add(&mut self, minute: u32) {
        self.minutes[(minute % 60) as usize] += 1;
        self.count += 1;
    }

    /// How long slots are, in minutes: the longest length that 99 in 100 of them keep to.
    pub(super) fn slot_minutes(&self) -> u32 {
        let off = |length: &u32| -> u64 {
            let minutes = (0u32..).zip(&self.minutes);
            minutes.filter(|(minute, _)| minute % length != 0).map(|(_, count)| count).sum()
        };
        let lengths = [60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1];
        lengths.into_iter().find(|length| off(length) * 100 <= self.count).unwrap_or(1)
    }
}

impl Cells {
    /// Keeps a cell; false when there are too many.
    #[must_use]
    pub(super) fn push(&mut self, series: u32, cell: Kept) -> bool {
        let place = series as usize;
        if place >= self.series.len() {
            self.series.resize_with(place + 1, Series::default);
        }
        let cells = &mut self.series[place].cells;
        if cells.len() == cells.capacity() {
            // Doubling would leave half of the memory empty.
            cells.reserve_exact((cells.len() / 8).max(96));
        }
        cells.push(cell);
        self.count += 1;
        self.grid.add(cell.minute);
        self.count < MAX_CELLS
    }

    /// Says how many windows a slot of a series should hold.
    pub(super) fn expect(&mut self, series: u32, windows: u32) {
        if let Some(series) = self.series.get_mut(series as usize) {
            series.expected = series.expected.max(windows);
        }
    }

    /// How long slots are, in minutes.
    pub(super) fn slot_minutes(&self) -> u32 {
        self.grid.slot_minutes()
    }

    /// Puts the cells, of slots of `minutes`, in order, one for each bin; returns how many rows told a
    /// slot again, or told another part of it.
    pub(super) fn settle(&mut self, bin: Bin, minutes: u32, repeated: Repeated) -> u64 {
        let bin_minutes = bin_minutes(bin);
        let slots = bin_minutes / minutes.clamp(1, bin_minutes);
        self.series.iter_mut().map(|series| series.settle(bin_minutes, slots, repeated)).sum()
    }

    /// Leaves out what lies far from the rest in time, as a clock that was wrong by years makes it; returns
    /// how many cells went. The cells are settled.
    pub(super) fn leave_out_strays(&mut self) -> u64 {
        let mut days: BTreeMap<u32, u64> = BTreeMap::new();
        for cell in self.series.iter().flat_map(|series| &series.cells) {
            *days.entry(cell.minute / MINUTES_A_DAY).or_default() += 1;
        }
        let all: u64 = days.values().sum();
        // Parts without long gaps: first day, last day, cells.
        let mut parts: Vec<(u32, u32, u64)> = Vec::new();
        for (day, count) in days {
            match parts.last_mut() {
                Some((_, last, cells)) if day - *last <= GAP_DAYS => {
                    *last = day;
                    *cells += count;
                }
                _ => parts.push((day, day, count)),
            }
        }
        let belongs = |part: &&(u32, u32, u64)| part.2 * STRAY_ONE_IN >= all;
        let first = parts.iter().find(belongs).map_or(0, |part| part.0);
        let last = parts.iter().rfind(belongs).map_or(u32::MAX, |part| part.1);
        let left: u64 = self.series.iter_mut().map(|series| series.keep_days(first, last)).sum();
        all - left
    }

    /// How many series have cells.
    pub(super) fn observed(&self) -> usize {
        self.series.iter().filter(|series| !series.cells.is_empty()).count()
    }

    /// The first and the last quarter-hour of a settled series.
    pub(super) fn span(&self, series: u32) -> Option<(SlotStart, SlotStart)> {
        let cells = &self.series.get(series as usize)?.cells;
        let start =
            |cell: &Kept| SlotStart::from_number(i64::from(cell.minute / MINUTES_A_QUARTER));
        Some((start(cells.first()?), start(cells.last()?)))
    }

    /// The cells of a settled series that begin within a time.
    pub(super) fn between(&self, series: u32, from: SlotStart, until: SlotStart) -> Vec<Cell> {
        let Some(series) = self.series.get(series as usize) else { return Vec::new() };
        let before = |limit: SlotStart| {
            series
                .cells
                .partition_point(|cell| i64::from(cell.minute / MINUTES_A_QUARTER) < limit.number())
        };
        let found = series.cells.get(before(from)..before(until)).unwrap_or_default();
        found.iter().map(|cell| cell.cell(series.expected)).collect()
    }
}

fn bin_minutes(bin: Bin) -> u32 {
    u32::from(bin.quarters()) * MINUTES_A_QUARTER
}

impl Series {
    fn settle(&mut self, bin_minutes: u32, slots_a_bin: u32, repeated: Repeated) -> u64 {
        let before = self.cells.len();
        // Stable: of rows of one slot the later one stands behind.
        if !self.cells.is_sorted_by_key(|cell| cell.minute) {
            self.cells.sort_by_key(|cell| cell.minute);
        }
        if repeated == Repeated::LaterCounts {
            self.cells.dedup_by(|later, kept| {
                let again = later.minute == kept.minute;
                if again {
                    *kept = *later;
                }
                again
            });
        }
        let again = match repeated {
            Repeated::LaterCounts => before - self.cells.len(),
            Repeated::AreParts => {
                self.cells.windows(2).filter(|pair| pair[0].minute == pair[1].minute).count()
            }
        };
        for cell in &mut self.cells {
            cell.minute -= cell.minute % bin_minutes;
        }
        self.merge_bins();
        self.cells.shrink_to_fit();
        self.expected = match self.expected {
            0 => usual_windows(&self.cells),
            told => told.saturating_mul(slots_a_bin),
        };
        again as u64
    }

    /// Keeps the cells of these days; returns how many there are.
    fn keep_days(&mut self, first: u32, last: u32) -> u64 {
        self.cells.retain(|cell| (first..=last).contains(&(cell.minute / MINUTES_A_DAY)));
        self.cells.len() as u64
    }

    /// Merges neighbours of one bin, in place.
    fn merge_bins(&mut self) {
        let mut kept = 0;
        let mut from = 0;
        while from < self.cells.len() {
            let minute = self.cells[from].minute;
            let length = self.cells[from..].partition_point(|cell| cell.minute == minute);
            self.cells[kept] = merged(&self.cells[from..from + length]);
            kept += 1;
            from += length;
        }
        self.cells.truncate(kept);
    }
}

/// The parts of one bin together. Of medians and 95th percentiles the middle one is taken, each part
/// weighing as many windows as it has.
fn merged(parts: &[Kept]) -> Kept {
    let [first, rest @ ..] = parts else { return Kept::new(0) };
    if rest.is_empty() {
        return *first;
    }
    let mut whole = Kept::new(first.minute);
    for part in parts {
        whole.sent = whole.sent.saturating_add(part.sent);
        whole.lost = whole.lost.saturating_add(part.lost);
        whole.valid = whole.valid.saturating_add(part.valid);
        whole.bad = whole.bad.saturating_add(part.bad);
        for (sum, count) in whole.bad_by.iter_mut().zip(part.bad_by) {
            *sum = sum.saturating_add(count);
        }
        // None is the highest of all.
        whole.rtt_us[0] = whole.rtt_us[0].min(part.rtt_us[0]);
    }
    let lowest = whole.rtt(0);
    let jitter = middle(parts, Kept::jitter_us);
    let rtt = [lowest, middle(parts, |part| part.rtt(1)), middle(parts, |part| part.rtt(2))];
    whole.with_rtt(rtt).with_jitter(jitter)
}

fn middle(parts: &[Kept], figure: impl Fn(&Kept) -> Option<u32>) -> Option<u32> {
    let mut figures: Vec<(u32, u32)> = parts
        .iter()
        .filter_map(|part| Some((figure(part)?, u32::from(part.valid).max(1))))
        .collect();
    figures.sort_unstable();
    let half: u32 = figures.iter().map(|(_, weight)| weight).sum::<u32>().div_ceil(2);
    let mut below = 0;
    figures.iter().find_map(|&(figure, weight)| {
        below += weight;
        (below >= half).then_some(figure)
    })
}

/// How many windows a slot of a series usually holds; 0, which is not known, where that varies.
fn usual_windows(cells: &[Kept]) -> u32 {
    let mut windows: Vec<u16> = cells.iter().map(|cell| cell.valid).filter(|&n| n > 0).collect();
    if windows.is_empty() {
        return 0;
    }
    let highest = windows.len() - 1;
    let (_, &mut full, _) = windows.select_nth_unstable(highest * 9 / 10);
    let (_, &mut half, _) = windows.select_nth_unstable(highest / 2);
    let (full, half) = (u32::from(full), u32::from(half));
    if half * STEADY >= full { full } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 28_984_320;

    fn kept(minute: u32, valid: u16, bad: u16) -> Kept {
        Kept { sent: u32::from(valid) * 750, valid, bad, ..Kept::new(minute) }
    }

    fn settled(bin: Bin, repeated: Repeated, rows: &[Kept]) -> (Vec<Cell>, u64) {
        let mut cells = Cells::default();
        for &row in rows {
            assert!(cells.push(0, row));
        }
        let again = cells.settle(bin, cells.slot_minutes(), repeated);
        (cells.between(0, SlotStart::from_number(0), SlotStart::from_number(i64::MAX)), again)
    }

    #[test]
    fn a_cell_takes_forty_bytes() {
        assert_eq!(size_of::<Kept>(), 40);
    }

    #[test]
    fn rows_come_in_any_order_and_the_later_of_two_counts() {
        let rows = [kept(DAY + 15, 15, 1), kept(DAY, 15, 2), kept(DAY + 15, 14, 3)];
        let (cells, again) = settled(Bin::Quarter, Repeated::LaterCounts, &rows);
        let found: Vec<_> = cells.iter().map(|cell| (cell.valid, cell.bad)).collect();
        assert_eq!((found, again), (vec![(15, 2), (14, 3)], 1));
        assert_eq!(cells[0].start.number() * 15, i64::from(DAY));
        let (cells, again) = settled(Bin::Quarter, Repeated::AreParts, &rows);
        assert_eq!((cells[1].valid, cells[1].bad, again), (29, 4, 1));
    }

    #[test]
    fn short_slots_are_merged_into_bins() {
        let part = |minute, valid, bad, rtt: u32| {
            kept(DAY + minute, valid, bad).with_rtt([Some(rtt - 5), Some(rtt), Some(rtt + 9)])
        };
        let rows = [part(10, 5, 0, 30), part(0, 5, 1, 20), part(5, 5, 5, 90), part(15, 5, 0, 20)];
        let (cells, again) = settled(Bin::Quarter, Repeated::LaterCounts, &rows);
        assert_eq!((cells.len(), again), (2, 0));
        let first = cells[0];
        assert_eq!((first.valid, first.bad, first.sent), (15, 6, 15 * 750));
        let rtt = (first.rtt_min_us, first.rtt_p50_us, first.rtt_p95_us);
        assert_eq!(rtt, (Some(15), Some(30), Some(39)));
        let (cells, _) = settled(Bin::Hour, Repeated::LaterCounts, &rows);
        assert_eq!((cells.len(), cells[0].valid), (1, 20));
    }

    #[test]
    fn the_length_of_slots_is_seen_in_the_data_whatever_a_few_rows_say() {
        let length = |step: u32, stray: u32| {
            let mut cells = Cells::default();
            for number in 0..1_000 {
                let stray = if number % 200 == 7 { stray } else { 0 };
                assert!(cells.push(0, kept(DAY + number * step + stray, 1, 0)));
            }
            cells.slot_minutes()
        };
        for minutes in [60, 30, 20, 15, 12, 10, 5, 1] {
            assert_eq!(length(minutes, 0), minutes);
        }
        assert_eq!(length(15, 7), 15);
    }

    #[test]
    fn what_is_expected_is_what_is_usual_and_not_told_where_that_varies() {
        let steady: Vec<Kept> =
            (0..40).map(|n| kept(DAY + n * 15, if n % 8 == 0 { 3 } else { 15 }, 0)).collect();
        let (cells, _) = settled(Bin::Quarter, Repeated::LaterCounts, &steady);
        assert!(cells.iter().all(|cell| cell.expected == 15));
        let wild: Vec<Kept> = (0..40).map(|n| kept(DAY + n * 15, 1 << (n % 10), 0)).collect();
        let (cells, _) = settled(Bin::Quarter, Repeated::LaterCounts, &wild);
        assert!(cells.iter().all(|cell| cell.expected == cell.valid));
    }

    #[test]
    fn what_is_told_of_a_short_slot_is_expected_of_each_in_a_bin() {
        let mut cells = Cells::default();
        for number in 0..12 {
            assert!(cells.push(0, kept(DAY + number * 5, 2, 0)));
            cells.expect(0, 5);
        }
        cells.settle(Bin::Quarter, cells.slot_minutes(), Repeated::LaterCounts);
        let found = cells.between(0, SlotStart::from_number(0), SlotStart::from_number(i64::MAX));
        assert!(
            found.len() == 4 && found.iter().all(|cell| (cell.expected, cell.valid) == (15, 6))
        );
    }

    #[test]
    fn what_lies_years_away_from_the_rest_is_left_out() {
        let stray = |strays: u32, years: u32| {
            let mut cells = Cells::default();
            for number in 0..960 {
                // Two parts of some weeks, half a year apart.
                let later = if number % 2 == 0 { 0 } else { 180 * MINUTES_A_DAY };
                assert!(cells.push(0, kept(DAY + later + number * 15, 1, 0)));
            }
            for number in 0..strays {
                let far = years * 365 * MINUTES_A_DAY + number * 15;
                assert!(cells.push(1, kept(DAY + far, 1, 0)));
                assert!(cells.push(2, kept(DAY - far, 1, 0)));
            }
            cells.settle(Bin::Quarter, 15, Repeated::LaterCounts);
            (cells.leave_out_strays(), cells.observed())
        };
        assert_eq!(stray(0, 0), (0, 1));
        assert_eq!(stray(4, 30), (8, 1));
        assert_eq!(stray(96, 30), (0, 3), "as many belong to the rest");
    }

    #[test]
    fn figures_survive_being_kept() {
        let cell = kept(DAY, 3, 0).with_jitter(Some(4_040)).with_rtt([None, Some(0), Some(7)]);
        let (cells, _) = settled(Bin::Quarter, Repeated::LaterCounts, &[cell]);
        let found = (cells[0].rtt_min_us, cells[0].rtt_p50_us, cells[0].jitter_p50_us);
        assert_eq!(found, (None, Some(0), Some(4_040)));
        assert_eq!(Kept::new(0).with_jitter(Some(u32::MAX)).jitter_us(), Some(655_340));
        assert_eq!(Kept::new(0).jitter_us(), None);
    }
}
