//! What each window of a slot was like, on a scale that judging can be done again on.

use thiserror::Error;

use super::scale::{FigureBucket, VALUES, Values};
use super::totals::Marginal;
use crate::emodel::{REFERENCE_CODEC, rating};
use crate::path::word_enum;
use crate::{LimitTable, MIN_JUDGED_RATE_PPS, OneWayDelay, Window};

word_enum!(
    /// One figure of a window.
    Figure, "figure", {
        /// Loss in 15 s, in parts per million, rounded up.
        Loss = "loss",
        /// Loss in the worst 200 ms, in parts per million, rounded up.
        Burst = "burst",
        /// The median round trip, in microseconds.
        Delay = "delay",
        /// What one-way delay is at least: the worse median less what the clocks may err, in
        /// microseconds.
        OneWay = "one-way",
        /// Mean jitter of the worse direction, in microseconds.
        Jitter = "jitter",
        /// How far the call estimate of the reference codec lies below 100, in hundredths.
        Rating = "rating",
    }
);

/// How many figures there are.
pub(super) const FIGURES: usize = Figure::ALL.len();
/// The bucket number of a window without the figure.
const NONE: u8 = u8::MAX;

const FAILED: u8 = 1;
const LONE_LOSS: u8 = 2;
const LONE_BURST: u8 = 4;
const MARKS: u8 = FAILED | LONE_LOSS | LONE_BURST;

/// The figures of one valid window; `None` where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowFigures {
    /// In the order of [`Figure::ALL`].
    pub values: [Option<u32>; FIGURES],
    /// Nothing came back.
    pub failed: bool,
    /// A single packet was lost in all: that never fails, however few were sent.
    pub lone_loss: bool,
    /// A single packet was lost in the worst 200 ms: that is no burst.
    pub lone_burst: bool,
}

impl WindowFigures {
    /// Those of a window. Below [`MIN_JUDGED_RATE_PPS`] it has no loss, burst, jitter and rating.
    #[must_use]
    pub fn of(window: &Window) -> Self {
        let counts = &window.counts;
        let dense = window.rate_pps >= MIN_JUDGED_RATE_PPS;
        let burst = window.burst.filter(|_| dense);
        let one_way = window.one_way.filter(OneWayDelay::is_credible).map(|one_way| {
            let worse = i64::from(one_way.up_median_us.max(one_way.down_median_us));
            u32::try_from(worse - i64::from(one_way.error_us)).unwrap_or(0)
        });
        Self {
            values: [
                dense.then(|| ratio_ppm(counts.lost(), counts.sent())),
                burst.map(|burst| ratio_ppm(burst.lost(), burst.of())),
                window.rtt_median_us,
                one_way,
                window.jitter_us().filter(|_| dense),
                rating(window, REFERENCE_CODEC).map(below_hundred),
            ],
            failed: window.failed(),
            lone_loss: dense && counts.lost() == 1,
            lone_burst: burst.is_some_and(|burst| burst.lost() == 1),
        }
    }

    /// The same with this figure.
    #[must_use]
    pub const fn with(mut self, figure: Figure, value: u32) -> Self {
        self.values[figure as usize] = Some(value);
        self
    }

    fn combination(&self) -> Combination {
        let mark = |holds: bool, mark: u8| if holds { mark } else { 0 };
        Combination {
            buckets: self.values.map(|value| value.map_or(NONE, |v| FigureBucket::of(v).number())),
            marks: mark(self.failed, FAILED)
                | mark(self.lone_loss, LONE_LOSS)
                | mark(self.lone_burst, LONE_BURST),
        }
    }
}

/// `part` of `whole` in parts per million, rounded up: it is above a limit exactly when the ratio is.
fn ratio_ppm(part: u32, whole: u32) -> u32 {
    let ppm = (u64::from(part) * 1_000_000).div_ceil(u64::from(whole.max(1)));
    u32::try_from(ppm).unwrap_or(u32::MAX)
}

/// Hundredths that a rating lies below 100, rounded up.
fn below_hundred(rating: f64) -> u32 {
    // A conversion from a float ends at the type's ends; NaN becomes 0, which no estimate gives.
    ((100.0 - rating) * 100.0).ceil() as u32
}

/// The buckets that a window's figures fall into, and what besides them judging it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Combination {
    buckets: [u8; FIGURES],
    marks: u8,
}

impl Combination {
    /// How many bytes it takes.
    pub const BYTES: usize = FIGURES + 1;
    /// What stands for the number of a bucket where a window has no such figure.
    pub const NO_BUCKET: u8 = NONE;

    /// What [`Self::to_bytes`] gave; `None` when there is no such combination.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [buckets @ .., marks] = bytes;
        let known = |&bucket: &u8| bucket == NONE || usize::from(bucket) < FigureBucket::COUNT;
        (buckets.iter().all(known) && marks & !MARKS == 0).then_some(Self { buckets, marks })
    }

    /// For each figure the number of its bucket, 255 for none, then the marks. Keeps the order.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        let [loss, burst, delay, one_way, jitter, rating] = self.buckets;
        [loss, burst, delay, one_way, jitter, rating, self.marks]
    }

    /// The bucket of a figure; `None` where the window has no such figure.
    #[must_use]
    pub const fn bucket(self, figure: Figure) -> Option<FigureBucket> {
        FigureBucket::from_number(self.buckets[figure as usize])
    }

    /// In which ways the window is bad, in the order of [`Breach::ALL`](crate::Breach::ALL): what
    /// [`LimitTable::judge`] said of it.
    fn breaches(self, limits: &LimitBuckets) -> [bool; 5] {
        let is = |mark: u8| self.marks & mark != 0;
        let above = |figure: Figure, limit: FigureBucket| {
            self.bucket(figure).is_some_and(|bucket| bucket > limit)
        };
        let has_loss = self.bucket(Figure::Loss).is_some();
        if is(FAILED) {
            return [has_loss, false, false, false, true];
        }
        [
            !is(LONE_LOSS) && above(Figure::Loss, limits.loss),
            !is(LONE_BURST) && above(Figure::Burst, limits.burst),
            above(Figure::Delay, limits.rtt) || above(Figure::OneWay, limits.one_way),
            above(Figure::Jitter, limits.jitter),
            false,
        ]
    }
}

/// The limits of a table, as the buckets that they are the edges of.
struct LimitBuckets {
    loss: FigureBucket,
    burst: FigureBucket,
    rtt: FigureBucket,
    one_way: FigureBucket,
    jitter: FigureBucket,
}

impl LimitBuckets {
    /// `None` when a limit is no edge.
    fn of(table: &LimitTable) -> Option<Self> {
        let edge = |limit| FigureBucket::is_edge(limit).then(|| FigureBucket::of(limit));
        Some(Self {
            loss: edge(table.loss_ppm)?,
            burst: edge(table.burst_ppm)?,
            rtt: edge(table.rtt_us)?,
            one_way: edge(table.one_way_us)?,
            jitter: edge(table.jitter_us)?,
        })
    }
}

/// What a sum is at least, at most, and with all windows in the middle of their buckets.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    lowest: u64,
    middle: u64,
    highest: u64,
}

impl Bounds {
    fn of(combinations: &[(Combination, u32)], figure: Figure) -> Self {
        combinations.iter().fold(Self::default(), |bounds, &(combination, n)| {
            let Values { lowest, middle, highest } =
                VALUES[usize::from(combination.buckets[figure as usize])];
            let of = |value: u32| u64::from(value) * u64::from(n);
            Self {
                lowest: bounds.lowest.saturating_add(of(lowest)),
                middle: bounds.middle.wrapping_add(of(middle)),
                highest: bounds.highest.saturating_add(of(highest)),
            }
        })
    }

    fn check(&self, figure: Figure, sum: u64) -> Result<(), InvalidFigures> {
        let fits = (self.lowest..=self.highest).contains(&sum);
        if fits { Ok(()) } else { Err(InvalidFigures::Sum(figure)) }
    }
}

/// Combinations ascend, and each is of one window at least.
fn check_order(combinations: &[(Combination, u32)]) -> Result<(), InvalidFigures> {
    let mut previous: Option<Combination> = None;
    for (at, &(combination, n)) in combinations.iter().enumerate() {
        if n == 0 || previous.is_some_and(|before| before >= combination) {
            return Err(InvalidFigures::Combinations(at));
        }
        previous = Some(combination);
    }
    Ok(())
}

/// Parts that do not form figures.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidFigures {
    /// Combinations must ascend and be of one window at least.
    #[error("combinations are not ascending and non-empty (at {0})")]
    Combinations(usize),
    /// A sum must be possible for the buckets.
    #[error("the sum of {0} does not fit its buckets")]
    Sum(Figure),
}

/// The figures of valid windows: each combination of buckets with how many windows had it, and exact
/// sums. They merge exactly, and judging them under any limits that are edges of the scale is exact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    combinations: Vec<(Combination, u32)>,
    sums: [u64; FIGURES],
}

impl Figures {
    /// Figures of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { combinations: Vec::new(), sums: [0; FIGURES] }
    }

    /// Rebuilds figures from what [`Self::combinations`] and [`Self::sums`] gave.
    ///
    /// # Errors
    /// When the parts contradict each other.
    pub fn from_parts(
        combinations: Vec<(Combination, u32)>,
        sums: [u64; FIGURES],
    ) -> Result<Self, InvalidFigures> {
        check_order(&combinations)?;
        for (&figure, &sum) in Figure::ALL.iter().zip(&sums) {
            Bounds::of(&combinations, figure).check(figure, sum)?;
        }
        Ok(Self { combinations, sums })
    }

    /// Rebuilds figures of which each sum is told by how far it lies above what the middles of the
    /// buckets sum up to ([`Self::middles`]), modulo 2^64.
    ///
    /// # Errors
    /// When the parts contradict each other.
    pub fn from_distances(
        combinations: Vec<(Combination, u32)>,
        distances: [u64; FIGURES],
    ) -> Result<Self, InvalidFigures> {
        check_order(&combinations)?;
        let mut sums = distances;
        for (&figure, sum) in Figure::ALL.iter().zip(&mut sums) {
            let bounds = Bounds::of(&combinations, figure);
            *sum = sum.wrapping_add(bounds.middle);
            bounds.check(figure, *sum)?;
        }
        Ok(Self { combinations, sums })
    }

    /// For each figure the sum, modulo 2^64, that windows would have which lie in the middle of their
    /// buckets, in the order of [`Figure::ALL`].
    #[must_use]
    pub fn middles(&self) -> [u64; FIGURES] {
        let mut middles = [0; FIGURES];
        for (&figure, middle) in Figure::ALL.iter().zip(&mut middles) {
            *middle = Bounds::of(&self.combinations, figure).middle;
        }
        middles
    }

    /// Adds `n` windows with the same figures.
    pub fn record_n(&mut self, window: &WindowFigures, n: u32) {
        if n == 0 {
            return;
        }
        let combination = window.combination();
        match self.combinations.binary_search_by_key(&combination, |&(known, _)| known) {
            Ok(at) => self.combinations[at].1 = self.combinations[at].1.saturating_add(n),
            Err(at) => self.combinations.insert(at, (combination, n)),
        }
        for (sum, value) in self.sums.iter_mut().zip(window.values) {
            *sum = sum.saturating_add(u64::from(value.unwrap_or(0)).saturating_mul(u64::from(n)));
        }
    }

    /// Puts other figures in the place of those that a window was added with: a window that is settled
    /// has another call estimate. Nothing changes when none like it was added.
    pub fn replace(&mut self, before: &WindowFigures, after: &WindowFigures) {
        if before == after {
            return;
        }
        let combination = before.combination();
        let found = self.combinations.binary_search_by_key(&combination, |&(known, _)| known);
        let Ok(at) = found else { return };
        self.combinations[at].1 -= 1;
        if self.combinations[at].1 == 0 {
            self.combinations.remove(at);
        }
        for (sum, value) in self.sums.iter_mut().zip(before.values) {
            *sum = sum.saturating_sub(u64::from(value.unwrap_or(0)));
        }
        self.record_n(after, 1);
    }

    /// Adds all windows of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.sums.iter_mut().zip(other.sums) {
            *sum = sum.saturating_add(more);
        }
        if other.combinations.is_empty() {
            return;
        }
        let mut merged: Vec<(Combination, u32)> =
            Vec::with_capacity(self.combinations.len() + other.combinations.len());
        let mut rest = other.combinations.iter().copied().peekable();
        for &(combination, n) in &self.combinations {
            while let Some(before) = rest.next_if(|&(other, _)| other < combination) {
                merged.push(before);
            }
            let same = rest.next_if(|&(other, _)| other == combination);
            merged.push((combination, n.saturating_add(same.map_or(0, |(_, m)| m))));
        }
        merged.extend(rest);
        self.combinations = merged;
    }

    /// Each combination with how many windows had it (at least 1), in ascending order.
    #[must_use]
    pub fn combinations(&self) -> &[(Combination, u32)] {
        &self.combinations
    }

    /// The exact sums of all figures, in the order of [`Figure::ALL`].
    #[must_use]
    pub const fn sums(&self) -> &[u64; FIGURES] {
        &self.sums
    }

    /// The exact sum of a figure.
    #[must_use]
    pub const fn sum(&self, figure: Figure) -> u64 {
        self.sums[figure as usize]
    }

    /// How many windows have the figure.
    #[must_use]
    pub fn count(&self, figure: Figure) -> u64 {
        let with = self.combinations.iter().filter(|(known, _)| known.bucket(figure).is_some());
        with.map(|&(_, n)| u64::from(n)).sum()
    }

    /// The exact mean of a figure; `None` when no window has it.
    #[must_use]
    pub fn mean(&self, figure: Figure) -> Option<f64> {
        let count = self.count(figure);
        #[expect(clippy::cast_precision_loss, reason = "a mean is an approximation anyway")]
        (count > 0).then(|| self.sum(figure) as f64 / count as f64)
    }

    /// How the windows are distributed by one figure.
    #[must_use]
    pub fn marginal(&self, figure: Figure) -> Marginal {
        let mut marginal = Marginal::new();
        for &(combination, n) in &self.combinations {
            if let Some(bucket) = combination.bucket(figure) {
                marginal.add(bucket, n);
            }
        }
        marginal
    }

    /// The figure that the share `q` (0..=1) of all windows does not exceed, by nearest rank; at most
    /// 1/14 (7 %) or 50 off, whichever is more. `None` when no window has the figure.
    #[must_use]
    pub fn quantile(&self, figure: Figure, q: f64) -> Option<u32> {
        self.marginal(figure).quantile(q)
    }

    /// How many windows are above `value`: exact for an edge of the scale
    /// ([`FigureBucket::is_edge`]); else those in its bucket are not counted.
    #[must_use]
    pub fn above(&self, figure: Figure, value: u32) -> u64 {
        let limit = FigureBucket::of(value);
        let above = |&&(known, _): &&(Combination, u32)| {
            known.bucket(figure).is_some_and(|bucket| bucket > limit)
        };
        self.combinations.iter().filter(above).map(|&(_, n)| u64::from(n)).sum()
    }

    /// How many windows are bad in any way, and in each way in the order of
    /// [`Breach::ALL`](crate::Breach::ALL), under these limits: exactly what
    /// [`LimitTable::judge`] says of the windows. `None` when a limit is no edge of the scale.
    #[must_use]
    pub fn judge(&self, table: &LimitTable) -> Option<(u32, [u32; 5])> {
        let limits = LimitBuckets::of(table)?;
        let (mut bad, mut bad_by) = (0u32, [0u32; 5]);
        for &(combination, n) in &self.combinations {
            let breaches = combination.breaches(&limits);
            if breaches.contains(&true) {
                bad = bad.saturating_add(n);
            }
            for (count, breaks) in bad_by.iter_mut().zip(breaches) {
                *count = count.saturating_add(if breaks { n } else { 0 });
            }
        }
        Some((bad, bad_by))
    }
}
