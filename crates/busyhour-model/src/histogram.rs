//! A mergeable log-linear histogram of non-negative integers.

use thiserror::Error;

/// Linear sub-buckets per octave, as a power of two.
const SUB_BITS: u32 = 5;
const SUB: u64 = 1 << SUB_BITS;
/// The highest bucket that a `u32` value falls into.
const MAX_BUCKET: u16 = ((32 - SUB_BITS) << SUB_BITS) as u16 + (SUB as u16 - 1);
/// Groups of a coarse histogram an octave, as a power of two.
const GROUP_BITS: u32 = 3;
/// The width of the groups below the first octave that is divided.
const NARROWEST: u32 = 128;
/// The first octave that is divided begins here.
const DIVIDED: u32 = NARROWEST << GROUP_BITS;
/// The bucket that stands for each group: the one that ends at the group's middle.
const STANDS_FOR: [u16; Histogram::GROUPS] = stands_for();
/// The bucket that stands for the group of each bucket.
const COARSE: [u16; MAX_BUCKET as usize + 1] = coarse_buckets();
/// The group of each bucket.
const GROUP_OF: [u8; MAX_BUCKET as usize + 1] = groups_of_buckets();

/// Parts that do not form a histogram.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidHistogram {
    /// Buckets must ascend, lie in range and hold at least one value each.
    #[error("buckets are not ascending, in range and non-empty (at bucket {0})")]
    Buckets(u16),
    /// Lowest, highest and sum must be possible for the counts.
    #[error("lowest, highest or sum do not fit the counts")]
    Extremes,
}

/// A distribution of values in 0..=4 294 967 295 (the unit is the field's: microseconds, parts per
/// million).
///
/// Values below 32 are exact. Above that each octave has 32 equal buckets, so a quantile is at
/// most 1/64 (1.6 %) off. Count, sum, lowest and highest are exact. Merging adds counts: it is
/// exact, associative and commutative, and uses integers only, so every machine agrees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    buckets: Vec<(u16, u64)>,
    count: u64,
    sum: u64,
    min: u32,
    max: u32,
}

impl Histogram {
    /// A quantile of a coarse histogram is at most this far off, or [`Self::COARSE_ERROR_RATIO`] of
    /// the true value, whichever is more: half a group and half the bucket that stands for it. In the
    /// unit of the values.
    pub const COARSE_ERROR: u32 = 72;
    /// See [`Self::COARSE_ERROR`].
    pub const COARSE_ERROR_RATIO: f64 = 0.07;
    /// How many groups the values of a coarse histogram fall into.
    pub const GROUPS: usize = (DIVIDED / NARROWEST) as usize + (22 << GROUP_BITS);

    /// An empty histogram.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: Vec::new(), count: 0, sum: 0, min: 0, max: 0 }
    }

    /// Rebuilds a histogram from what [`Self::buckets`], [`Self::sum`], [`Self::min`] and
    /// [`Self::max`] gave. Lowest and highest have to be of the same group as the first and the last
    /// bucket and not of the same bucket, because a bucket of a coarse histogram stands for its group.
    ///
    /// # Errors
    /// When the parts contradict each other.
    pub fn from_parts(
        buckets: Vec<(u16, u64)>,
        sum: u64,
        min: u32,
        max: u32,
    ) -> Result<Self, InvalidHistogram> {
        let mut count: u64 = 0;
        let mut previous: Option<u16> = None;
        for &(bucket, n) in &buckets {
            let ascending = previous.is_none_or(|p| p < bucket);
            if !ascending || bucket > MAX_BUCKET || n == 0 {
                return Err(InvalidHistogram::Buckets(bucket));
            }
            count = count.checked_add(n).ok_or(InvalidHistogram::Extremes)?;
            previous = Some(bucket);
        }
        let fits = match (buckets.first(), buckets.last()) {
            (Some(&(first, _)), Some(&(last, _))) => {
                let (sum, count) = (u128::from(sum), u128::from(count));
                Self::group_of_bucket(first) == Some(Self::group_of(min))
                    && Self::group_of_bucket(last) == Some(Self::group_of(max))
                    && min <= max
                    && sum >= u128::from(min) * count
                    && sum <= u128::from(max) * count
            }
            _ => sum == 0 && min == 0 && max == 0,
        };
        if !fits {
            return Err(InvalidHistogram::Extremes);
        }
        Ok(Self { buckets, count, sum, min, max })
    }

    /// Adds one value. Ascending values are the fastest to add.
    pub fn record(&mut self, value: u32) {
        self.record_n(value, 1);
    }

    /// Adds `n` equal values.
    pub fn record_n(&mut self, value: u32, n: u64) {
        if n == 0 {
            return;
        }
        let bucket = bucket_of(value);
        match self.buckets.last_mut() {
            Some((last, count)) if *last == bucket => *count = count.saturating_add(n),
            Some((last, _)) if *last > bucket => {
                match self.buckets.binary_search_by_key(&bucket, |&(b, _)| b) {
                    Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(n),
                    Err(at) => self.buckets.insert(at, (bucket, n)),
                }
            }
            _ => self.buckets.push((bucket, n)),
        }
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(n);
        self.sum = self.sum.saturating_add(u64::from(value).saturating_mul(n));
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if !self.merge_in_place(&other.buckets) {
            self.merge_anew(other);
        }
        self.add_totals(other);
    }

    /// Adds what is known of all values of `other` together.
    fn add_totals(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Adds counts where each has its bucket already, as is usual among windows of one path; false,
    /// and nothing changed, where one has not.
    fn merge_in_place(&mut self, others: &[(u16, u64)]) -> bool {
        let mut known = self.buckets.iter().map(|&(bucket, _)| bucket);
        if !others.iter().all(|&(wanted, _)| known.any(|bucket| bucket == wanted)) {
            return false;
        }
        let mut counts = self.buckets.iter_mut();
        for &(wanted, n) in others {
            if let Some((_, count)) = counts.find(|(bucket, _)| *bucket == wanted) {
                *count = count.saturating_add(n);
            }
        }
        true
    }

    fn merge_anew(&mut self, other: &Self) {
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut left, mut right) =
            (self.buckets.iter().peekable(), other.buckets.iter().peekable());
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(&&(a, n)), Some(&&(b, m))) if a == b => {
                    left.next();
                    right.next();
                    (a, n.saturating_add(m))
                }
                (Some(&&a), Some(&&b)) => {
                    if a.0 < b.0 {
                        left.next();
                        a
                    } else {
                        right.next();
                        b
                    }
                }
                (Some(&&a), None) => {
                    left.next();
                    a
                }
                (None, Some(&&b)) => {
                    right.next();
                    b
                }
                (None, None) => break,
            };
            merged.push(next);
        }
        self.buckets = merged;
    }

    /// The same values, known less finely: eight groups an octave and nothing finer than 128. All
    /// values of a group are counted in one bucket of it. Count, sum, lowest and highest stay exact;
    /// quantiles are as far off as [`Self::COARSE_ERROR`] says. Coarsening twice changes nothing more,
    /// and it makes no difference whether histograms are coarsened before or after they are merged.
    #[must_use]
    pub fn coarsened(&self) -> Self {
        let mut buckets = Vec::with_capacity(self.buckets.len().min(24));
        self.each_coarse_bucket(|bucket, n| buckets.push((bucket, n)));
        Self { buckets, ..*self }
    }

    /// Hands out the occupied buckets of [`Self::coarsened`] in ascending order, each with its count,
    /// without making it.
    pub fn each_coarse_bucket(&self, mut take: impl FnMut(u16, u64)) {
        let mut buckets = self.buckets.iter();
        let Some(&(first, mut count)) = buckets.next() else { return };
        let mut bucket = coarse_bucket(first);
        for &(fine, n) in buckets {
            let next = coarse_bucket(fine);
            if next == bucket {
                count = count.saturating_add(n);
            } else {
                take(bucket, count);
                (bucket, count) = (next, n);
            }
        }
        take(bucket, count);
    }

    /// How many buckets [`Self::each_coarse_bucket`] hands out.
    #[must_use]
    pub fn coarse_buckets(&self) -> usize {
        let ends = |pair: &&[(u16, u64)]| match pair {
            [(a, _), (b, _)] => coarse_bucket(*a) != coarse_bucket(*b),
            _ => false,
        };
        self.buckets.windows(2).filter(ends).count() + usize::from(!self.buckets.is_empty())
    }

    /// Adds all values of `other` as [`Self::coarsened`] gives them, without making that.
    pub fn merge_coarsened(&mut self, other: &Self) {
        let mut at = 0;
        other.each_coarse_bucket(|bucket, n| {
            while self.buckets.get(at).is_some_and(|&(known, _)| known < bucket) {
                at += 1;
            }
            match self.buckets.get_mut(at) {
                Some((known, count)) if *known == bucket => *count = count.saturating_add(n),
                _ => self.buckets.insert(at, (bucket, n)),
            }
        });
        self.add_totals(other);
    }

    /// The group of a value in a coarse histogram: below [`Self::GROUPS`].
    #[must_use]
    pub const fn group_of(value: u32) -> u8 {
        if value < DIVIDED {
            return (value / NARROWEST) as u8;
        }
        let octave = value.ilog2();
        let part = (value >> (octave - GROUP_BITS)) & ((1 << GROUP_BITS) - 1);
        ((DIVIDED / NARROWEST) + ((octave - DIVIDED.ilog2()) << GROUP_BITS) + part) as u8
    }

    /// The group that all values of a bucket are of; `None` when there is no such bucket.
    #[must_use]
    pub fn group_of_bucket(bucket: u16) -> Option<u8> {
        GROUP_OF.get(usize::from(bucket)).copied()
    }

    /// The bucket that stands for a group in a coarse histogram; `None` when there is no such group.
    #[must_use]
    pub fn bucket_of_group(group: u8) -> Option<u16> {
        STANDS_FOR.get(usize::from(group)).copied()
    }

    /// The lowest value of a group, and how many values it has; `None` when there is no such group.
    #[must_use]
    pub fn span_of_group(group: u8) -> Option<(u32, u32)> {
        (usize::from(group) < Self::GROUPS).then(|| span_of_group(group.into()))
    }

    /// The value below which the share `q` (0..=1) of all values lies, by nearest rank; at most
    /// 1.6 % off. `None` when empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "the rank is clamped to 1..=count"
        )]
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        if rank == self.count {
            return Some(self.max);
        }
        let mut seen: u64 = 0;
        for &(bucket, n) in &self.buckets {
            seen = seen.saturating_add(n);
            if seen >= rank {
                return Some(middle_of(bucket).clamp(self.min, self.max));
            }
        }
        Some(self.max)
    }

    /// The arithmetic mean, exact. `None` when empty.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a mean is an approximation anyway")]
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// How many values were added.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The exact sum of all values.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// The lowest value; 0 when empty.
    #[must_use]
    pub const fn min(&self) -> u32 {
        self.min
    }

    /// The highest value; 0 when empty.
    #[must_use]
    pub const fn max(&self) -> u32 {
        self.max
    }

    /// True when nothing was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The occupied buckets in ascending order, each with its count (at least 1).
    #[must_use]
    pub fn buckets(&self) -> &[(u16, u64)] {
        &self.buckets
    }
}

/// The lowest value of a group, and its width.
const fn span_of_group(group: u32) -> (u32, u32) {
    let undivided = DIVIDED / NARROWEST;
    if group < undivided {
        return (group * NARROWEST, NARROWEST);
    }
    let (octave, part) =
        ((group - undivided) >> GROUP_BITS, (group - undivided) % (1 << GROUP_BITS));
    let width = NARROWEST << octave;
    (((1 << GROUP_BITS) + part) * width, width)
}

const fn stands_for() -> [u16; Histogram::GROUPS] {
    let mut buckets = [0; Histogram::GROUPS];
    let mut group = 0;
    while group < Histogram::GROUPS {
        let (lowest, width) = span_of_group(group as u32);
        buckets[group] = bucket_of(lowest + width / 2 - 1);
        group += 1;
    }
    buckets
}

const fn groups_of_buckets() -> [u8; MAX_BUCKET as usize + 1] {
    let mut groups = [0; MAX_BUCKET as usize + 1];
    let mut bucket = 0;
    while bucket <= MAX_BUCKET {
        groups[bucket as usize] = Histogram::group_of(middle_of(bucket));
        bucket += 1;
    }
    groups
}

/// The bucket that stands for the group of a bucket. Constructors let no others in than there are.
fn coarse_bucket(bucket: u16) -> u16 {
    COARSE.get(usize::from(bucket)).copied().unwrap_or(bucket)
}

const fn coarse_buckets() -> [u16; MAX_BUCKET as usize + 1] {
    let mut buckets = [0; MAX_BUCKET as usize + 1];
    let mut bucket = 0;
    while bucket <= MAX_BUCKET {
        buckets[bucket as usize] = STANDS_FOR[GROUP_OF[bucket as usize] as usize];
        bucket += 1;
    }
    buckets
}

/// The bucket of a value: itself below 32, then 32 buckets an octave.
const fn bucket_of(value: u32) -> u16 {
    let value = value as u64;
    if value < SUB {
        return value as u16;
    }
    let exponent = 63 - value.leading_zeros();
    let octave = exponent - SUB_BITS + 1;
    let mantissa = (value >> (exponent - SUB_BITS)) & (SUB - 1);
    ((octave << SUB_BITS) as u64 + mantissa) as u16
}

/// The middle of a bucket.
const fn middle_of(bucket: u16) -> u32 {
    let (octave, mantissa) = (bucket as u64 >> SUB_BITS, bucket as u64 & (SUB - 1));
    if octave == 0 {
        return mantissa as u32;
    }
    let width = 1u64 << (octave - 1);
    // The highest bucket ends at 2^32.
    ((SUB + mantissa) * width + width / 2) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u32]) -> Histogram {
        let mut histogram = Histogram::new();
        for &value in values {
            histogram.record(value);
        }
        histogram
    }

    #[test]
    fn small_values_are_exact() {
        let histogram = of(&[0, 1, 2, 3, 31]);
        assert_eq!(histogram.quantile(0.2), Some(0));
        assert_eq!(histogram.quantile(0.8), Some(3));
        assert_eq!(histogram.quantile(1.0), Some(31));
        assert_eq!(Histogram::new().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_a_sixty_fourth(
            values in prop::collection::vec(any::<u32>(), 1..300),
            q in 0.0f64..=1.0,
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let truth = f64::from(sorted[rank - 1]);
            let got = f64::from(of(&values).quantile(q).unwrap());
            prop_assert!((got - truth).abs() <= truth / 64.0 + 0.5, "{got} against {truth}");
        }

        #[test]
        fn merging_is_the_same_as_recording_together(
            a in prop::collection::vec(any::<u32>(), 0..100),
            b in prop::collection::vec(any::<u32>(), 0..100),
        ) {
            let (mut ab, mut ba) = (of(&a), of(&b));
            ab.merge(&of(&b));
            ba.merge(&of(&a));
            let together = of(&a.iter().chain(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(&ab, &together);
            prop_assert_eq!(&ba, &together);
        }

        #[test]
        fn a_quantile_of_a_coarse_histogram_is_as_far_off_as_is_said(
            values in prop::collection::vec(prop_oneof![0u32..2_000, 0u32..300_000, any::<u32>()], 1..300),
            q in 0.0f64..=1.0,
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let truth = f64::from(sorted[rank - 1]);
            let got = f64::from(of(&values).coarsened().quantile(q).unwrap());
            let most = (truth * Histogram::COARSE_ERROR_RATIO).max(Histogram::COARSE_ERROR.into());
            prop_assert!((got - truth).abs() <= most, "{got} against {truth}");
        }

        #[test]
        fn coarsening_keeps_totals_is_done_once_and_before_or_after_merging(
            a in prop::collection::vec(any::<u32>().prop_map(|v| v >> (v % 25)), 0..100),
            b in prop::collection::vec(any::<u32>().prop_map(|v| v >> (v % 25)), 0..100),
        ) {
            let (fine, other) = (of(&a), of(&b));
            let coarse = fine.coarsened();
            prop_assert_eq!(fine.coarse_buckets(), coarse.buckets().len());
            let totals = |h: &Histogram| (h.count(), h.sum(), h.min(), h.max());
            prop_assert_eq!(totals(&coarse), totals(&fine));
            prop_assert_eq!(&coarse.coarsened(), &coarse);
            let (mut before, mut after) = (coarse.clone(), fine);
            before.merge(&other.coarsened());
            after.merge(&other);
            prop_assert_eq!(&before, &after.coarsened());

            let mut at_once = coarse.clone();
            at_once.merge_coarsened(&other);
            prop_assert_eq!(&at_once, &before);
            let again = Histogram::from_parts(
                coarse.buckets().to_vec(), coarse.sum(), coarse.min(), coarse.max(),
            );
            prop_assert_eq!(again, Ok(coarse));
        }

        #[test]
        fn a_value_lies_in_its_group_and_so_does_its_bucket(value in any::<u32>().prop_map(|v| v >> (v % 32))) {
            let group = Histogram::group_of(value);
            let (lowest, width) = Histogram::span_of_group(group).unwrap();
            prop_assert!(lowest <= value && value - lowest < width);
            prop_assert_eq!(Histogram::group_of_bucket(bucket_of(value)), Some(group));
            let stands = Histogram::bucket_of_group(group).unwrap();
            prop_assert_eq!(Histogram::group_of_bucket(stands), Some(group));
        }

        #[test]
        fn parts_round_trip(values in prop::collection::vec(any::<u32>(), 0..100)) {
            let histogram = of(&values);
            let again = Histogram::from_parts(
                histogram.buckets().to_vec(), histogram.sum(), histogram.min(), histogram.max(),
            );
            prop_assert_eq!(again, Ok(histogram));
        }
    }

    #[test]
    fn coarse_groups_are_of_128_and_then_eight_an_octave() {
        let bounds: Vec<u32> = (0..24).map(|group| span_of_group(group).0).collect();
        let narrow = (0..16).map(|n| n * 128);
        assert_eq!(bounds, narrow.chain((8..16).map(|n| n * 256)).collect::<Vec<_>>());
        assert_eq!(Histogram::span_of_group(183), Some((15 << 28, 1 << 28)));
        assert_eq!((Histogram::GROUPS, Histogram::group_of(u32::MAX)), (184, 183));
        assert_eq!((Histogram::span_of_group(184), Histogram::bucket_of_group(184)), (None, None));
        assert_eq!(Histogram::group_of_bucket(MAX_BUCKET + 1), None);
        let coarse = of(&[0, 100, 127, 128, 18_000, 18_400, 18_432]).coarsened();
        let counts: Vec<u64> = coarse.buckets().iter().map(|&(_, n)| n).collect();
        assert_eq!(counts, [3, 1, 2, 1]);
    }

    #[test]
    fn contradicting_parts_are_refused() {
        assert!(Histogram::from_parts(vec![(3, 0)], 0, 3, 3).is_err());
        assert!(Histogram::from_parts(vec![(4, 1), (3, 1)], 7, 3, 4).is_err());
        assert!(Histogram::from_parts(vec![(3, 2)], 100, 3, 3).is_err());
        assert!(Histogram::from_parts(vec![(u16::MAX, 1)], 1, 1, 1).is_err());
        assert!(Histogram::from_parts(vec![(bucket_of(200), 1)], 127, 127, 127).is_err());
        assert!(Histogram::from_parts(vec![(bucket_of(100), 1)], 128, 100, 128).is_err());
        assert!(Histogram::from_parts(vec![], 1, 0, 0).is_err());
    }
}
