//! A slot in short: its counts, and how its windows are spread by the two figures that days are compared
//! by. What judging a day looks at, of very many slots.

use super::counts::SlotCounts;
use super::figures::Figure;
use super::scale::FigureBucket;
use super::{Figures, Slot};
use crate::SlotStart;

/// How the windows of a slot are spread by one figure. Values are known to the bucket that they lie in,
/// and far better where the windows hardly differ: these are told by their mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// The lowest.
    pub lowest: u32,
    /// The median, by nearest rank.
    pub median: u32,
    /// The 95th percentile, by nearest rank.
    pub high: u32,
    /// The exact sum.
    pub sum: u64,
    /// How many windows have the figure: at least 1.
    pub count: u64,
}

impl Spread {
    /// Of windows in some buckets, in any order, and their sum; `None` of no window.
    #[must_use]
    pub fn of(
        windows: impl Iterator<Item = (FigureBucket, u32)> + Clone,
        sum: u64,
    ) -> Option<Self> {
        Some(SpreadParts::of(windows, sum)?.spread())
    }
}

/// What a [`Spread`] follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpreadParts {
    /// The bucket that the lowest value lies in.
    pub lowest: FigureBucket,
    /// That of the median.
    pub median: FigureBucket,
    /// That of the 95th percentile.
    pub high: FigureBucket,
    /// The mean of the windows that hardly differ from the median.
    pub near_mean: u32,
    /// The exact sum.
    pub sum: u64,
    /// How many windows have the figure: at least 1.
    pub count: u64,
}

impl SpreadParts {
    /// Of a slot's windows by one figure; `None` where none of them has it.
    #[must_use]
    pub fn of_figure(figures: &Figures, figure: Figure) -> Option<Self> {
        let windows = figures.combinations().iter();
        let windows = windows.filter_map(|&(known, n)| Some((known.bucket(figure)?, n)));
        Self::of(windows, figures.sum(figure))
    }

    fn of(windows: impl Iterator<Item = (FigureBucket, u32)> + Clone, sum: u64) -> Option<Self> {
        let counted = Counted::of(windows.clone())?;
        Some(counted.parts(windows, sum))
    }

    /// The mean of all windows.
    #[must_use]
    pub fn mean(&self) -> u32 {
        mean_of(self.sum, self.count)
    }

    /// The values: of each bucket what lies nearest to the mean of the windows that hardly differ, where
    /// it holds some of these; else its middle.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let near = Near::to(self.median);
        let value = |bucket| near.value(bucket, self.near_mean);
        Spread {
            lowest: value(self.lowest),
            median: value(self.median),
            high: value(self.high),
            sum: self.sum,
            count: self.count,
        }
    }
}

/// How many windows are in each bucket.
struct Counted {
    counts: [u32; FigureBucket::COUNT],
    /// The lowest bucket with windows, and the highest.
    ends: (FigureBucket, FigureBucket),
    total: u64,
}

impl Counted {
    fn of(mut windows: impl Iterator<Item = (FigureBucket, u32)>) -> Option<Self> {
        let (first, n) = windows.next()?;
        let mut counted = Self { counts: [0; FigureBucket::COUNT], ends: (first, first), total: 0 };
        counted.add(first, n);
        windows.for_each(|(bucket, n)| counted.add(bucket, n));
        Some(counted)
    }

    fn add(&mut self, bucket: FigureBucket, n: u32) {
        if let Some(count) = self.counts.get_mut(usize::from(bucket.number())) {
            *count = count.saturating_add(n);
        }
        self.ends = (self.ends.0.min(bucket), self.ends.1.max(bucket));
        self.total = self.total.saturating_add(u64::from(n));
    }

    fn parts(&self, windows: impl Iterator<Item = (FigureBucket, u32)>, sum: u64) -> SpreadParts {
        let (lowest, highest) = self.ends;
        let rank = |percent: u64| self.total.saturating_mul(percent).div_ceil(100);
        let (median, before) = self.reach(lowest, 0, rank(50));
        let (high, _) = self.reach(median, before, rank(95));
        let near = Near::to(median);
        let near_mean = if near.holds(lowest) && near.holds(highest) {
            mean_of(sum, self.total)
        } else {
            near.mean(windows, sum)
        };
        SpreadParts { lowest, median, high, near_mean, sum, count: self.total }
    }

    /// The bucket, from one on, with which `rank` windows are seen, and how many are before it; `before`
    /// are before the first.
    fn reach(&self, from: FigureBucket, before: u64, rank: u64) -> (FigureBucket, u64) {
        let mut before = before;
        let first = usize::from(from.number());
        for (at, &n) in (from.number()..).zip(self.counts.get(first..).unwrap_or_default()) {
            let seen = before.saturating_add(u64::from(n));
            if seen >= rank {
                return (FigureBucket::from_number(at).unwrap_or(from), before);
            }
            before = seen;
        }
        (from, before)
    }
}

fn mean_of(sum: u64, count: u64) -> u32 {
    u32::try_from(sum / count.max(1)).unwrap_or(u32::MAX)
}

/// The middle bucket and all within an eighth of it: windows that hardly differ are in these alone.
#[derive(Debug, Clone, Copy)]
struct Near {
    from: u32,
    until: u32,
}

impl Near {
    fn to(middle: FigureBucket) -> Self {
        let (lowest, highest) = (middle.lowest(), middle.highest());
        Self { from: lowest - lowest / 8, until: highest.saturating_add(highest / 8) }
    }

    fn holds(self, bucket: FigureBucket) -> bool {
        bucket.lowest() <= self.until && bucket.highest() >= self.from
    }

    /// The mean of the windows in these buckets, given the sum over all: exact where there are no
    /// others.
    fn mean(self, windows: impl Iterator<Item = (FigureBucket, u32)>, sum: u64) -> u32 {
        let (mut near, mut elsewhere) = (0u64, 0u64);
        for (bucket, n) in windows {
            if self.holds(bucket) {
                near = near.saturating_add(u64::from(n));
            } else {
                let value = u64::from(bucket.middle());
                elsewhere = elsewhere.saturating_add(value.saturating_mul(n.into()));
            }
        }
        mean_of(sum.saturating_sub(elsewhere), near)
    }

    /// The value that stands for a bucket: what of it lies nearest to the mean of the near ones, where
    /// it is one of those; else its middle.
    fn value(self, bucket: FigureBucket, mean: u32) -> u32 {
        let near = self.holds(bucket);
        if near { mean.clamp(bucket.lowest(), bucket.highest()) } else { bucket.middle() }
    }
}

/// A slot in short. It reads as its [`SlotCounts`], of which the worst losses are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotGist {
    /// The quarter-hour.
    pub start: SlotStart,
    /// Its counts without [`SlotCounts::worst_burst`] and [`SlotCounts::worst_15s`].
    pub counts: SlotCounts,
    /// The windows' median round trips, in microseconds.
    pub delay: Option<Spread>,
    /// The windows' jitter, in microseconds.
    pub jitter: Option<Spread>,
}

impl SlotGist {
    /// Of counts alone.
    #[must_use]
    pub const fn of_counts(start: SlotStart, counts: SlotCounts) -> Self {
        let counts = SlotCounts { worst_burst: None, worst_15s: None, ..counts };
        Self { start, counts, delay: None, jitter: None }
    }

    /// Of a whole slot.
    #[must_use]
    pub fn of(slot: &Slot) -> Self {
        let spread = |figure| Some(SpreadParts::of_figure(&slot.figures, figure)?.spread());
        Self {
            delay: spread(Figure::Delay),
            jitter: spread(Figure::Jitter),
            ..Self::of_counts(slot.start, slot.counts)
        }
    }
}

impl std::ops::Deref for SlotGist {
    type Target = SlotCounts;

    fn deref(&self) -> &SlotCounts {
        &self.counts
    }
}

impl std::ops::DerefMut for SlotGist {
    fn deref_mut(&mut self) -> &mut SlotCounts {
        &mut self.counts
    }
}
