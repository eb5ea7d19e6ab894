//! A mergeable log-linear histogram of non-negative integers.

use thiserror::Error;

/// Linear sub-buckets per octave, as a power of two.
const SUB_BITS: u32 = 5;
const SUB: u64 = 1 << SUB_BITS;
/// The highest bucket that a `u32` value falls into.
const MAX_BUCKET: u16 = ((32 - SUB_BITS) << SUB_BITS) as u16 + (SUB as u16 - 1);

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
    /// An empty histogram.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: Vec::new(), count: 0, sum: 0, min: 0, max: 0 }
    }

    /// Rebuilds a histogram from what [`Self::buckets`], [`Self::sum`], [`Self::min`] and
    /// [`Self::max`] gave.
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
                first == bucket_of(min)
                    && last == bucket_of(max)
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
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
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
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
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

/// The bucket of a value: itself below 32, then 32 buckets an octave.
fn bucket_of(value: u32) -> u16 {
    let value = u64::from(value);
    if value < SUB {
        return value as u16;
    }
    let exponent = 63 - value.leading_zeros();
    let octave = exponent - SUB_BITS + 1;
    let mantissa = (value >> (exponent - SUB_BITS)) & (SUB - 1);
    ((octave << SUB_BITS) as u64 + mantissa) as u16
}

/// The middle of a bucket.
fn middle_of(bucket: u16) -> u32 {
    let (octave, mantissa) = (u64::from(bucket) >> SUB_BITS, u64::from(bucket) & (SUB - 1));
    if octave == 0 {
        return mantissa as u32;
    }
    let width = 1u64 << (octave - 1);
    ((SUB + mantissa) * width + width / 2).min(u64::from(u32::MAX)) as u32
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
        fn parts_round_trip(values in prop::collection::vec(any::<u32>(), 0..100)) {
            let histogram = of(&values);
            let again = Histogram::from_parts(
                histogram.buckets().to_vec(), histogram.sum(), histogram.min(), histogram.max(),
            );
            prop_assert_eq!(again, Ok(histogram));
        }
    }

    #[test]
    fn contradicting_parts_are_refused() {
        assert!(Histogram::from_parts(vec![(3, 0)], 0, 3, 3).is_err());
        assert!(Histogram::from_parts(vec![(4, 1), (3, 1)], 7, 3, 4).is_err());
        assert!(Histogram::from_parts(vec![(3, 2)], 100, 3, 3).is_err());
        assert!(Histogram::from_parts(vec![(u16::MAX, 1)], 1, 1, 1).is_err());
        assert!(Histogram::from_parts(vec![], 1, 0, 0).is_err());
    }
}
