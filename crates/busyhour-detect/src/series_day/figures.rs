//! What explains a day: round trips, loss, elevation. None of it decides.

use super::add;
use crate::day_counts::each;
use crate::day_frame::MOST_BINS;
use crate::params::Params;
use crate::pool::Mean;
use crate::rank::{Sample, kendall_permille};
use crate::series::{Cell, Elevation, FULL, Part, Peak};

/// Fewer quiet bins do not tell what a quiet hour is like.
const QUIET_BINS: u32 = 4;
/// The hundredth of quiet round trips that a day is compared with.
const BASE_PERCENT: usize = 20;

/// The cells of a day.
pub(super) struct Figures<'a> {
    pub(super) bins: &'a [Option<&'a Cell>; MOST_BINS],
    /// The busy bins.
    pub(super) busy: u128,
    /// All bins of the day.
    pub(super) all: u128,
}

/// What the quiet hours of a day are like: 20th percentiles, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    /// Of the lowest round trips.
    pub(super) lowest: Option<u32>,
    /// Of the median round trips.
    pub(super) median: Option<u32>,
}

impl Base {
    pub(super) fn of(figures: &Figures<'_>) -> Self {
        let quiet = |of: fn(&Cell) -> Option<u32>| {
            let known = |bins: u128| figures.cells(bins).map(of);
            let quiet = figures.all & !figures.busy;
            let enough = known(quiet).flatten().take(QUIET_BINS as usize).count() as u32;
            let bins = if enough == QUIET_BINS { quiet } else { figures.all };
            Sample::of(known(bins)).percentile(BASE_PERCENT)
        };
        Self { lowest: quiet(|cell| cell.rtt_min_us), median: quiet(|cell| cell.rtt_p50_us) }
    }
}

impl<'a> Figures<'a> {
    fn cells(&self, bins: u128) -> impl Iterator<Item = &'a Cell> + '_ {
        each(bins).filter_map(|at| self.bins.get(at).copied().flatten())
    }

    /// How far the slowest of the rolling hours that begin at `hours` lay above `base`.
    pub(super) fn rise(&self, hours: &u128, bins: usize, base: Option<u32>) -> Option<u32> {
        let base = base?;
        let hour = (1u128 << bins) - 1;
        let slowest = each(*hours).filter_map(|first| {
            let known = self.cells(hour << first).filter_map(|cell| cell.rtt_p50_us);
            let (sum, count) =
                known.fold((0u64, 0u64), |(sum, count), rtt| (sum + u64::from(rtt), count + 1));
            sum.checked_div(count)
        });
        let slowest = u32::try_from(slowest.max()?).unwrap_or(u32::MAX);
        Some(slowest.saturating_sub(base))
    }

    /// Rank correlation of round trip and loss over the day.
    pub(super) fn delay_with_loss(&self) -> Option<i16> {
        let mut pairs = [(0u32, 0u32); MOST_BINS];
        let mut count = 0;
        for cell in self.cells(self.all) {
            if let (Some(rtt), Some(loss), Some(pair)) =
                (cell.rtt_p50_us, loss_ppm(cell), pairs.get_mut(count))
            {
                *pair = (rtt, loss);
                count += 1;
            }
        }
        kendall_permille(pairs.get(..count)?)
    }

    /// How much each bin was elevated.
    pub(super) fn elevation(&self, bins: usize, base: Base, params: &Params) -> Elevation {
        let levels = self.bins.iter().take(bins).map(|cell| match cell {
            Some(cell) if cell.valid > 0 => Some(elevation_of(cell, base, params)),
            _ => None,
        });
        Elevation::of(levels)
    }

    /// Counts and round trips of bins together; nothing of no bins.
    pub(super) fn part(&self, bins: u128) -> Part {
        let mut part = Part::default();
        let (mut rtt, mut jitter) = (Mean::default(), Mean::default());
        let (mut rtts, mut jitters) = (Sample::default(), Sample::default());
        for cell in self.cells(bins) {
            part.valid = part.valid.saturating_add(cell.valid);
            part.bad = part.bad.saturating_add(cell.bad.min(cell.valid));
            part.sent = part.sent.saturating_add(cell.sent);
            part.lost = part.lost.saturating_add(cell.lost);
            rtt.add(cell.rtt_p50_us, cell.valid);
            jitter.add(cell.jitter_p50_us, cell.valid);
            rtts.add(cell.rtt_p50_us);
            jitters.add(cell.jitter_p50_us);
        }
        part.rtt_p50_us = rtts.median();
        part.jitter_p50_us = jitters.median();
        part.rtt_mean_us = rtt.value();
        part.jitter_mean_us = jitter.value();
        part
    }

    /// What is told of bad bins; nothing of no bins.
    pub(super) fn peak(&self, bins: u128) -> Peak {
        let mut peak = Peak { part: self.part(bins), ..Peak::default() };
        for cell in self.cells(bins) {
            add(&mut peak.bad_by, &cell.bad_by);
            peak.remarked = peak.remarked.saturating_add(cell.remarked);
        }
        peak
    }
}

/// Packets lost over packets sent, in parts per million; `None` when nobody knows.
fn loss_ppm(cell: &Cell) -> Option<u32> {
    let lost = cell.lost.min(cell.sent);
    if lost == 0 {
        return (cell.sent > 0).then_some(0);
    }
    // Long division is for counts that nobody has.
    let ppm = match lost.checked_mul(1_000_000) {
        Some(millionths) => millionths / cell.sent,
        None => u64::try_from(u128::from(lost) * 1_000_000 / u128::from(cell.sent)).ok()?,
    };
    u32::try_from(ppm).ok()
}

/// The highest of: the share of bad windows; the round trip above that of the day's own quiet hours;
/// loss. Medians are compared with medians and lowest with lowest.
fn elevation_of(cell: &Cell, base: Base, params: &Params) -> u8 {
    let full = u64::from(FULL);
    let bad = u64::from(cell.bad.min(cell.valid));
    let share = if bad == 0 { 0 } else { bad * full / u64::from(cell.valid.max(1)) };
    let over = |value: u32, from: u32, over: u32| match value.saturating_sub(from) {
        0 => 0,
        above => u64::from(above) * full / u64::from(over.max(1)),
    };
    let above = |rtt: Option<u32>, base: Option<u32>| {
        let above = rtt.zip(base).map_or(0, |(rtt, base)| rtt.saturating_sub(base));
        over(above, params.elevated_from_us, params.elevated_over_us)
    };
    let slow = if cell.rtt_p50_us.is_some() {
        above(cell.rtt_p50_us, base.median)
    } else {
        above(cell.rtt_min_us, base.lowest)
    };
    let lost = loss_ppm(cell).unwrap_or(0);
    let lossy = over(lost, params.elevated_from_ppm, params.elevated_over_ppm);
    share.max(slow).max(lossy).min(full) as u8
}
