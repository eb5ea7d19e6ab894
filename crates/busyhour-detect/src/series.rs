//! What a series saw: cells of a day, and the row that is made of them.

use std::sync::Arc;

use busyhour_model::{Breach, DayVerdict, SlotStart};
use jiff::civil::Date;

use crate::quarters::Quarters;

/// What one series saw in one bin. Missing figures are `None`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The first quarter-hour of the bin.
    pub start: SlotStart,
    /// Windows that should be there; 0 where nobody knows.
    pub expected: u32,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Bad by loss, burst, delay, jitter, failed: in the order of [`busyhour_model::Breach::ALL`].
    pub bad_by: [u32; 5],
    /// Packets sent.
    pub sent: u64,
    /// Packets lost.
    pub lost: u64,
    /// Replies out of order.
    pub reordered: u64,
    /// Packets whose code point was changed on one way: there or back, whichever has more.
    pub remarked: u64,
    /// The lowest round trip, in microseconds.
    pub rtt_min_us: Option<u32>,
    /// The median round trip, in microseconds.
    pub rtt_p50_us: Option<u32>,
    /// The 95th percentile of the round trips, in microseconds.
    pub rtt_p95_us: Option<u32>,
    /// The median of the windows' jitter, in microseconds.
    pub jitter_p50_us: Option<u32>,
}

impl Cell {
    /// A bin of which nothing is known.
    #[must_use]
    pub const fn new(start: SlotStart) -> Self {
        Self {
            start,
            expected: 0,
            valid: 0,
            bad: 0,
            bad_by: [0; 5],
            sent: 0,
            lost: 0,
            reordered: 0,
            remarked: 0,
            rtt_min_us: None,
            rtt_p50_us: None,
            rtt_p95_us: None,
            jitter_p50_us: None,
        }
    }
}

/// Counts and round trips of some bins of a day together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Packets sent.
    pub sent: u64,
    /// Packets lost.
    pub lost: u64,
    /// The median of the bins' median round trips, in microseconds.
    pub rtt_p50_us: Option<u32>,
    /// The median of the bins' median jitter, in microseconds.
    pub jitter_p50_us: Option<u32>,
    /// The mean of the bins' median round trips, weighed by their windows, in microseconds.
    pub rtt_mean_us: Option<u32>,
    /// The mean of the bins' median jitter, weighed by their windows, in microseconds.
    pub jitter_mean_us: Option<u32>,
}

/// The bad hours of a day together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peak {
    /// Counts and round trips.
    pub part: Part,
    /// Windows bad by loss, burst, delay, jitter, failed.
    pub bad_by: [u32; 5],
    /// Packets whose code point was changed.
    pub remarked: u64,
}

/// The worst rolling busy hour of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worst {
    /// The local minute of the day (0..1440) at which it begins.
    pub minute: u16,
    /// Windows that count.
    pub valid: u32,
    /// Bad ones among them.
    pub bad: u32,
    /// Bad by loss, burst, delay, jitter, failed.
    pub bad_by: [u32; 5],
}

impl Worst {
    /// The share of bad windows, 0..=1.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.bad) / f64::from(self.valid.max(1))
    }

    /// True when the hour falls, in part at least, into `hours`.
    #[must_use]
    pub fn is_at(&self, hours: Quarters) -> bool {
        let until = self.minute.saturating_add(60);
        !Quarters::between(self.minute, until).and(hours.dilated()).is_empty()
    }

    /// Bad windows of one kind.
    #[must_use]
    pub const fn bad_by(&self, breach: Breach) -> u32 {
        self.bad_by[breach as usize]
    }
}

/// Hours of the clock on one side of a day's bad hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    /// How many were observed.
    pub seen: u8,
    /// How many of these were still bad.
    pub bad: u8,
}

impl Rest {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { seen: self.seen.saturating_add(other.seen), bad: self.bad.saturating_add(other.bad) }
    }
}

/// How one series was on one local day: all that later days need to know of it. Made from the day's
/// cells and nothing else. Rows are kept by the hundred thousand: what only bad days have lies apart.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDay {
    /// The building's local date.
    pub date: Date,
    /// People work on that day.
    pub working: bool,
    /// The verdict; missing on a day that is no working day, and on one whose busy hours are not over.
    pub verdict: DayVerdict,
    /// The observed quarter-hours within the busy hours.
    pub seen_quarters: Quarters,
    /// The busy hours of the day.
    pub busy: Part,
    /// The hours of the day outside busy hours.
    pub quiet: Part,
    /// The 20th percentile of the lowest round trips outside busy hours (of all hours when there are
    /// none), in microseconds.
    pub base_rtt_us: Option<u32>,
    /// The share of bad windows in the middle half, by that share, of the hours outside busy hours, in
    /// parts per thousand.
    pub off_peak_permille: Option<u16>,
    /// How far the slowest rolling busy hour (the mean of its bins' median round trips) lay above the
    /// quiet hours (the 20th percentile of theirs), in microseconds; 0 when it was faster.
    pub rise_us: Option<u32>,
    /// The hours before the first bad bin; all of a day that is not bad.
    pub before: Rest,
    /// The hours after the last bad bin.
    pub after: Rest,
    /// The first bin of the local day.
    pub first: SlotStart,
    /// The local minute of the day at which each bin begins; shared by the rows of a building's day.
    pub minutes: Arc<[u16]>,
    pub(crate) elevation: Elevation,
    pub(crate) wrong: Option<Box<Wrong>>,
}

/// What is kept of a day that is bad or had a one-off incident.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Wrong {
    pub(crate) bad_quarters: Quarters,
    pub(crate) acute: Quarters,
    /// The largest share of bad windows of an acute bin, in thousandths.
    pub(crate) acute_permille: u16,
    pub(crate) worst: Option<Worst>,
    pub(crate) peak: Peak,
    pub(crate) delay_with_loss: Option<i16>,
}

impl SeriesDay {
    /// The quarter-hours of its bad hours, by the clock on the wall; none on a day that is not bad.
    #[must_use]
    pub fn bad_quarters(&self) -> Quarters {
        self.wrong.as_ref().map_or_else(Quarters::default, |wrong| wrong.bad_quarters)
    }

    /// The quarter-hours of one-off incidents, at whatever hour.
    #[must_use]
    pub fn acute(&self) -> Quarters {
        self.wrong.as_ref().map_or_else(Quarters::default, |wrong| wrong.acute)
    }

    /// The worst rolling busy hour of a day that is bad or had a one-off incident; `None` when none was
    /// observed, and on other days.
    #[must_use]
    pub fn worst(&self) -> Option<Worst> {
        self.wrong.as_ref()?.worst
    }

    /// The bad hours of a day that is bad.
    #[must_use]
    pub fn peak(&self) -> Option<&Peak> {
        self.wrong.as_ref().filter(|_| self.verdict.is_bad()).map(|wrong| &wrong.peak)
    }

    /// Rank correlation (Kendall's tau-b, in thousandths) of the bins' median round trip and loss over
    /// a bad day, where both vary.
    #[must_use]
    pub fn delay_with_loss(&self) -> Option<i16> {
        self.wrong.as_ref()?.delay_with_loss
    }

    /// The largest share of bad windows among the bins of [`Self::acute`], 0..=1; 0 of none.
    #[must_use]
    pub fn acute_share(&self) -> f64 {
        self.wrong.as_ref().map_or(0.0, |wrong| f64::from(wrong.acute_permille) / 1_000.0)
    }

    /// The share of bad windows of the worst hour, 0..=1, where that falls into `hours`; `None` where
    /// another hour was worse, and what these were like is not kept.
    #[must_use]
    pub fn share_at(&self, hours: Quarters) -> Option<f64> {
        self.worst().filter(|worst| worst.is_at(hours)).map(|worst| worst.share())
    }

    /// How much a bin of the local day was elevated, in 1/[`FULL`]; `None` where it was not observed, and
    /// of no bin of the day.
    #[must_use]
    pub fn elevation(&self, bin: usize) -> Option<u8> {
        self.elevation.get(bin)
    }

    /// True when anything was observed, at whatever hour.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        self.elevation.seen != 0
    }

    /// The quarter-hours that were elevated at all.
    #[must_use]
    pub fn elevated_quarters(&self) -> Quarters {
        let mut hours = Quarters::default();
        for (_, &minute) in
            self.minutes.iter().enumerate().filter(|(bin, _)| self.elevation.is_raised(*bin))
        {
            hours.insert_bin(minute, self.bin_quarters());
        }
        hours
    }

    /// The bins that begin within local hours, by their number.
    pub fn bins_in(&self, hours: Quarters) -> impl Iterator<Item = usize> + '_ {
        let inside = move |&(_, &minute): &(usize, &u16)| hours.contains(minute);
        self.minutes.iter().enumerate().filter(inside).map(|(bin, _)| bin)
    }

    /// Quarter-hours in a bin.
    #[must_use]
    pub fn bin_quarters(&self) -> u8 {
        // No day has fewer than 20 hours or more than 26.
        match self.minutes.len() {
            0..=26 => 4,
            27..=60 => 2,
            _ => 1,
        }
    }
}

/// How much each bin of a day was elevated: most of most days are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Elevation {
    /// The bins that were observed.
    seen: u128,
    /// Those of them that were elevated.
    raised: u128,
    /// By how much, in 1/[`FULL`], in their order.
    levels: Box<[u8]>,
}

impl Elevation {
    /// Of the bins of a day, in order; `None` was not observed. What is more than 128 is left out.
    pub(crate) fn of(bins: impl Iterator<Item = Option<u8>>) -> Self {
        let mut levels = [0; 128];
        let (mut seen, mut raised, mut count) = (0, 0, 0);
        for (bin, level) in bins.enumerate().take(levels.len()) {
            let Some(level) = level else { continue };
            seen |= 1 << bin;
            if let (1.., Some(place)) = (level, levels.get_mut(count)) {
                raised |= 1 << bin;
                *place = level;
                count += 1;
            }
        }
        Self { seen, raised, levels: levels.get(..count).unwrap_or_default().into() }
    }

    fn get(&self, bin: usize) -> Option<u8> {
        if bin >= 128 || self.seen >> bin & 1 == 0 {
            return None;
        }
        if !self.is_raised(bin) {
            return Some(0);
        }
        let before = (self.raised & ((1 << bin) - 1)).count_ones();
        self.levels.get(before as usize).copied()
    }

    const fn is_raised(&self, bin: usize) -> bool {
        bin < 128 && self.raised >> bin & 1 == 1
    }

    /// The sum over the bins from one to another, half open, and how many of them were observed.
    pub(crate) fn sum(&self, from: usize, until: usize) -> (u32, u32) {
        let bins = first_bins(until) & !first_bins(from);
        let seen = (self.seen & bins).count_ones();
        let raised = (self.raised & bins).count_ones() as usize;
        if raised == 0 {
            return (0, seen);
        }
        let before = (self.raised & first_bins(from)).count_ones() as usize;
        let levels = self.levels.get(before..before + raised).unwrap_or_default();
        (levels.iter().map(|&level| u32::from(level)).sum(), seen)
    }
}

/// A bit for each of the first so many bins.
const fn first_bins(count: usize) -> u128 {
    if count < 128 { (1 << count) - 1 } else { u128::MAX }
}

/// The elevation of a bin that is bad throughout.
pub const FULL: u8 = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elevations_are_given_back_as_they_were() {
        let levels = [Some(0), None, Some(7), Some(FULL), None, Some(0), Some(1)];
        let bins = (0..104).map(|bin| levels[bin % levels.len()]);
        let elevation = Elevation::of(bins.clone());
        for (bin, level) in bins.enumerate() {
            assert_eq!(elevation.get(bin), level, "{bin}");
        }
        assert_eq!(elevation.get(104), None);
        assert_eq!(elevation.get(500), None);
        assert_eq!(Elevation::of((0..200).map(|_| Some(1))).get(127), Some(1));
        assert_eq!(Elevation::of((0..96).map(|_| Some(0))).levels.len(), 0);
    }

    #[test]
    fn sums_of_elevations_are_those_of_the_bins() {
        let levels = [Some(0), None, Some(7), Some(FULL), None, Some(0), Some(1)];
        let elevation = Elevation::of((0..104).map(|bin| levels[bin % levels.len()]));
        for from in 0..130 {
            for until in from..130 {
                let bins = || (from..until).filter_map(|bin| elevation.get(bin));
                let expected = (bins().map(u32::from).sum(), bins().count() as u32);
                assert_eq!(elevation.sum(from, until), expected, "{from}..{until}");
            }
        }
    }

    #[test]
    fn a_row_is_small() {
        assert!(size_of::<SeriesDay>() <= 240, "{}", size_of::<SeriesDay>());
    }
}
