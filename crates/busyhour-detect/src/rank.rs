//! Statistics by rank: they need no distribution and do not mind single wild values.

/// Most values that one figure is made of: the bins of a day.
pub(crate) use crate::day_frame::MOST_BINS;

/// Values of a day's bins, kept on the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    values: [u32; MOST_BINS],
    count: usize,
}

impl Default for Sample {
    fn default() -> Self {
        Self { values: [0; MOST_BINS], count: 0 }
    }
}

impl Sample {
    /// Those that are known; what is more than a day's bins is left out.
    pub(crate) fn of(values: impl Iterator<Item = Option<u32>>) -> Self {
        let mut sample = Self::default();
        values.for_each(|value| sample.add(value));
        sample
    }

    /// Adds a value that is known.
    pub(crate) fn add(&mut self, value: Option<u32>) {
        if let (Some(value), Some(place)) = (value, self.values.get_mut(self.count)) {
            *place = value;
            self.count += 1;
        }
    }

    /// The value that so many hundredths lie at or below: of `n` the `percent · (n − 1) / 100`-th,
    /// rounded down.
    pub(crate) fn percentile(&mut self, percent: usize) -> Option<u32> {
        let values = self.values.get_mut(..self.count)?;
        let at = values.len().checked_sub(1)? * percent / 100;
        Some(*values.select_nth_unstable(at).1)
    }

    /// The middle one, the lower of two.
    pub(crate) fn median(&mut self) -> Option<u32> {
        self.percentile(50)
    }
}

/// The middle one of some values, the lower of two.
pub(crate) fn median(values: impl IntoIterator<Item = i64>) -> Option<i64> {
    let mut values: Vec<i64> = values.into_iter().collect();
    let at = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable(at).1)
}

/// The Hodges-Lehmann estimate of where differences lie: the median of the means of all pairs, each
/// value with itself included.
pub(crate) fn hodges_lehmann(values: &[i64]) -> Option<i64> {
    let pairs = values
        .iter()
        .enumerate()
        .flat_map(|(at, a)| values.iter().skip(at).map(move |b| a.midpoint(*b)));
    median(pairs)
}

/// How likely at least `above` of `of` fair coins show heads: the exact one-sided sign test.
pub(crate) fn sign_test(above: u32, of: u32) -> f64 {
    let choose = |k: u32| (0..k).fold(1.0, |c, i| c * f64::from(of - i) / f64::from(i + 1));
    (above..=of).map(choose).sum::<f64>() / 2f64.powi(of as i32)
}

/// Kendall's tau-b of pairs, in thousandths; `None` where one side never varies.
pub(crate) fn kendall_permille(pairs: &[(u32, u32)]) -> Option<i16> {
    let (mut agree, mut disagree, mut only_x, mut only_y) = (0i64, 0i64, 0i64, 0i64);
    for (at, a) in pairs.iter().enumerate() {
        for b in pairs.iter().skip(at + 1) {
            match (a.0 == b.0, a.1 == b.1) {
                (true, true) => {}
                (true, false) => only_y += 1,
                (false, true) => only_x += 1,
                (false, false) if (a.0 < b.0) == (a.1 < b.1) => agree += 1,
                (false, false) => disagree += 1,
            }
        }
    }
    let differ_in_x = (agree + disagree + only_x) as f64;
    let differ_in_y = (agree + disagree + only_y) as f64;
    if differ_in_x == 0.0 || differ_in_y == 0.0 {
        return None;
    }
    let tau = (agree - disagree) as f64 / (differ_in_x * differ_in_y).sqrt();
    Some((tau * 1_000.0).round() as i16)
}

/// The Theil-Sen slope of values one step apart: the median of the slopes of all pairs, per step.
pub(crate) fn theil_sen(values: &[i64]) -> Option<f64> {
    let mut slopes: Vec<f64> = Vec::with_capacity(values.len() * values.len() / 2);
    for (at, a) in values.iter().enumerate() {
        for (steps, b) in values.iter().skip(at + 1).enumerate() {
            slopes.push((b - a) as f64 / (steps + 1) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len().checked_sub(1)? / 2).copied()
}

/// The exact one-sided probability that values without a trend rise as much as these (Mann-Kendall);
/// pairs of equals count for neither side, which errs to the safe one.
pub(crate) fn mann_kendall(values: &[i64]) -> f64 {
    let (mut rising, mut falling) = (0i64, 0i64);
    for (at, a) in values.iter().enumerate() {
        for b in values.iter().skip(at + 1) {
            rising += i64::from(b > a);
            falling += i64::from(b < a);
        }
    }
    // How likely a random order has so many inversions, one more value after the other.
    let mut inversions = vec![1.0f64];
    for length in 1..=values.len() {
        let mut next = vec![0.0; inversions.len() + length - 1];
        for (have, share) in inversions.iter().enumerate() {
            for more in 0..length {
                next[have + more] += share / length as f64;
            }
        }
        inversions = next;
    }
    let pairs = inversions.len() as i64 - 1;
    // S = pairs − 2 · inversions, so that S at least this has at most so many inversions.
    let most = (pairs - (rising - falling)).div_euclid(2);
    inversions.iter().take(usize::try_from(most + 1).unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let mut sample = Sample::of([Some(5), None, Some(1), Some(9), Some(3)].into_iter());
        assert_eq!(sample.percentile(0), Some(1));
        assert_eq!(sample.percentile(20), Some(1));
        assert_eq!(sample.median(), Some(3));
        assert_eq!(sample.percentile(100), Some(9));
        assert_eq!(Sample::of([None].into_iter()).median(), None);
        assert_eq!(Sample::of((0..200).map(Some)).percentile(100), Some(103));
    }

    #[test]
    fn one_wild_day_does_not_move_the_estimate() {
        assert_eq!(hodges_lehmann(&[10, 11, 12, 13, 1_000]), Some(12));
        assert_eq!(hodges_lehmann(&[7]), Some(7));
        assert_eq!(hodges_lehmann(&[]), None);
    }

    #[test]
    fn signs_are_tested_exactly() {
        assert!((sign_test(5, 5) - 0.03125).abs() < 1e-12);
        assert!((sign_test(8, 8) - 0.003_906_25).abs() < 1e-12);
        assert!((sign_test(9, 10) - 11.0 / 1024.0).abs() < 1e-12);
    }

    #[test]
    fn ranks_correlate_with_ties() {
        let rising: Vec<(u32, u32)> = (0..10).map(|at| (at, at * at)).collect();
        assert_eq!(kendall_permille(&rising), Some(1_000));
        let falling: Vec<(u32, u32)> = (0..10).map(|at| (at, 100 - at)).collect();
        assert_eq!(kendall_permille(&falling), Some(-1_000));
        // By hand: 4 pairs agree, none disagrees, one is tied on either side alone.
        assert_eq!(kendall_permille(&[(1, 1), (1, 2), (2, 3), (3, 3)]), Some(800));
        assert_eq!(kendall_permille(&[(1, 1), (2, 1)]), None);
        assert_eq!(kendall_permille(&[]), None);
    }

    #[test]
    fn trends_are_tested_exactly() {
        assert_eq!(theil_sen(&[1, 3, 5, 7, 900]), Some(2.0));
        assert_eq!(theil_sen(&[1]), None);
        assert!((mann_kendall(&[1, 2, 3, 4, 5]) - 1.0 / 120.0).abs() < 1e-12);
        assert!((mann_kendall(&[1, 2, 3, 5, 4]) - 5.0 / 120.0).abs() < 1e-12);
        assert!((mann_kendall(&[5, 4, 3, 2, 1]) - 1.0).abs() < 1e-12);
        assert!(mann_kendall(&[3, 3, 3, 3]) >= 0.5);
    }
}
