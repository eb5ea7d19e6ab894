//! What a day's verdict is shown with: its worst hour and its plain average. None of it decides.

use busyhour_model::{
    Breach, DailyAverage, Figure, Judgement, LimitsVersion, Marginal, SlotCounts, SlotGist, Spread,
    WorstHour,
};

use super::{Frame, PathDay, Series};
use crate::day_counts::Hour;

/// The best rating of a call, in hundredths: figures keep how far it lies below.
const BEST_RATING: i64 = 10_000;

/// Sums over the whole local day, for the plain average.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    sent: u64,
    /// Lost and sent packets, as far as the slots tell.
    loss: (u64, u64),
    /// The sum of the windows' median round trips, and how many there are.
    rtt_us: (u64, u64),
    /// The same of jitter.
    jitter_us: (u64, u64),
    /// The latest limits that its windows were judged by.
    pub(super) limits: Option<LimitsVersion>,
}

impl Totals {
    pub(super) fn of(slot: &SlotGist) -> Self {
        let of = |spread: Option<Spread>| spread.map_or((0, 0), |known| (known.sum, known.count));
        Self {
            sent: slot.sent,
            loss: slot.loss_told(),
            rtt_us: of(slot.delay),
            jitter_us: of(slot.jitter),
            limits: (slot.valid > 0).then_some(slot.limits),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.loss = both(self.loss, other.loss);
        self.rtt_us = both(self.rtt_us, other.rtt_us);
        self.jitter_us = both(self.jitter_us, other.jitter_us);
        self.limits = self.limits.max(other.limits);
    }
}

/// What is told of an hour's windows by their 90th percentile.
#[derive(Default)]
struct Percentiles {
    loss: Marginal,
    delay: Marginal,
    jitter: Marginal,
    rating: Marginal,
}

impl Percentiles {
    /// Adds the windows of a path in some quarter-hours of the day, a bit each.
    fn add(&mut self, frame: &Frame<'_>, path: &PathDay<'_>, bins: u128) {
        if bins == 0 {
            return;
        }
        let at = |bin: u32| frame.day.first.offset(i64::from(bin));
        let span = (at(bins.trailing_zeros()), at(u128::BITS - bins.leading_zeros()));
        path.figures.visit(span, &mut |start, combination, n| {
            if frame.day.bin_of(start).is_none_or(|at| bins >> at & 1 == 0) {
                return;
            }
            for (marginal, figure) in [
                (&mut self.loss, Figure::Loss),
                (&mut self.delay, Figure::Delay),
                (&mut self.jitter, Figure::Jitter),
                (&mut self.rating, Figure::Rating),
            ] {
                if let Some(bucket) = combination.bucket(figure) {
                    marginal.add(bucket, n);
                }
            }
        });
    }
}

impl Series<'_> {
    /// The figures of a rolling hour.
    pub(super) fn describe_hour(&self, frame: &Frame<'_>, hour: &Hour) -> WorstHour {
        let mut counts = SlotCounts::new(LimitsVersion(0));
        let mut dense = counts;
        let mut figures = Percentiles::default();
        let mut loss = (0, 0);
        for path in &self.paths {
            let mut bins = 0u128;
            for slot in path.slots {
                let at = frame.day.bin_of(slot.start).filter(|at| hour.usable >> at & 1 == 1);
                let Some(at) = at.filter(|_| !frame.is_fault(path, slot.start)) else { continue };
                bins |= 1 << at;
                counts.merge(&slot.counts);
                loss = both(loss, slot.loss_told());
                // What is sent far apart cannot overtake.
                if slot.is_dense() {
                    dense.merge(&slot.counts);
                }
            }
            figures.add(frame, path, bins);
        }
        let p90 = |marginal: &Marginal| marginal.quantile(0.9);
        let rating = p90(&figures.rating).map(|below| BEST_RATING - i64::from(below));
        WorstHour {
            start_minute: frame.day.minutes.get(hour.first).copied().unwrap_or(0),
            valid: counts.valid,
            bad: counts.bad,
            dominant: dominant(&counts),
            bad_by: counts.bad_by,
            loss_ppm: ratio_ppm(loss),
            loss_ppm_p90: p90(&figures.loss).unwrap_or(0),
            rtt_us_p90: p90(&figures.delay).unwrap_or(0),
            jitter_us_p90: p90(&figures.jitter).unwrap_or(0),
            reordered: dense.reordered,
            replies: dense.sent.saturating_sub(dense.lost()),
            order: self.limits.map_or(Judgement::Unknown, |table| table.judge_reorder(&dense)),
            rating_p10_hundredths: rating.map(|r| i32::try_from(r).unwrap_or(i32::MIN)),
        }
    }

    /// The plain average over the whole local day, as other tools report it.
    pub(super) fn average(&self) -> Option<DailyAverage> {
        if self.totals.sent == 0 {
            return None;
        }
        let mean = |(sum, count): (u64, u64)| {
            u32::try_from(sum.checked_div(count).unwrap_or(0)).unwrap_or(u32::MAX)
        };
        let loss_ppm = ratio_ppm(self.totals.loss);
        let (rtt_us, jitter_us) = (mean(self.totals.rtt_us), mean(self.totals.jitter_us));
        let passes = self.limits.is_some_and(|limits| {
            loss_ppm <= limits.loss_ppm && rtt_us <= limits.rtt_us && jitter_us <= limits.jitter_us
        });
        Some(DailyAverage { loss_ppm, rtt_us, jitter_us, passes })
    }
}

/// The limit that most bad windows broke. Failed windows break the one for loss as well: they are
/// named by what they are when they are half of the bad ones.
fn dominant(hour: &SlotCounts) -> Option<Breach> {
    if hour.bad == 0 {
        return None;
    }
    if hour.bad_by(Breach::Failed).saturating_mul(2) >= hour.bad {
        return Some(Breach::Failed);
    }
    let order = [Breach::Loss, Breach::Burst, Breach::Delay, Breach::Jitter];
    // Of equals `max_by_key` takes the last; the first of the order is wanted.
    order.into_iter().rev().max_by_key(|&breach| hour.bad_by(breach))
}

/// The worst hour's 90th percentile over the plain daily average, for the dominant limit; `None`
/// when that is not above 1.
pub(super) fn masking_factor(worst: &WorstHour, average: &DailyAverage) -> Option<f64> {
    let (peak, mean) = match worst.dominant? {
        Breach::Loss | Breach::Burst | Breach::Failed => (worst.loss_ppm_p90, average.loss_ppm),
        Breach::Delay => (worst.rtt_us_p90, average.rtt_us),
        Breach::Jitter => (worst.jitter_us_p90, average.jitter_us),
    };
    (mean > 0 && peak > mean).then(|| f64::from(peak) / f64::from(mean))
}

const fn both(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}

/// `part` of `whole` in parts per million; 0 of nothing.
fn ratio_ppm((part, whole): (u64, u64)) -> u32 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u32::try_from(ppm).unwrap_or(u32::MAX)
}
