//! When a day is bad: the one rule, of counts alone, for the verdicts on paths, agents and subnets as
//! for the rows that findings rest on.

use busyhour_model::DayVerdict;

use crate::acute::{Count, acute_bins};
use crate::day_frame::{BuildingDay, MOST_BINS};
use crate::params::{Params, Rule};
use crate::series::Rest;

/// How an hour is made of bins.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Bins in an hour.
    bins: usize,
    /// How many of them must be usable.
    usable: u32,
    /// How many of them must hold bad windows for the hour to be bad.
    spread: u32,
}

/// What was counted on a building's day, bin by bin.
pub(crate) struct DayCounts<'a> {
    frame: &'a BuildingDay,
    shape: Shape,
    /// Windows of each that count, and bad ones among them.
    counts: [Count; MOST_BINS],
    /// Windows that each bin should hold.
    expected: [u32; MOST_BINS],
    /// The bins with enough windows.
    usable: u128,
    /// The usable bins with bad windows.
    with_bad: u128,
}

/// The rolling busy hours of a day.
pub(crate) struct Hours {
    /// The first bins of those that were observed.
    pub(crate) observed: u128,
    /// The bins of all bad ones, each from its first to its last with bad windows.
    pub(crate) bad: u128,
    /// The worst of those that were observed.
    pub(crate) worst: Option<Hour>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hour {
    /// Its first bin.
    pub(crate) first: usize,
    /// Those of its bins that count.
    pub(crate) usable: u128,
    /// Their windows.
    pub(crate) count: Count,
    is_bad: bool,
}

impl Hour {
    /// A bad hour is worse than others, then one with the higher share of bad windows, then one with
    /// more of them.
    fn is_worse_than(&self, other: &Self) -> bool {
        let share = |a: Count, b: Count| u64::from(a.1) * u64::from(b.0);
        self.is_bad
            .cmp(&other.is_bad)
            .then(share(self.count, other.count).cmp(&share(other.count, self.count)))
            .then(self.count.1.cmp(&other.count.1))
            .is_gt()
    }
}

impl<'a> DayCounts<'a> {
    /// A day of which nothing is known yet.
    pub(crate) fn new(frame: &'a BuildingDay, params: &Params) -> Self {
        let bins = usize::from(4 / frame.bin.quarters());
        let spread = if params.holds(Rule::Spread) { params.bad_bins.min(bins as u32) } else { 1 };
        Self {
            frame,
            shape: Shape { bins, usable: (bins * 3).div_ceil(4) as u32, spread },
            counts: [(0, 0); MOST_BINS],
            expected: [0; MOST_BINS],
            usable: 0,
            with_bad: 0,
        }
    }

    /// Says how many windows a bin should hold of which nothing is known.
    pub(crate) fn expect(&mut self, at: usize, expected: u32) {
        if let Some(place) = self.expected.get_mut(at) {
            *place = expected;
        }
    }

    /// Puts the windows of a bin that count, and the bad ones among them, once for each.
    pub(crate) fn put(&mut self, at: usize, (valid, bad): Count, params: &Params) {
        let (Some(count), Some(&expected)) = (self.counts.get_mut(at), self.expected.get(at))
        else {
            return;
        };
        let bad = bad.min(valid);
        *count = (valid, bad);
        let usable =
            valid > 0 && u64::from(valid) * u64::from(params.usable_one_in) >= u64::from(expected);
        self.usable |= u128::from(usable) << at;
        self.with_bad |= u128::from(usable && bad > 0) << at;
    }

    /// Bins in an hour.
    pub(crate) const fn bins_of_hour(&self) -> usize {
        self.shape.bins
    }

    /// The bins with enough windows.
    pub(crate) const fn usable(&self) -> u128 {
        self.usable
    }

    /// Windows that count, and bad ones, over bins.
    pub(crate) fn count(&self, bins: u128) -> Count {
        each(bins).filter_map(|at| self.counts.get(at)).fold((0, 0), |sum, count| {
            (sum.0.saturating_add(count.0), sum.1.saturating_add(count.1))
        })
    }

    /// Windows that bins should hold.
    pub(crate) fn expected(&self, bins: u128) -> u32 {
        each(bins).filter_map(|at| self.expected.get(at)).fold(0, |sum, &at| sum.saturating_add(at))
    }

    /// The largest share of bad windows of a bin among some, in thousandths.
    pub(crate) fn worst_permille(&self, bins: u128) -> u16 {
        let shares = each(bins).filter_map(|at| self.counts.get(at)).map(|&count| permille(count));
        shares.max().and_then(|share| u16::try_from(share).ok()).unwrap_or(0)
    }

    /// The rolling busy hours that were observed.
    pub(crate) fn hours(&self, params: &Params) -> Hours {
        let busy = self.frame.busy_bins();
        let mut hours = Hours { observed: 0, bad: 0, worst: None };
        for first in each(busy) {
            let bins = ((1 << self.shape.bins) - 1) << first;
            let usable = bins & self.usable;
            if bins & busy != bins || usable.count_ones() < self.shape.usable {
                continue;
            }
            let count = self.count(usable);
            let is_bad = self.is_bad(usable, count, params);
            let hour = Hour { first, usable, count, is_bad };
            hours.observed |= 1 << first;
            if is_bad {
                hours.bad |= span(usable & self.with_bad);
            }
            if hours.worst.is_none_or(|worst| hour.is_worse_than(&worst)) {
                hours.worst = Some(hour);
            }
        }
        hours
    }

    fn is_bad(&self, usable: u128, (valid, bad): Count, params: &Params) -> bool {
        let floor = if params.holds(Rule::CountFloor) { params.bad_windows } else { 1 };
        u64::from(bad) * 1_000 >= u64::from(valid) * u64::from(params.bad_permille)
            && bad >= floor
            && (usable & self.with_bad).count_ones() >= self.shape.spread
    }

    /// The verdict, and the bins of its bad hours. `elapsed` are the bins that have begun: what is to
    /// come is not good yet, but does not keep a day from being bad.
    pub(crate) fn verdict(
        &self,
        hours: &Hours,
        elapsed: u128,
        params: &Params,
    ) -> (DayVerdict, u128) {
        let busy = self.frame.busy_bins();
        if hours.bad != 0 {
            // Of a day that is hardly known nobody can say that all of it was bad.
            let throughout =
                self.is_known(busy & elapsed, params) && self.is_bad_throughout(hours.bad, params);
            let verdict = if throughout { DayVerdict::AllDayBad } else { DayVerdict::PeakBad };
            return (verdict, hours.bad);
        }
        let good = hours.observed != 0 && self.is_known(busy, params);
        (if good { DayVerdict::Good } else { DayVerdict::Missing }, 0)
    }

    /// True when enough of the windows and of the bins are there.
    fn is_known(&self, bins: u128, params: &Params) -> bool {
        let percent = u64::from(params.coverage_percent);
        let (valid, _) = self.count(bins);
        valid > 0
            && u64::from(valid) * 100 >= u64::from(self.expected(bins)) * percent
            && u64::from((self.usable & bins).count_ones()) * 100
                >= u64::from(bins.count_ones()) * percent
    }

    /// True when the day is bad outside its busy hours as well. Of agents that are there by day only
    /// nobody knows the night: then when it is hardly better in what was seen beside the bad bins.
    fn is_bad_throughout(&self, bad: u128, params: &Params) -> bool {
        if !params.holds(Rule::OffPeak) {
            return false;
        }
        let busy = self.frame.busy_bins();
        let known =
            |bins: u128, least: u32| self.middle_half(bins).filter(|(_, hours)| *hours >= least);
        let is_bad = |rest: Count, than: Count, percent: u32| {
            u64::from(rest.1) * 1_000 >= u64::from(rest.0) * u64::from(params.off_peak_permille)
                && u128::from(rest.1) * u128::from(than.0) * 100
                    >= u128::from(than.1) * u128::from(rest.0) * u128::from(percent)
        };
        if let Some((quiet, _)) = known(!busy, params.off_peak_hours) {
            return is_bad(quiet, self.count(busy), params.off_peak_to_busy_percent);
        }
        if let Some((rest, _)) = known(!bad, params.rest_hours) {
            return is_bad(rest, self.count(bad), params.rest_to_peak_percent);
        }
        let observed = self.usable & busy;
        (bad & observed).count_ones() * 100 >= observed.count_ones() * params.throughout_percent
    }

    /// The counts of the middle half, by their share, of the hours of the clock in which any of `bins`
    /// was seen, and how many such hours there were. A night backup and a silent night are both beside
    /// it; a single median hour would hold too few windows of sparse ones.
    pub(crate) fn middle_half(&self, bins: u128) -> Option<(Count, u32)> {
        let mut hours = [(0, 0); MOST_BINS];
        let mut seen = 0;
        for (hour, count) in hours.iter_mut().zip(self.clock_hours(bins & self.usable)) {
            *hour = count;
            seen += 1;
        }
        let hours = hours.get_mut(..seen).filter(|hours| !hours.is_empty())?;
        let share = |a: &Count, b: &Count| u64::from(a.1) * u64::from(b.0);
        hours.sort_unstable_by(|a, b| share(a, b).cmp(&share(b, a)).then(a.cmp(b)));
        let middle = hours.get(seen / 4..seen - seen / 4)?.iter();
        let sum = middle.fold((0u32, 0u32), |sum, hour| {
            (sum.0.saturating_add(hour.0), sum.1.saturating_add(hour.1))
        });
        Some((sum, seen as u32))
    }

    /// Counts of these bins by hours of the clock, of which something was seen.
    fn clock_hours(&self, bins: u128) -> impl Iterator<Item = Count> + '_ {
        let hours = self.frame.minutes.chunk_by(|a, b| a / 60 == b / 60);
        let mut first = 0;
        hours.filter_map(move |hour| {
            let mask = ((1u128 << hour.len()) - 1) << first;
            first += hour.len();
            let count = self.count(bins & mask);
            (count.0 > 0).then_some(count)
        })
    }

    /// The hours of the clock before and after the bad bins. An hour is still bad when it is by
    /// itself, and on a bad day when it has a good part of the worst hour's share.
    pub(crate) fn rest(&self, bad: u128, worst: Option<&Hour>, params: &Params) -> (Rest, Rest) {
        let least = match worst {
            Some(worst) if bad != 0 => {
                let share = permille(worst.count);
                params.off_peak_permille.max(share * params.night_to_worst_percent / 100)
            }
            _ => params.bad_permille,
        };
        let rest = |bins: u128| {
            self.clock_hours(bins & self.usable).fold(Rest::default(), |rest, count| {
                let bad = u8::from(permille(count) >= least);
                rest.and(Rest { seen: 1, bad })
            })
        };
        if bad == 0 {
            return (rest(u128::MAX), Rest::default());
        }
        let before = (1 << bad.trailing_zeros()) - 1;
        (rest(before), rest(!(before | span(bad))))
    }

    /// The bins that burn.
    pub(crate) fn acute(&self, params: &Params) -> u128 {
        if self.counts.iter().all(|(_, bad)| *bad == 0) {
            return 0;
        }
        let minutes = u16::from(self.frame.bin.quarters()) * 15;
        acute_bins(&self.counts, self.shape.bins, minutes, params)
    }
}

/// The numbers of the bits that are set.
pub(crate) fn each(mut bits: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (at < u128::BITS).then_some(at as usize)
    })
}

/// From the first bit that is set to the last.
fn span(bits: u128) -> u128 {
    if bits == 0 {
        return 0;
    }
    (u128::MAX << bits.trailing_zeros()) & (u128::MAX >> bits.leading_zeros())
}

/// Bad ones in parts per thousand, rounded down; 0 of nothing.
pub(crate) fn permille((valid, bad): Count) -> u32 {
    (u64::from(bad) * 1_000 / u64::from(valid.max(1))) as u32
}
