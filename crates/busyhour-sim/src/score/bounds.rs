//! Exact bounds: shares by the binomial distribution (Clopper and Pearson, Biometrika 26, 1934),
//! rates by the Poisson distribution (Garwood, Biometrika 28, 1936), medians by ranks.
//!
//! Tails are summed term by term in logarithms; counts here are thousands, not billions.

/// How often a share or a rate is halved in search of a bound: below 1e-15 of its range.
const HALVINGS: u32 = 60;
/// Both tails together beyond a two-sided interval.
const TWO_SIDED: f64 = 0.05;
/// The tail beyond a one-sided bound.
const ONE_SIDED: f64 = 0.05;

/// A share with its exact two-sided 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// How many did.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
    /// The share; `None` of nothing.
    pub share: Option<f64>,
    /// The interval's lower end, 0..=1.
    pub low: f64,
    /// The interval's upper end, 0..=1.
    pub high: f64,
}

impl Share {
    /// `hits` of `of`; of more hits than there are only as many count as there are.
    #[must_use]
    pub fn new(hits: u64, of: u64) -> Self {
        let hits = hits.min(of);
        let share = (of > 0).then(|| hits as f64 / of as f64);
        let tail = TWO_SIDED / 2.0;
        let low = if hits == 0 {
            0.0
        } else {
            // The lowest share of which so many are not too many.
            halve(1.0, |p| at_most(hits - 1, of, p) > 1.0 - tail)
        };
        let high = if hits == of { 1.0 } else { halve(1.0, |p| at_most(hits, of, p) > tail) };
        Self { hits, of, share, low, high }
    }
}

/// A rate with its exact one-sided 95 % upper bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many there were.
    pub events: u64,
    /// In how much.
    pub exposure: f64,
    /// Events for each unit of exposure; `None` without exposure.
    pub rate: Option<f64>,
    /// The upper bound, in the same unit; infinite without exposure.
    pub bound: f64,
}

impl Rate {
    /// `events` in `exposure` (building-months, say). An exposure that is not above 0 is none.
    #[must_use]
    pub fn new(events: u64, exposure: f64) -> Self {
        if exposure.is_nan() || exposure <= 0.0 {
            return Self { events, exposure: 0.0, rate: None, bound: f64::INFINITY };
        }
        // Beyond eight standard deviations and a constant there is no bound.
        let far = events as f64 + 8.0 * (events as f64).sqrt() + 10.0;
        let bound = far * halve(1.0, |part| poisson_at_most(events, part * far) > ONE_SIDED);
        Self { events, exposure, rate: Some(events as f64 / exposure), bound: bound / exposure }
    }
}

/// A median with its exact (conservative) two-sided 95 % interval, by ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Median {
    /// Of how many.
    pub of: u64,
    /// The median; the lower of the two middle ones.
    pub median: u32,
    /// The interval's lower end.
    pub low: u32,
    /// The interval's upper end.
    pub high: u32,
    /// The 90th percentile (nearest rank).
    pub p90: u32,
}

impl Median {
    /// Of values in any order; `None` of none.
    #[must_use]
    pub fn of(values: &[u32]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let count = sorted.len();
        let last = *sorted.last()?;
        let n = u64::try_from(count).unwrap_or(u64::MAX);
        // The median is below the value of rank r when fewer than r of n tosses show heads.
        let ranks = (0..n / 2).take_while(|&k| at_most(k, n, 0.5) <= TWO_SIDED / 2.0).count();
        let below = ranks.saturating_sub(1);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(last);
        Some(Self {
            of: n,
            median: at((count - 1) / 2),
            low: at(below),
            high: at(count - 1 - below),
            p90: at((count * 9).div_ceil(10).saturating_sub(1)),
        })
    }
}

/// The largest x of `0..=range` for which `holds`, which holds up to some x and not beyond.
fn halve(range: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, range);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability of at most `k` of `n` when each has probability `p`.
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let odds = (p / (1.0 - p)).ln();
    // ln of the probability of none; each next term is the last one times (n - i) / (i + 1) · odds.
    let mut term = n as f64 * (1.0 - p).ln();
    let mut sum = term.exp();
    for i in 0..k {
        term += ((n - i) as f64 / (i + 1) as f64).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// The probability of at most `k` events when `mean` are expected.
fn poisson_at_most(k: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let mut term = -mean;
    let mut sum = term.exp();
    for i in 1..=k {
        term += mean.ln() - (i as f64).ln();
        sum += term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, by: f64) -> bool {
        (a - b).abs() <= by
    }

    #[test]
    fn shares_have_the_published_clopper_pearson_intervals() {
        // The first two from this project's measurements of its prototype, the others by the closed
        // forms 1 - (α/2)^(1/n) of none, and (α/2)^(1/n) of all.
        for (hits, of, low, high) in [
            (144, 149, 0.923, 0.989),
            (75, 95, 0.694, 0.866),
            (0, 10, 0.0, 1.0 - 0.025_f64.powf(0.1)),
            (10, 10, 0.025_f64.powf(0.1), 1.0),
            (5, 10, 0.1871, 0.8129),
            (1, 1000, 0.0000253, 0.005_558),
        ] {
            let share = Share::new(hits, of);
            assert!(close(share.low, low, 0.0006), "{hits} of {of}: {share:?}");
            assert!(close(share.high, high, 0.0006), "{hits} of {of}: {share:?}");
        }
        assert_eq!(Share::new(3, 0), Share { hits: 0, of: 0, share: None, low: 0.0, high: 1.0 });
    }

    #[test]
    fn rates_have_garwoods_upper_bounds() {
        // Half of the 95th percentile of chi-square with 2 (k + 1) degrees of freedom.
        for (events, bound) in
            [(0, 2.9957), (1, 4.7439), (2, 6.2958), (10, 16.9622), (30, 40.6907), (100, 118.0785)]
        {
            let rate = Rate::new(events, 1.0);
            assert!(close(rate.bound, bound, 0.001), "{events}: {}", rate.bound);
        }
        let rate = Rate::new(30, 3000.0);
        assert_eq!(rate.rate, Some(0.01));
        assert!(close(rate.bound, 0.013_564, 1e-5), "{}", rate.bound);
        assert_eq!(Rate::new(1, 0.0).rate, None);
    }

    #[test]
    fn large_counts_neither_overflow_nor_vanish() {
        let rate = Rate::new(9_000, 6_000.0);
        assert!(rate.bound > 1.5 && rate.bound < 1.53, "{}", rate.bound);
        let share = Share::new(19_000, 20_000);
        assert!(share.low > 0.9468 && share.high < 0.9531, "{share:?}");
    }

    #[test]
    fn a_median_has_an_interval_by_ranks() {
        // Of 20 values the 6th and the 15th hold the median in at least 95 % of cases.
        let values: Vec<u32> = (1..=20).rev().collect();
        let median = Median::of(&values).unwrap();
        assert_eq!((median.median, median.low, median.high, median.p90), (10, 6, 15, 18));
        assert_eq!(Median::of(&[7]).map(|m| (m.median, m.low, m.high, m.p90)), Some((7, 7, 7, 7)));
        assert_eq!(Median::of(&[]), None);
    }
}
