//! Figures of very many windows, folded where adding is cheapest.

use super::figures::{Combination, FIGURES, Figure, Figures};
use super::scale::FigureBucket;

/// How windows are distributed by one figure: a count for each bucket of the scale. It merges exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marginal {
    counts: [u64; FigureBucket::COUNT],
    count: u64,
}

impl Marginal {
    /// The distribution of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { counts: [0; FigureBucket::COUNT], count: 0 }
    }

    /// Adds `n` windows.
    pub fn add(&mut self, bucket: FigureBucket, n: u32) {
        let at = usize::from(bucket.number());
        self.counts[at] = self.counts[at].saturating_add(u64::from(n));
        self.count = self.count.saturating_add(u64::from(n));
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.count = self.count.saturating_add(other.count);
    }

    /// How many windows there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The occupied buckets in ascending order, each with its count.
    pub fn buckets(&self) -> impl Iterator<Item = (FigureBucket, u64)> + '_ {
        let numbered = (0..=u8::MAX).zip(self.counts).filter(|&(_, n)| n > 0);
        numbered.filter_map(|(number, n)| Some((FigureBucket::from_number(number)?, n)))
    }

    /// The figure that the share `q` (0..=1) of all windows does not exceed, by nearest rank; at most
    /// 1/14 (7 %) or 50 off, whichever is more. `None` when there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u32> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "the rank is held to 1..=count"
        )]
        let rank =
            ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen: u64 = 0;
        let reaches = |&(_, n): &(FigureBucket, u64)| {
            seen = seen.saturating_add(n);
            seen >= rank
        };
        self.buckets().find(reaches).map(|(bucket, _)| bucket.middle())
    }

    /// How many windows are above `value`: exact for an edge of the scale
    /// ([`FigureBucket::is_edge`]); else those in its bucket are not counted.
    #[must_use]
    pub fn above(&self, value: u32) -> u64 {
        let limit = FigureBucket::of(value);
        self.buckets().filter(|&(bucket, _)| bucket > limit).map(|(_, n)| n).sum()
    }
}

impl Default for Marginal {
    fn default() -> Self {
        Self::new()
    }
}

/// The distributions of all figures, each by itself: what thousands of slots are folded into, for an
/// hour of a building or a region.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FigureTotals {
    marginals: [Marginal; FIGURES],
}

impl FigureTotals {
    /// Totals of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all windows of a slot.
    pub fn add(&mut self, figures: &Figures) {
        for &(combination, n) in figures.combinations() {
            self.add_combination(combination, n);
        }
    }

    /// Adds `n` windows of one combination.
    pub fn add_combination(&mut self, combination: Combination, n: u32) {
        for (marginal, &figure) in self.marginals.iter_mut().zip(Figure::ALL) {
            if let Some(bucket) = combination.bucket(figure) {
                marginal.add(bucket, n);
            }
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (marginal, more) in self.marginals.iter_mut().zip(&other.marginals) {
            marginal.merge(more);
        }
    }

    /// How the windows are distributed by one figure.
    #[must_use]
    pub const fn marginal(&self, figure: Figure) -> &Marginal {
        &self.marginals[figure as usize]
    }
}
