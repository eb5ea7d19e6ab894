//! A slot in short: its counts, and how its windows are spread by the two figures that days are compared
//! by. What judging a day looks at, of very many slots.

use super::counts::SlotCounts;
use super::figures::{Figure, InvalidFigures};
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
        let counted = Counted::of(windows.clone())?;
        Some(counted.spread(windows, sum))
    }

    /// The same where the sum is told by how far it lies above what the middles of the buckets sum up
    /// to, modulo 2^64: see [`Figures::middles`].
    ///
    /// # Errors
    /// When no windows in these buckets have such a sum.
    pub fn from_distance(
        windows: impl Iterator<Item = (FigureBucket, u32)> + Clone,
        figure: Figure,
        distance: u64,
    ) -> Result<Option<Self>, InvalidFigures> {
        let (mut lowest, mut middle, mut highest) = (0u64, 0u64, 0u64);
        for (bucket, n) in windows.clone() {
            let of = |value: u32| u64::from(value) * u64::from(n);
            lowest = lowest.saturating_add(of(bucket.lowest()));
            middle = middle.wrapping_add(of(bucket.middle()));
            highest = highest.saturating_add(of(bucket.highest()));
        }
        let sum = distance.wrapping_add(middle);
        if !(lowest..=highest).contains(&sum) {
            return Err(InvalidFigures::Sum(figure));
        }
        Ok(Self::of(windows, sum))
    }
}

/// How many windows are in each bucket.
struct Counted {
    counts: [u32; FigureBucket::COUNT],
    lowest: FigureBucket,
    total: u64,
}

impl Counted {
    fn of(windows: impl Iterator<Item = (FigureBucket, u32)>) -> Option<Self> {
        let mut counts = [0u32; FigureBucket::COUNT];
        let (mut lowest, mut total) = (None, 0u64);
        for (bucket, n) in windows {
            if let Some(count) = counts.get_mut(usize::from(bucket.number())) {
                *count = count.saturating_add(n);
            }
            lowest = Some(lowest.map_or(bucket, |lowest: FigureBucket| lowest.min(bucket)));
            total = total.saturating_add(u64::from(n));
        }
        Some(Self { counts, lowest: lowest?, total })
    }

    fn spread(&self, windows: impl Iterator<Item = (FigureBucket, u32)>, sum: u64) -> Spread {
        let rank = |percent: u64| self.total.saturating_mul(percent).div_ceil(100);
        let (middle, seen) = self.reach(self.lowest, 0, rank(50));
        // Those of the bucket itself were counted.
        let own = self.counts.get(usize::from(middle.number())).copied().unwrap_or(0);
        let (high, _) = self.reach(middle, seen.saturating_sub(u64::from(own)), rank(95));
        let near = Near::to(middle);
        let mean = near.mean(windows, sum);
        Spread {
            lowest: near.value(self.lowest, mean),
            median: near.value(middle, mean),
            high: near.value(high, mean),
            sum,
            count: self.total,
        }
    }

    /// The bucket, from one on, up to which `rank` windows are seen, and how many these are; `seen` of
    /// them are below the first.
    fn reach(&self, from: FigureBucket, seen: u64, rank: u64) -> (FigureBucket, u64) {
        let mut seen = seen;
        let first = usize::from(from.number());
        for (at, &n) in (from.number()..).zip(self.counts.get(first..).unwrap_or_default()) {
            seen = seen.saturating_add(u64::from(n));
            if seen >= rank {
                return (FigureBucket::from_number(at).unwrap_or(from), seen);
            }
        }
        (from, seen)
    }
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
        u32::try_from(sum.saturating_sub(elsewhere) / near.max(1)).unwrap_or(u32::MAX)
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
        let spread = |figure| spread_of(&slot.figures, figure);
        Self {
            delay: spread(Figure::Delay),
            jitter: spread(Figure::Jitter),
            ..Self::of_counts(slot.start, slot.counts)
        }
    }
}

fn spread_of(figures: &Figures, figure: Figure) -> Option<Spread> {
    let windows = figures.combinations().iter();
    let windows = windows.filter_map(|&(known, n)| Some((known.bucket(figure)?, n)));
    Spread::of(windows, figures.sum(figure))
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
